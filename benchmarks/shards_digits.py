"""A million digits by two workers: data a second, bytes a datum, and does memory grow with the number of data?

VAE 64-64-8-64-64 (tanh, Bernoulli) trained for a few epochs; data drawn with replacement from the embedded digits, so
that nearly all have equal ones, as an .npy of bytes. Each size is evaluated by `importance` through `shard` with the
workers of torchrun, one thread each, and merged. A worker's peak memory is what the system says of its process.
Bars: every datum once; the peak memory at the largest size at most 1.1 times that at the smallest.

Run: python -m benchmarks.shards_digits [--sizes 100000] [--num-samples 40] [--workers 2] [--quick | --long]
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.datasets import load, mapped
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, fit, load_checkpoint, merge_shards, read_shards, shard
from elbowroom.models import VAE

NUM_LATENTS, HIDDEN = 8, (64,)
EPOCHS = 20
GROWTH = 1.1
PROGRAMS, FILE = "run", "x.npy"


def pair() -> tuple[VAE, AmortizedNormal]:
    """The programs, untrained."""
    torch.manual_seed(0)
    return VAE(64, NUM_LATENTS, HIDDEN, activation="tanh"), AmortizedNormal(64, NUM_LATENTS, HIDDEN, activation="tanh")


def prepare(folder: Path, num_data: int) -> None:
    """Trained programs, and so many digits, drawn with replacement a piece at a time."""
    digits = load("digits", binarize="threshold")
    if not (folder / PROGRAMS).exists():
        fit(*pair(), digits.train, num_epochs=EPOCHS, run_dir=folder / PROGRAMS, progress=False)
    few, rng = digits.train.numpy().astype(np.uint8), np.random.default_rng(0)
    array = np.lib.format.open_memmap(folder / FILE, "w+", np.uint8, (num_data, 64))
    for begin in range(0, num_data, 100_000):
        end = min(begin + 100_000, num_data)
        array[begin:end] = few[rng.integers(0, len(few), end - begin)]


def work(folder: Path, num_samples: int, chunk: int, batch: int) -> None:
    """A worker's share; at the end it leaves its peak memory."""
    torch.set_num_threads(1)
    model, guide = pair()
    rows = mapped(folder / FILE)
    few = torch.from_numpy(rows[slice(0, 16)])
    load_checkpoint(folder / PROGRAMS, model, guide, few[:2])
    target = Target(model.eval(), guide.eval(), few)
    options: dict[str, Any] = {"num_samples": num_samples, "search": False}
    shard(target, rows, output=folder / "shards", chunk=chunk, batch=batch, options=options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (folder / f"peak-{os.environ.get('RANK', 0)}.json").write_text(json.dumps(peak))


def measured(num_data: int, options: Any) -> tuple[list[tuple[str, str]], float]:
    """Rows of a size, and the largest peak of its workers, in MiB."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder, num_data)
        launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={options.workers}", "-m"]
        words = ["--num-samples", options.num_samples, "--chunk", options.chunk, "--batch", options.batch]
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", *launcher, "benchmarks.shards_digits", "--folder", str(folder), *map(str, words)],
            check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        evaluating, begin = time.perf_counter() - begin, time.perf_counter()
        table = Path(merge_shards(folder / "shards"))
        merging = time.perf_counter() - begin
        peaks = [json.loads(file.read_text()) / 2**20 for file in sorted(folder.glob("peak-*.json"))]
        chunks = sum(file.stat().st_size for file in (folder / "shards" / "chunks").iterdir())
        merged = read_shards(table)
        complete = merged.data.tolist() == list(range(num_data))
        name = f"{num_data:,} data"
        rows = [
            (f"{name}: seconds, data a second", f"{evaluating:.1f}, {num_data / evaluating:,.0f}"),
            (f"{name}: peak memory of each worker, MiB", ", ".join(f"{peak:,.0f}" for peak in peaks)),
            (f"{name}: merging, seconds", f"{merging:.1f}"),
            (
                f"{name}: bytes a datum in chunks, in the table",
                f"{chunks / num_data:.0f}, {table.stat().st_size / num_data:.0f}",
            ),
            (f"{name}: every datum once", "yes" if complete else "NO"),
            (f"{name}: mean log p(x), nats", f"{merged['importance'].mean()[0]:.3f}"),
        ]
        return rows, max(peaks)


def main() -> None:
    """Measure each size, or be a worker."""
    made = parser(__doc__)
    made.add_argument("--sizes", type=int, nargs="+", default=[10_000, 40_000], help="numbers of data")
    made.add_argument("--num-samples", type=int, default=40)
    made.add_argument("--chunk", type=int, default=4096)
    made.add_argument("--batch", type=int, default=1024)
    made.add_argument("--workers", type=int, default=2)
    made.add_argument("--folder", help="of a worker")
    options = parsed(made, quick={"sizes": [2000]}, long={"sizes": [100_000, 1_000_000]})
    if options.folder is not None:
        work(Path(options.folder), options.num_samples, options.chunk, options.batch)
        return
    rows, peaks = [], []
    for size in options.sizes:
        more, peak = measured(size, options)
        rows += more
        peaks.append(peak)
    grown = peaks[-1] / peaks[0]
    rows.append(("peak of the largest size over that of the smallest", f"{grown:.2f} (bar {GROWTH})"))
    title = f"Shards of digits by {options.workers} workers, {options.num_samples} samples a datum"
    report("shards_digits", title, rows, options)


if __name__ == "__main__":
    main()
