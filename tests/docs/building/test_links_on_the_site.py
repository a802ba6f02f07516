"""Links of the repository as links of the site, names as links to the reference, the site in a file for programs."""

import pytest

from building.links import moved


@pytest.mark.parametrize(
    ("link", "place", "to", "there"),
    [
        ("../README.md", "docs/a.md", None, "index.md"),
        ("../notebooks/02_b.py", "docs/a.md", None, "gallery/02_b.md"),
        ("../../notebooks/02_b.py#x", "docs/how_to/a.md", None, "../gallery/02_b.md#x"),
        ("../benchmarks/RESULTS.md", "docs/a.md", None, "benchmarks.md"),
        ("house.md", "docs/a.md", None, "house.md"),
        ("docs/house.md", "CHANGELOG.md", "docs/changelog.md", "house.md"),
        ("../tests/smoke.py", "docs/a.md", None, "../tests/smoke.py"),
        ("02_b.py", "notebooks/01_a.py", "docs/gallery/01_a.md", "02_b.md"),
        ("https://x.y/README.md", "docs/a.md", None, "https://x.y/README.md"),
        ("#here", "docs/a.md", None, "#here"),
    ],
)
def test_links_are_moved(link: str, place: str, to: str | None, there: str) -> None:
    assert moved(f"see [a]({link}).", place, to) == f"see [a]({there})."


@pytest.mark.parametrize(
    ("code", "target"),
    [
        ("bracket", ("py", "obj", "elbowroom.inference.bracket")),
        ("bracket(target, budget=3)", ("py", "obj", "elbowroom.inference.bracket")),
        ("Target.propose", ("py", "obj", "elbowroom.inference.Target.propose")),
        ("Estimate.flags", ("py", "obj", "elbowroom.inference.Estimate")),
        ("models.VAE", ("py", "obj", "elbowroom.models.VAE")),
        ("elbowroom.models.VAE", ("py", "obj", "elbowroom.models.VAE")),
        ("ImportanceInfo", ("py", "obj", "elbowroom.inference.evidence.importance.importance.ImportanceInfo")),
        ("elbowroom audit", ("std", "doc", "/reference/command_line/audit")),
        ("elbowroom adit", None),
        ("num_samples", None),
        ("torch.load", None),
    ],
)
def test_names_are_known(code: str, target: tuple[str, str, str] | None) -> None:
    linked = pytest.importorskip(
        "building.names_linked", reason="Sphinx comes with the extra docs", exc_type=ImportError
    )
    assert linked.target_of(code) == target


def test_the_site_in_a_file_for_programs() -> None:
    llms = pytest.importorskip("building.llms", reason="Sphinx comes with the extra docs", exc_type=ImportError)
    pages = {
        "index": ("elbowroom", "What?"),
        "how_to/a": ("A", "First. Second."),
        "reference/inference/bracket": ("bracket", "bracket(\n\nLog p(x) from both sides. More."),
        "reference/command_line/audit": ("elbowroom audit", "May q be trusted?"),
        "house": ("The house", ""),
    }
    lines = llms.index("In short.", pages).splitlines()
    assert lines[0] == "# elbowroom" and "> In short." in lines
    assert [line for line in lines if line.startswith(("##", "- "))] == [
        "## How to", "- [A](how_to/a.html)",
        "## Pages", "- [The house](house.html)",
        "## Command line", "- [elbowroom audit](reference/command_line/audit.html): May q be trusted?",
        "## Reference", "- [bracket](reference/inference/bracket.html): Log p(x) from both sides.",
    ]  # fmt: skip
