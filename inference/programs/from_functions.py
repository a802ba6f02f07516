"""A pair of Pyro programs made of functions on `[S, B, D]` tensors: densities that know nothing of Pyro.

    guide    plate "data":  z[s, b] ~ sample,            log density log_q(z, x)[s, b]
    model    plate "data":  z[s, b] ~ sample_prior,      log density log p(z[s, b])
                            x[b] observed,               log density log p(x_b | z[s, b])

One site `z` of D values a datum. Where `log_joint` returns log p(x, z) in one, all of it stands at `x`, and `z` has log
density zero: what needs the prior by itself cannot be asked then. Made into programs, functions go through all that
programs go through: layouts, cutting by data, keys, checks that a datum knows nothing of its company.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyro
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from elbowroom.inference.programs.structure import ProgramError

SITE, OBSERVED = "z", "x"
"""Names of the latent and of the observed site."""

Sampler = Callable[..., Tensor]
"""(S, *data) -> z `[S, B, D]`."""
Density = Callable[..., Tensor]
"""(z `[S, B, D]`, *data) -> nats, `[S, B]`."""
Joint = Callable[..., Tensor | tuple[Tensor, Tensor]]
"""(z `[S, B, D]`, *data) -> log p(x, z), or log p(z) and log p(x | z), `[S, B]` each, nats."""


@dataclass(frozen=True, eq=False)
class Functions:
    """The functions, and the two programs made of them.

    Attributes:
        sample, log_q, log_joint, sample_prior: see `Target.from_functions`.
        dim: D.
        num_data: B of functions that take no data; None of those that do.
        support: of z, a constraint whose event is a vector.
    """

    sample: Sampler
    log_q: Density
    log_joint: Joint
    sample_prior: Sampler | None
    dim: int
    num_data: int | None
    support: Any

    def guide(self, *data: Tensor) -> None:
        """The guide as a Pyro program."""
        num_data = self.size(data)
        with pyro.plate("data", num_data):
            draw, density = partial(self.drawn, "sample", data), partial(self.density, "log_q", data)
            pyro.sample(SITE, _Functions((num_data,), self.support, draw, density))

    def model(self, *data: Tensor) -> None:
        """The model as a Pyro program."""
        num_data, terms = self.size(data), _Once(partial(self.joint, data))
        with pyro.plate("data", num_data):
            draw = partial(self.drawn, "sample_prior", data)
            z = pyro.sample(SITE, _Functions((num_data,), self.support, draw, lambda z: terms(z)[0]))
            observed = _Functions(z.shape[:-1], constraints.real, _no_simulator, lambda _: terms(z)[1])
            pyro.sample(OBSERVED, observed, obs=torch.zeros(num_data, dtype=z.dtype, device=z.device))

    def size(self, data: tuple[Tensor, ...]) -> int:
        """B."""
        return len(data[0]) if self.num_data is None else self.num_data

    def drawn(self, name: str, data: tuple[Tensor, ...], num_samples: int) -> Tensor:
        """Draws `[S, B, D]` by one of the functions.

        Raises:
            NotImplementedError: for draws of a prior that nobody has given.
            ProgramError: for another shape, or values that are not floating-point tensors.
        """
        function = getattr(self, name)
        if function is None:
            raise NotImplementedError(
                "the prior cannot be drawn from: give Target.from_functions sample_prior=, and let log_joint return "
                "(log p(z), log p(x|z)); what simulates data, too, needs Pyro programs"
            )
        return returned(name, function(num_samples, *data), (num_samples, self.size(data), self.dim))

    def density(self, name: str, data: tuple[Tensor, ...], z: Tensor) -> Tensor:
        """A log density at z `[S, B, D]`, `[S, B]`; in a plain run without S."""
        if z.dim() == 2:
            return self.density(name, data, z.unsqueeze(0)).squeeze(0)
        return returned(name, getattr(self, name)(z, *data), tuple(z.shape[:-1]))

    def joint(self, data: tuple[Tensor, ...], z: Tensor) -> tuple[Tensor, Tensor]:
        """log p(z) (zero where it is not told apart) and the rest of log p(x, z), `[S, B]` each; as `density`.

        Raises:
            ProgramError: for other shapes, or where a gradient is wanted and there is none.
        """
        if z.dim() == 2:
            prior, rest = self.joint(data, z.unsqueeze(0))
            return prior.squeeze(0), rest.squeeze(0)
        found, shape = self.log_joint(z, *data), tuple(z.shape[:-1])
        if isinstance(found, tuple | list):
            if len(found) != 2:
                raise ProgramError(
                    f"log_joint returned {len(found)} values, expected log p(x, z), or log p(z) and log p(x|z)"
                )
            prior, rest = (returned("log_joint", part, shape) for part in found)
        else:
            rest = returned("log_joint", found, shape)
            prior = torch.zeros_like(rest)
        if torch.is_grad_enabled() and z.requires_grad and not (prior.requires_grad or rest.requires_grad):
            raise ProgramError(
                "log_joint returned values without a gradient in z, which chains, annealing, smc, and all that fits "
                "to the posterior need: compute it with torch operations (no .detach(), no .numpy(), no "
                "torch.no_grad()). importance and bounds with search=False need none"
            )
        return prior, rest


def returned(name: str, value: Any, shape: tuple[int, ...]) -> Tensor:
    """What a function returned, if it is a floating-point tensor of a shape.

    Raises:
        ProgramError: naming the function, what was got and what was expected.
    """
    letters = "[S, B, D]" if len(shape) == 3 else "[S, B]"
    expected = f"a floating-point tensor of shape {letters} = {shape}"
    if not isinstance(value, Tensor):
        raise ProgramError(f"{name} returned {type(value).__name__}, expected {expected}")
    if tuple(value.shape) != shape or not value.is_floating_point():
        hint = ""
        if len(shape) == 2 and tuple(value.shape) == (*shape, *value.shape[2:]) and value.dim() > 2:
            hint = ": sum it over the last dim"
        elif tuple(value.shape[:2]) == (shape[1], shape[0]):
            hint = ": samples come first, then data"
        elif value.dim() == 0:
            hint = ": nothing is summed over samples or data"
        got = f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
        raise ProgramError(f"{name} returned {got}, expected {expected}{hint}")
    return value


class _Functions(TorchDistribution):
    """A distribution of batch shape `[B]`, or `[S, B]` in a plate of samples, that asks functions on `[S, B, …]`."""

    has_rsample = False
    arg_constraints: dict[str, Any] = {}  # noqa: RUF012

    def __init__(
        self,
        batch: tuple[int, ...],
        support: Any,
        draw: Callable[[int], Tensor],
        density: Callable[[Tensor], Tensor],
    ) -> None:
        self._support, self._draw, self._density = support, draw, density
        # How long a vector is shows when it is drawn; what is read off here is that it is one.
        super().__init__(torch.Size(batch), torch.Size((1,) * support.event_dim), validate_args=False)

    @property
    def support(self) -> Any:
        return self._support

    def expand(self, batch_shape: Any, _instance: Any = None) -> "_Functions":
        return _Functions(tuple(batch_shape), self._support, self._draw, self._density)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        if len(self.batch_shape) > 1:
            return self._draw(self.batch_shape[0])
        return self._draw(1)[0]

    def log_prob(self, value: Tensor) -> Tensor:
        return self._density(value)


class _Once:
    """A function of z that is asked for the same tensor once only, in one run of a program; plain runs have no S."""

    def __init__(self, function: Callable[[Tensor], tuple[Tensor, Tensor]]) -> None:
        self.function = function
        self.at: Tensor | None = None
        self.found: tuple[Tensor, Tensor] | None = None

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        if self.found is None or self.at is not z:
            self.at, self.found = z, self.function(z)
        return self.found


def _no_simulator(count: int) -> Tensor:
    raise NotImplementedError(
        "data cannot be simulated: Target.from_functions knows densities only. What simulates (calibrate, "
        "bidirectional) needs the model as a Pyro program"
    )
