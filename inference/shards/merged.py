"""A merged table as estimates of its data, and of a target's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.shards.table_file import read_table
from elbowroom.inference.showing.numbers import mean_with_interval
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table


@dataclass(frozen=True, repr=False)
class Merged(Shown):
    """What shards say of their data.

    Attributes:
        estimates: name -> estimate of all rows, such as `importance`.
        data: the index of each row's datum in the whole dataset, `[R]`; all of them, unless the merge was partial.
        keys: which datum it is, `[R]` uint64: a hash of its values and of how many like it came before.
        about: what the numbers are of: num_data, estimator, options, seed, programs.
    """

    estimates: Mapping[str, Estimate[Any]]
    data: Tensor
    keys: np.ndarray
    about: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, name: str) -> Estimate[Any]:
        """One of the estimates."""
        return self.estimates[name]

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
    return Merged(table.estimates, table.data, table.keys, about)
