"""The loss of vector-quantised models (van den Oord, Vinyals & Kavukcuoglu 2017, equation 3), with a prior over codes.

    log p(x | k*) + log p(k*) − Σ_l (|sg(h_l) − e_(k*_l)|² + β |h_l − sg(e_(k*_l))|²),    k*_l = argmin_k |h_l − e_k|²

What is decoded is e_(k*), with its gradient given to h, what the encoder says of x: the straight-through estimator. sg
stops gradients: of the two distances one moves the codebook, the other, the commitment, the encoder. Prior and codes
are learned together, where the paper fits the prior at the end.

A code that is nothing's nearest in a minibatch has no gradient, and may never get one again. It is pulled to the h that
is nearest to *it*, by that distance as one more term, so that codes come alive without counters and without chance.

As q's point has log q(k*|x) = 0 and distances are not negative, the value is a lower bound on log p(x); its gradient is
not the gradient of that. `evaluate` and the estimators say how much lower.
"""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from inspect import unwrap
from typing import Any, Protocol, cast

import torch
from pyro import poutine
from torch import Tensor, nn

from elbowroom.inference.programs.structure import Program
from elbowroom.inference.training.argument_checks import check_at_least_zero
from elbowroom.inference.training.objectives.contract import Setting
from elbowroom.inference.training.objectives.per_datum import Estimate, PerDatumObjective
from elbowroom.inference.training.objectives.runs import Programs, log_joint, trace_of
from elbowroom.inference.training.parameters import owner_of


class Encodes(Protocol):
    """What is asked of the guide's module."""

    def vectors(self, *args: Any) -> Tensor:
        """h, what the encoder says of data: `[B, L, E]`."""


class Quantizes(Protocol):
    """What is asked of the model's module."""

    codebook: Tensor

    def distances(self, vectors: Tensor) -> Tensor:
        """Squared distances of vectors `[B, L, E]` to those of the codebook, `[B, L, K]`."""

    def copying(self, vectors: Tensor) -> AbstractContextManager[None]:
        """Inside, the vectors of codes are decoded with the gradient of these, `[B, L, E]`."""


class Quantized(PerDatumObjective):
    """The objective above.

    Args:
        setting: what is known of the programs.
        commitment: β.

    Raises:
        ValueError: if codes are not all that the guide draws.
    """

    what = "log p(x, k*) at the nearest codes, less distances to the codebook (van den Oord et al. 2017)"
    couples = "which codes are idle is a question about all of them"

    def __init__(self, setting: Setting, *, commitment: float = 0.25) -> None:
        super().__init__(setting)
        self.commitment = commitment
        latents = setting.structure.latents
        discrete = [name for name, latent in latents.items() if latent.unconstrained is None]
        if len(latents) != 1 or not discrete or setting.structure.discrete:
            raise ValueError(
                f"loss='quantized' is for a guide that draws one latent, the codes; it draws {list(latents)}, and the "
                f"model has the discrete ones {[*discrete, *setting.structure.discrete]}: use loss='Trace_ELBO', or "
                "VectorQuantized with NearestCode"
            )
        if setting.num_particles > 1:
            raise ValueError(
                f"num_particles={setting.num_particles} is of a guide's draws, and loss='quantized' has one point for "
                "each datum: use num_particles=1"
            )
        (self.site,) = discrete

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Raise ValueError unless β is a number ≥ 0."""
        super().check(options)
        check_at_least_zero("commitment", options.get("commitment", 0.25), "")

    def estimate(self, programs: Programs) -> Estimate:
        """log p(x, k*) of each datum less its distances; the codes that are nobody's nearest are pulled near."""
        guide = cast(Encodes, module_with(("vectors",), programs.guide, "guide"))
        model = cast(Quantizes, module_with(("codebook", "distances", "copying"), programs.model, "model"))
        said = guide.vectors(*programs.args, **programs.kwargs)
        distances = model.distances(said.detach())  # [B, L, K], with the codebook's gradient
        nearest = distances.detach().argmin(-1)
        conditioned = poutine.condition(programs.model, data={self.site: nearest})
        with model.copying(said):
            trace = trace_of(self.setting, programs, conditioned)
        counted = _counted(trace.nodes[self.site], nearest)
        log_p = log_joint(self.setting, trace)[0]
        to_codebook = distances.gather(-1, nearest.unsqueeze(-1)).squeeze(-1).sum(-1)
        commitment = (said - model.codebook.detach()[nearest]).square().sum((-1, -2))
        value = log_p - torch.where(counted, to_codebook + self.commitment * commitment, 0.0)
        return Estimate(value, value.sum() - _of_idle_codes(distances, counted))


def module_with(methods: tuple[str, ...], program: Program, what: str) -> nn.Module:
    """The module of a program that has these methods: its own, or the first one inside.

    Raises:
        ValueError: naming those that are missing.
    """
    owner = owner_of(unwrap(program))
    inside = [] if owner is None else list(owner.modules())
    for module in inside:
        if all(hasattr(module, name) for name in methods):
            return module
    missing = [name for name in methods if not any(hasattr(module, name) for module in inside)]
    raise ValueError(
        f"loss='quantized' asks the {what} for {', '.join(missing or methods)}, and it has none: write them as "
        "VectorQuantized and NearestCode have them, or use loss='Trace_ELBO'"
    )


def _counted(site: Any, nearest: Tensor) -> Tensor:
    """Which data no mask hides, boolean `[B]`."""
    mask = True if site["mask"] is None else site["mask"]
    return torch.as_tensor(mask, device=nearest.device).expand(nearest.shape[:1])


def _of_idle_codes(distances: Tensor, counted: Tensor) -> Tensor:
    """Of each code that is nearest to none of the vectors, the distance to the one that is nearest to it: their sum.

    Of shapes that do not depend on which codes are idle: a step is recorded as a list of tensor operations.
    """
    seen = counted[:, None, None]
    codes = torch.arange(distances.shape[-1], device=distances.device)
    taken = ((distances.argmin(-1, keepdim=True) == codes) & seen).flatten(0, 1).any(0)  # [K]
    least = distances.masked_fill(~seen, math.inf).flatten(0, 1).amin(0)  # [K], infinite if no datum counts
    return torch.where(taken | least.isinf(), 0.0, least).sum()
