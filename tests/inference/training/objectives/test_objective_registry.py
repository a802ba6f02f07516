"""What holds of every objective: a new one in the registry is tried by each of these."""

import json
from pathlib import Path
from typing import Any

import pyro
import pytest
import torch
from pyro import poutine
from torch import Tensor, nn

from elbowroom.inference.target import Target
from elbowroom.inference.training import OBJECTIVES, NonFiniteError, evaluate
from toys.objective_programs import LABELLED, programs, rows, train
from toys.selections import rest_slow
from toys.training import equal, values

NAMES = sorted(OBJECTIVES)
NEW = sorted(set(OBJECTIVES) - {"Trace_ELBO", "TraceMeanField_ELBO", "RenyiELBO"})  # the others are in test_fit.py


class Cut(Exception):
    """Stands for a crash."""


def cut_after(steps: int | None) -> Any:
    """A `prepare` that adds noise and crashes at a step; the example that `fit` looks at is none."""
    seen = -1

    def prepare(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        nonlocal seen
        if seen == steps:
            raise Cut
        seen += 1
        return x + 0.01 * torch.randn_like(x), *others

    return prepare


@pytest.mark.parametrize("name", rest_slow(NEW, 4))
def test_a_cut_run_goes_on_to_the_same_bits(name: str, tmp_path: Path) -> None:
    """Metrics too, and what they and the checkpoint say of the objective."""
    options: dict[str, Any] = {"checkpoint_seconds": 0}
    pair, fitted = train(name, prepare=cut_after(None), **options)
    with pytest.raises(Cut):
        train(name, prepare=cut_after(4), run_dir=tmp_path, **options)
    resumed, again = train(name, prepare=cut_after(None), run_dir=tmp_path, resume=True, **options)
    assert equal(values(*pair), values(*resumed)) and not equal(values(*pair), values(*programs(name)))
    assert [row | {"seconds": 0} for row in fitted.history] == [row | {"seconds": 0} for row in again.history]
    bound = OBJECTIVES[name].bounds({})
    checkpoint = json.loads(next(tmp_path.glob("checkpoints/*/progress.json")).read_text())
    assert fitted.bound == fitted.history[0]["bound"] == checkpoint["objective"]["bound"] == bound
    assert fitted.loss == checkpoint["objective"]["loss"] == name


def test_validation_is_the_elbo_whatever_training_climbs() -> None:
    held_out = rows("IWAE", 6, seed=2)
    pair, fitted = train("IWAE", validation=held_out)
    with pyro.settings.context(module_local_params=True):
        assert fitted.history[-1]["elbo"] == pytest.approx(evaluate(Target(*pair, held_out), seed=1).elbo, rel=1e-9)


@pytest.mark.parametrize("name", NEW)
def test_masks_are_kept_scales_replaced_and_gradients_clipped(name: str) -> None:
    """Whatever stands in rows that both programs do not see, and whatever scales these have, a step is the same."""
    state, start = torch.get_rng_state(), values(*programs(name))
    x, keep = rows(name, 8), torch.arange(8) < 5
    first = x[0] if name in LABELLED else x
    found = []
    for fill, scale in ((0.0, 1.0), (3.0, 7.0)):
        model, guide = programs(name)
        changed = torch.where(keep.unsqueeze(-1), first, fill)
        data = (changed, *x[1:]) if name in LABELLED else changed
        hidden = tuple(_Hiding(program, fill, s) for program, s in ((model, scale), (guide, 1 / scale)))
        train(name, hidden, data=data, num_epochs=1, clip_norm=1e-3, optimizer="SGD", learning_rate=1.0)
        found.append(values(model, guide))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-13)
    moved = torch.stack([(a - b).norm() for a, b in zip(start, found[0], strict=True)])
    assert moved.norm() == pytest.approx(1e-3, rel=1e-6)
    assert torch.equal(state, torch.get_rng_state()) and len(pyro.get_param_store()) == 0


class _Hiding(nn.Module):
    """A program that does not see rows of a certain value, and scales what it sees."""

    def __init__(self, of: nn.Module, fill: float, scale: float) -> None:
        super().__init__()
        self.of, self.fill, self.scale = of, fill, scale

    def forward(self, x: Tensor, *others: Tensor) -> Any:
        with poutine.mask(mask=(x != self.fill).any(-1)), poutine.scale(scale=self.scale):
            return self.of(x, *others)


@pytest.mark.parametrize("name", NEW)
def test_rows_that_are_not_finite_are_named(name: str) -> None:
    x = rows(name)
    first = x[0] if name in LABELLED else x
    first[[3, 11], 0] = 1e200  # finite, and its square is not
    before = values(*programs(name))
    pair = programs(name)
    with pytest.raises(NonFiniteError) as caught:
        train(name, pair, data=x, batch_size=20)
    assert caught.value.rows == [3, 11] and equal(before, values(*pair))


@pytest.mark.parametrize("name", NAMES)
def test_the_kl_term_is_weighed_where_there_is_one(name: str) -> None:
    if OBJECTIVES[name].weighs_kl:
        assert train(name, num_epochs=1, beta=2.0)[1].bound == "none"
    else:
        for argument, value in {"beta": 2.0, "warmup_epochs": 1, "kl_weight": "cyclical"}.items():
            with pytest.raises(ValueError, match=f"{argument} weighs the KL term, which loss='{name}' does not have"):
                train(name, **{argument: value})
    if not OBJECTIVES[name].floors_kl:
        none, no_floor = "free_bits weighs the KL term", r"free_bits=0\.5 is a floor .*use one of Trace_ELBO, TraceMean"
        with pytest.raises(ValueError, match=no_floor if OBJECTIVES[name].weighs_kl else none):
            train(name, free_bits=0.5)


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name: str) -> None:
    objective = OBJECTIVES[name]
    assert objective.bound in ("lower", "none") and objective.bounds({}) in ("lower", "none")
    assert 20 < len(objective.what) <= 110
    if objective.least_particles > 1:
        with pytest.raises(ValueError, match=rf"loss='{name}' with num_particles=1 .*use num_particles >= 2"):
            train(name, num_particles=1)
    with pytest.raises(ValueError, match="unknown option of the loss 'colour'"):
        train(name, loss_options={"colour": "red"})
