"""What every model with each of its guides must do when trained: gradients, Pyro's own SVI, a run cut and resumed."""

from pathlib import Path
from typing import Any

import pyro
import pytest
import torch
from pyro.infer import SVI, Trace_ELBO, TraceEnum_ELBO, config_enumerate
from torch import Tensor, nn

from elbowroom.inference import fit
from toys.contract import REGISTERED, B, Pair, S, terms
from toys.selections import every

every_pair = pytest.mark.parametrize("pair", REGISTERED.values(), ids=list(REGISTERED))


def parameters(model: nn.Module, guide: nn.Module) -> dict[str, nn.Parameter]:
    both = {"model": model, "guide": guide}
    return {f"{what}.{n}": p for what, program in both.items() for n, p in program.named_parameters()}


def pyros(pair: Pair, model: nn.Module) -> tuple[Any, Any]:
    """The model and the loss by which Pyro itself trains it: discrete latents are summed that the guide leaves out or
    marks."""
    structure = pair.target().structure
    if structure.discrete or structure.marked:
        return config_enumerate(model) if structure.discrete else model, TraceEnum_ELBO(max_plate_nesting=1)
    return model, Trace_ELBO()


@every_pair
def test_gradients_reach_every_parameter(pair: Pair) -> None:
    target = pair.target()
    named = parameters(target.model, target.guide)
    total = terms(target, target.propose(S)[0]).sum()  # at fixed latents each parameter has a term to be in
    gradients = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    for name, gradient in zip(named, gradients, strict=True):
        assert gradient is not None, name
        assert gradient.isfinite().all() and gradient.abs().max() > 0, name


@every_pair
def test_a_step_of_pyros_svi_with_the_global_parameter_store(pair: Pair) -> None:
    model, guide = pair.build()
    named = parameters(model, guide)
    before = {name: value.detach().clone() for name, value in named.items()}
    program, elbo = pyros(pair, model)
    SVI(program, guide, pyro.optim.Adam({"lr": 0.1}), elbo).step(*pair.data(B))
    assert [name for name, value in named.items() if torch.equal(value, before[name])] == []
    assert len(pyro.get_param_store()) == len(named)


@every_pair
def test_module_local_parameters_leave_the_store_empty(pair: Pair) -> None:
    """Built outside the setting, run inside: the same loss, gradients everywhere, nothing in the global store."""
    (model, guide), data = pair.build(), pair.data(B)
    program, elbo = pyros(pair, model)
    torch.manual_seed(3)
    expected = elbo.loss(program, guide, *data)
    pyro.clear_param_store()
    with pyro.settings.context(module_local_params=True):
        torch.manual_seed(3)
        loss = elbo(program, guide)(*data)
        loss.backward()
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert all(p.grad is not None for p in parameters(model, guide).values())
    assert len(pyro.get_param_store()) == 0


class Cut(Exception):
    """Stands for a crash."""


class CutAfter:
    """A `prepare` that crashes at its n-th minibatch (the 0th is the example that `fit` looks at)."""

    def __init__(self, steps: int | None) -> None:
        self.steps, self.seen = steps, 0
        self.__qualname__ = "CutAfter"

    def __call__(self, *batch: Tensor) -> tuple[Tensor, ...]:
        if self.seen == self.steps:
            raise Cut
        self.seen += 1
        return batch


@pytest.mark.parametrize("pair", every(6, REGISTERED.values()), ids=list(REGISTERED))
def test_three_steps_cut_and_resumed_are_three_steps(pair: Pair, tmp_path: Path) -> None:
    def train(run_dir: Path | None, cut: int | None = None) -> list[Tensor]:
        model, guide = pair.build()
        before = [value.detach().clone() for value in parameters(model, guide).values()]
        fit(
            model, guide, pair.data(B), num_epochs=3, learning_rate=0.1, prepare=CutAfter(cut), run_dir=run_dir,
            resume=run_dir is not None, checkpoint_seconds=0, progress=False,
        )  # fmt: skip
        after = [value.detach() for value in parameters(model, guide).values()]
        assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        return after

    state = torch.get_rng_state()
    whole = train(None)
    torch.set_rng_state(state)
    with pytest.raises(Cut):
        train(tmp_path / "run", cut=2)
    torch.set_rng_state(state)
    resumed = train(tmp_path / "run")
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))
