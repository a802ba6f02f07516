"""log p(x) above zero: said once, in words that say that it is no error."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from elbowroom.inference import Estimate
from elbowroom.inference.audit.numbers import _of_density
from elbowroom.inference.audit.verdict.verdict import _density


def parts(*values: float, stderr: float = 0.1) -> Any:
    value = torch.tensor(values)
    found = Estimate(value, torch.full_like(value, stderr), "lower")
    unknown = Estimate(torch.full_like(value, torch.nan), torch.full_like(value, torch.nan), "lower")
    return SimpleNamespace(sampled=unknown, bracket=SimpleNamespace(lower=found))


@pytest.mark.parametrize(("values", "told"), [((3.0, -1.0), "for 1 datum,"), ((3.0, 40.0, -5.0), "for 2 data,")])
def test_a_density_above_one(values: tuple[float, ...], told: str) -> None:
    found = parts(*values)
    numbers = _of_density(found)
    (finding,) = _density(found, numbers)
    assert told in finding.sentence and "no error" in finding.sentence and finding.tone == "note"
    assert set(finding.numbers) == set(numbers)


def test_noise_about_zero_is_none() -> None:
    found = parts(0.15, -0.1)
    assert not _of_density(found) and not _density(found, {})
