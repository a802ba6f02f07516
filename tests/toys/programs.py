"""Triples (model, guide, data) whose densities are also written by hand: what `Target` is tested against."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor, nn

from elbowroom.inference import Target

Values = dict[str, Tensor]
Densities = Callable[[Values], tuple[Tensor, Tensor, Tensor]]
"""z `[S, B, ...]` to log q(z|x), log p(z), log p(x|z), `[S, B]` each, written without Pyro's handlers."""


@dataclass(frozen=True)
class Triple:
    """A model, a guide, their arguments, and the answers."""

    model: Callable[..., Any]
    guide: Callable[..., Any]
    args: tuple[Any, ...]
    densities: Densities
    kwargs: dict[str, Any] = field(default_factory=dict)
    plate: str | None = "data"
    layouts: tuple[str, str] = ("plate", "plate")  # of model and guide
    splits: bool = True  # whether every latent site has a density of its own in both programs
    continuous: bool = True
    sliceable: bool = True

    def target(self, **options: Any) -> Target:
        return Target(self.model, self.guide, *self.args, plate=self.plate, **self.kwargs, **options)


def generator(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data(*shape: int, seed: int = 7) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def normal(loc: Any, scale: Any, value: Tensor) -> Tensor:
    """log N(value; loc, scale²), written out."""
    loc, scale = torch.as_tensor(loc), torch.as_tensor(scale)
    return -0.5 * ((value - loc) / scale) ** 2 - scale.log() - 0.5 * math.log(2 * math.pi)


# The conjugate example: z ~ N(0, 1), x | z ~ N(z, 1), so p(x) = N(0, 2) and p(z | x) = N(x/2, 1/2) -------------------


def normal_model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def normal_guide(s: float) -> Callable[[Tensor], None]:
    """q = N(x/2, s²/2): the posterior's spread times s."""

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, s * math.sqrt(0.5)))

    return guide


def normal_evidence(x: Tensor) -> Tensor:
    return normal(0.0, math.sqrt(2.0), x)


def normal_gap(s: float) -> float:
    """log p(x) − ELBO = KL(q ‖ p)."""
    return -math.log(s) + (s * s - 1) / 2


def conjugate(s: float = 0.8, num_data: int = 5) -> Triple:
    x = data(num_data) * math.sqrt(2.0)
    return Triple(
        normal_model,
        normal_guide(s),
        (x,),
        lambda z: (normal(x / 2, s * math.sqrt(0.5), z["z"]), normal(0.0, 1.0, z["z"]), normal(z["z"], 1.0, x)),
    )


# Probabilistic PCA with its exact posterior as guide ------------------------------------------------------------------


@dataclass(frozen=True)
class Ppca:
    """x = W z + μ + σ ε."""

    weight: Tensor  # [P, D]
    mean: Tensor  # [P]
    sigma: float

    @classmethod
    def make(cls, num_pixels: int, num_latents: int, sigma: float) -> "Ppca":
        return cls(data(num_pixels, num_latents, seed=1), data(num_pixels, seed=2), sigma)

    def sample(self, num_data: int) -> Tensor:
        z, noise = data(num_data, self.weight.shape[1], seed=3), data(num_data, len(self.mean), seed=4)
        return z @ self.weight.T + self.mean + self.sigma * noise

    def model(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(self.weight.shape[1]), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ self.weight.T + self.mean, self.sigma).to_event(1), obs=x)

    def posterior(self, x: Tensor) -> dist.MultivariateNormal:
        precision = torch.eye(self.weight.shape[1]) + self.weight.T @ self.weight / self.sigma**2
        loc = torch.linalg.solve(precision, ((x - self.mean) @ self.weight / self.sigma**2).T).T
        return dist.MultivariateNormal(loc, precision_matrix=precision)

    def guide(self, x: Tensor) -> None:
        q = self.posterior(x)
        with pyro.plate("data", len(x)):
            pyro.sample("z", q)

    def evidence(self, x: Tensor) -> Tensor:
        covariance = self.weight @ self.weight.T + self.sigma**2 * torch.eye(len(self.mean))
        return torch.distributions.MultivariateNormal(self.mean, covariance).log_prob(x)


def ppca() -> Triple:
    problem = Ppca.make(6, 2, 0.7)
    x = problem.sample(5)

    def densities(z: Values) -> tuple[Tensor, Tensor, Tensor]:
        return (
            problem.posterior(x).log_prob(z["z"]),
            normal(0.0, 1.0, z["z"]).sum(-1),
            normal(z["z"] @ problem.weight.T + problem.mean, problem.sigma, x).sum(-1),
        )

    return Triple(problem.model, problem.guide, (x,), densities)


# Rules of the target, one triple each ---------------------------------------------------------------------------------


def hierarchical() -> Triple:
    """Two latent sites, z1 → z2, labels y as a second argument and a keyword that has no row for each datum."""
    x, y = data(5, 3), torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0])

    def model(x: Tensor, y: Tensor, *, scale: float) -> None:
        with pyro.plate("data", len(x)):
            z1 = pyro.sample("z1", dist.Normal(y, 1.0))
            z2 = pyro.sample("z2", dist.Normal(z1.unsqueeze(-1) * torch.ones(2), scale).to_event(1))
            loc = torch.cat([z2, z1.unsqueeze(-1)], -1)
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

    def guide(x: Tensor, y: Tensor, *, scale: float) -> None:
        with pyro.plate("data", len(x)):
            z1 = pyro.sample("z1", dist.Normal(x[..., 2] + y, 0.5))
            pyro.sample("z2", dist.Normal(x[..., :2] - z1.unsqueeze(-1), scale).to_event(1))

    def densities(z: Values) -> tuple[Tensor, Tensor, Tensor]:
        z1, z2 = z["z1"], z["z2"]
        q = normal(x[:, 2] + y, 0.5, z1) + normal(x[:, :2] - z1.unsqueeze(-1), 0.6, z2).sum(-1)
        prior = normal(y, 1.0, z1) + normal(z1.unsqueeze(-1), 0.6, z2).sum(-1)
        return q, prior, normal(z2, 1.0, x[:, :2]).sum(-1) + normal(z1, 1.0, x[:, 2])

    return Triple(model, guide, (x, y), densities, {"scale": 0.6})


def inner_plate() -> Triple:
    """Data at dim −2, three repeats at dim −1, a latent for each datum and one for each repeat."""
    x = data(5, 3)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            with pyro.plate("repeats", 3, dim=-1):
                w = pyro.sample("w", dist.Normal(z, 0.5))
                pyro.sample("x", dist.Normal(w, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2):
            z = pyro.sample("z", dist.Normal(x.mean(-1, keepdim=True), 0.7))
            with pyro.plate("repeats", 3, dim=-1):
                pyro.sample("w", dist.Normal((x + z) / 2, 0.4))

    def densities(z: Values) -> tuple[Tensor, Tensor, Tensor]:
        z, w = z["z"], z["w"]
        q = normal(x.mean(-1), 0.7, z) + normal((x + z.unsqueeze(-1)) / 2, 0.4, w).sum(-1)
        prior = normal(0.0, 1.0, z) + normal(z.unsqueeze(-1), 0.5, w).sum(-1)
        return q, prior, normal(w, 1.0, x).sum(-1)

    return Triple(model, guide, (x,), densities)


def outer_plate() -> Triple:
    """Data at dim −1 behind a plate at dim −2, with an event dim besides."""
    x = data(5, 3)

    def model(x: Tensor) -> None:
        with pyro.plate("repeats", 3, dim=-2), pyro.plate("data", len(x), dim=-1):
            w = pyro.sample("w", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(w.sum(-1), 1.0), obs=x.T)

    def guide(x: Tensor) -> None:
        with pyro.plate("repeats", 3, dim=-2), pyro.plate("data", len(x), dim=-1):
            pyro.sample("w", dist.Normal((x.T / 3).unsqueeze(-1) * torch.ones(2), 0.8).to_event(1))

    def densities(z: Values) -> tuple[Tensor, Tensor, Tensor]:
        w = z["w"]  # [S, B, 3, 2]
        q = normal((x / 3).unsqueeze(-1), 0.8, w).sum((-1, -2))
        return q, normal(0.0, 1.0, w).sum((-1, -2)), normal(w.sum(-1), 1.0, x).sum(-1)

    return Triple(model, guide, (x,), densities)


def rescaled() -> Triple:
    """A plate that says it is a subsample of 1000, and KL and likelihood both scaled by hand."""
    plain, (x,) = conjugate(), conjugate().args

    def model(x: Tensor) -> None:
        with pyro.plate("data", 1000, subsample_size=len(x)):
            with poutine.scale(scale=0.3):
                z = pyro.sample("z", dist.Normal(0.0, 1.0))
            with poutine.scale(scale=7.0):
                pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", 1000, subsample_size=len(x)), poutine.scale(scale=0.3):
            pyro.sample("z", dist.Normal(x / 2, 0.8 * math.sqrt(0.5)))

    return Triple(model, guide, (x,), plain.densities)


def masked_data() -> Triple:
    """A mask over the data on the likelihood, and one over an inner plate."""
    x, keep = data(5, 3), torch.tensor([True, False, True, True, False])
    seen = data(5, 3, seed=8) > 0

    def model(x: Tensor, keep: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            with poutine.mask(mask=keep.unsqueeze(-1)):
                pyro.sample("total", dist.Normal(z, 1.0), obs=x.sum(-1, keepdim=True))
            with pyro.plate("pixels", 3, dim=-1), poutine.mask(mask=seen):
                pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor, keep: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2):
            pyro.sample("z", dist.Normal(x.mean(-1, keepdim=True), 0.6))

    def densities(z: Values) -> tuple[Tensor, Tensor, Tensor]:
        z = z["z"]
        likelihood = normal(z, 1.0, x.sum(-1)) * keep + (normal(z.unsqueeze(-1), 1.0, x) * seen).sum(-1)
        return normal(x.mean(-1), 0.6, z), normal(0.0, 1.0, z), likelihood

    return Triple(model, guide, (x, keep, seen), densities)


def masked_pixels() -> Triple:
    """`.mask` on the distribution, with NaN where nothing was seen; a latent element is masked in both programs.

    That element follows the prior in both.
    """
    seen = torch.tensor([[True, True, False], [True, True, True], [False, True, True], [False, False, True]])
    x = torch.where(seen, data(4, 3), math.nan)
    used = torch.tensor([True, False])

    def model(x: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).mask(used).to_event(1))
            pyro.sample("x", dist.Normal(z[..., :1] * torch.ones(3), 1.0).mask(seen).to_event(1), obs=x)

    def guide(x: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(x)):
            loc = x.nan_to_num(0.0).mean(-1, keepdim=True) * torch.ones(2)
            pyro.sample("z", dist.Normal(loc, 0.6).mask(used).to_event(1))

    def densities(z: Values) -> tuple[Tensor, Tensor, Tensor]:
        first, filled = z["z"][..., 0], x.nan_to_num(0.0)
        likelihood = (normal(first.unsqueeze(-1), 1.0, filled) * seen).sum(-1)
        hidden = normal(0.0, 1.0, z["z"][..., 1])
        return normal(filled.mean(-1), 0.6, first) + hidden, normal(0.0, 1.0, first) + hidden, likelihood

    return Triple(model, guide, (x, seen), densities)


def convolution() -> Triple:
    """A decoder that takes exactly one batch dimension, and an encoder that does too."""
    torch.manual_seed(11)
    decoder = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Unflatten(1, (2, 2, 2)), nn.ConvTranspose2d(2, 1, 2, 2))
    encoder = nn.Sequential(nn.Conv2d(1, 2, 2, 2), nn.Flatten(1), nn.Linear(8, 2))
    x = data(5, 1, 4, 4)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(decoder(z), 1.0).to_event(3), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(encoder(x), 0.7).to_event(1))

    def densities(z: Values) -> tuple[Tensor, Tensor, Tensor]:
        z = z["z"]
        means = torch.stack([decoder(sample) for sample in z])
        return (
            normal(encoder(x), 0.7, z).sum(-1),
            normal(0.0, 1.0, z).sum(-1),
            normal(means, 1.0, x).sum((-1, -2, -3)),
        )

    return Triple(model, guide, (x,), densities, layouts=("fold", "plate"))


def counting_rows() -> Triple:
    """`len(z)` means data in a plain run and samples in a plate of samples: a plate gives wrong numbers, no error."""
    plain, (x,) = conjugate(), conjugate().args

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z * len(z) / len(x), 1.0), obs=x)

    return Triple(model, plain.guide, (x,), plain.densities, layouts=("fold", "plate"))


def counting_draws() -> Triple:
    """The same trick in the guide: a second site's density depends on `len(z)`."""
    x = data(5)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            w = pyro.sample("w", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z + w, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x / 2, 1.0))
            pyro.sample("w", dist.Normal(x - z * len(z) / len(x), 0.5))

    def densities(z: Values) -> tuple[Tensor, Tensor, Tensor]:
        z, w = z["z"], z["w"]
        q = normal(x / 2, 1.0, z) + normal(x - z, 0.5, w)
        return q, normal(0.0, 1.0, z) + normal(0.0, 1.0, w), normal(z + w, 1.0, x)

    return Triple(model, guide, (x,), densities, layouts=("plate", "fold"))


def regression() -> Triple:
    """Global latents, one datum as a whole: `X @ beta` knows of no batch."""
    X = data(20, 2)
    y = X @ torch.tensor([1.0, -2.0]) + 0.5 * data(20, seed=9)

    def model(X: Tensor, y: Tensor) -> None:
        sigma = pyro.sample("sigma", dist.HalfNormal(1.0))
        beta = pyro.sample("beta", dist.Normal(torch.zeros(2), 2.0).to_event(1))
        with pyro.plate("rows", len(X)):
            pyro.sample("y", dist.Normal(X @ beta, sigma), obs=y)

    def guide(X: Tensor, y: Tensor) -> None:
        pyro.sample("sigma", dist.LogNormal(-0.5, 0.3))
        pyro.sample("beta", dist.Normal(torch.tensor([1.0, -2.0]), 0.2).to_event(1))

    def densities(z: Values) -> tuple[Tensor, Tensor, Tensor]:
        sigma, beta = z["sigma"], z["beta"]  # [S, 1], [S, 1, 2]
        q = normal(-0.5, 0.3, sigma.log()) - sigma.log() + normal(torch.tensor([1.0, -2.0]), 0.2, beta).sum(-1)
        prior = normal(0.0, 1.0, sigma) + math.log(2.0) + normal(0.0, 2.0, beta).sum(-1)
        likelihood = normal(beta @ X.T, sigma.unsqueeze(-1), y).sum(-1)
        return q, prior, likelihood

    return Triple(model, guide, (X, y), densities, plate=None, layouts=("vmap", "plate"), sliceable=False)


def batched_globals() -> Triple:
    """plate=None with a batch dim that no plate covers and latents in a plate."""
    y = torch.tensor(0.7)

    def model(y: Tensor) -> None:
        a = pyro.sample("a", dist.Normal(torch.zeros(3), 1.0))
        with pyro.plate("groups", 4):
            b = pyro.sample("b", dist.Exponential(1.0))
        pyro.sample("y", dist.Normal(a.sum() + b.sum(), 1.0), obs=y)

    def guide(y: Tensor) -> None:
        pyro.sample("a", dist.Normal(torch.arange(3.0), 1.0))
        with pyro.plate("groups", 4):
            pyro.sample("b", dist.Gamma(2.0, 2.0))

    def densities(z: Values) -> tuple[Tensor, Tensor, Tensor]:
        a, b = z["a"], z["b"]
        q = normal(torch.arange(3.0), 1.0, a).sum(-1) + (math.log(4.0) + b.log() - 2 * b).sum(-1)
        return q, normal(0.0, 1.0, a).sum(-1) - b.sum(-1), normal(a.sum(-1) + b.sum(-1), 1.0, y)

    return Triple(model, guide, (y,), densities, plate=None, layouts=("vmap", "plate"), sliceable=False)


def constrained() -> Triple:
    """Positive, unit-interval, simplex and data-dependent supports in one model."""
    x = data(5).exp()

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            r = pyro.sample("r", dist.HalfNormal(1.0))
            p = pyro.sample("p", dist.Beta(2.0, 3.0))
            w = pyro.sample("w", dist.Dirichlet(torch.tensor([1.0, 2.0, 3.0])))
            u = pyro.sample("u", dist.Uniform(torch.zeros(len(x)), x))
            pyro.sample("x", dist.Normal(r + p + w[..., 0] + u, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("r", dist.LogNormal(x.log() / 2, 0.5))
            pyro.sample("p", dist.Beta(x, torch.ones(len(x))))
            pyro.sample("w", dist.Dirichlet(torch.stack([x, x + 1, x + 2], -1)))
            pyro.sample("u", dist.Uniform(torch.zeros(len(x)), x))

    def densities(z: Values) -> tuple[Tensor, Tensor, Tensor]:
        r, p, w, u = z["r"], z["p"], z["w"], z["u"]
        concentration = torch.stack([x, x + 1, x + 2], -1)
        log_beta = concentration.lgamma().sum(-1) - concentration.sum(-1).lgamma()
        q = normal(x.log() / 2, 0.5, r.log()) - r.log() + x.log() + (x - 1) * p.log()
        q = q + ((concentration - 1) * w.log()).sum(-1) - log_beta - x.log()
        prior = normal(0.0, 1.0, r) + math.log(2.0) + math.log(12.0) + p.log() + 2 * (-p).log1p()
        prior = prior + math.log(60.0) + w[..., 1].log() + 2 * w[..., 2].log() - x.log()
        return q, prior, normal(r + p + w[..., 0] + u, 1.0, x)

    return Triple(model, guide, (x,), densities)


def drawn_discrete() -> Triple:
    """The guide draws the discrete sites itself, one of them in a plate behind which the data stand."""
    x = data(5, 3)
    table = torch.tensor([-1.0, 0.5, 2.0, 3.0])

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-1):
            flip = pyro.sample("flip", dist.Bernoulli(0.3))
            with pyro.plate("repeats", 3, dim=-2):
                k = pyro.sample("k", dist.Categorical(torch.tensor([0.1, 0.2, 0.3, 0.4])))
                pyro.sample("x", dist.Normal(table[k] * (1 - flip), 1.0), obs=x.T)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-1):
            pyro.sample("flip", dist.Bernoulli(logits=x[..., 0]))
            with pyro.plate("repeats", 3, dim=-2):
                pyro.sample("k", dist.Categorical(logits=x.T.unsqueeze(-1) * table))

    def densities(z: Values) -> tuple[Tensor, Tensor, Tensor]:
        flip, k = z["flip"], z["k"]  # [S, B], [S, B, 3]
        sign, logits = 2 * flip - 1, x.unsqueeze(-1) * table  # [S, B], [B, 3, 4]
        log_k = logits.log_softmax(-1).expand(len(k), -1, -1, -1).gather(-1, k.unsqueeze(-1)).squeeze(-1)
        q = torch.nn.functional.logsigmoid(sign * x[:, 0]) + log_k.sum(-1)
        prior = torch.where(flip == 1, 0.3, 0.7).log() + ((k + 1) * 0.1).log().sum(-1)
        return q, prior, normal(table[k] * (1 - flip).unsqueeze(-1), 1.0, x).sum(-1)

    return Triple(model, guide, (x,), densities, continuous=False)


TRIPLES: dict[str, Callable[[], Triple]] = {
    make.__name__: make
    for make in (
        conjugate,
        ppca,
        hierarchical,
        inner_plate,
        outer_plate,
        rescaled,
        masked_data,
        masked_pixels,
        convolution,
        counting_rows,
        counting_draws,
        regression,
        batched_globals,
        constrained,
        drawn_discrete,
    )
}


def gamma_model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        rate = pyro.sample("rate", dist.Gamma(2.0, 0.5))
        pyro.sample("x", dist.Poisson(rate), obs=x)


def gamma_guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("rate", dist.LogNormal((x + 1).log(), 0.8))


def two_modes(x: Tensor) -> None:
    """Modes at −6 and 6 with weights .1 and .9, whatever x is."""
    weights = torch.tensor([0.1, 0.9])
    with pyro.plate("data", len(x)):
        modes = dist.Normal(torch.tensor([-6.0, 6.0]), 1.0)
        z = pyro.sample("z", dist.MixtureSameFamily(dist.Categorical(weights), modes))
        pyro.sample("x", dist.Normal(0 * z, 1.0), obs=x)


def one_mode(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(6 * torch.ones_like(x), 1.0))
