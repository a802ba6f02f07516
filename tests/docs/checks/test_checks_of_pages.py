"""The pages have no fault; and every check finds the fault that it is for."""

import pytest

from checks import alt_texts, code_runs, commands_exist, links_lead, names_exist
from checks.every import CHECKS
from checks.pages import GENERATED, ROOT, Page, pages

PAGES = pages()


def page(text: str, path: str = "docs/x.md") -> Page:
    return Page(path, text)


@pytest.mark.parametrize("check", CHECKS, ids=[check.__name__ for check in CHECKS])
def test_the_pages_have_no_fault(check: object) -> None:
    assert check.faults(PAGES) == []  # type: ignore[attr-defined]


def test_pages_are_those_that_are_written_by_hand() -> None:
    paths = {page.path for page in PAGES}
    assert {"README.md", "docs/house.md", "docs/index.md", "docs/start/index.md"} <= paths
    assert not any(path.startswith(f"docs/{name}") for name in GENERATED for path in paths)


def test_what_is_generated_is_no_part_of_the_repository_nor_of_its_archive() -> None:
    ignored, archive = (ROOT / ".gitignore").read_text(), (ROOT / "MANIFEST.in").read_text()
    assert [name for name in GENERATED if f"docs/{name}" not in ignored or f"docs/{name}" not in archive] == []


def test_blocks_are_found_with_their_marks() -> None:
    text = "a\n\n```python\nx = 1\n```\n\n<!-- not run: why\nnot -->\n\n```sh\nls\n```\n\n:::{note}\nx\n:::\n"
    first, second, third = page(text).blocks
    assert (first.line, first.language, first.code, first.not_run) == (3, "python", "x = 1\n", "")
    assert (second.language, second.not_run, str(second)) == ("sh", "why\nnot", "docs/x.md:10")
    assert third.language == "{note}"
    assert page("`a` and `b\nc`\n```\n`d`\n```\n").prose.count("`") == 4


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("```\nls\n```\n", "the block has the language ''"),
        ("```python\nx =\n```\n", "no Python in its line 1"),
    ],
)
def test_a_block_that_cannot_run_is_found(text: str, fault: str) -> None:
    assert [fault in found for found in code_runs.faults([page(text)])] == [True]
    assert code_runs.faults([page("```{code-cell}\nx =\n```\n\n```json\n{}\n```\n")]) == []


@pytest.mark.parametrize(
    "text",
    [
        "`Target.propos`",
        "`elbowroom.inference.brackets`",
        "`inference.brackets(target)`",
        "`Estimate.valu`",
        "`num_sample_s`",
        "`brackett(target)`",
        "```python\nfrom elbowroom.inference import brackett\n```",
        "```python\nfrom elbowroom.inference import bracket\nbracket(target, budgett=3)\n```",
        "```{code-cell} python\n---\nmystnb:\n  image:\n    alt: x\n---\nfrom elbowroom.modelss import VAE\n```",
    ],
)
def test_a_name_that_there_is_not_is_found(text: str) -> None:
    assert len(names_exist.faults([page(text + "\n")])) == 1


@pytest.mark.parametrize(
    "text",
    [
        "`Target.propose`, `Estimate.value`, `bracket(target, budget=3)`, `elbowroom.inference`, `num_samples`",
        "`log p(x)`, `p(z|x)`, `torch.no_grad`, `--fail-if`, `elbowroom.commands.families`",
        "<!-- names of others: SomebodysVAE -->\n`SomebodysVAE`",
        "```python\nmine = 1\n```\n`mine`",
        "```{code-cell}\n%%bash\nls\n```",
    ],
)
def test_a_name_that_there_is_passes(text: str) -> None:
    assert names_exist.faults([page(text + "\n")]) == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("elbowroom adit --run runs/a", "no command 'adit'"),
        ("elbowroom audit --runn runs/a", "no option --runn"),
        ("elbowroom audit \\\n    --runn runs/a", "no option --runn"),
        ("FOO=1 elbowroom versus --run a --run b --trusted x", "no option --trusted"),
    ],
)
def test_a_command_that_there_is_not_is_found(line: str, fault: str) -> None:
    (found,) = commands_exist.faults([page(f"```sh\n{line}\n```\n")])
    assert fault in found
    if "\\" not in line and line.startswith("elbowroom"):
        assert fault in commands_exist.faults([page(f"`{line}`\n")])[0]


def test_commands_that_there_are_pass() -> None:
    lines = [
        "elbowroom audit --run runs/a --budget 300 --fail-if 'gap > 5'  # a comment",
        "elbowroom versus --run a --run b --trust b",
        "elbowroom train --training.NAME 3",
        "elbowroom --version",
        "torchrun -m elbowroom -- shard --run=runs/a",
        "from elbowroom import x",
    ]
    block = "\n".join(lines)
    assert commands_exist.faults([page(f"```sh\n{block}\n```\n")]) == []
    assert commands_exist.faults([page("`elbowroom train …`, `elbowroom audit --networks.…`\n")]) == []


def test_links_that_lead_nowhere_are_found() -> None:
    text = "# A `x`\n\n[a](nowhere.md), [b](#a-x), [c](house.md#glossary), [d](house.md#glosary), [e](changelog.md)"
    faults = links_lead.faults([page(text), *PAGES])
    assert [fault.split(";")[0] for fault in faults] == [
        "docs/x.md: the link nowhere.md leads nowhere", "docs/x.md: docs/house.md has no heading #glosary",
    ]  # fmt: skip


def test_a_picture_without_words_is_found() -> None:
    assert len(alt_texts.faults([page("![](a.svg) ![A figure](b.svg) ![What is to be seen](c.svg)\n")])) == 2
