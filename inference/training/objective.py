"""The losses that `fit` knows, and the programs as SVI sees them."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from pyro.infer import RenyiELBO, Trace_ELBO, TraceEnum_ELBO, TraceMeanField_ELBO
from pyro.poutine.guide import GuideMessenger
from pyro.poutine.messenger import Messenger
from pyro.poutine.runtime import effectful
from pyro.poutine.util import site_is_subsample

from elbowroom.inference.programs.handlers import Weigh
from elbowroom.inference.programs.structure import Program

Loss = Trace_ELBO | RenyiELBO | TraceEnum_ELBO

LOSSES: dict[str, Callable[..., Loss]] = {
    "Trace_ELBO": lambda alpha, **options: Trace_ELBO(**options),
    "TraceMeanField_ELBO": lambda alpha, **options: TraceMeanField_ELBO(**options),
    "RenyiELBO": lambda alpha, **options: RenyiELBO(alpha=alpha or 0.0, **options),
}
"""Name -> constructor(alpha, num_particles, vectorize_particles, max_plate_nesting)."""


def make_loss(
    name: str, *, num_particles: int, alpha: float | None, nesting: int, broadcasts: bool, enumerates: bool = False
) -> Loss:
    """A loss by its name.

    Args:
        name: a key of `LOSSES`.
        num_particles: draws of the guide for each datum.
        alpha: order of the Rényi bound (None: 0, the importance-weighted bound); for the others unused.
        nesting: batch dims that the programs' plates use (Pyro would run the programs once more to guess it).
        broadcasts: whether both programs take a leading dim of particles; if not they are run one by one.
        enumerates: whether the guide marks finite latents for enumeration; `Trace_ELBO` then sums over their values in
            the expectation, which is what Pyro calls `TraceEnum_ELBO`.
    """
    vectorize = broadcasts and num_particles > 1
    options = {"num_particles": num_particles, "vectorize_particles": vectorize, "max_plate_nesting": nesting}
    return TraceEnum_ELBO(**options) if enumerates and name == "Trace_ELBO" else LOSSES[name](alpha, **options)


def weighed(program: Program, weigh: Weigh, announce: bool) -> Program:
    """A program with its sites weighed and its parameter statements kept from SVI.

    SVI collects parameters by name at each step, which loses one of two that share a name, and fails on modules
    whose parameters are local. `fit` knows all of them beforehand, so SVI is shown a single token instead:
    without any parameter statement its losses would not call backward.
    """
    hide = _HideParameters(observed=isinstance(program, GuideMessenger))

    def run(*args: Any, **kwargs: Any) -> Any:
        if announce:
            _announce(name="_elbowroom_token")
        with weigh, hide:
            return program(*args, **kwargs)

    return run


class _HideParameters(Messenger):
    """Parameter statements take effect, but handlers outside do not see them.

    Nor, if `observed`, do they see observed sites: Pyro knows a `GuideMessenger` by its class, which is no longer there
    in a program that is weighed, and leaves out what it observes by running the model; that is no part of q.
    """

    def __init__(self, observed: bool = False) -> None:
        super().__init__()
        self.observed = observed

    def _pyro_sample(self, msg: Any) -> None:
        if self.observed and msg["is_observed"] and not site_is_subsample(msg):
            msg["stop"] = True

    def _pyro_param(self, msg: Any) -> None:
        msg["stop"] = True


_TOKEN = torch.zeros(())
_TOKEN.unconstrained = weakref.ref(_TOKEN)  # type: ignore[attr-defined]
_announce = effectful(lambda *args, **kwargs: _TOKEN, type="param")
