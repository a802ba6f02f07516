"""The programs as SVI sees them."""

import weakref
from typing import Any

import torch
from pyro.poutine.guide import GuideMessenger
from pyro.poutine.messenger import Messenger
from pyro.poutine.runtime import effectful
from pyro.poutine.util import site_is_subsample

from elbowroom.inference.programs.handlers import Weigh
from elbowroom.inference.programs.structure import Program


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

    run.__wrapped__ = program  # type: ignore[attr-defined]  # for objectives that ask a module for more than a run
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
