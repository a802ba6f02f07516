"""Labels that the guide draws, summed over exactly: values and gradients against sums by hand, which have no noise."""

import math
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn
from torch.distributions import kl_divergence

from elbowroom.inference.programs.structure import read_structure
from elbowroom.inference.training import OBJECTIVES, fit
from elbowroom.inference.training.objectives.contract import Setting
from elbowroom.inference.training.objectives.runs import Programs
from toys.failure_budget import sigmas
from toys.objective_programs import LabelledGuide, LabelledModel, rows

X = torch.linspace(-2, 2, 6, dtype=torch.float64)
Y = torch.arange(6) % 3
SEEN = torch.arange(6) < 2


class Labels(PyroModule):
    """y ~ Cat(π), x | y ~ N(c_y, 1), with y told where `seen`; as `guide`, q(y|x) = Cat(softmax(x v + w))."""

    def __init__(self) -> None:
        super().__init__()
        self.logits, self.centres = nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(3))
        self.v, self.w = nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(3))

    def model(self, x: Tensor, y: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("y", dist.Categorical(logits=self.logits), obs=y, obs_mask=seen)
            pyro.sample("x", dist.Normal(self.centres[k], 1.0), obs=x)

    def q(self, x: Tensor) -> dist.Categorical:
        return dist.Categorical(logits=x.unsqueeze(-1) * self.v + self.w)

    def guide(self, x: Tensor, y: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("y_unobserved", self.q(x).mask(~seen))

    def by_hand(self, alpha: float) -> Tensor:
        log_q = self.q(X).logits
        joint = self.logits.log_softmax(0) + dist.Normal(self.centres, 1.0).log_prob(X.unsqueeze(-1))
        told = joint.gather(1, Y[:, None]).squeeze(1) + alpha * log_q.gather(1, Y[:, None]).squeeze(1)
        return torch.where(SEEN, told, (log_q.exp() * (joint - log_q)).sum(-1)).sum()


def make(name: str, model: Any, guide: Any, *data: Tensor, num_particles: int = 1, **options: Any) -> Any:
    structure = read_structure(model, guide, data, {}, "data")
    return OBJECTIVES[name].make(Setting(structure, "data", num_particles), **options)


@pytest.mark.parametrize("num_particles", [1, 3])
@pytest.mark.parametrize(("name", "alpha"), [("TraceEnum_ELBO", 0.0), ("semi-supervised", 0.7)])
def test_value_and_gradient_are_those_of_the_sum(name: str, alpha: float, num_particles: int) -> None:
    """With a mask told labels have no log q(y|x) in the bound; draws of them are not what is summed over."""
    both = Labels()
    exact = both.by_hand(alpha)
    slopes = torch.autograd.grad(exact, list(both.parameters()))
    options = {"alpha": alpha} if alpha else {}
    loss = make(name, both.model, both.guide, X, Y, SEEN, num_particles=num_particles, **options)
    assert -loss.loss_and_grads(both.model, both.guide, X, Y, SEEN) == pytest.approx(exact.item(), rel=1e-10)
    for parameter, slope in zip(both.parameters(), slopes, strict=True):
        torch.testing.assert_close(-parameter.grad, slope, rtol=1e-10, atol=1e-12)


def test_other_latents_are_drawn_for_each_value() -> None:
    """Of many rows alike the mean is Σ_y q(y|x) (ELBO of x with y told − log q(y|x)), equation 7 of the paper."""
    model, guide, (x, y, seen) = LabelledModel(), LabelledGuide(), rows("semi-supervised", 4)
    many = [t.repeat_interleave(1000, 0) for t in (x, y, torch.zeros_like(seen))]
    with torch.no_grad():
        torch.manual_seed(0)
        objective = make("TraceEnum_ELBO", model, guide, *many)
        value = objective.estimate(Programs(model, guide, tuple(many), {})).value.reshape(4, -1)
        log_q = dist.Categorical(logits=guide.classifier(x)).logits  # [4, 3]
        m = guide.network(x).unsqueeze(1) + guide.shifts  # [4, 3, 2]
        mean = model.network(m) + model.centres  # [4, 3, P]
        likelihood = dist.Normal(mean, 1.0).log_prob(x.unsqueeze(1)).sum(-1) - model.network.weight.square().sum() / 8
        kl = kl_divergence(dist.Normal(m, 0.5), dist.Normal(0.0, 1.0)).sum(-1)
        exact = (log_q.exp() * (likelihood - kl - torch.tensor(3.0).log() - log_q)).sum(-1)
    error = value.std(1) / 1000**0.5
    assert ((value.mean(1) - exact).abs() < sigmas(4) * error).all() and error.max() < 0.1


def test_what_cannot_be_summed_over_is_said() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(torch.ones(40)))
            j = pyro.sample("j", dist.Categorical(torch.ones(40)))
            pyro.sample("x", dist.Normal(0.1 * k - 0.1 * j, 1.0), obs=x)

    def guide(x: Tensor, left: bool = False) -> None:
        w = pyro.param("w", torch.ones(40))
        with pyro.plate("data", len(x)):
            pyro.sample("k", dist.Categorical(w))
            if not left:
                pyro.sample("j", dist.Categorical(w))

    def steps(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2), pyro.plate("steps", x.shape[1], dim=-1):
            k = pyro.sample("k", dist.Bernoulli(pyro.param("p", torch.tensor(0.5))))
            pyro.sample("x", dist.Normal(k, 1.0), obs=x)

    def of_steps(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2), pyro.plate("steps", x.shape[1], dim=-1):
            pyro.sample("k", dist.Bernoulli(0.4))

    x = torch.randn(5)
    for pair, data, loss, match in (
        ((model, guide), x, "TraceEnum_ELBO", r"\['k', 'j'\] have 1600 combinations"),
        ((model, lambda x: guide(x, True)), x, "TraceEnum_ELBO", r"draws .*\['k'\] and leaves \['j'\] to the model"),
        ((steps, of_steps), torch.randn(5, 2), "TraceEnum_ELBO", r"\['k'\] stand in plates besides the data's"),
        (
            (steps, of_steps),
            torch.randn(5, 1),
            "semi-supervised",
            "for a finite latent that the model observes in part",
        ),
        ((model, guide), x, "STL", "follows draws along their paths, and those of site 'k' .*carry no gradient"),
    ):
        with pytest.raises(ValueError, match=match):
            fit(*pair, data, loss=loss, num_epochs=1, progress=False)
    for alpha, error, words in (
        (-1.0, ValueError, ">= 0"),
        (math.nan, ValueError, "from"),
        ("much", TypeError, "from"),
    ):
        with pytest.raises(error, match=f"alpha must be a number {words}"):
            fit(LabelledModel(), LabelledGuide(), rows("semi-supervised"), loss="semi-supervised", alpha=alpha)
