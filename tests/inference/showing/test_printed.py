"""Laid-out text is a string that shows its lines."""

from elbowroom.inference.showing.printed import Printed


def test_it_is_a_string_and_shows_its_lines() -> None:
    text = Printed.of(["datum  lower", "    3  -1.2 < 0"])
    assert text == "datum  lower\n    3  -1.2 < 0" and isinstance(text, str)
    assert repr(text) == str(text)
    assert text._repr_html_() == '<pre style="white-space: pre-wrap">datum  lower\n    3  -1.2 &lt; 0</pre>'
