"""What is used of Pyro beyond its public names, in one place: another version may lack it, and then says so here."""

from typing import Any

import pyro
import torch
from pyro.distributions import ExpandedDistribution, MaskedDistribution
from torch import Tensor

TRIED = "1.9"
"""The version that all of it was tried with."""

try:
    from pyro.infer.trace_mean_field_elbo import _check_mean_field_requirement as check_mean_field
    from pyro.nn.module import _Context as CallContext
    from pyro.poutine.subsample_messenger import SubsampleMessenger

    SUBSAMPLE_REQUEST = vars(SubsampleMessenger)["_subsample"]
except (ImportError, KeyError) as error:  # pragma: no cover
    raise ImportError(
        f"Pyro {pyro.__version__} lacks a name that elbowroom uses ({error}). It was tried with Pyro {TRIED}: install "
        f"'pyro-ppl=={TRIED}.*', or a newer elbowroom"
    ) from error

__all__ = [
    "SUBSAMPLE_REQUEST",
    "TRIED",
    "CallContext",
    "check_mean_field",
    "dims_of",
    "expanded_batch",
    "hides_all",
    "mask_of",
    "request_subsamples_by",
    "with_dims",
]


def request_subsamples_by(request: Any) -> None:
    """Let plates ask for their rows by this function; `SUBSAMPLE_REQUEST` is Pyro's own."""
    SubsampleMessenger._subsample = request  # type: ignore[method-assign]


def dims_of(term: Tensor) -> str:
    """The names of the dims of a packed tensor, a letter each."""
    return str(term._pyro_dims)  # type: ignore[attr-defined]


def with_dims(term: Tensor, dims: str) -> Tensor:
    """The tensor, packed, with these names of its dims."""
    term._pyro_dims = dims  # type: ignore[attr-defined]
    return term


def mask_of(fn: MaskedDistribution, device: torch.device) -> Tensor:
    """What a masked distribution lets through, boolean, broadcastable with its batch."""
    return torch.as_tensor(fn._mask, device=device)


def hides_all(fn: MaskedDistribution) -> bool:
    """Whether a distribution was masked by `False`, and not by a tensor that may be false everywhere."""
    return fn._mask is False


def expanded_batch(fn: ExpandedDistribution) -> tuple[torch.Size, Any]:
    """The sizes in which an expanded distribution draws, new dims first, and the dims of size 1 that it stretched."""
    return torch.Size((*fn._expanded_sizes.values(), *fn.base_dist.batch_shape)), fn._interstitial_sizes
