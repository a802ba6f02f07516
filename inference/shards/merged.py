"""A merged table as estimates of its data, and of a target's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.shards.table_file import read_table
from elbowroom.inference.showing.numbers import mean_with_interval
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table
from elbowroom.inference.target import Target

_FEW = 8  # data by which programs are known
_SAME = 1e-3  # nats, and of all of them, by which first weights may differ: other processors, single precision


@dataclass(frozen=True, repr=False)
class Merged(Shown):
    """What shards say of their data.

    Attributes:
        estimates: name -> estimate of all rows, such as `importance`.
        data: the index of each row's datum in the whole dataset, `[R]`; all of them, unless the merge was partial.
        keys: which datum it is, `[R]` uint64: a hash of its values and of how many like it came before.
        first: log w of the guide's first draw for it, `[R]`, nats, by which programs are known.
        about: what the numbers are of: num_data, estimator, options, seed, programs.
    """

    estimates: Mapping[str, Estimate[Any]]
    data: Tensor
    keys: np.ndarray
    first: Tensor
    about: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, name: str) -> Estimate[Any]:
        """One of the estimates."""
        return self.estimates[name]

    @checked
    def of(self, target: Target, name: str = "importance") -> Estimate[Any]:
        """An estimate of a target's data, for what goes on from it: `audit_target(target, evidence=merged.of(target))`.

        Its data may be some of those that were evaluated, in any order: they are found by their contents. Of equal
        data the first ones are taken.

        Args:
            target: programs pinned to data.
            name: of the estimate.

        Returns:
            Estimate `[B]`, in the order of the target's data.

        Raises:
            KeyError: without an estimate of that name.
            ValueError: if data of the target were not evaluated, or by other programs.
        """
        if name not in self.estimates:
            raise KeyError(f"name: got {name!r}, expected one of {list(self.estimates)}")
        order = np.argsort(self.keys, kind="stable")
        places = np.searchsorted(self.keys, target.keys, sorter=order).clip(max=len(order) - 1)
        rows = torch.from_numpy(order[places])
        absent = np.flatnonzero(self.keys[rows.numpy()] != target.keys)
        if len(absent):
            raise ValueError(
                f"target: {len(absent)} of its {len(target)} data are not among these {len(self)}, such as datum "
                f"{absent[0]}: evaluate them too, or give target.select of the others"
            )
        self._check_programs(target, rows)
        return self.estimates[name].at(rows)

    def _check_programs(self, target: Target, rows: Tensor) -> None:
        """Refuse programs with other weights at the guide's first draws, as far as a few data tell."""
        few = range(min(_FEW, len(target)))
        with torch.no_grad():
            (mine,) = target.select(few).log_weights(1, seed=int(self.about["seed"]))
        theirs = self.first[rows[: len(few)]]
        if not torch.allclose(mine.double().cpu(), theirs, rtol=_SAME, atol=_SAME, equal_nan=True):
            raise ValueError(
                "target: its programs are not those that were evaluated (log w of a first draw is "
                f"{mine[0]:.6g} and was {theirs[0]:.6g}): give the programs, with the parameters, of the shards"
            )

    def as_table(self) -> Table:
        """The means of all estimates."""
        rows = [
            (
                name,
                estimate.bound,
                mean_with_interval(estimate.value, estimate.stderr),
                str(sum(map(bool, estimate.flags))),
            )
            for name, estimate in self.estimates.items()
        ]
        head = (f"{len(self):,} of {int(self.about['num_data']):,} data, by {self.about['estimator']}",)
        return Table(head, ("estimate", "bounds", "mean (nats)", "flagged"), "<<>>", rows, len(rows), "estimates")


@checked
def read_shards(file: str | Path) -> Merged:
    """Read what `merge_shards` has written.

    Args:
        file: the netCDF file, or the folder of shards with `evidence.nc` in it.

    Raises:
        OSError: if there is none, or it is no netCDF-4 file.
        ValueError: if it is no table of shards.
    """
    path = Path(file)
    path = path / "evidence.nc" if path.is_dir() else path
    if not path.exists():
        raise FileNotFoundError(f"file: no table at {path}; make one with merge_shards(output)")
    table = read_table(path)
    about = {name: value for name, value in table.attributes.items() if name != "constants"}
    return Merged(table.estimates, table.data, table.keys, table.first, about)
