"""What the build writes: the reference, the command line, the glossary, the benchmarks, pages of the root."""

import re
from pathlib import Path

import pytest

from building import benchmarks_page, command_pages, glossary_page, reference_pages, root_pages
from building.public_names import PACKAGES, ROOT, public_names
from building.written import write_folder
from elbowroom.__main__ import COMMANDS
from elbowroom.report.page.terms import TERMS


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    """The pages of the reference."""
    return reference_pages.pages()


def test_every_public_name_has_one_directive_on_one_page(reference: dict[str, str]) -> None:
    pages = "\n".join(reference.values())
    said = re.findall(r"(?m)^\.\. (?:auto(?:class|exception|function)|py:data):: (\S+)$", pages)
    assert len(set(said)) == len(said)
    assert {name.path for name in public_names()} <= set(said)
    others = set(said) - {name.path for name in public_names()}
    assert others == {f"{named.__module__}.{named.__qualname__}" for named in reference_pages.types_named()}


def test_every_name_is_in_the_table_and_the_tree_of_its_package(reference: dict[str, str]) -> None:
    for name in public_names():
        page = reference[f"{name.package.rpartition('.')[2]}/index.rst"]
        assert f":py:obj:`~{name.path}`" in page and f"\n   {name.page}\n" in page
    assert all(f"({package}/index.rst)" in reference["index.md"] for package in PACKAGES)


def test_members_are_those_that_no_other_page_has() -> None:
    names = {name.name: name.value for name in public_names()}
    assert {"propose", "log_joint", "log_guide"} <= set(reference_pages.own_members(names["Target"]))
    assert "as_table" in reference_pages.own_members(names["Estimate"]), "of a class that is not public"
    assert "generate" not in reference_pages.own_members(names["VAE"]), "of LatentModel, which is"


def test_constants_say_what_they_hold() -> None:
    assert reference_pages.held(("a", "b")) == "It holds ``a``, ``b``."
    assert reference_pages.held("silu") == "It is ``'silu'``."


def test_every_command_has_a_page_with_every_option() -> None:
    pages = command_pages.pages()
    assert set(pages) == {"index.rst", *(f"{name}.rst" for name in COMMANDS)}
    train = pages["train.rst"]
    assert ".. option:: --output <str>\n\n   the run directory.\n\n   Default: ``runs/latest``\n" in train
    assert "Default: ``0``" in train and "Default: ``[64,64]``" in train and "Default: ``null``" in train
    assert ".. option:: --seed <int>\n\n   of everything random.\n\n   Default: ``0``" in train
    assert "--data.binarize <none|threshold|static|dynamic>" in train
    for name in ("audit", "shard"):
        fields = COMMANDS[name].__dataclass_fields__.values()
        own = [field.name for field in fields if not hasattr(field.default_factory, "__dataclass_fields__")]
        assert [option for option in own if f".. option:: --{option}" not in pages[f"{name}.rst"]] == []
    assert all(f"   * - {code}\n" in pages["index.rst"] for code in (0, 5, 130))


def test_the_glossary_has_the_words_of_reports_and_of_the_house_once() -> None:
    meanings = glossary_page.meanings()
    assert set(TERMS) | set(glossary_page.words_of_the_house()) == set(meanings)
    assert len(glossary_page.words_of_the_house()) >= 25
    assert meanings["room"].startswith(TERMS["room"]) and "Decomposition.room" in meanings["room"]
    assert "q(z|x)" in meanings["log w"] and "\\" not in meanings["log w"]


def test_every_figure_of_the_benchmarks_is_on_the_page() -> None:
    """But for the table of seconds, which answers no question."""
    text = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    results = benchmarks_page.results(text)
    assert len(results) == text.count("\n## ")
    assert [result.mark for result in results if not result.script] == ["seconds"]
    page = benchmarks_page.page_of(results)
    assert [result.mark for result in results if result.script and result.table not in page] == []
    assert page.count("<details>") == page.count("</details>") >= 5


def test_pages_of_the_root_have_their_links_moved(tmp_path: Path) -> None:
    for name in root_pages.SHOWN:
        (tmp_path / name).write_text("# T\n\n[a](docs/house.md), [b](SECURITY.md#x), [c](https://x.y)\n")
    root_pages.write(tmp_path / "docs")
    assert (
        tmp_path / "docs" / "changelog.md"
    ).read_text() == "# T\n\n[a](house.md), [b](security.md#x), [c](https://x.y)\n"


def test_only_what_changed_is_written_and_what_is_gone_is_removed(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.md": "1", "b/c.svg": b"2", "keep/d.md": "3"})
    before = (tmp_path / "a.md").stat().st_mtime_ns
    write_folder(tmp_path, {"a.md": "1"}, keep="keep")
    assert (tmp_path / "a.md").stat().st_mtime_ns == before
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == [
        "a.md",
        "keep/d.md",
    ]
