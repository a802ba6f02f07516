"""What another encoder buys on a model that must not change."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor, nn

from elbowroom.inference import Target, quadrature
from elbowroom.inference.gap.retraining import retrain_guide
from toys.gap import Amortized, Decoder, Pixels


def frozen(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in (*module.named_parameters(), *module.named_buffers())}


@pytest.mark.slow
def test_a_new_encoder_gains_what_the_old_one_lost_and_the_model_stays() -> None:
    torch.manual_seed(3)
    decoder, toy = Decoder(), Pixels()
    before = frozen(decoder)
    decoder.bias.requires_grad_(False)
    decoder.weight.grad = torch.ones_like(decoder.weight)
    target = Target(decoder, toy.guide, toy.data(60))
    new = Amortized(16)
    found = retrain_guide(
        target, new, toy.data(400), num_epochs=60, batch_size=100, learning_rate=0.02, num_samples=256
    )
    assert all(torch.equal(value, before[name]) for name, value in frozen(decoder).items())
    assert decoder.weight.requires_grad
    assert not decoder.bias.requires_grad
    assert torch.equal(decoder.weight.grad, torch.ones_like(decoder.weight))
    assert decoder.training
    truth = quadrature(found.target).info["elbo"] - quadrature(target).info["elbo"]
    assert bool(((found.gain.value - truth).abs() < 5 * found.gain.stderr).all())
    assert abs(found.mean - truth.mean()) < 0.1
    assert found.interval[0] > 0.2
    assert found.interval[0] < found.mean < found.interval[1]
    assert "old encoder's" in str(found)
    assert found.guide is new
    torch.testing.assert_close(found.gain.value, found.after.value - found.before.value)


class OfPyro(PyroModule):
    """Parameters that Pyro sees when they are read, one with a constraint."""

    def __init__(self) -> None:
        super().__init__()
        toy = Pixels()
        self.weight = nn.Parameter(toy.weight)
        self.bias = PyroParam(toy.bias.exp(), constraint=dist.constraints.positive)

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=z @ self.weight + self.bias).to_event(1), obs=x)


def test_parameters_of_a_pyro_module_stay() -> None:
    model, toy = OfPyro(), Pixels()
    target = Target(model, toy.guide, toy.data(10))
    before = frozen(model)
    found = retrain_guide(target, Amortized(), toy.data(50), num_epochs=3, num_samples=16)
    assert all(torch.equal(value, before[name]) for name, value in frozen(model).items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert found.fit.num_steps == 3


class Normalised(nn.Module):
    """A decoder with batch statistics, as they are after training."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 8))

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=self.net(z)).to_event(1), obs=x)


def test_batch_statistics_and_modes_are_the_models_too() -> None:
    model, toy = Normalised().eval(), Pixels()
    target = Target(model, toy.guide, toy.data(10))
    model.train()
    model.net[0].eval()
    before = frozen(model)
    retrain_guide(target, Amortized(), toy.data(50), num_epochs=2, num_samples=16)
    assert all(torch.equal(value, before[name]) for name, value in frozen(model).items())
    assert model.net[1].training
    assert not model.net[0].training


def test_plain_functions_keep_their_parameters() -> None:
    """pyro.module of a network that no module owns, and pyro.param in the store."""
    net, toy = nn.Linear(2, 8), Pixels()

    def model(x: Tensor) -> None:
        pyro.module("decoder", net)
        shift = pyro.param("shift", torch.zeros(8))
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=net(z) + shift).to_event(1), obs=x)

    x = toy.data(20)
    model(x)
    with torch.no_grad():
        pyro.param("shift").add_(0.5)
    before = frozen(net)
    retrain_guide(Target(model, toy.guide, x), Amortized(), toy.data(50), num_epochs=3, num_samples=16)
    assert all(torch.equal(value, before[name]) for name, value in frozen(net).items())
    assert torch.equal(pyro.param("shift").detach(), torch.full((8,), 0.5))
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert pyro.param("shift").requires_grad


def test_the_model_is_put_back_when_training_fails() -> None:
    decoder, toy = Decoder(), Pixels()
    target = Target(decoder, toy.guide, toy.data(5))
    with pytest.raises(ValueError, match="learning_rate"):
        retrain_guide(target, Amortized(), toy.data(20), num_epochs=2, learning_rate=-1.0)
    assert decoder.weight.requires_grad
    assert decoder.training

    class Broken(Amortized):
        def forward(self, x: Tensor) -> None:
            super().forward(x * torch.nan)

    with pytest.raises(Exception, match=r"NaN|nan|finite"):
        retrain_guide(target, Broken(), toy.data(20), num_epochs=2)
    assert decoder.weight.requires_grad


def test_a_guide_that_shares_the_models_parameters_is_refused() -> None:
    decoder, toy = Decoder(), Pixels()

    class Shares(Amortized):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = decoder

    target = Target(decoder, toy.guide, toy.data(5))
    with pytest.raises(ValueError, match=r"decoder\.weight"):
        retrain_guide(target, Shares(), toy.data(20))
    with pytest.raises(ValueError, match="at least 2"):
        retrain_guide(target, Amortized(), toy.data(20), num_samples=1)
