"""Draws in chunks are the draws all at once."""

from collections.abc import Iterator

import torch
from torch import Tensor

from elbowroom.inference import Target
from elbowroom.inference.evaluation.budget import Plan
from elbowroom.inference.evaluation.weighted_draws import WeightedDraws, in_chunks, reduced, weighted_draws
from toys.programs import conjugate, ppca

CUT = Plan(num_data=5, data_at_once=2, samples_at_once=3)


def log_w(chunks: Iterator[WeightedDraws]) -> Tensor:
    return torch.cat([drawn.log_w for drawn in chunks])


def test_chunks_are_the_draws_all_at_once() -> None:
    target = conjugate(num_data=5).target()
    z, log_q = target.propose(7, seed=4)
    prior, likelihood = target.log_joint(z)
    chunks = list(in_chunks(target, weighted_draws, CUT, 7, 4))
    assert [(drawn.start, drawn.num_samples) for drawn in chunks] == [(0, 3), (3, 3), (6, 1)]
    torch.testing.assert_close(torch.cat([drawn.z["z"] for drawn in chunks]), z["z"])
    torch.testing.assert_close(log_w(iter(chunks)), prior + likelihood - log_q)


def test_pieces_of_the_data_come_in_their_order() -> None:
    target = ppca().target()
    (whole,) = reduced(target, weighted_draws, Plan(len(target), len(target), 7), 7, 1, log_w)
    pieces = list(reduced(target, weighted_draws, Plan(len(target), 2, 3), 7, 1, log_w))
    assert [piece.shape[1] for piece in pieces] == [2, 2, 1]
    torch.testing.assert_close(torch.cat(pieces, 1), whole)


def test_the_model_runs_only_if_its_densities_are_asked_for() -> None:
    class Counted(Target):
        runs = 0

        def log_joint(self, z: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
            Counted.runs += 1
            return super().log_joint(z)

    triple = conjugate(num_data=3)
    target = Counted(triple.model, triple.guide, *triple.args)
    Counted.runs = 0
    drawn = weighted_draws(target, 4, 0, 0)
    assert Counted.runs == 0
    assert drawn.log_w.shape == drawn.log_joint[0].shape == (4, 3)
    assert Counted.runs == 1


def test_gradients_are_off_within_and_as_they_were_outside() -> None:
    target, seen = conjugate(num_data=5).target(), []
    for enabled in reduced(target, weighted_draws, CUT, 3, 0, lambda chunks: torch.is_grad_enabled()):
        seen.append((enabled, torch.is_grad_enabled()))
    assert seen == [(False, True)] * 3
