"""Masks of sequences: padding filled by what a likelihood can read, and where something is still to come."""

import torch

from elbowroom.networks.sequences import has_steps_from, without_padding

MASK = torch.tensor([[1, 1, 0, 0], [0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]]).bool()


def test_padding_holds_the_first_step_that_is_there() -> None:
    x = torch.arange(1.0, 33.0).reshape(4, 4, 2)
    hidden = torch.where(MASK[..., None], x, torch.nan)
    found = without_padding(hidden, MASK)
    assert torch.equal(found[MASK], x[MASK])
    for row, first in enumerate((0, 1)):
        assert (found[row][~MASK[row]] == x[row, first]).all()
    assert found[3].isfinite().all()


def test_what_is_still_to_come() -> None:
    expected = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]]).bool()
    assert torch.equal(has_steps_from(MASK), expected)
