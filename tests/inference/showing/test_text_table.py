"""Text tables to the character."""

import pytest

from elbowroom.inference.showing.text_table import aligned

ROWS = [("bound", "nats", "flag"), ("elbo", "-12.5", ""), ("a", "3", "the weights' tail is heavy")]


def test_columns_are_aligned_and_lines_end_without_blanks() -> None:
    assert aligned(ROWS, "<><") == ["bound   nats  flag", "elbo   -12.5", "a          3  the weights' tail is heavy"]
    assert aligned([("a", "bc"), ("def", "")], ">>") == ["  a  bc", "def"]


def test_every_column_needs_a_side() -> None:
    with pytest.raises(ValueError, match="zip"):
        aligned(ROWS, "<>")
