"""Optimisers by name: steps are torch's own, learning rates end where they are told to."""

from typing import Any

import pytest
import torch
from pyro.infer import Trace_ELBO
from pyro.optim import ClippedAdam

from elbowroom.inference.programs.global_state import module_local_parameters
from elbowroom.inference.training import OPTIMIZERS, fit
from elbowroom.inference.training.batches import Batches
from toys.training import make_data, make_pair, values


@pytest.mark.parametrize("given", [{}, {"weight_decay": 0.2}], ids=["plain", "decay"])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_steps_are_those_of_torch(name: str, given: dict[str, float]) -> None:
    """Three epochs: the parameters of torch's optimiser on Pyro's loss; no weight decay given is torch's own."""
    data = make_data(12)
    model, guide = make_pair()
    fit(model, guide, data, optimizer=name, num_epochs=3, learning_rate=0.02, seed=3, progress=False, **given)
    by_hand, guide_by_hand = make_pair()
    parameters = [*by_hand.parameters(), *guide_by_hand.parameters()]
    optimiser: Any = getattr(torch.optim, name)(parameters, lr=0.02, **given)
    torch.manual_seed(3)
    for epoch in range(3):
        optimiser.zero_grad()
        with module_local_parameters():
            Trace_ELBO().loss_and_grads(by_hand, guide_by_hand, data[Batches((data,), 12, 3).order(epoch)])
        for p in parameters:
            p.grad /= len(data)
        optimiser.step()
    for ours, theirs in zip(values(model, guide), values(by_hand, guide_by_hand), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("schedule", "middle"), [("cosine", 0.5 * (0.1 + 0.004)), ("exponential", 0.02)])
def test_a_schedule_ends_where_it_is_told_to(schedule: str, middle: float) -> None:
    """From .1 to .004: half way at their arithmetic mean by cosine, at their geometric mean by the exponential."""
    fitted = fit(*make_pair(), make_data(20), num_epochs=8, learning_rate=0.1, schedule=schedule,
                 final_learning_rate=0.004, progress=False)  # fmt: skip
    rates = [row["learning_rate"] for row in fitted.history]
    assert (rates[0], rates[4]) == pytest.approx((0.1, middle), rel=1e-12)
    assert rates == sorted(rates, reverse=True) and rates[-1] > 0.004


def test_the_exponential_schedule_is_that_of_pyros_clipped_adam() -> None:
    """lrd = r^(1/steps) multiplies the rate after each step, so that r of it is left after the last."""
    parameter = torch.zeros((), requires_grad=True)
    pyros = ClippedAdam({"lr": 0.1, "lrd": 0.02 ** (1 / 5)})
    rates = []
    for _ in range(5):
        parameter.grad = torch.ones(())
        pyros([parameter])
        rates.append(next(iter(pyros.optim_objs.values())).param_groups[0]["lr"])
    fitted = fit(*make_pair(), make_data(20), num_epochs=5, learning_rate=0.1, schedule="exponential",
                 final_learning_rate=0.002, progress=False)  # fmt: skip
    ours = [row["learning_rate"] for row in fitted.history]
    assert [*ours[1:], 0.002] == pytest.approx(rates, rel=1e-12)
