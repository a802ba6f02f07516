"""Training of models whose discrete latents are summed out: the loss is Pyro's and Target's, and a cut run goes on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import TraceEnum_ELBO, config_enumerate
from pyro.nn import PyroModule, PyroParam
from torch import Tensor, nn
from torch.distributions import constraints

from elbowroom.inference import Target, fit
from elbowroom.inference.programs.global_state import module_local_parameters
from elbowroom.inference.training.evaluate import evaluate
from elbowroom.inference.training.objectives.contract import Setting
from elbowroom.inference.training.objectives.summed_elbo import SummedELBO
from toys.programs import data, normal
from toys.training import equal, values

EXACT = {"rtol": 1e-10, "atol": 1e-10}


class Mixture(PyroModule):
    """k ~ Categorical(π), z | k ~ N(m_k, 1), x | z ~ N(z, 1/2), with learned π and m."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = PyroParam(torch.tensor([0.5, 0.5]), constraint=constraints.simplex)
        self.means = nn.Parameter(torch.tensor([-1.0, 1.0]))

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(self.weights))
            z = pyro.sample("z", dist.Normal(self.means[k], 1.0))
            pyro.sample("x", dist.Normal(z, 0.5**0.5), obs=x)

    def log_evidence(self, x: Tensor) -> Tensor:
        """log p(x) = log Σ_k π_k N(x; m_k, 1 + 1/2)."""
        return (self.weights.log() + normal(self.means, 1.5**0.5, x.unsqueeze(-1))).logsumexp(-1)


class Guide(PyroModule):
    """q(z|x) = N(a x, s²), whose draws are reparameterised or not."""

    def __init__(self, reparameterised: bool = True) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(0.6))
        self.spread = PyroParam(torch.tensor(0.5), constraint=constraints.positive)
        self.reparameterised = reparameterised

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            fn = dist.Normal(self.slope * x, self.spread)
            pyro.sample("z", fn if self.reparameterised else fn.has_rsample_(False))


class ExactGuide(PyroModule):
    """The posterior of a `Mixture`: with it, log p(x, z) − log q(z|x) is log p(x) whatever z."""

    def __init__(self, model: Mixture) -> None:
        super().__init__()
        self.of = [model]  # not a module of its own
        self.unused = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> None:
        (model,) = self.of
        means, weights = model.means, model.weights
        log_k = weights.log() + normal(means, 1.5**0.5, x.unsqueeze(-1))
        components = dist.Normal((means + 2 * x.unsqueeze(-1)) / 3, (1 / 3) ** 0.5)
        with pyro.plate("data", len(x)):
            mixture = dist.MixtureSameFamily(dist.Categorical(logits=log_k), components)
            pyro.sample("z", mixture)


def rows(num_data: int = 40, seed: int = 3) -> Tensor:
    """Data of two clusters, a fifth of them in the first."""
    x = data(num_data, seed=seed)
    return torch.where(torch.arange(num_data) % 5 == 0, x - 2.0, x + 3.0)


def summed(model: Any, guide: Any, x: Tensor, num_particles: int = 1, broadcasts: bool = True) -> SummedELBO:
    return SummedELBO(Setting(Target(model, guide, x).structure, "data", num_particles, broadcasts))


def gradients(loss: Callable[..., float], model: nn.Module, guide: nn.Module, x: Tensor) -> dict[str, Tensor]:
    named = {**dict(model.named_parameters()), **dict(guide.named_parameters())}
    for parameter in named.values():
        parameter.grad = None
    torch.manual_seed(5)
    loss(model, guide, x)
    return {name: p.grad for name, p in named.items() if p.grad is not None}


@pytest.mark.parametrize("vectorize", [False, True])
def test_the_loss_and_its_gradient_are_pyros(vectorize: bool) -> None:
    x, model, guide = rows(6), Mixture(), Guide()
    options: dict[str, Any] = {"num_particles": 3, "vectorize_particles": vectorize}
    ours = summed(model, guide, x, 3, broadcasts=vectorize)
    theirs = TraceEnum_ELBO(max_plate_nesting=1, **options)
    marked = config_enumerate(model)
    torch.manual_seed(5)
    found = ours.loss(model, guide, x)
    torch.manual_seed(5)
    assert found == pytest.approx(theirs.loss(marked, guide, x), rel=1e-10)

    def by_pyro(model: nn.Module, guide: nn.Module, x: Tensor) -> float:
        return theirs.loss_and_grads(marked, guide, x)

    expected = gradients(by_pyro, model, guide, x)
    actual = gradients(ours.loss_and_grads, model, guide, x)
    assert expected.keys() == actual.keys() and "weights_unconstrained" in actual
    for name, gradient in expected.items():
        torch.testing.assert_close(actual[name], gradient, **EXACT)


def test_with_the_exact_posterior_the_loss_is_the_evidence() -> None:
    """log w is log p(x) at each draw, so the loss and the held-out ELBO are, too."""
    x, model = rows(6), Mixture()
    guide = ExactGuide(model)
    target = Target(model, guide, x)
    torch.testing.assert_close(target.log_weights(4), model.log_evidence(x).detach().expand(4, 6), **EXACT)
    evidence = model.log_evidence(x).sum()
    loss = summed(model, guide, x).loss(model, guide, x)
    assert loss == pytest.approx(-evidence.item(), rel=1e-10)
    held_out = evaluate(target)
    assert held_out.elbo == pytest.approx(evidence.item() / 6, rel=1e-10)


def test_draws_without_reparameterisation_have_the_same_gradient_on_average() -> None:
    x, model = rows(5), Mixture()
    found = {}
    for reparameterised in (True, False):
        guide = Guide(reparameterised)
        with module_local_parameters():  # two guides, each with its own
            loss = summed(model, guide, x, num_particles=4000)
            found[reparameterised] = gradients(loss.loss_and_grads, model, guide, x)
    spread = {"slope": 3.1, "spread_unconstrained": 0.71}  # four standard errors of the difference, by 40 repetitions
    for name, tolerance in spread.items():
        assert abs(found[True][name] - found[False][name]) < tolerance
        assert abs(found[True][name]) > 2 * tolerance


def test_masks_and_scales() -> None:
    """plate=None: rows that a mask hides sum to one, and a scale of the sites that are summed together is kept."""
    x, keep = rows(4), torch.tensor([True, True, False, True])

    class Rows(Mixture):
        def forward(self, x: Tensor) -> None:
            loc = pyro.sample("loc", dist.Normal(0.0, 3.0))
            with pyro.plate("rows", len(x)), poutine.scale(scale=3.0), poutine.mask(mask=keep):
                k = pyro.sample("k", dist.Categorical(self.weights))
                pyro.sample("x", dist.Normal(loc + self.means[k], 1.0), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("loc", dist.Normal(0.5, 1.0))

    model = Rows()
    loss = SummedELBO(Setting(Target(model, guide, x, plate=None).structure, None)).loss
    torch.manual_seed(5)
    found = loss(model, guide, x)
    torch.manual_seed(5)
    loc = dist.Normal(0.5, 1.0).sample()
    each = (model.weights.log() + normal(loc + model.means, 1.0, x.unsqueeze(-1))).logsumexp(-1)
    elbo = normal(0.0, 3.0, loc) - normal(0.5, 1.0, loc) + 3 * (each * keep).sum()
    assert found == pytest.approx(-elbo.item(), rel=1e-10)


def test_fit_learns_the_weights_of_a_mixture() -> None:
    """It ends at the maximum of log p(x) with the exact posterior as guide: the gradient of log p(x) is zero there."""
    x, model = rows(), Mixture()
    fitted = fit(
        model, ExactGuide(model), x, validation=x, num_epochs=150, batch_size=40, learning_rate=0.05,
        schedule="cosine", progress=False,
    )  # fmt: skip
    evidence = model.log_evidence(x).mean()
    slopes = torch.autograd.grad(evidence, list(model.parameters()))
    assert all(bool((slope.abs() < 1e-2).all()) for slope in slopes)
    assert model.weights[0].item() == pytest.approx(0.2, abs=0.05)
    assert fitted.history[-1]["elbo"] == pytest.approx(evidence.item(), rel=1e-8)


@pytest.mark.parametrize(
    "options",
    [{"loss": "Trace_ELBO"}, {"loss": "STL"}, {"loss": "exact"}, {"loss": "score-function", "num_particles": 2},
     {"loss": "reweighted-wake-sleep", "num_particles": 2, "loss_options": {"phi": "sleep"}}],
    ids=lambda options: options["loss"],
)  # fmt: skip
def test_a_model_whose_latents_are_all_summed_out(options: dict[str, Any]) -> None:
    """An empty guide: every loss is −log p(x), and fit is maximum likelihood."""
    x = rows()

    class Observed(Mixture):
        def forward(self, x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                k = pyro.sample("k", dist.Categorical(self.weights))
                pyro.sample("x", dist.Normal(self.means[k], 1.5**0.5), obs=x)

    model = Observed()
    before = model.log_evidence(x).mean().item()
    step: dict[str, Any] = {"num_epochs": 1, "batch_size": 40, "learning_rate": 1e-3, "progress": False}
    fitted = fit(model, lambda x: None, x, **step, **options)
    assert fitted.history[0]["train_loss"] == pytest.approx(-before, rel=1e-10)
    assert model.log_evidence(x).mean().item() > before


class Cut(Exception):
    """Stands for a crash."""


@pytest.mark.slow
def test_a_cut_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    def train(run_dir: Path, stop: int | None = None) -> list[Tensor]:
        seen = 0

        def prepare(x: Tensor) -> Tensor:
            nonlocal seen
            if seen == stop:
                raise Cut
            seen += 1
            return x

        model, guide = Mixture(), Guide()
        fit(
            model, guide, rows(20), validation=rows(6, seed=4), num_epochs=3, batch_size=8, learning_rate=0.02,
            num_particles=2, prepare=prepare, run_dir=run_dir, resume=run_dir.exists(), checkpoint_seconds=0,
            progress=False,
        )  # fmt: skip
        return values(model, guide)

    whole = train(tmp_path / "whole")
    with pytest.raises(Cut):
        train(tmp_path / "cut", stop=5)
    assert equal(train(tmp_path / "cut"), whole)


def test_factors_of_different_scales_are_refused() -> None:
    x = rows(4)

    class Scaled(Mixture):
        def forward(self, x: Tensor) -> None:
            loc = pyro.sample("loc", dist.Normal(0.0, 3.0))
            with pyro.plate("rows", len(x)):
                k = pyro.sample("k", dist.Categorical(self.weights))
                with poutine.scale(scale=0.5):
                    pyro.sample("x", dist.Normal(loc + self.means[k], 1.0), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("loc", dist.Normal(pyro.param("m", torch.tensor(0.5)), 1.0))

    with pytest.raises(ValueError, match=r"different scales: \{'k': 1.0, 'x': 0.5\}"):
        fit(Scaled(), guide, x, plate=None, num_epochs=1, progress=False)
