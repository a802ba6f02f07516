"""Chains on hierarchies of digits: the gates that most data pass where noise is drawn, and why none does elsewhere."""

from functools import cache

import pytest
import torch

from elbowroom.datasets import load
from elbowroom.guides import Ladder
from elbowroom.inference import Target, fit, hmc
from elbowroom.models import HierarchicalVAE

pytestmark = pytest.mark.slow

NUM_DATA = 20


@cache
def trained() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """States of a hierarchy and its guide; they do not depend on how the model is written."""
    torch.manual_seed(0)
    model = HierarchicalVAE(64, (10, 4), (64,), centred=True)
    guide = Ladder(model, (64,))
    x = load("digits", binarize="threshold").train.double()
    fit(model, guide, x, num_epochs=100, batch_size=64, learning_rate=3e-3, warmup_epochs=30, progress=False)
    return model.state_dict(), guide.state_dict()


def target(centred: bool) -> Target:
    model = HierarchicalVAE(64, (10, 4), (64,), centred=centred)
    guide = Ladder(model, (64,))
    for program, state in zip((model, guide), trained(), strict=True):
        program.load_state_dict(state)
    return Target(model, guide, load("digits", binarize="threshold").test[:NUM_DATA].double())


def test_nine_of_ten_data_pass_where_noise_is_drawn() -> None:
    draws = hmc(target(centred=False))
    assert sum(not flag for flag in draws.flags) >= 0.9 * NUM_DATA, draws.flags


def test_where_layers_follow_each_other_closely_the_flag_says_why() -> None:
    draws = hmc(target(centred=True).select(range(4)), num_draws=200)
    assert all("a funnel" in flag and "of z" in flag for flag in draws.flags), draws.flags
