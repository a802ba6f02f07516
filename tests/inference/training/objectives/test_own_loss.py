"""A function in the place of a name: what it is given, what is kept of it, how a run goes on."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pyro.infer import Trace_ELBO
from torch import Tensor

from elbowroom.inference.training import CheckpointError, fit
from toys.training import equal, make_data, make_pair, values


def mine(model: Any, guide: Any, x: Tensor) -> Tensor:
    return Trace_ELBO().differentiable_loss(model, guide, x)


def another(model: Any, guide: Any, x: Tensor) -> Tensor:
    return 2 * mine(model, guide, x)


def train(loss: Any, **options: Any) -> tuple[list[Tensor], Any]:
    model, guide = make_pair()
    fitted = fit(model, guide, make_data(), loss=loss, num_epochs=2, batch_size=16, progress=False, **options)
    return values(model, guide), fitted


def test_it_is_trained_like_the_loss_that_it_is() -> None:
    by_name, fitted = train("Trace_ELBO")
    found, own = train(mine)
    assert equal(by_name, found) and [r["train_loss"] for r in own.history] == [r["train_loss"] for r in fitted.history]
    assert (own.loss, own.bound, own.history[0]["bound"]) == ("mine", "none", "none")
    assert "(mine, β = 1 at the end) is no bound" in str(own)


def test_it_may_say_what_it_bounds() -> None:
    def lower(model: Any, guide: Any, x: Tensor) -> Tensor:
        return mine(model, guide, x)

    lower.bound = "lower"  # type: ignore[attr-defined]
    assert train(lower)[1].bound == "lower"
    lower.bound = "tight"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="bound='tight', expected 'lower' or 'none'"):
        train(lower)


def test_a_run_goes_on_with_the_same_function_alone(tmp_path: Path) -> None:
    whole, _ = train(mine, run_dir=tmp_path)
    assert equal(whole, train(mine, run_dir=tmp_path, resume=True)[0])
    with pytest.raises(CheckpointError, match=r"arguments\.loss: 'mine' in the run directory, now 'another'"):
        train(another, run_dir=tmp_path, resume=True)
    with pytest.raises(CheckpointError, match=r"arguments\.own_bound: 'none' in the run directory, now None"):
        train("IWAE", num_particles=2, run_dir=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("loss", "options", "error", "match"),
    [
        (lambda model, guide, x: x.sum(-1), {}, TypeError, r"scalar tensor.* gave shape \(16,\)"),
        (lambda model, guide, x: 3.0, {}, TypeError, "scalar tensor.* gave float"),
        (3, {}, TypeError, "loss must be a str, or a callable .*got 3"),
        (mine, {"num_particles": 2}, ValueError, "how often it draws is its own"),
        (mine, {"loss_options": {"phi": "wake"}}, ValueError, "loss_options is for losses by name"),
        (mine, {"alpha": 1.0}, ValueError, "alpha is for losses by name"),
        (mine, {"beta": 2.0}, ValueError, "beta weighs the KL term, which your own function mine weighs by itself"),
        (mine, {"free_bits": 0.1}, ValueError, "free_bits weighs the KL term"),
        ("IWAE", {"loss_options": 3, "num_particles": 2}, TypeError, "loss_options must be a mapping"),
    ],
)
def test_what_it_cannot_be(loss: Any, options: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        train(loss, **options)


def test_a_function_with_its_options_bound_keeps_its_name() -> None:
    def scaled(model: Any, guide: Any, x: Tensor, scale: float) -> Tensor:
        return scale * mine(model, guide, x)

    assert train(partial(scaled, scale=torch.tensor(2.0)))[1].loss.endswith("scaled")
