"""The options of shard and merge: very many data, evaluated by any number of workers."""

from dataclasses import dataclass, field
from typing import Any, Literal

from elbowroom.commands.options.subjects import OfSubject


@dataclass(frozen=True, kw_only=True)
class ShardOptions(OfSubject):
    """log p(x) of very many data by any number of workers: one process, torchrun, a Slurm array, or Ray.

    Attributes:
        array: a .npy file with a datum a row, in the place of the data that a run or data names: of it only the rows at
            work are in memory. Bytes are scaled and values made zeros and ones as those data were.
        output: a folder or a URL that all workers see; what is finished there is kept.
        chunk: data in a file, made a multiple of batch.
        batch: data that are evaluated together.
        estimator: importance, bounds, anneal, smc, quadrature or bracket.
        options: of the estimator, such as '{num_samples: 1000, search: false}'; for bracket '{budget: 1e7 evaluations}'
            for each batch.
        engine: auto goes by the environment (torchrun's workers, the tasks of a Slurm array, else this process); one,
            torchrun, slurm or ray.
        retry: give chunks that failed three times three attempts more.
        dry_run: evaluate one chunk, write nothing, and say what all of them take, by the number of workers.
        status: say how far the shards in this folder or URL are, and do nothing.
    """

    array: str | None = None
    output: str = "shards"
    chunk: int = 4096
    batch: int = 256
    estimator: Literal["importance", "bounds", "anneal", "smc", "quadrature", "bracket"] = "importance"
    options: dict[str, Any] = field(default_factory=dict)
    engine: Literal["auto", "one", "torchrun", "slurm", "ray"] = "auto"
    retry: bool = False
    dry_run: bool = False
    status: str | None = None


@dataclass(frozen=True, kw_only=True)
class MergeOptions:
    """The chunks that shard has made as one netCDF table, in which every datum stands once.

    Attributes:
        shards: the folder or URL that shard wrote to.
        file: the table (null: evidence.nc there).
        partial: merge what there is; else missing data are an error that names them.
        json: print the result as JSON.
    """

    shards: str = "shards"
    file: str | None = None
    partial: bool = False
    json: bool = False
