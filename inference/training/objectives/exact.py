"""Maximum likelihood: log p(x) itself, by a lattice over all latents of a datum, up to two numbers.

    p̂(x) = h_1 ⋯ h_D Σ_i p(x, T(u_i)) |det dT/du|,    u_i = lower corner + h (i + U),    U uniform on [0, 1)^D

The lattice of the unconstrained coordinates u fills a box around the prior, `half_width` of its standard deviations to
each side, and is shifted at random at each step, for all data alike. So E p̂(x) is the integral over the box, and
E log p̂(x) a lower bound on log p(x); for smooth integrands the trapezoidal rule is far better than its spacing h looks:
of a normal posterior of standard deviation σ its error is exp(−2π²σ²/h²).

No guide is needed: its parameters get no gradient, or on request that of its ELBO beneath the model of the moment,
along its draws' paths (`StickingTheLanding`), of which the model's parameters get none.
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.programs.handlers import Latents, SetUnconstrained, Unmask
from elbowroom.inference.programs.log_prob import bijection
from elbowroom.inference.programs.terms import place
from elbowroom.inference.training.argument_checks import check_integer, check_positive, check_registered
from elbowroom.inference.training.objectives.contract import Setting
from elbowroom.inference.training.objectives.path_gradients import draws_at_leaves
from elbowroom.inference.training.objectives.per_datum import Estimate, PerDatumObjective
from elbowroom.inference.training.objectives.runs import Programs, by_datum, enumerating, log_joint, trace_of
from elbowroom.inference.training.objectives.summed_guide import finite

MAX_DIM = 2
GUIDES = ("left", "elbo")
_NUM_DRAWS = 256  # of the prior, for its box
_NUM_TRIED = 5  # points at which a program is tried without a dim of data


class Exact(PerDatumObjective):
    """log p̂(x) above; finite latents, left to the model or drawn by the guide, are summed out.

    On binarised digits with two latents, test log p is .5 and .7 nats above that of this decoder trained by the ELBO
    (seeds 0 and 1, 32 points; docs/training.md has what was run).

    Args:
        setting: what is known of the programs.
        points: of the lattice along each coordinate.
        half_width: of the box, in standard deviations of the prior.
        guide: "left" as it is, or trained by its "elbo" beside, with `num_particles` draws.

    Raises:
        ValueError: naming the sites, if there are more than two coordinates or they have none.
    """

    what = "log p(x) itself, by a lattice over up to two latents of a datum: maximum likelihood, the guide left alone"
    couples = "its lattice fills a box around draws of the prior for all of them"

    def __init__(self, setting: Setting, *, points: int = 40, half_width: float = 4.5, guide: str = "left") -> None:
        structure = setting.structure.summing(finite(setting), at_once=True)
        super().__init__(setting)
        self.points, self.half_width, self.guide = points, half_width, guide
        shapes = {name: latent.unconstrained for name, latent in structure.latents.items()}
        unknown = [name for name, shape in shapes.items() if shape is None]
        if unknown:
            raise ValueError(f"loss='exact' integrates over coordinates, and {unknown} have none: use loss='IWAE'")
        sizes = {name: math.prod((*structure.latents[name].plates, *(s or ()))) for name, s in shapes.items()}
        if sum(sizes.values()) > MAX_DIM:
            raise ValueError(
                f"loss='exact' sums over a lattice of up to {MAX_DIM} latents of a datum, and there are {sizes}: use "
                "loss='IWAE' with many particles"
            )
        if not setting.broadcasts:
            raise ValueError(
                "loss='exact' gives a model all points of the lattice at once, in a leading dim, and this pair does "
                "not take one (convolutions): use loss='IWAE'"
            )
        if guide == "left" and setting.num_particles > 1:
            raise ValueError(
                f"num_particles={setting.num_particles} is of the guide, and loss='exact' leaves that alone: use "
                "num_particles=1, or loss_options={'guide': 'elbo'}"
            )
        self.lattice, self.sizes = replace(setting, structure=structure), sizes
        self.shared: bool | None = None

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Raise ValueError or TypeError for options that are out of range."""
        super().check(options)
        check_integer("points", options.get("points", 40), 2)
        check_positive("half_width", options.get("half_width", 4.5))
        check_registered("guide", options.get("guide", "left"), GUIDES)

    def estimate(self, programs: Programs) -> Estimate:
        """log p̂(x) of each datum, and the guide's ELBO beside it."""
        value = self.log_p(programs)
        beside = torch.zeros_like(value)
        if self.guide == "elbo":
            draws, leaves = draws_at_leaves(self.setting, programs, "exact")
            beside = leaves.along(draws.log_w.mean(0).sum())
        return Estimate(value, value.sum() + beside.sum())

    def log_p(self, programs: Programs) -> Tensor:
        """log p̂(x), `[B]`, nats."""
        if not self.sizes:
            return self._log_joint(programs, {}).logsumexp(0)
        lower, spacing, num_data = self._box(programs)
        index = torch.cartesian_prod(*[torch.arange(self.points, device=lower.device)] * len(lower))
        shift = torch.rand(len(lower), dtype=lower.dtype, device=lower.device)
        u = lower + spacing * (index.reshape(-1, len(lower)) + shift)  # [L, D]
        if self.shared is None:
            self.shared = self._is_shared(programs, u[:: max(1, len(u) // _NUM_TRIED)][:_NUM_TRIED], num_data)
        values = self._values(u, 1 if self.shared else num_data)
        return self._log_joint(programs, values).logsumexp(0) + spacing.log().sum()

    def _values(self, u: Tensor, num_data: int) -> dict[str, Tensor]:
        """Site -> its coordinates, `[L, 1 or B, *plates, *event]`."""
        latents = self.lattice.structure.latents
        parts = zip(self.sizes, u.split(list(self.sizes.values()), -1), strict=True)
        shapes = {n: (*latents[n].plates, *(latents[n].unconstrained or ())) for n in self.sizes}
        return {n: part.reshape(-1, 1, *shapes[n]).expand(-1, num_data, *shapes[n]) for n, part in parts}

    def _is_shared(self, programs: Programs, few: Tensor, num_data: int) -> bool:
        """Whether the model takes points without a dim of data, and says the same of them: they then go in once."""
        with torch.no_grad():
            apart = self._log_joint(programs, self._values(few, num_data))
            with suppress(RuntimeError, ValueError, IndexError):
                return torch.allclose(self._log_joint(programs, self._values(few, 1)), apart, rtol=1e-4)
        return False

    def _log_joint(self, programs: Programs, u: dict[str, Tensor]) -> Tensor:
        """log p(x, T(u)) + log |det dT/du|, `[L, B]`."""
        num_points = next((len(values) for values in u.values()), 1)
        setting = replace(self.lattice, num_particles=num_points)
        setter = SetUnconstrained(place(setting.structure, u, num_points, unconstrained=True))
        unmask = Unmask(setting.structure.latents)
        trace = trace_of(setting, programs, enumerating(setting, programs.model), unmask, setter)
        add = by_datum(setting, trace)
        return sum((add(term) for term in setter.log_jacobian.values()), log_joint(setting, trace))

    def _box(self, programs: Programs) -> tuple[Tensor, Tensor, int]:
        """Lower corner and spacing, `[D]` each, of the box around draws of the prior, all data together; and B."""
        setting = replace(self.lattice, num_particles=_NUM_DRAWS)
        seen = Latents(self.sizes)
        with torch.no_grad(), seen.enough():
            trace_of(setting, programs, programs.model, seen)
        means, sds, num_data = [], [], 1
        for name in self.sizes:
            site, latent = seen.sites[name], setting.structure.latents[name]
            num_data = next((f.size for f in site["cond_indep_stack"] if f.name == setting.plate), num_data)
            u = bijection(site["fn"]).inv(site["value"])
            flat = u.reshape(-1, math.prod(latent.unconstrained or ()))
            times = math.prod(latent.plates)
            means.append(flat.mean(0).repeat(times))
            sds.append(flat.std(0).repeat(times))
        half = self.half_width * torch.cat(sds)
        return torch.cat(means) - half, 2 * half / self.points, num_data
