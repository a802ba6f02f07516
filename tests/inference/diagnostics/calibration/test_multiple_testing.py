"""Holm's correction, by hand."""

import pytest
import torch

from elbowroom.inference.diagnostics.calibration.multiple_testing import holm


def test_holm() -> None:
    rejected, last = holm(torch.tensor([0.04, 0.001, 0.02, 0.012], dtype=torch.float64), 0.05)
    assert rejected.tolist() == [True, True, True, True] and last == pytest.approx(0.05)
    rejected, last = holm(torch.tensor([0.04, 0.001, 0.03, 0.02], dtype=torch.float64), 0.05)
    assert rejected.tolist() == [False, True, False, False] and last == pytest.approx(0.05 / 4)
    assert not holm(torch.tensor([0.02, 0.9, 0.001 * 15]), 0.04)[0].any()
