"""Generative adversarial networks: draws without a likelihood, until noise is put on top."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.densities.adversarial_training import TrainingOptions, train
from elbowroom.densities.density import Cost, Density
from elbowroom.densities.discretised_normal import DiscretisedNormal
from elbowroom.entrances import checked
from elbowroom.entrances.values import check_above, check_choice, check_size, check_sizes
from elbowroom.inference import Estimate, Target, anneal
from elbowroom.inference.estimate import Bound
from elbowroom.networks.mlp import mlp

Program = Callable[[Tensor], None]

LIKELIHOODS = ("levels", "normal")
"""What p(x|z) may be: of whole numbers, or a density of x/(K − 1)."""

SIGMAS = (0.05, 0.075, 0.1, 0.15, 0.2, 0.3)
"""Among which σ is chosen on validation data."""

_MOST = 60  # validation data that σ is chosen on


class Adversarial(Density):
    """A generator G(z), z ~ N(0, I), trained against a discriminator that tells its draws from data (see there).

    The draws of G fill a surface of `latent_dim` dimensions, on which no datum lies: it has no likelihood. With noise
    of deviation σ added it is a latent-variable model, after Wu et al. (2017), and log p(x) is annealed from the prior,

        p(z) = N(0, I),    p(x|z) = N(G(z), σ²) cut into levels,

    a lower bound in expectation on what that model says; σ is part of the answer. With σ = 0.2, which validation data
    chose, 120 new digits of 17 levels had −103.7, −103.3 and −103.5 nats by three seeds, 4 to 9 of them flagged; on 30
    simulated ones annealing from both sides was 0.02 ± 0.07, 0.13 ± 0.11 and 0.17 ± 0.09 nats apart.

    Args:
        data_dim: P.
        levels: K.
        latent_dim: of z.
        hidden: widths of the hidden layers of G and of D.
        sigma: σ of the noise, in units in which the levels fill [0, 1]. By default `fit` chooses it on validation data;
            without these it is 0.2.
        num_steps: temperatures of the annealing.
        num_chains: chains of each datum.

    Raises:
        TypeError, ValueError: if an argument is out of range.
    """

    bound: ClassVar[Bound] = "lower"
    avoids: ClassVar[str] = "never asks for it: a discriminator says whether draws look like data"
    cannot: ClassVar[str] = "say how probable a datum is without noise of one's own choice; be told when to stop"

    sigma: Tensor

    @checked
    def __init__(
        self,
        data_dim: int,
        levels: int = 17,
        latent_dim: int = 8,
        hidden: tuple[int, ...] = (128, 128),
        sigma: float | None = None,
        num_steps: int = 200,
        num_chains: int = 16,
    ) -> None:
        super().__init__(data_dim, levels)
        self.latent_dim, hidden = check_size("latent_dim", latent_dim), check_sizes("hidden", hidden)
        self.num_steps, self.num_chains = check_size("num_steps", num_steps), check_size("num_chains", num_chains)
        self.network = nn.Sequential(*mlp(self.latent_dim, hidden, self.data_dim), nn.Sigmoid())
        self.discriminator = mlp(self.data_dim, hidden, 1)
        self.chooses_sigma = sigma is None
        self.register_buffer("sigma", torch.tensor(0.2 if sigma is None else check_above("sigma", sigma, 0.0)))

    def fit(  # type: ignore[override]  # all options have names: none goes on to `minimise`
        self,
        x: Tensor,
        validation: Tensor | None = None,
        *,
        seed: int = 0,
        num_epochs: int = 200,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        penalty: float = 5.0,
        average_over: int = 500,
        progress: bool = False,
    ) -> Self:
        """Train G and D in turns, see `adversarial_training.py`; there is no loss that tells a best epoch.

        Args:
            x: data `[N, P]`.
            validation: data `[M, P]`, the first 60 of which choose σ, if the constructor was told none.
            seed: of the order of the data, z and the chains.
            num_epochs, batch_size, learning_rate, penalty, average_over, progress: as of `TrainingOptions`.

        Raises:
            TypeError, ValueError: as of `Density.fit`.
            FloatingPointError: if a loss is not finite.
        """
        x = self.checked("x", x)
        validation = None if validation is None else self.checked("validation", validation)
        options = TrainingOptions(num_epochs, batch_size, learning_rate, penalty, average_over, progress)
        train(self.network, self.discriminator, x / (self.levels - 1), options, seed)
        self.eval()
        if validation is not None and self.chooses_sigma:
            self.sigma.fill_(self.best_sigma(validation[:_MOST], seed=seed))
        return self

    def best_sigma(self, x: Tensor, sigmas: Sequence[float] = SIGMAS, *, seed: int = 0) -> float:
        """The σ by which data `[B, P]` have the largest mean log p(x), as annealed."""
        found = [self.log_prob(x, seed=seed, sigma=sigma).value.mean().item() for sigma in sigmas]
        return sigmas[found.index(max(found))]

    def program(self, sigma: float | None = None, likelihood: str = "levels") -> tuple[Program, Program]:
        """The model p(z) p(x|z) and its prior as a guide, Pyro programs of data `[B, P]` for every call of inference.

        Args:
            sigma: σ; by default the density's.
            likelihood: `"levels"`, where x are whole numbers 0 … K − 1, or `"normal"`, where they are x/(K − 1).

        Raises:
            ValueError: if an argument is out of range.
        """
        check_choice("likelihood", likelihood, LIKELIHOODS)
        width = self.sigma.item() if sigma is None else check_above("sigma", sigma, 0.0)
        network = copy.deepcopy(self.network).requires_grad_(False)

        def prior(x: Tensor) -> Tensor:
            zero = x.new_zeros(self.latent_dim)
            z: Tensor = pyro.sample("z", dist.Normal(zero, 1.0).to_event(1))
            return z

        def model(x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                mean = network(prior(x))
                if likelihood == "levels":
                    pyro.sample("x", DiscretisedNormal(mean, mean.new_tensor(width), self.levels), obs=x)
                else:
                    pyro.sample("x", dist.Normal(mean, width).to_event(1), obs=x)

        def guide(x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                prior(x)

        return model, guide

    def log_prob(
        self,
        x: Tensor,
        *,
        seed: int = 0,
        sigma: float | None = None,
        likelihood: str = "levels",
        **options: Any,
    ) -> Estimate:
        """log p(x) of the model with noise, annealed from the prior, in nats: a lower bound in expectation.

        Chains that hardly moved, and weights of which one is all, are flagged, as of `elbowroom.inference.anneal`.

        Args:
            x: data `[B, P]`, whole numbers.
            seed: of the chains.
            sigma: σ; by default the density's.
            likelihood: `"levels"` for the probability of x; `"normal"` for the density of x/(K − 1), which is another
                unit: P log(K − 1) nats higher where the density is even within a level.
            options: of `anneal`; `num_steps` and `num_chains` are by default the density's.

        Raises:
            TypeError, ValueError: if the data are not `[B, P]` whole numbers, or an option is out of range.
        """
        x = self.checked("x", x)
        model, guide = self.program(sigma, likelihood)
        chosen = {"num_steps": self.num_steps, "num_chains": self.num_chains, **options}
        target = Target(model, guide, x if likelihood == "levels" else x / (self.levels - 1))
        return anneal(target, start="prior", seed=seed, **chosen)

    @torch.no_grad()
    def sample(self, num_samples: int, *, seed: int = 0, noise: bool = True) -> Tensor:
        """Draws of the model that `log_prob` speaks of, `[num_samples, P]`; without `noise` those of G, rounded."""
        like = self.sigma
        generator = torch.Generator(like.device).manual_seed(seed)

        def normal(width: int) -> Tensor:
            shape = check_size("num_samples", num_samples), width
            return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)

        mean: Tensor = self.network(normal(self.latent_dim))
        if noise:
            mean = mean + self.sigma * normal(self.data_dim)
        return (mean * (self.levels - 1)).round().clamp(0, self.levels - 1)

    def cost(self) -> Cost:
        """Passes of the chains, three at each temperature (their pilots take a thousand more); and one of a draw."""
        return Cost(self.num_chains * (1 + 3 * (self.num_steps - 1)), 1)

    @property
    def num_parameters(self) -> int:
        """Those of G: D is needed no more."""
        return sum(p.numel() for p in self.network.parameters())
