"""What a process shares: nothing of it may be changed by a call, whether it returns or raises."""

import logging
import os
import random
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyro
import torch
from torch import nn


@contextmanager
def untouched(*modules: nn.Module) -> Iterator[None]:
    """Fails if the block changes anything global, or anything of these modules, however it ends."""
    before = {**_generators(), **_store(), **switches(), **_state(modules)}
    try:
        yield
    finally:
        after = {**_generators(), **_store(), **switches(), **_state(modules)}
        changed = [name for name in before if name not in after or not _equal(after[name], before[name])]
        changed += [name for name in after if name not in before]
        assert not changed, f"changed: {', '.join(changed)}"


def switches() -> dict[str, Any]:
    """All that is set for the whole process, the random generators and the parameter store apart."""
    found = {
        "default dtype": torch.get_default_dtype(),
        "validation": torch.distributions.Distribution._validate_args,
        "Pyro's settings": pyro.settings.get(),
        "gradient mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "handlers": list(pyro.poutine.runtime._PYRO_STACK),
        "contexts of modules": vars(pyro.nn.module._Context).get("param_state"),
        "dispatch modes": torch._C._len_torch_dispatch_stack() + torch._C._len_torch_function_stack(),
        "threads": torch.get_num_threads(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "precision of products": torch.get_float32_matmul_precision(),
        "NumPy's errors": np.geterr(),
        "signal handlers": [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)],
        "warning filters": [f for f in warnings.filters if f[2] in (Warning, UserWarning, RuntimeWarning)],
        "loggers": (list(logging.root.handlers), logging.root.level),
        "working directory": os.getcwd(),
        "hooks": (sys.excepthook, sys.stdout, sys.stderr),
    }
    if "matplotlib" in sys.modules:
        found["matplotlib's settings"] = dict(sys.modules["matplotlib"].rcParams)
    return found


def _generators() -> dict[str, Any]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "torch's generator": torch.get_rng_state(),
        "NumPy's generator": (name, keys.tolist(), rest),
        "Python's generator": random.getstate(),
    }


def _store() -> dict[str, Any]:
    store = pyro.get_param_store()
    found: dict[str, Any] = {"parameter names": sorted(store.keys())}
    for name in store:
        found[f"parameter {name}: identity"] = id(store._params[name])
        found[f"parameter {name}: value"] = store[name].detach().clone()
        found[f"parameter {name}: gradient"] = store._params[name].grad is None
    return found


def _state(modules: tuple[nn.Module, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for i, module in enumerate(modules):
        found |= {f"module {i}: {name}": value.clone() for name, value in module.state_dict().items()}
        for name, part in module.named_modules():
            hooks = len(part._forward_hooks), len(part._forward_pre_hooks)
            found[f"module {i}: {name}: mode, hooks and attributes"] = (part.training, hooks, sorted(vars(part)))
        for name, parameter in module.named_parameters():
            found[f"module {i}: {name}: gradient"] = (parameter.grad is None, parameter.requires_grad, id(parameter))
    return found


def _equal(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)
