"""What hides in text is shown as an escape; ordinary text of any language stays as it is."""

import json

from hypothesis import given
from hypothesis import strategies as st

from elbowroom.entrances.said import said
from elbowroom.entrances.visible import MOST_NAME, one_line, short_name, visible
from elbowroom.inference.showing.table import Table
from elbowroom.report.tables.render import Sheet, note, render, warning

HIDDEN = "a\u202eb\x00c\x1b[2Jd\ud800e\u2066f\ufeffg\x85"
SHOWN = r"a\u202eb\u0000c\u001b[2Jd\ud800e\u2066f\ufeffg\u0085"


def test_what_hides_is_shown() -> None:
    assert visible(HIDDEN) == SHOWN
    assert visible("log p̂(x) ≥ −3,\tπ ∩ 漢字 עברית 🙂\n") == "log p̂(x) ≥ −3,\tπ ∩ 漢字 עברית 🙂\n"


@given(st.text(st.characters(exclude_categories=())))
def test_json_stays_json_of_the_same_values(text: str) -> None:
    written = visible(json.dumps({text: [text]}, ensure_ascii=False))
    assert json.loads(written) == {text: [text]}
    written.encode()  # halves of surrogate pairs cannot be
    assert not set(written) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\x1b\x00")


def test_names_keep_their_ends() -> None:
    assert short_name("z[3]") == "z[3]" and short_name("a\nb \u202e") == r"a b \u202e"
    long = short_name("z" * 400 + "[17]")
    assert len(long) == MOST_NAME and long.endswith("z[17]") and "…" in long


def test_a_name_makes_no_second_line() -> None:
    assert one_line("a\nb\r\nc\u2028d\x85\n") == "a b c d "
    assert one_line(f"a  b\t{HIDDEN[:3]}") == f"a  b\t{SHOWN[:8]}"


def test_what_errors_show_of_a_value_is_one_visible_line() -> None:
    class Odd:
        def __repr__(self) -> str:
            return "a\u202e\nb\x1b"

    assert said(Odd()) == r"a\u202e b\u001b (Odd)"


def test_printed_tables_show_it_and_keep_brackets() -> None:
    sheet = Sheet("of \x1b[2J", [("name", "left"), ("value", "right")])
    sheet.add("a\u202e\n[bold]b[/bold]", "\x1b[2J1")
    for width in (100, 8):
        text = str(render([sheet, note("n\u202e"), warning("w\x1b")], width=width, color=False))
        assert not set(text) & {"\x1b", "\u202e"}, text
        assert "[bold]b[/bold]" in "".join(text.split()) and r"n\u202e" in text and r"w\u001b" in text


def test_tables_show_it() -> None:
    table = Table((HIDDEN,), (HIDDEN, "why"), "<<", [(HIDDEN, HIDDEN)])
    for text in (table.text(), table.html(), table.title):
        assert r"a\u202eb" in text and "\x1b" not in text and "\x00" not in text and "\u202e" not in text
