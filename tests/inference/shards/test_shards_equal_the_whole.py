"""However data are cut into chunks, by however many workers and wherever they lie: one table, the same to the bit."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import ProgramError, Target, importance, merge_shards, read_shards, shard
from elbowroom.inference.programs.datum_keys import datum_keys, likes_before
from elbowroom.inference.saving.places import place_of
from elbowroom.inference.shards import merge
from elbowroom.inference.shards.chunk_files import ChunkFiles
from elbowroom.inference.shards.likes import count_by_buckets
from elbowroom.inference.shards.plan import Plan
from elbowroom.models import VAE
from toys.programs import data, normal_guide, normal_model
from toys.shard_worker import BATCH, NUM_DATA, OPTIONS, share, with_equal_ones

CHUNKS = (7, 12, NUM_DATA)


def digest(output: Path | str) -> str:
    return hashlib.sha256(Path(merge_shards(output)).read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All data in one chunk, by one process."""
    place = tmp_path_factory.mktemp("whole")
    share(str(place), NUM_DATA)
    return place


@pytest.mark.parametrize("stored", [False, True], ids=["held", "stored"])
@pytest.mark.parametrize("chunk", CHUNKS)
def test_the_table_is_the_same_whatever_the_chunks_are(whole: Path, tmp_path: Path, chunk: int, stored: bool) -> None:
    standing = share(str(tmp_path), chunk, stored=stored)
    assert standing.complete and standing.plan.num_chunks == -(-NUM_DATA // (-(-chunk // BATCH) * BATCH))
    assert digest(tmp_path) == digest(whole)


def test_pieces_of_the_table_may_be_smaller_than_chunks(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("merge", "table_file"):
        monkeypatch.setattr(f"elbowroom.inference.shards.{module}.PIECE", 8)
    share(str(tmp_path), 4)
    small = digest(tmp_path)
    assert small == digest(whole)
    assert torch.equal(read_shards(tmp_path)["importance"].value, read_shards(whole)["importance"].value)


def test_pieces_begin_at_multiples_of_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies together in the file must not depend on the chunks."""
    monkeypatch.setattr("elbowroom.inference.shards.merge.PIECE", 8)
    for chunk in (4, 12):
        folder = place_of(tmp_path / str(chunk))
        share(folder.name, chunk)
        files = ChunkFiles(folder, Plan.read(folder))
        pieces = [(list(rows), len(columns)) for rows, columns in merge._in_pieces(files, files.there())]
        assert pieces == [(list(range(i, min(i + 8, NUM_DATA))), min(8, NUM_DATA - i)) for i in range(0, NUM_DATA, 8)]


def test_the_table_is_what_one_call_says(whole: Path) -> None:
    """To rounding: what is evaluated at once differs, and with it the last bits."""
    target = Target(normal_model, normal_guide(0.9), with_equal_ones())
    expected, merged = importance(target, seed=3, **OPTIONS), read_shards(whole)
    found = merged["importance"]
    torch.testing.assert_close(found.value, expected.value, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.stderr, expected.stderr, rtol=1e-9, atol=1e-12)
    assert found.flags == expected.flags and found.bound == expected.bound
    assert found.info.keys() == expected.info.keys()
    for name, value in expected.info.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(found.info[name], value, rtol=1e-8, atol=1e-10, equal_nan=True)
        else:
            assert found.info[name] == value
    assert np.array_equal(merged.keys, target.keys) and merged.data.tolist() == list(range(NUM_DATA))


def test_matrix_products_in_single_precision_are_the_same_too(tmp_path: Path) -> None:
    """Their last bits depend on how many rows are multiplied at once, and where in these a row stands."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    x = torch.bernoulli(torch.full((27, 33), 0.4))
    model, guide = VAE(33, 3, hidden=(17,)).eval(), AmortizedNormal(33, 3, hidden=(17,)).eval()
    target, few = Target(model, guide, x), Target(model, guide, x[:2])
    for name, chunk, given in (("a", 5, (target,)), ("b", 27, (target,)), ("c", 10, (few, x))):
        shard(*given, output=tmp_path / name, chunk=chunk, batch=5, options=OPTIONS, progress=False)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") == digest(tmp_path / "c")


def test_data_are_read_from_a_file_of_another_dtype(tmp_path: Path) -> None:
    x = (3 * with_equal_ones()).round() + 0.0  # no −0, which is another number to a hash
    np.save(tmp_path / "x.npy", x.numpy().astype(np.int16))
    target = Target(normal_model, normal_guide(0.9), x)
    shard(target, output=tmp_path / "held", batch=BATCH, options=OPTIONS, progress=False)
    few = target.select([3, 4])
    shard(few, tmp_path / "x.npy", output=str(tmp_path / "stored"), batch=BATCH, options=OPTIONS, progress=False)
    assert digest(tmp_path / "held") == digest(tmp_path / "stored")


def test_equal_data_are_counted_bucket_by_bucket() -> None:
    digests = np.random.default_rng(0).integers(0, 40, 500).astype(np.uint64)
    counts = np.full(500, 77, np.uint32)
    count_by_buckets(digests, counts, 60)
    assert counts.tolist() == [int((digests[:i] == d).sum()) for i, d in enumerate(digests)]
    assert np.array_equal(counts, likes_before(digests))


def test_programs_are_given_other_data() -> None:
    x = data(6)
    over = Target(normal_model, normal_guide(0.9), x[:2]).over([x], datum_keys([x], 6))
    held = Target(normal_model, normal_guide(0.9), x)
    assert torch.equal(over.log_weights(5), held.log_weights(5)) and len(over) == 6
    whole = held.replaced(sliceable=False)
    with pytest.raises(ProgramError, match="cannot be given other data"):
        whole.over([x], datum_keys([x], 6))


def worker(output: Path, *words: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", *words]
    return subprocess.Popen(
        command, cwd=Path(__file__).parents[2], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("chunk", CHUNKS)
def test_the_workers_of_torchrun_make_the_same_table_though_one_dies(
    whole: Path, tmp_path: Path, world: int, chunk: int
) -> None:
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={world}", "--max-restarts=3"]
    run = worker(tmp_path, *launch, "-m", "toys.shard_worker", str(tmp_path), str(chunk), "--die", "0", "--stored")
    _, told = run.communicate(timeout=500)
    assert run.returncode == 0, told
    assert digest(tmp_path) == digest(whole)


@pytest.mark.slow
def test_twenty_are_killed(whole: Path, tmp_path: Path) -> None:
    """A worker is killed at a random moment, twenty times; whoever comes next does what is missing."""
    rng, killed = random.Random(0), 0
    for _ in range(20):
        run = worker(tmp_path, "-m", "toys.shard_worker", str(tmp_path), "4", "--slow", "0.3")
        begun = time.monotonic()
        while not (tmp_path / "plan.json").exists() and run.poll() is None and time.monotonic() < begun + 100:
            time.sleep(0.05)
        time.sleep(rng.uniform(0, 1.5))
        if run.poll() is None:
            run.send_signal(signal.SIGKILL)
            killed += 1
        run.communicate()
    share(str(tmp_path), 4, retry=True)
    assert killed >= 10 and digest(tmp_path) == digest(whole)
    assert json.loads((tmp_path / "plan.json").read_text())["chunk"] == 4
    assert not [file for file in tmp_path.rglob("*") if file.name.startswith(".")]
