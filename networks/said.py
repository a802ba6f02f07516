"""What a network returned, as the tensors it speaks of: pairs, mappings, objects with named tensors, distributions.

(mean, log_var)    {"mu": …, "logvar": …}    ModelOutput(embedding=…, log_covariance=…)    Normal(mean, std)
output.latent_dist    output.sample    {"reconstruction": …}
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, distributions

MEAN = ("mu", "mean", "loc", "z_mean", "embedding")
SPREAD = {
    "mean_log_var": ("logvar", "log_var", "log_variance", "log_covariance", "logcov", "z_log_var"),
    "mean_std": ("std", "stddev", "sigma", "scale", "z_std"),
    "mean_log_std": ("log_std", "logstd", "log_sigma", "log_scale", "z_log_std"),
}
"""Names of the second tensor, and the `output` that each stands for."""
ONE = ("reconstruction", "recon_x", "recon", "x_hat", "x_recon", "sample", "decoded")
"""Names of a decoder's only tensor, beside what `output` calls it."""


def pair_of(argument: str, result: object, output: str | None) -> tuple[object, str | None]:
    """The mean and the second tensor in a result, and the `output` that says what the second is.

    A tuple stays as it is, for whoever reads it to check; so does whatever says nothing by itself.

    Args:
        argument: the network's name, for errors.
        result: what it returned.
        output: what the caller says of it; None if that is left to the result.

    Raises:
        TypeError: for a distribution that is no diagonal Normal, or a result with names for several second tensors.
    """
    result = getattr(result, "latent_dist", result)
    if isinstance(result, distributions.Distribution):
        normal = single_entries(result)
        if not isinstance(normal, distributions.Normal):
            raise TypeError(
                f"{argument}: returned a {type(normal).__name__}, expected a Normal with independent entries; others "
                "are written as a Pyro program, pyro.sample(…) in the plate 'data'"
            )
        return (normal.loc, normal.scale), "mean_std"
    mean = [value for name in MEAN if (value := _named(result, name)) is not None]
    if not mean:
        return result, output
    there = {
        kind: value for kind, names in SPREAD.items() for name in names if (value := _named(result, name)) is not None
    }
    if output in there:
        return (mean[0], there[output]), output
    if output is None and there:  # of DiagonalGaussianDistribution, which has both, they say the same
        kind = next(iter(there))
        return (mean[0], there[kind]), kind
    return result, output


def one_of(result: object, names: Sequence[str]) -> object:
    """The only tensor in a result, by one of the names or of a decoder's usual ones; what has none stays as it is."""
    if isinstance(result, list | tuple) and len(result) == 1 and not hasattr(result, "_fields"):
        return one_of(result[0], names)
    for name in (*names, *ONE):
        if (value := _named(result, name)) is not None:
            return value
    return result


def parts_of(result: object, parts: Sequence[Sequence[str]]) -> tuple[Tensor, ...]:
    """The tensors of a mapping or object, one for each list of names; none if one of them is not there."""
    found = [next((value for name in names if (value := _named(result, name)) is not None), None) for names in parts]
    there = tuple(value for value in found if value is not None)
    return there if len(there) == len(parts) else ()


def single_entries(result: Any) -> Any:
    """A distribution whose entries are independent, as that of one entry; others as they are."""
    while isinstance(result, distributions.Independent):
        result = result.base_dist
    if isinstance(result, distributions.MultivariateNormal):
        square = result.covariance_matrix
        if bool((square == torch.diag_embed(square.diagonal(dim1=-2, dim2=-1))).all()):
            return distributions.Normal(result.loc, square.diagonal(dim1=-2, dim2=-1).sqrt())
    return result


def _named(result: object, name: str) -> Tensor | None:
    """The tensor of that name in a mapping or object."""
    if isinstance(result, Tensor | list | tuple) and not hasattr(result, "_fields"):
        return None
    value = result.get(name) if isinstance(result, Mapping) else getattr(result, name, None)
    return value if isinstance(value, Tensor) else None
