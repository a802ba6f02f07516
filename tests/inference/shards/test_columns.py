"""Estimates as columns and back; columns of some data and of the next ones."""

import torch

from elbowroom.inference import Estimate
from elbowroom.inference.shards.columns import FIRST, KEY, columns_of, estimates_of, joined


def estimate(size: int, info: dict[str, object], flags: tuple[str, ...] = ()) -> Estimate:
    return Estimate(torch.arange(float(size)), torch.ones(size), "lower", info, flags)


def test_estimates_come_back() -> None:
    info = {
        "ess": torch.tensor([3.0, 4.0]), "iwae": {5: torch.tensor([1.0, 2.0])}, "empty": {}, "num_samples": 7,
        "method": ("a", ""), "draws": torch.zeros(3, 2), "seconds": 2.5,
    }  # fmt: skip
    columns = columns_of({"one": estimate(2, info, ("", "heavy"))}, torch.tensor([8, -9]), torch.zeros(2))
    found = estimates_of(columns)["one"]
    assert found.flags == ("", "heavy") and found.bound == "lower" and found.info["method"] == ("a", "")
    assert torch.equal(found.info["iwae"][5], torch.tensor([1.0, 2.0])) and found.info["empty"] == {}
    assert found.info["num_samples"] == 7 and "draws" not in found.info and "seconds" not in found.info
    assert columns.numbers[KEY].tolist() == [8, -9] and FIRST in columns.numbers


def test_a_column_that_some_data_lack_is_nothing_there() -> None:
    keys, first = torch.tensor([1, 2]), torch.zeros(2)
    lacking = columns_of({"one": estimate(2, {"evaluated": "run"})}, keys, first)
    having = columns_of(
        {"one": estimate(2, {"refused": torch.tensor([3, 4]), "k": torch.ones(2), "evaluated": "recorded"}, ("x", ""))},
        keys, first,
    )  # fmt: skip
    for parts, order in (([lacking, having], slice(2, 4)), ([having, lacking], slice(0, 2))):
        found = estimates_of(joined(parts))["one"]
        assert found.info["refused"][order].tolist() == [3, 4] and int(found.info["refused"].sum()) == 7
        assert int(found.info["k"].isnan().sum()) == 2 and found.flags[order] == ("x", "")
        assert found.info["evaluated"] == "recorded / run" and found.value.tolist() == [0.0, 1.0, 0.0, 1.0]
