"""How are very many data shared out over workers, and their answers put together, so that they equal one worker's?

Noise is a function of (seed, datum, sample), so what a datum is told does not depend on who evaluates it. Two things
are left that would: which of several equal data it is, which is counted once over all of them (likes.py), and the last
bits of what a processor computes, which depend on the shape of what it is given: data are therefore evaluated in
batches that lie fast in the whole dataset (plan.py). The rest is files. A chunk is some batches and one file that is
whole or not there (chunk_files.py); what has no file is not done, whoever was to do it, and that is all the resume
there is. No worker waits for another.

    shard.py         shard: this worker's share; shard_cost and shards_standing
    plan.py          what all workers agree on; batches and chunks
    rows.py          all data, held or read from where they lie, of which some become a target
    likes.py         how many data like each came before
    estimators.py    which estimators there are, by name
    columns.py       their answers as columns
    chunk_files.py   the file of a chunk
    attempts.py      chunks in trouble, and why
    work.py          what a worker does with a chunk
    stopping.py      SIGTERM as an exception
    launchers.py     who does which chunk: one process, torchrun, Slurm, Ray
    over_ray.py      the same on a Ray cluster
    standing.py      how far all workers are
    cost.py          what all of it will take, from one chunk
    merge.py         merge_shards: all chunks as one table
    table_file.py    that table, as netCDF
    merged.py        read_shards: the table as estimates, for audit and versus

Read plan.py first, then work.py. Imports: evidence, whose estimators are asked, saving, evaluation,
target, programs, estimate.
"""

from elbowroom.inference.shards.cost import Cost
from elbowroom.inference.shards.merge import MissingShards, merge_shards
from elbowroom.inference.shards.merged import Merged, read_shards
from elbowroom.inference.shards.shard import shard, shard_cost, shards_standing
from elbowroom.inference.shards.standing import Standing

__all__ = [
    "Cost",
    "Merged",
    "MissingShards",
    "Standing",
    "merge_shards",
    "read_shards",
    "shard",
    "shard_cost",
    "shards_standing",
]
