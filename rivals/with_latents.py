"""Rows with latents: mixtures by expectation-maximisation, VAEs and a hierarchy trained by `fit`.

log p(x) of a mixture is a sum, of a VAE with two latents a lattice sum. Of more latents it is known from both sides:
importance-weighted from below for every datum, and `bracket` says for some of them how far log p(x) is above that.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from elbowroom.guides import AmortizedNormal, BottomUp, NoLatents
from elbowroom.inference import Estimate, Target, bracket, fit, importance, quadrature
from elbowroom.models import VAE, HierarchicalVAE, Mixture
from elbowroom.rivals.rival import Digits, Fitted, Sides, evenly

Fit = Callable[[Digits, int], Fitted]
"""Data and a seed to a fitted rival."""
CONCENTRATIONS = (0.1, 1.0, 10.0)
"""Of a mixture's prior, in data: the one that is best on validation data is taken."""
NUM_SAMPLES = 1000
"""Importance samples of each datum."""
LOOKED = 60
"""Test data that are looked at from above."""
BUDGET = "2e7 evaluations"
"""Of that look: counted, so that it gives the same numbers on every machine."""
_TRAINING = {"batch_size": 64, "learning_rate": 3e-3, "schedule": "cosine", "keep": "best", "progress": False}


def mixture(num_components: int, concentrations: tuple[float, ...] = CONCENTRATIONS) -> Fit:
    """A mixture of so many Bernoullis, or categorical distributions, by expectation-maximisation."""

    def fitted(data: Digits, seed: int) -> Fitted:
        found = [
            Mixture.fit_em(
                data.train,
                num_components,
                likelihood="bernoulli" if data.kind == "binary" else "categorical",
                likelihood_options=None if data.kind == "binary" else {"levels": data.levels},
                concentration=concentration,
                seed=seed,
            ).model
            for concentration in concentrations
        ]
        with torch.no_grad():
            model = max(found, key=lambda one: one.log_prob(data.validation).mean().item())

        @torch.no_grad()
        def log_p(x: Tensor) -> Estimate:
            value = model.log_prob(x).double()
            return Estimate(value, torch.zeros_like(value), "exact")

        return Fitted(log_p, _draws(model, NoLatents(), data.test), _num_fitted(model))

    return fitted


def vae(latent_dim: int, hidden: tuple[int, ...], **training: Any) -> Fit:
    """A VAE with a diagonal-Normal guide of the same widths."""

    def made(data: Digits) -> tuple[Any, Any]:
        data_dim = data.test.shape[1]
        options: dict[str, Any] = {} if data.kind == "binary" else {"likelihood_options": {"levels": data.levels}}
        likelihood = "bernoulli" if data.kind == "binary" else "categorical"
        return VAE(data_dim, latent_dim, hidden, likelihood, **options), AmortizedNormal(data_dim, latent_dim, hidden)

    return _trained(made, training, exact=latent_dim <= 2)


def hierarchy(latent_dims: tuple[int, ...], hidden: tuple[int, ...], **training: Any) -> Fit:
    """A VAE with layers of latents, and a guide that goes up from x."""

    def made(data: Digits) -> tuple[Any, Any]:
        model = HierarchicalVAE(data.test.shape[1], latent_dims, hidden, centred=True)
        return model, BottomUp(model, hidden=hidden)

    return _trained(made, training, exact=False)


def _trained(made: Callable[[Digits], tuple[Any, Any]], training: dict[str, Any], *, exact: bool) -> Fit:
    """Both programs trained, and how their log p(x) is known."""

    def fitted(data: Digits, seed: int) -> Fitted:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model, guide = made(data)
        fit(model, guide, data.train, validation=data.validation, seed=seed, **{**_TRAINING, **training})
        model.eval(), guide.eval()

        def from_below(x: Tensor) -> Estimate:
            target = Target(model, guide, x)
            return quadrature(target) if exact else importance(target, num_samples=NUM_SAMPLES, seed=seed, search=False)

        def both_sides(x: Tensor) -> Sides:
            below, rows = from_below(x), evenly(torch.arange(len(x)), LOOKED)
            found = bracket(Target(model, guide, x[rows]), budget=BUDGET, seed=seed)
            lower, upper = (_above(side, below, rows, found.flags) for side in (found.lower, found.upper))
            return Sides(below, lower, upper)

        return Fitted(from_below, _draws(model, guide, data.test), _num_fitted(model), None if exact else both_sides)

    return fitted


def _above(side: Estimate, below: Estimate, rows: Tensor, flags: tuple[str, ...]) -> Estimate:
    """How much higher one side of some data is than what is known of all from below."""
    error = torch.hypot(side.stderr, below.stderr[rows])
    return Estimate(side.value - below.value[rows], error, side.bound, {}, flags)


def _draws(model: Any, guide: Any, x: Tensor) -> Callable[[int, int], Tensor]:
    """x drawn from the model: as many as there are data, again with other seeds until there are enough."""

    def sample(num_samples: int, seed: int) -> Tensor:
        target = Target(model, guide, evenly(x, num_samples))
        parts = [target.simulate(seed + i)[0].args[0] for i in range(-(-num_samples // len(target)))]
        return torch.cat(parts)[:num_samples]

    return sample


def _num_fitted(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
