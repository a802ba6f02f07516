"""Diffusions: data are drowned in noise step by step, and a network learns to undo it."""

import copy
import math
from itertools import pairwise
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from elbowroom.densities.datum_noise import DatumNoise
from elbowroom.densities.denoiser import Denoiser, signal_and_noise
from elbowroom.densities.density import Cost, Density
from elbowroom.densities.diffusion_bound import denoising_term, level_logits, prior_term, reconstruction_table
from elbowroom.densities.probability_flow import log_density_by_flow
from elbowroom.densities.training import minimise
from elbowroom.entrances import checked
from elbowroom.entrances.values import check_above, check_choice, check_size, check_sizes
from elbowroom.inference import Estimate
from elbowroom.inference.estimate import Bound

NUM_TIMES, NUM_REPEATS, NUM_STEPS = 16, 8, 100
"""Times of a repeat of the bound, and repeats; steps of a draw."""

METHODS = ("bound", "ode")
"""How `Diffusion.log_prob` can be asked for."""

_ROWS = 4096  # that pass through the network at a time
_FLOW_ROWS = 256  # of which it makes a Jacobian at a time


class Diffusion(Density):
    """A variational diffusion model in continuous time, after Kingma et al. (2021).

        z_t = α_t v + σ_t ε,    log σ_t²/α_t² = γ_t = γ_0 + (γ_1 − γ_0) t,    α_t² + σ_t² = 1

    where v ∈ [−1, 1]^P stands for x. At γ_1 nothing of x is left; from there a network that guesses v leads back to
    z_0, and P(x|z_0) from z_0 to the levels. It is a latent-variable model of which q is fixed and only p is learnt;
    the terms of its ELBO are in `diffusion_bound.py`, the network in `denoiser.py`.

    Of 17 levels of the digits the bound on 360 new data was −92.3 nats, the mean of three seeds within 0.2 of each
    other; on 120 of them it was −92.8, and by the probability-flow equation −91.9, with standard errors of 0.1.

    Args:
        data_dim: P.
        levels: K.
        hidden: widths of the network's residual layers.
        ends: γ_0 and γ_1. At γ_0 = −7, σ_0 is a quarter of the distance between two of 17 levels.

    Raises:
        TypeError, ValueError: if an argument is out of range.
    """

    bound: ClassVar[Bound] = "lower"
    avoids: ClassVar[str] = "a product of small normal steps, each normalised, integrated over by a fixed q"
    cannot: ClassVar[str] = "more than bound log p(x), with noise; draw in a few passes"
    network: Denoiser

    @checked
    def __init__(
        self,
        data_dim: int,
        levels: int = 17,
        hidden: tuple[int, ...] = (256,),
        ends: tuple[float, float] = (-7.0, 7.0),
    ) -> None:
        super().__init__(data_dim, levels)
        first, last = ends
        self.ends = (float(first), check_above("ends[1]", last, first))
        self.network = Denoiser(self.data_dim, self.levels, check_sizes("hidden", hidden))

    def fit(
        self,
        x: Tensor,
        validation: Tensor | None = None,
        *,
        seed: int = 0,
        average_over: int = 500,
        **options: Any,
    ) -> Self:
        """Minimise the denoising term at random times; the network is the running mean of the one that is trained.

        Args:
            x: data `[N, P]`; the shares of levels are theirs.
            validation: data `[M, P]`.
            seed: of the order of the data, times and noise.
            average_over: steps that the running mean of the parameters looks back, fewer at the beginning.
            options: of `minimise`.

        Raises:
            TypeError, ValueError: as of `Density.fit`.
        """
        x = self.checked("x", x)
        validation = None if validation is None else self.checked("validation", validation)
        check_size("average_over", average_over)
        self.network.count(x)
        trained, steps = copy.deepcopy(self.network), 0

        def follow() -> None:
            nonlocal steps
            steps += 1
            share = 1 / min(average_over, 1 + steps / 10)
            with torch.no_grad():
                for mean, new in zip(self.network.parameters(), trained.parameters(), strict=True):
                    mean.lerp_(new, share)

        chosen = {"num_epochs": 100, "learning_rate": 1e-3, "weight_decay": 2.0, **options}
        requires_grad(self.network, False)
        try:
            minimise(
                nn.ModuleList([trained, self]),
                lambda rows, generator: self._loss(trained, rows, generator, 1),
                x,
                validation,
                validation_loss=lambda rows, generator: self._loss(self.network, rows, generator, NUM_TIMES),
                after_step=follow,
                seed=seed,
                **chosen,
            )
        finally:
            requires_grad(self.network, True)
        return self

    @torch.no_grad()
    def log_prob(
        self,
        x: Tensor,
        *,
        seed: int = 0,
        method: str = "bound",
        num_times: int = NUM_TIMES,
        num_repeats: int = NUM_REPEATS,
        num_steps: int = 40,
    ) -> Estimate:
        """A lower bound on log P(x) in nats.

        With `"bound"` it is that of `diffusion_bound.py`, on what `sample` draws from if its steps are many. With
        `"ode"`, log p(z_0) is that of the probability-flow equation: another model with the same network, whose
        marginals are those of the first one if v̂ is E[v|z]; and

            log P(x) ≥ E_q(z_0|x) [log p(z_0) + log P(x|z_0) − log q(z_0|x)]

        is a bound up to the error of the steps, at a price of 4 P passes a step.

        Args:
            x: data `[B, P]`.
            seed: of the times and the noise.
            method: `"bound"` or `"ode"`.
            num_times: times of each repeat of the bound, at equal distances from a random first one.
            num_repeats: how often it is estimated; the value is the mean, and the spread gives its standard error.
            num_steps: of the equation.

        Raises:
            TypeError, ValueError: if the data are not `[B, P]` whole numbers, or an option is out of range.
        """
        check_size("num_times", num_times), check_size("num_steps", num_steps)
        if check_size("num_repeats", num_repeats) < 2:
            raise ValueError("num_repeats: got 1, expected at least 2: its spread is the standard error")
        noise, by_flow = DatumNoise.of(self.checked("x", x), seed), check_choice("method", method, METHODS) == "ode"
        rows = _FLOW_ROWS // num_repeats if by_flow else _ROWS // (num_repeats * num_times)
        parts = [
            self._by_flow(part, num_repeats, num_steps) if by_flow else self._bound(part, num_repeats, num_times)
            for part in noise.pieces(rows)
        ]
        of_each = torch.cat(parts, 1)  # [R, B]
        return Estimate(of_each.mean(0), of_each.std(0) / math.sqrt(num_repeats), "lower")

    @torch.no_grad()
    def sample(self, num_samples: int, *, seed: int = 0, num_steps: int = NUM_STEPS) -> Tensor:
        """Draws of x, `[num_samples, P]`, by ancestral steps (Kingma et al. 2021, equations 32 and 33)."""
        shares = self.network.shares
        generator = torch.Generator(shares.device).manual_seed(seed)
        shape = check_size("num_samples", num_samples), self.data_dim

        def normal() -> Tensor:
            return torch.randn(shape, generator=generator, dtype=shares.dtype, device=shares.device)

        z = normal()
        gammas = torch.linspace(self.ends[1], self.ends[0], check_size("num_steps", num_steps) + 1).to(shares)
        for here, there in pairwise(gammas):
            share = -torch.expm1(there - here)
            (alpha, _), (alpha_next, sigma_next) = signal_and_noise(here), signal_and_noise(there)
            mean = alpha_next * (z * (1 - share) / alpha + share * self.network(z, here.expand(len(z))))
            z = mean + sigma_next * share.sqrt() * normal()
        probabilities = level_logits(z, shares, self.network.values(), gammas[-1]).exp().flatten(0, 1)
        return torch.multinomial(probabilities, 1, generator=generator).reshape(shape).to(shares)

    def cost(self) -> Cost:
        """Passes of the bound, and of a draw."""
        return Cost(NUM_TIMES * NUM_REPEATS, NUM_STEPS)

    def _loss(self, network: nn.Module, x: Tensor, generator: torch.Generator, num_times: int) -> Tensor:
        """The denoising term at `num_times` times of each datum, evenly spread over all of them, `[B]`."""
        shape = num_times, len(x)
        start, places = torch.rand((), generator=generator), torch.randperm(num_times * len(x), generator=generator)
        times = (start + places.reshape(shape) / places.numel()) % 1
        noise = torch.randn(*shape, self.data_dim, generator=generator, dtype=x.dtype, device=x.device)
        return denoising_term(network, self._values_of(x), times.to(x), noise, self.ends).mean(0)

    def _values_of(self, x: Tensor) -> Tensor:
        """v, `[B, P]`."""
        return 2 * x / (self.levels - 1) - 1

    def _bound(self, part: DatumNoise, num_repeats: int, num_times: int) -> Tensor:
        """Independent estimates of the bound, `[R, B]`, float64."""
        v, shares = self._values_of(part.x), self.network.shares
        start = part.uniform("first time", num_repeats, 1).squeeze(-1)  # [R, B]
        places = torch.arange(num_times, dtype=v.dtype, device=v.device)[:, None] / num_times
        times = (start[:, None] + places) % 1  # [R, T, B]
        noise = part.normal("diffusion", num_repeats * num_times, self.data_dim)
        integral = denoising_term(self.network, v, times.flatten(0, 1), noise, self.ends).unflatten(
            0, (num_repeats, -1)
        )
        table = reconstruction_table(shares, self.network.values(), shares.new_tensor(self.ends[0]))
        reconstruction = table.expand(len(v), -1, -1).gather(-1, part.x.long()[..., None]).squeeze(-1).sum(-1)
        known = reconstruction - prior_term(v, v.new_tensor(self.ends[1]))
        return known.double() - integral.double().mean(1)

    def _by_flow(self, part: DatumNoise, num_repeats: int, num_steps: int) -> Tensor:
        """log p(z_0) + log P(x|z_0) − log q(z_0|x) at draws of q, `[R, B]`, float64."""
        v, first = self._values_of(part.x), part.x.new_tensor(self.ends[0])
        alpha, sigma = signal_and_noise(first)
        noise = part.normal("ends of the flow", num_repeats, self.data_dim)
        z = alpha * v + sigma * noise  # [R, B, P]
        log_p = log_density_by_flow(self.network, z.flatten(0, 1), self.ends, num_steps).reshape(z.shape[:-1])
        logits = level_logits(z, self.network.shares, self.network.values(), first)
        known = logits.gather(-1, part.x.long().expand(z.shape)[..., None]).squeeze(-1)
        log_q = -0.5 * (noise.square() + math.log(2 * math.pi)) - sigma.log()
        return log_p.double() + (known - log_q).double().sum(-1)


def requires_grad(module: nn.Module, wanted: bool) -> None:
    """Whether its parameters are fitted."""
    for parameter in module.parameters():
        parameter.requires_grad_(wanted)
