"""Tables as text and as HTML: never longer than a screen, whatever they hold."""

import pytest

from elbowroom.inference.showing.table import LINES, WIDTH, Table
from toys.selections import rest_slow
from toys.shown import Page

COLUMNS = ("datum", "value", "flag")


def table(num_rows: int, flag: str, head: tuple[str, ...] = ("a title",), total: int | None = None) -> Table:
    return Table(head, COLUMNS, ">><", [(str(b), f"{b / 7:.3f}", flag) for b in range(num_rows)], total)


def test_text_to_the_character() -> None:
    assert table(2, "", total=9).text().splitlines() == [
        "a title",
        "datum  value  flag",
        "    0  0.000",
        "    1  0.143",
        "… and 7 more data",
    ]


@pytest.mark.parametrize("words", rest_slow([1, 40, 0, 4000], 2))
@pytest.mark.parametrize("num_rows", [0, 1, 2, 13, 36, 37, 38, 39, 40, 1000])
@pytest.mark.parametrize("head", [("one",), ("a sentence of many words " * 40,), ("lines\nof\ntext",) * 60])
def test_no_more_lines_than_promised(words: int, num_rows: int, head: tuple[str, ...]) -> None:
    made = table(num_rows, "word " * words, head, total=num_rows)
    lines = made.text().splitlines()
    assert len(lines) <= LINES and max(map(len, lines)) <= WIDTH
    shown = [line.split()[0] for line in lines if line[:5].strip().isdigit()]
    assert shown == [str(b) for b in range(len(shown))] and (shown or not num_rows)
    more = num_rows - len(shown)
    assert (lines[-1] == f"… and {more} more data") == (more > 0)
    page = Page(made.html())
    assert [row[0] for row in page.rows[1:]] == shown
    assert "\n" not in made.title


def test_few_rows_leave_their_words_whole_and_many_are_cut_with_a_mark() -> None:
    flag = " ".join(f"word{i}" for i in range(150))
    assert " ".join(table(1, flag).text().split()).endswith(flag)
    rows = [(str(b), "", f"{b} {flag}") for b in range(10)]
    cut = Table(("a title",), COLUMNS, ">><", rows).text()
    assert "word149" not in cut and " …" in cut
    assert Page(table(10, flag).html()).rows[1][2] == flag  # uncut where columns fold


def test_words_of_several_lines_are_said_once() -> None:
    flag = " ".join(f"word{i}" for i in range(150))
    lines = table(10, flag).text().splitlines()
    assert "word149" in " ".join(lines) and [line.split()[-1] for line in lines[-9:]] == ["above"] * 9
    assert table(3, "short").text().count("short") == 3
    assert Page(table(10, flag).html()).rows[9][2] == flag


def test_markup_is_text() -> None:
    hostile = '<script>alert("1")</script>&amp;'
    made = Table((hostile,), (hostile, "b"), "<<", [(hostile, hostile)], 3, hostile)
    page = Page(made.html())
    assert {tag for tag, _ in page.elements} <= {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}
    assert page.rows == [[hostile, "b"], [hostile, hostile]]
    assert page.text.count(hostile) == 5


def test_long_names_do_not_push_words_off_the_screen() -> None:
    made = Table(("title",), ("latent", "flag"), "<<", [("z" * 300, "a flag of some words " * 5)])
    assert max(map(len, made.text().splitlines())) <= WIDTH
    assert "z" * 300 in made.html()
