"""Training of a density: the minimum of a convex loss, the best epoch kept, exact repetition, and what is refused."""

import pytest
import torch
from torch import Tensor, nn

from elbowroom.densities.training import minimise


class Independent(nn.Module):
    """P independent Bernoullis."""

    def __init__(self, num_values: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(num_values))

    def loss(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """−log p(x), `[B]`."""
        return -torch.distributions.Bernoulli(logits=self.logits).log_prob(x).sum(-1)


def ones_and_zeros(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.bernoulli(torch.tensor([0.2, 0.5, 0.9]).expand(200, -1), generator=generator)


def test_the_minimum_is_the_shares_of_the_data() -> None:
    x, module = ones_and_zeros(), Independent(3)
    minimise(module, module.loss, x, num_epochs=150, batch_size=200, learning_rate=0.1)
    torch.testing.assert_close(module.logits.sigmoid().detach(), x.mean(0), rtol=0, atol=1e-3)


def test_the_best_epoch_of_the_validation_data_is_kept() -> None:
    x, module = ones_and_zeros(), Independent(3)
    history = minimise(module, module.loss, x, 1 - x, num_epochs=5, batch_size=50)
    losses = [row["validation_loss"] for row in history]
    assert losses[0] == min(losses)  # the validation data are the opposite: every step is one too far
    again = module.loss(1 - x, torch.Generator()).mean().item()
    assert again == pytest.approx(losses[0])


def test_a_seed_gives_the_same_parameters_and_leaves_the_generator_alone() -> None:
    x, modules = ones_and_zeros(), (Independent(3), Independent(3), Independent(3))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for module, seed in zip(modules, (1, 1, 2), strict=True):
        minimise(module, module.loss, x, num_epochs=2, batch_size=32, seed=seed)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(modules[0].logits, modules[1].logits)
    assert not torch.equal(modules[0].logits, modules[2].logits)


def test_a_loss_that_is_no_number_gives_the_best_parameters_back() -> None:
    x, module = ones_and_zeros(), Independent(3)
    calls = 0

    def loss(rows: Tensor, generator: torch.Generator) -> Tensor:
        nonlocal calls
        calls += 1
        return module.loss(rows, generator) * (float("nan") if calls > 4 else 1.0)

    with pytest.raises(FloatingPointError, match=r"the loss is nan in epoch 3, step 1: try a learning_rate below 0\.5"):
        minimise(module, loss, x, num_epochs=9, batch_size=100, learning_rate=0.5)
    assert bool(module.logits.isfinite().all())


@pytest.mark.parametrize(
    "option", [{"num_epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"schedule": "square"}]
)
def test_options_out_of_range_are_named(option: dict[str, float]) -> None:
    module = Independent(3)
    with pytest.raises(ValueError, match=next(iter(option))):
        minimise(module, module.loss, ones_and_zeros(), **option)  # type: ignore[arg-type]
