"""A model that stays as it is while a guide is trained beneath it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pyro import poutine
from torch import Tensor

from elbowroom.inference.programs.global_state import quiet_globals
from elbowroom.inference.programs.structure import Program
from elbowroom.inference.target import Target
from elbowroom.inference.training.parameters import owner_of


@contextmanager
def frozen_model(target: Target) -> Iterator[Program]:
    """The model, in evaluation mode, with parameters that require no gradient and that nobody outside can see."""
    module = owner_of(target.model)
    modes = [(m, m.training) for m in module.modules()] if module is not None else []
    state: list[tuple[Tensor, bool, Tensor | None]] = []

    def model(*args: Any, **kwargs: Any) -> Any:
        # No module and no parameter statements: nothing of the model is moved, saved or loaded with the guide.
        with poutine.block(hide_types=["param"]):
            return target.model(*args, **kwargs)

    try:
        for m, _ in modes:
            m.training = False  # batch statistics are the model's too
        owned = list(module.parameters()) if module is not None else []
        parameters = {id(p): p for p in (*owned, *_stated(target))}.values()
        state += [(p, p.requires_grad, p.grad) for p in parameters]
        for p in parameters:
            p.requires_grad_(False)
        with warnings.catch_warnings():
            # pyro.module says that it leaves out what requires no gradient: as it should.
            warnings.filterwarnings("ignore", message=".*was not registered in the param store", category=UserWarning)
            yield model
    finally:
        for p, required, gradient in state:
            p.requires_grad_(required)
            p.grad = gradient
        for m, training in modes:
            m.training = training


def _stated(target: Target) -> list[Tensor]:
    """The leaf tensors behind the model's parameter statements."""
    tracer = poutine.trace(target.model, param_only=True)
    with quiet_globals(target.args), torch.no_grad():
        statements = tracer.get_trace(*target.args, **target.kwargs).nodes.values()
    values: list[Any] = [site["value"] for site in statements if site["type"] == "param"]
    return [value.unconstrained() if hasattr(value, "unconstrained") else value for value in values]
