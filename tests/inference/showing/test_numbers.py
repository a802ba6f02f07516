"""Numbers as they are printed: to the character."""

import torch

from elbowroom.inference.showing.numbers import flag_counts, flagged_first, mean_with_interval, with_error

INF = float("inf")


def test_digits_follow_the_error() -> None:
    assert with_error(-84.48123, 0.0123) == "-84.48 ± 0.01"
    assert with_error(-84.48123, 0.0123, 2) == "-84.481 ± 0.012"
    assert with_error(-84.48123, 3.2) == "-84.48 ± 3.20"
    assert with_error(1.0, 0.00071) == "1.0000 ± 0.0007"
    assert with_error(1.0, 1e-10) == "1.0000 ± 1e-10"
    assert with_error(1.0, 0.0) == "1.000 ± 0.000"
    assert with_error(-INF, INF) == "-inf ± inf"
    assert with_error(float("nan"), 1.0) == "nan ± 1.00"
    assert with_error(-4.1e17, 2.0e9) == "-4.1e+17 ± 2e+09"


def test_means_have_the_interval_of_independent_errors_and_say_what_is_left_out() -> None:
    value, stderr = torch.tensor([1.0, 3.0]), torch.tensor([0.3, 0.4])
    assert mean_with_interval(value, stderr) == "2.00 ± 0.25 nats (95 %: 1.51 … 2.49)"
    assert mean_with_interval(value, stderr, "") == "2.00 ± 0.25 (95 %: 1.51 … 2.49)"
    lost = torch.tensor([1.0, 3.0, -INF, float("nan")])
    told = mean_with_interval(lost, torch.tensor([0.3, 0.4, INF, 0.1]))
    assert told == "2.00 ± 0.25 nats of the 2 data with a finite value (95 %: 1.51 … 2.49)"
    assert mean_with_interval(lost[2:], lost[2:]) == "no datum has a finite value"


def test_flags_are_counted_by_kind() -> None:
    flags = ("k-hat 0.81 > 0.7: the tail", "", "k-hat 1.2 > 0.7: the tail; slow", "other 3")
    assert flag_counts(flags) == (
        "3 of 4 data flagged: not to be trusted as they are",
        "  2 × k-hat … > 0.7",
        "  1 × slow",
        "  1 × other 3",
    )
    assert flag_counts(("", "")) == ()
    assert flag_counts(tuple(f"kind {c}" for c in "abcdef"))[-1] == "  … and 2 more kinds of reasons"


def test_flagged_data_come_first_and_unknown_doubt_before_any() -> None:
    doubt = torch.tensor([0.1, float("nan"), 0.3, 0.2])
    assert flagged_first(("", "", "", "flag"), doubt) == [3, 1, 2, 0]
    assert flagged_first(("", "flag", "", "flag")) == [1, 3, 0, 2]
    assert flagged_first(("", "", "", "flag"), doubt, most=2) == [3, 1]
    assert len(flagged_first(("",) * 1000)) == 40
