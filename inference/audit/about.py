"""What was audited, as programs and arguments say it themselves: names, distributions, digests of the data."""

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from elbowroom.inference.target import Target

About = dict[str, dict[str, Any]]
"""Part, such as data, model or guide -> name -> what it is, in words or numbers."""

_MOST = 12  # things that are said of a program; some have a site for every step
_LONGEST = 120  # characters of an option
_AROUND = ("Independent", "MaskedDistribution", "ExpandedDistribution", "GivenPrior")


def about_target(target: Target) -> About:
    """The data by shape, type and digest; of each program its name, and the distributions of its sites.

    The digest is that of the values as they lie in memory, row by row: `hashlib.sha256(x.numpy().tobytes())`.
    """
    arguments = {f"argument {i}": value for i, value in enumerate(target.args, start=1)} | dict(target.kwargs)
    data = {name: _tensor(value) for name, value in arguments.items() if isinstance(value, Tensor)}
    about: About = {"data": data, "model": _program(target.model), "guide": _program(target.guide)}
    for what, kind, name, site in target.sites():
        if len(about[what]) < _MOST:
            about[what][f"{kind} '{name}'"] = distribution_words(site["fn"])
    return about


def merged(*records: Mapping[str, Mapping[str, Any]]) -> About:
    """All of them; what an earlier one says of a name stands."""
    found: About = {}
    for record in records:
        for part, names in record.items():
            known = found.setdefault(part, {})
            known |= {name: value for name, value in names.items() if name not in known}
    return found


def distribution_words(distribution: Any) -> str:
    """A distribution's family and the shape of one value, such as `Normal(0, 1) [2]`."""
    name = "Normal(0, 1)" if is_standard_normal(distribution) else type(_inner(distribution)).__name__
    return name + (f" {list(distribution.event_shape)}" if distribution.event_shape else "")


def is_standard_normal(distribution: Any) -> bool:
    """Whether all entries are independent and standard normal."""
    inner = _inner(distribution)
    return isinstance(inner, torch.distributions.Normal) and bool((inner.loc == 0).all() and (inner.scale == 1).all())


def _inner(distribution: Any) -> Any:
    """What is inside of distributions that only give another its shape."""
    while type(distribution).__name__ in _AROUND:
        distribution = distribution.base_dist if hasattr(distribution, "base_dist") else distribution.base
    return distribution


def _program(program: Any) -> dict[str, Any]:
    named = program if inspect.isroutine(program) else type(program)
    record = {"defined as": f"{named.__module__}.{named.__qualname__}"}
    likelihood = getattr(program, "likelihood", None)
    if isinstance(likelihood, nn.Module):
        record["p(x | z)"] = f"{type(likelihood).__name__}({_options(likelihood)})"
    return record


def _options(module: nn.Module) -> str:
    """A module's options as they are now, such as `sigma=0.31, floor=0.001`; of one for each entry the extremes."""
    options = {name: getattr(module, name, None) for name in inspect.signature(type(module)).parameters}
    return ", ".join(f"{name}={_in_short(value)}" for name, value in options.items() if value is not None)


def _in_short(value: Any) -> str:
    if not isinstance(value, Tensor):
        return str(value)[:_LONGEST]
    low, high = (end.item() for end in value.detach().aminmax())
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def _tensor(value: Tensor) -> str:
    stored = value.detach().cpu().contiguous().reshape(-1)
    digest = hashlib.sha256(stored.view(torch.uint8).numpy().data).hexdigest()
    return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}, sha256 {digest}"
