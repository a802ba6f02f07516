"""What hides in text is shown as an escape; ordinary text of any language stays as it is."""

import json

from hypothesis import given
from hypothesis import strategies as st

from elbowroom.inference.showing.table import Table
from elbowroom.inference.showing.visible import MOST_NAME, short_name, visible

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


def test_tables_show_it() -> None:
    table = Table((HIDDEN,), (HIDDEN, "why"), "<<", [(HIDDEN, HIDDEN)])
    for text in (table.text(), table.html(), table.title):
        assert r"a\u202eb" in text and "\x1b" not in text and "\x00" not in text and "\u202e" not in text
