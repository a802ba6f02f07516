"""The splits: a partition whatever the sizes are, the same on every call, and as the documents say."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elbowroom.datasets import SPLITS, philox
from elbowroom.datasets.splits import DIGITS, FRAMES, LAST_SIXTH, OMNIGLOT, TENTHS, Rule

FIRST_DIGITS = {
    "train": [472, 354, 19, 1709, 694],
    "validation": [1153, 264, 499, 149, 988],
    "test": [1582, 1663, 1523, 943, 1139],
}
RULES = st.sampled_from([TENTHS, DIGITS, FRAMES])


@given(rule=RULES, size=st.integers(3, 500), held_out=st.sets(st.sampled_from(["validation", "test"])))
def test_partition(rule: Rule, size: int, held_out: set[str]) -> None:
    """Each datum of each array is in one split, exactly once; arrays that the source has keep name, rows and order."""
    sizes = {"train": size} | dict.fromkeys(held_out, 7)
    plan = rule.plan(sizes, "x")
    assert tuple(plan) == SPLITS
    for array, count in sizes.items():
        rows = np.concatenate([rows for source, rows in plan.values() if source == array])
        assert sorted(rows.tolist()) == list(range(count))
    for split in held_out:
        assert plan[split][0] == split
        np.testing.assert_array_equal(plan[split][1], np.arange(7))
    again = rule.plan(sizes, "y")
    assert all(np.array_equal(plan[s][1], again[s][1]) for s in SPLITS)
    assert all(len(rows) >= 1 for _, rows in plan.values())


@pytest.mark.parametrize(
    ("rule", "sizes", "expected"),
    [
        (DIGITS, {"train": 1797}, (1257, 180, 360)),
        (LAST_SIXTH, {"train": 60000, "test": 10000}, (50000, 10000, 10000)),
        (OMNIGLOT, {"train": 24345, "test": 8070}, (23000, 1345, 8070)),
        (FRAMES, {"train": 1965}, (1573, 196, 196)),
        (TENTHS, {"train": 3}, (1, 1, 1)),
        (TENTHS, {"train": 100}, (80, 10, 10)),
        (TENTHS, {"train": 2, "test": 1}, (1, 1, 1)),
        (TENTHS, {"train": 1, "validation": 1, "test": 1}, (1, 1, 1)),
    ],
)
def test_sizes(rule: Rule, sizes: dict[str, int], expected: tuple[int, int, int]) -> None:
    assert tuple(len(rows) for _, rows in rule.plan(sizes, "x").values()) == expected


def test_which_data_are_held_out_is_fixed_for_good() -> None:
    """These rows are the documented permutation; another order would make old results incomparable."""
    plan = DIGITS.plan({"train": 1797}, "digits")
    assert plan["train"][1][:5].tolist() == FIRST_DIGITS["train"]
    assert plan["validation"][1][:5].tolist() == FIRST_DIGITS["validation"]
    assert plan["test"][1][:5].tolist() == FIRST_DIGITS["test"]


def test_rules_that_keep_the_order() -> None:
    """MNIST's validation is the end of the train file; video is cut, not shuffled."""
    plan = LAST_SIXTH.plan({"train": 12, "test": 3}, "x")
    assert plan["train"][1].tolist() == list(range(10))
    assert plan["validation"][1].tolist() == [10, 11]
    frames = np.concatenate([rows for _, rows in FRAMES.plan({"train": 50}, "x").values()])
    assert frames.tolist() == list(range(50))


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"train": 2}, r"2 data cannot be split into train, validation and test: at least 3 are needed"),
        ({"train": 1}, r"1 datum cannot be split"),
        ({"train": 1, "test": 4}, r"1 datum cannot be split into train, validation: at least 2"),
        ({"test": 4}, "no training array, only test"),
    ],
)
def test_too_few_data(sizes: dict[str, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TENTHS.plan(sizes, "x.npy")


def test_a_set_with_an_official_test_file_is_not_given_another() -> None:
    with pytest.raises(ValueError, match="no test array"):
        LAST_SIXTH.plan({"train": 60}, "mnist.npz")


@given(size=st.integers(0, 2000), seed=st.integers(0, 2**64 - 1))
def test_permutation(size: int, seed: int) -> None:
    assert sorted(philox.permutation(size, "split", seed).tolist()) == list(range(size))


def test_permutation_is_uniform() -> None:
    """Each of the 6 orders of 3 data, over 6000 seeds: χ² with 5 degrees of freedom below its 1e-6 quantile."""
    orders = [tuple(philox.permutation(3, "split", seed).tolist()) for seed in range(6000)]
    counts = np.array([orders.count(order) for order in set(orders)])
    assert len(counts) == 6
    assert ((counts - 1000) ** 2 / 1000).sum() < 35.9


def test_shares_are_exact_fractions() -> None:
    """180/1797 of 1797 is 180, not 179."""
    assert int(1797 * Fraction(180, 1797)) == 180
