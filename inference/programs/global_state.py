"""Global state of torch and Pyro that user programs could change, or be changed by."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor

from elbowroom.inference.programs.one_at_a_time import one_at_a_time
from elbowroom.inference.programs.private_pyro import CallContext


@contextmanager
def quiet_globals(args: Any = ()) -> Iterator[None]:
    """Run user programs without leaving a trace: RNG, parameter store and validation are put back, handlers hidden.

    Other threads wait: all of this belongs to the process.

    PyroModules use the parameters they hold, whatever the store has under their names.

    Validation is off inside: observed values are checked once, when the structure is read, with the rows named. It is
    0 and not False, so that a distribution which a program makes with `validate_args=False` is told from the others.
    """
    devices = sorted({t.device.index or 0 for t in args if isinstance(t, Tensor) and t.is_cuda})
    store = pyro.get_param_store()
    with (
        one_at_a_time(),
        torch.random.fork_rng(devices=devices),
        store.scope(store.get_state()),
        modules_keep_their_parameters(),
        pyro.validation_enabled(0),  # type: ignore[arg-type, unused-ignore]
        poutine.block(),
    ):
        yield


@contextmanager
def module_local_parameters() -> Iterator[None]:
    """Inside, the parameters of PyroModules stay in their modules and never enter the global parameter store.

    In the store, a model and a guide that use one attribute name would share a parameter, and an old module's values
    would replace a new one's. Pyro's setting works only for modules built under it, because their call context has a
    `param_state` from then on; the others are given theirs when they are first called here.
    """
    had = "param_state" in vars(CallContext)
    with one_at_a_time(), pyro.settings.context(module_local_params=True):
        if not had:
            CallContext.param_state = _OwnState()  # type: ignore[assignment]
        try:
            yield
        finally:
            if not had:
                del CallContext.param_state  # type: ignore[misc]


@contextmanager
def modules_keep_their_parameters() -> Iterator[None]:
    """Inside, PyroModules use the values they hold, and `pyro.param` statements those of the parameter store.

    For evaluating programs, however they were trained. Unlike under `module_local_parameters`, a statement inside a
    PyroModule finds what the caller's own training left in the store, and nothing is kept in the modules. Values that
    a store was *loaded* with are not in the modules until the programs have been called once outside.
    """
    if pyro.settings.get("module_local_params"):  # the caller's choice, or training's
        yield
        return
    CallContext.param_state = _StoreState()  # type: ignore[assignment]
    try:
        with pyro.settings.context(module_local_params=True):
            yield
    finally:
        del CallContext.param_state  # type: ignore[misc]


class _OwnState:
    """Gives a call context of Pyro's its own, empty parameter state at first sight."""

    def __get__(self, context: Any, owner: type | None = None) -> dict[str, dict[str, Any]]:
        state: dict[str, dict[str, Any]] = {"params": {}, "constraints": {}}
        if context is not None:
            context.__dict__["param_state"] = state
        return state


class _StoreState:
    """Shows a call context of Pyro's the parameter store as its state, unless it has one of its own."""

    def __get__(self, context: Any, owner: type | None = None) -> dict[str, dict[str, Any]]:
        own = None if context is None else context.__dict__.get("param_state")
        return pyro.get_param_store().get_state() if own is None else own  # type: ignore[return-value]

    def __set__(self, context: Any, state: dict[str, dict[str, Any]]) -> None:
        if "param_state" in context.__dict__:
            context.__dict__["param_state"] = state
