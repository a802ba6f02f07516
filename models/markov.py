"""The deep Markov model: sequences of latents, each of which makes what is seen at its step."""

from collections.abc import Callable, Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_choice, check_size, check_sizes
from elbowroom.models.latent_model import Generated
from elbowroom.models.likelihoods.exposure import check_no_exposure
from elbowroom.models.transitions import TRANSITIONS
from elbowroom.models.vae import VAE
from elbowroom.networks.mlp import DEFAULT_ACTIVATION
from elbowroom.networks.sequences import check_sequences, without_padding

Draw = Callable[[int, dist.TorchDistribution], Tensor]
"""From a step, counted from 1, and the distribution of its latents to a value of them."""


class DeepMarkov(VAE):
    """z_1 ~ N(0, I_D), z_t | z_(t−1) ~ transition, x_t | z_t ~ likelihood(MLP(z_t)): sequences of any lengths.

        p(x) = ∫ p(z_1) ∏_t p(z_t | z_(t−1)) ∏_{t there} p(x_t | z_t) dz

    after Krishnan, Shalit & Sontag (2017), "Structured inference networks for nonlinear state space models". A step
    that is not there has a latent like any other and no likelihood: latents behind a sequence's end integrate to one,
    so padding changes no p(x), and one within it is a value that was not measured. Of one step, it is the VAE with that
    decoder.

    Calling it with sequences `x [B, T, P]` and a mask `[B, T]` runs the program with the sites `"z_1"` … `"z_T"`, each
    with the event shape `[D]`, and `"x"`, with `[T, P]`, in the plate `"data"`. Trained in fifteen lines:

        from elbowroom.datasets import KINDS, load
        from elbowroom.guides import DeepKalmanSmoother
        from elbowroom.inference import Target, fit, importance
        from elbowroom.models import DeepMarkov

        data = load("digits", binarize="threshold")  # the rows of a digit, one after the other
        train, test = (KINDS["sequence"].arguments(data, split) for split in ("train", "test"))
        model = DeepMarkov(data_dim=8, latent_dim=3)
        guide = DeepKalmanSmoother(model)
        fit(model, guide, train, num_epochs=60, batch_size=64, learning_rate=1e-2, warmup_epochs=20)
        result = importance(Target(model, guide, *test), num_samples=1000)
        print(result)

    Args:
        data_dim: P, the number of values of a step.
        latent_dim: D, the number of latent variables of a step.
        hidden, likelihood, sigma, floor, likelihood_options, activation: of p(x_t | z_t), as of `VAE`, but for
            likelihoods that need totals; the transition's networks have the same activation.
        transition: `"gated"` or `"linear"` (`elbowroom.models.transitions`). Even a linear one leaves p(x) without a
            closed form, unless p(x_t | z_t) is a Normal with a linear mean and one σ: that is `LinearDynamicalSystem`,
            whose `log_prob` is a Kalman filter.
        transition_hidden: widths of the hidden layers of a gated transition's networks.
        num_steps: how many steps `generate` draws; the program takes sequences of any number.

    Raises:
        TypeError, ValueError: if an argument is out of range or has no meaning for the likelihood.
    """

    @checked
    def __init__(
        self,
        data_dim: int,
        latent_dim: int,
        hidden: tuple[int, ...] | None = None,
        likelihood: str = "bernoulli",
        *,
        transition: str = "gated",
        transition_hidden: tuple[int, ...] = (64,),
        sigma: float | None = None,
        floor: float | None = None,
        likelihood_options: Mapping[str, Any] | None = None,
        activation: str = DEFAULT_ACTIVATION,
        num_steps: int = 16,
    ) -> None:
        super().__init__(
            data_dim,
            latent_dim,
            hidden,
            likelihood,
            sigma=sigma,
            floor=floor,
            likelihood_options=likelihood_options,
            activation=activation,
        )
        check_no_exposure(self.likelihood)
        make = TRANSITIONS[check_choice("transition", transition, TRANSITIONS)]
        widths = check_sizes("transition_hidden", transition_hidden)
        self.transition = make(self.latent_dim, widths, activation=activation)
        self.num_steps = check_size("num_steps", num_steps)

    def next_state(self, z: Tensor) -> dist.TorchDistribution:
        """p(z_t | z_(t−1)) for z_(t−1) `[*batch, D]`: batch shape `[*batch]`, event shape `[D]`."""
        return dist.Normal(*self.transition(z)).to_event(1)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Runs the program on sequences `x [B, T, P]`, of which the steps are there that `mask [B, T]` says.

        Returns:
            z: the latents of this run, `[B, T, D]` or, under a plate of samples, `[S, B, T, D]`.

        Raises:
            TypeError: if x or the mask is no tensor, or x not of the parameters' dtype.
            ValueError: if a shape is another.
        """
        x, mask = check_sequences(x, mask, self.prior_loc, self.data_dim)
        with pyro.plate("data", len(x), dim=-1):
            z = self._states(x.shape[1], lambda t, p_z: pyro.sample(f"z_{t}", p_z))
            pyro.sample("x", self.decode(z).mask(mask).to_event(1), obs=without_padding(x, mask))
        return z

    def log_joint(self, x: Tensor, z: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(x, z) of sequences `x [N, T, P]` and their latents `z [N, T, D]`, row by row: `[N]`, nats.

        Raises:
            TypeError, ValueError: as of a run of the program; if the latents are not those of N sequences of T steps.
        """
        x, mask = check_sequences(x, mask, self.prior_loc, self.data_dim)
        if z.shape != (*x.shape[:2], self.latent_dim):
            raise ValueError(f"z: got shape {tuple(z.shape)}, expected {(*x.shape[:2], self.latent_dim)}")
        later = self.next_state(z[:, :-1]).log_prob(z[:, 1:]).sum(-1)
        observed = self.decode(z).mask(mask).log_prob(without_padding(x, mask)).sum(-1)
        log_p: Tensor = self.prior().log_prob(z[:, 0]) + later + observed
        return log_p

    @torch.no_grad()
    def generate(self, num_samples: int, *, seed: int = 0) -> Generated:
        """Draws sequences of `num_steps` steps; the global random state is neither read nor moved.

        Args:
            num_samples: N, how many.
            seed: the same seed gives the same draws.

        Returns:
            z `[N, T, D]` and the mean of x given z, `[N, T, P]`.
        """
        like = self.prior_loc
        generator = torch.Generator(device=like.device).manual_seed(seed)
        shape = (self.num_steps, check_size("num_samples", num_samples), self.latent_dim)
        noise = torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
        z = self._states(self.num_steps, lambda t, p_z: p_z.mean + p_z.variance.sqrt() * noise[t - 1])
        return Generated(z, self.decode(z).mean)

    def _states(self, num_steps: int, draw: Draw) -> Tensor:
        """z_1 … z_T, each drawn given the one before, `[*batch, T, D]`."""
        z = [draw(1, self.prior())]
        for t in range(2, num_steps + 1):
            z.append(draw(t, self.next_state(z[-1])))
        return torch.stack(torch.broadcast_tensors(*z), -2)
