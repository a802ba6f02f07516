"""Plates without a size, `with pyro.plate("data"):`: the size is read off their sites.

Pyro gives such a plate the size −1 and expands no site in it: the sites bring the batch dim themselves. Once the size
n is known the plate is given it, and all that holds of plates holds of it, if every site in it brings n rows. One that
brings a single row is drawn once for all rows, where a plate with a size would draw it n times: it is refused by name.
"""

from collections.abc import Iterable
from typing import Any

import torch

from elbowroom.inference.programs.requirements import ProgramError


def sizes_of(sites: Iterable[tuple[str, Any]]) -> dict[str, int]:
    """The sizes of the plates that have none, by name.

    Args:
        sites: name and Pyro's record of each sample site of a plain run.

    Raises:
        ProgramError: naming the sites of a plate that bring different numbers of rows.
    """
    rows: dict[str, dict[str, int]] = {}
    for name, site in sites:
        for frame in site["cond_indep_stack"]:
            if frame.vectorized and frame.size == -1:
                rows.setdefault(frame.name, {})[name] = _rows(site, frame.dim)
    return {plate: _size(plate, counts) for plate, counts in rows.items()}


def _rows(site: Any, dim: int) -> int:
    """How many rows a site has along a batch dim, counted from the right."""
    fn, value = site["fn"], site["value"]
    batch = torch.broadcast_shapes(fn.batch_shape, value.shape[: value.dim() - fn.event_dim])
    return batch[dim] if len(batch) >= -dim else 1


def _size(plate: str, counts: dict[str, int]) -> int:
    if len(set(counts.values())) > 1:
        told = ", ".join(f"'{name}' has {count}" for name, count in counts.items())
        raise ProgramError(
            f"the plate '{plate}' has no size, and its sites bring different numbers of rows along its dim: {told}. "
            "One row stands for a single draw that all of them share. Give every distribution in the plate a row for "
            f"each (`.expand`), or the plate its size: pyro.plate('{plate}', len(x)); what is shared belongs outside."
        )
    return next(iter(counts.values()))
