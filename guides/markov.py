"""The structured guide of Markov models: each latent given the one before and all data from its step on."""

from collections.abc import Callable
from typing import Protocol

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_at_least, check_module, check_size
from elbowroom.networks.mlp import MeanStd
from elbowroom.networks.program import Program
from elbowroom.networks.recurrent import BackwardGRU
from elbowroom.networks.sequences import check_sequences, has_steps_from

Draw = Callable[[int, dist.TorchDistribution], Tensor]
"""From a step, counted from 1, and the distribution of its latents to a value of them."""


class HasStates(Protocol):
    """A model whose latents are a Markov chain."""

    data_dim: int
    latent_dim: int

    def prior(self) -> dist.TorchDistribution:
        """p(z_1), a diagonal Normal (`Normal(…).to_event(1)`) of event shape `[D]`."""

    def next_state(self, z: Tensor) -> dist.TorchDistribution:
        """p(z_t | z_(t−1)) for z_(t−1) `[*batch, D]`, likewise."""


class DeepKalmanSmoother(Program):
    """q(z_t | z_(t−1), x_t … x_T) = N(m, diag s²) for each step of a Markov model, by a network that reads backwards.

        h_t = BackwardGRU(x)_t,    c = ½ (tanh(U z_(t−1) + b) + h_t),    m and s = floor + softplus(·) linear in c

    The posterior of a Markov model factorises in this way, z_t depending on the past through z_(t−1) alone (Krishnan,
    Shalit & Sontag 2017, "Structured inference networks for nonlinear state space models", the guide called DKS there).
    z_0 is zero. Where no step is there from t on, q is the model's own p(z_t | z_(t−1)), the posterior itself: padding
    adds nothing to KL(q ‖ p), and what it holds is not looked at. At a step that is missing within a sequence, what
    comes after it counts.

    Calling it with sequences `x [B, T, P]` and a mask `[B, T]` runs the program with the sites `"z_1"` … `"z_T"` in the
    plate `"data"`. The recurrent network runs once for each datum, whatever the number of samples.

    Args:
        model: a Markov model, such as `DeepMarkov`. It is read, not owned: its parameters are not the guide's.
        num_features: of the recurrent network.
        floor: what s stays above, as of `AmortizedNormal`.

    Raises:
        TypeError: if the model has no `next_state`.
        ValueError: if an argument is out of range.
    """

    @checked
    def __init__(self, model: HasStates, num_features: int = 64, *, floor: float = 1e-6) -> None:
        super().__init__()
        if not callable(getattr(check_module("model", model), "next_state", None)):
            raise TypeError(
                f"model: got {type(model).__name__}, which has no method next_state(z), expected a model of sequences "
                "such as DeepMarkov; for other models use AmortizedNormal"
            )
        self._model = (model,)  # in a tuple, so that the model's parameters do not become the guide's
        self.data_dim, self.latent_dim = model.data_dim, model.latent_dim
        self.floor = check_at_least("floor", floor, 0)
        self.reader = BackwardGRU(self.data_dim, check_size("num_features", num_features))
        self.of_state = nn.Linear(self.latent_dim, num_features)
        self.head = MeanStd(num_features, (), self.latent_dim)

    @property
    def model(self) -> HasStates:
        """The model whose posterior this approximates."""
        return self._model[0]

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Runs the program on sequences `x [B, T, P]`, of which the steps are there that `mask [B, T]` says.

        Returns:
            z: the latents of this run, `[B, T, D]` or, under a plate of samples, `[S, B, T, D]`.
        """
        with pyro.plate("data", len(x), dim=-1):
            return self._states(x, mask, lambda t, q_z: pyro.sample(f"z_{t}", q_z))

    def mean_path(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The latents when each is q's mean given the one before, `[B, T, D]`: a path to decode and look at."""
        return self._states(x, mask, lambda t, q_z: q_z.mean)

    def _states(self, x: Tensor, mask: Tensor | None, draw: Draw) -> Tensor:
        x, mask = check_sequences(x, mask, self.reader.last, self.data_dim)
        features, known = self.reader(x, mask), has_steps_from(mask)  # [B, T, H], [B, T]
        z = [draw(1, self._given(x.new_zeros(self.latent_dim), features[:, 0], known[:, 0], self.model.prior()))]
        for t in range(1, x.shape[1]):
            p_z = self.model.next_state(z[-1])
            z.append(draw(t + 1, self._given(z[-1], features[:, t], known[:, t], p_z)))
        return torch.stack(torch.broadcast_tensors(*z), -2)

    def _given(
        self, before: Tensor, features: Tensor, known: Tensor, p_z: dist.TorchDistribution
    ) -> dist.TorchDistribution:
        """q(z_t | z_(t−1), x_t … x_T) from z_(t−1) `[*batch, D]`, h_t `[B, H]`, and whether there are such x `[B]`."""
        mean, std = self.head((torch.tanh(self.of_state(before)) + features) / 2)
        there, p = known[:, None], p_z.base_dist
        return dist.Normal(torch.where(there, mean, p.loc), torch.where(there, self.floor + std, p.scale)).to_event(1)
