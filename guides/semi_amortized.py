"""Semi-amortized inference: what the encoder says, improved by a few steps on each datum."""

from collections.abc import Sequence
from typing import Any, Protocol

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_above, check_module, check_size
from elbowroom.guides.amortized import AmortizedGuide
from elbowroom.guides.around_normal import check_encoder, moments
from elbowroom.guides.normal import AmortizedNormal
from elbowroom.networks.mlp import DEFAULT_ACTIVATION

_DECAY, _DECAY_OF_SQUARES, _EPSILON = 0.9, 0.999, 1e-8  # Adam's β₁, β₂ and ε
_SEED = 0  # of the points that all data share


class HasJoint(Protocol):
    """A model that says log p(x, z)."""

    latent_dim: int

    def log_joint(self, x: Tensor, z: Tensor, *given: Tensor) -> Tensor:
        """log p(x, z) of data `x [N, ...]` and latents `z [N, D]`, row by row: `[N]`, nats."""


class SemiAmortized(AmortizedGuide):
    """q(z|x) = N(m_T, diag s_T²): T steps of Adam up the ELBO of each datum, from the encoder's m_0 and s_0.

        (m, log s)_(t+1) = (m, log s)_t + Adam(∇ L),    L(m, log s) = 1/K Σ_k log p(x, m + s ε_k) + Σ_d log s_d

    after Kim, Wiseman, Miller, Sontag & Rush (2018, "Semi-amortized variational autoencoders", algorithm 1). The K
    points ε_k are the same for every datum and every call, so that q is a function of x, and of a datum alone. They are
    scrambled Sobol points and their mirror images, with covariance I where K is above 2 D: where the posterior is
    Normal, L is the ELBO itself. In training gradients pass to the encoder as if the steps were constants, (m_T − m_0)
    and (log s_T − log s_0); with `unroll` they pass through the steps, to the model's parameters too, as in the paper.

    Of the digits with 2 latents 5, 20 and 80 steps gained 0.351, 0.480 and 0.508 nats of ELBO (95 % of 20: 0.375 …
    0.585) where the amortization gap was 0.513 (`benchmarks/richer_guides.py`). A learning rate of 0.2 gains less.

    Args:
        guide: an encoder, of which `encode(x)` is a diagonal Normal, such as a trained `AmortizedNormal`. It becomes a
            part of this one: its parameters are the guide's.
        model: a model with a method `log_joint(x, z)`, such as `VAE`. It is read, not owned.
        num_steps: T.
        learning_rate: of the steps.
        num_samples: K, an even number; each step takes as many evaluations of log p(x, z) and its gradient a datum.
        unroll: whether gradients pass through the steps.

    Raises:
        TypeError: if the model has no `log_joint`, or the guide no `encode`.
        ValueError: if an argument is out of range.
    """

    @checked
    def __init__(
        self,
        guide: AmortizedGuide,
        model: HasJoint,
        *,
        num_steps: int = 10,
        learning_rate: float = 0.1,
        num_samples: int = 32,
        unroll: bool = False,
    ) -> None:
        super().__init__()
        if not callable(getattr(check_module("model", model), "log_joint", None)):
            raise TypeError(
                f"model: got {type(model).__name__}, which has no method log_joint(x, z), expected a model such as "
                "VAE; for other models use AmortizedNormal, and decompose(target) to refine it for each datum"
            )
        if check_size("num_samples", num_samples) % 2:
            raise ValueError(f"num_samples: got {num_samples}, expected an even number: points and their mirror images")
        self.guide = check_encoder("guide", guide)
        self._model = (model,)  # in a tuple, so that the model's parameters do not become the guide's
        self.num_steps, self.unroll = check_size("num_steps", num_steps), unroll
        self.learning_rate = check_above("learning_rate", learning_rate, 0)
        self.register_buffer("noise", _antithetic_normals(num_samples, model.latent_dim), persistent=False)

    @property
    def model(self) -> HasJoint:
        """The model whose posterior this approximates."""
        return self._model[0]

    def encode(self, x: Tensor, *given: Tensor) -> dist.TorchDistribution:
        """q(z|x) for data `x [B, ...]`: batch shape `[B]`, event shape `[D]`.

        Args:
            x: data.
            *given: what else the model is given, such as the data's sizes.

        Raises:
            TypeError: if the encoder's distribution is no diagonal Normal.
        """
        mean, std = moments(self.guide, x, self.model.latent_dim)
        start = torch.cat([mean, std.log()], -1)  # [B, 2 D]
        keeps_graph = self.unroll and torch.is_grad_enabled()
        with torch.enable_grad():
            end = self._climbed(start if keeps_graph else start.detach(), x, given, keeps_graph)
        if not keeps_graph:
            end = start + (end - start).detach()
        mean, log_std = end.chunk(2, -1)
        return dist.Normal(mean, log_std.exp()).to_event(1)

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        """Runs the program on data `x [B, ...]` and what else the model is given.

        Returns:
            z: the latents of this run, `[B, D]` or, under a plate of samples, `[S, B, D]`.
        """
        q_z = self.encode(x, *given)
        with pyro.plate("data", len(x), dim=-1):
            z: Tensor = pyro.sample("z", q_z)
        return z

    def _climbed(self, point: Tensor, x: Tensor, given: tuple[Tensor, ...], keeps_graph: bool) -> Tensor:
        """(m, log s) after the steps, `[B, 2 D]`."""
        many = [_repeated(value, len(self.noise)) for value in (x, *given)]
        first, second = torch.zeros_like(point), torch.zeros_like(point)
        point.requires_grad_(True)
        for step in range(1, self.num_steps + 1):
            (gradient,) = torch.autograd.grad(self._elbo(point, many).sum(), point, create_graph=keeps_graph)
            first = _DECAY * first + (1 - _DECAY) * gradient
            second = _DECAY_OF_SQUARES * second + (1 - _DECAY_OF_SQUARES) * gradient.square()
            size = second / (1 - _DECAY_OF_SQUARES**step) + _EPSILON**2  # within the root, which is steep at zero
            point = point + self.learning_rate * first / (1 - _DECAY**step) / size.sqrt()
        return point

    def _elbo(self, point: Tensor, many: Sequence[Tensor]) -> Tensor:
        """L at (m, log s), less its constant, `[B]`."""
        mean, log_std = point.chunk(2, -1)
        z = mean + log_std.exp() * self.noise.to(point).unsqueeze(1)  # [K, B, D]
        x, *given = many
        log_p = self.model.log_joint(x, z.flatten(0, 1), *given)
        return log_p.unflatten(0, z.shape[:2]).mean(0) + log_std.sum(-1)


def semi_amortized_normal(
    model: HasJoint,
    data_dim: int,
    latent_dim: int,
    hidden: tuple[int, ...] | None = None,
    *,
    num_steps: int = 10,
    learning_rate: float = 0.1,
    num_samples: int = 32,
    unroll: bool = False,
    activation: str = DEFAULT_ACTIVATION,
    floor: float = 1e-6,
    network: str = "mlp",
    image_shape: Sequence[int] | None = None,
) -> SemiAmortized:
    """q(z|x) = N(m_T, diag s_T²): T steps of Adam up the ELBO of each datum, from what an `AmortizedNormal` says.

    Args:
        model, num_steps, learning_rate, num_samples, unroll: as of `SemiAmortized`.
        data_dim, latent_dim, hidden, activation, floor, network, image_shape: as of `AmortizedNormal`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or the model has no method `log_joint`.
    """
    encoder = AmortizedNormal(
        data_dim, latent_dim, hidden, activation=activation, floor=floor, network=network, image_shape=image_shape
    )
    return SemiAmortized(
        encoder, model, num_steps=num_steps, learning_rate=learning_rate, num_samples=num_samples, unroll=unroll
    )


def _antithetic_normals(num_samples: int, dim: int) -> Tensor:
    """Nearly standard normals of which each has its mirror image, `[K, D]`: of mean zero, and of covariance I where
    they span all directions, of variances one elsewhere."""
    engine = torch.quasirandom.SobolEngine(dim, scramble=True, seed=_SEED)
    uniform = engine.draw(num_samples // 2, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
    normal = torch.special.ndtri(uniform)
    covariance = normal.mT @ normal / len(normal)
    spans = len(normal) > dim
    factor = torch.linalg.cholesky(covariance) if spans else covariance.diagonal().sqrt().diag_embed()
    normal = torch.linalg.solve_triangular(factor, normal.mT, upper=False).mT
    return torch.cat([normal, -normal]).to(torch.get_default_dtype())


def _repeated(value: Any, times: int) -> Any:
    """`[B, ...]` K times over, `[K B, ...]`."""
    return value.expand(times, *value.shape).flatten(0, 1)
