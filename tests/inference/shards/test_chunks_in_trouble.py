"""What becomes of chunks that are damaged, foreign, failing or missing; and what is said of them."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from elbowroom.inference import (
    MissingShards,
    Target,
    importance,
    merge_shards,
    read_shards,
    shard,
    shard_cost,
    shards_standing,
)
from elbowroom.inference.saving.places import place_of
from elbowroom.inference.saving.state_file import StateError
from elbowroom.inference.shards import launchers
from elbowroom.inference.shards.attempts import DIED, Attempts
from elbowroom.inference.shards.estimators import ESTIMATORS
from elbowroom.inference.shards.launchers import LAUNCHERS, launcher_of
from elbowroom.inference.shards.work import Work
from toys.programs import data, normal_guide, normal_model
from toys.shard_worker import BATCH, NUM_DATA, OPTIONS, share, target_of, with_equal_ones


def file_of(place: Path, chunk: int) -> Path:
    return place / "chunks" / f"{chunk:08d}.safetensors"


@pytest.fixture
def done(tmp_path: Path) -> Path:
    share(str(tmp_path), 8)
    return tmp_path


class Failing:
    """An estimator that fails on some data, as often as it is told."""

    def __init__(self, first: int, times: int) -> None:
        self.first, self.times, self.calls = first, times, 0

    def __call__(self, target: Target, **options: Any) -> Any:
        if torch.equal(target.data[0], with_equal_ones()[self.first : self.first + len(target)]):
            self.calls += 1
            if self.calls <= self.times:
                raise FloatingPointError(f"no number {self.calls}\nand more")
        return {"importance": importance(target, **options)}


def test_a_damaged_or_foreign_file_is_made_again_and_others_are_kept(
    done: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    before = merge_shards(done).read_bytes()
    kept = file_of(done, 1).stat().st_mtime_ns
    file_of(done, 0).write_bytes(file_of(done, 0).read_bytes()[:-9])
    other = tmp_path_factory.mktemp("other")
    share(str(other), 8, seed=4)
    file_of(done, 2).write_bytes(file_of(other, 2).read_bytes())
    with pytest.raises(MissingShards, match=r"16 of 30 data are missing in .*: 0 … 7, 16 … 23 \(.*") as told:
        merge_shards(done)
    assert told.value.ranges == [(0, 8), (16, 24)]
    share(str(done), 8, progress=True)
    said = capsys.readouterr().err
    assert "chunk 0 is evaluated again" in said and "chunk 2 is evaluated again" in said and "chunk 1 is" not in said
    assert said.count("(") == said.count(")") and "remove it" not in said
    assert merge_shards(done).read_bytes() == before and file_of(done, 1).stat().st_mtime_ns == kept


def test_a_chunk_that_fails_once_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: Path) -> None:
    before = merge_shards(done).read_bytes()
    monkeypatch.setitem(ESTIMATORS, "importance", Failing(8, 2))  # type: ignore[index]
    standing = share(str(tmp_path / "again"), 8)
    assert standing.complete and not standing.failed and not Attempts(place_of(tmp_path / "again")).all()
    assert merge_shards(tmp_path / "again").read_bytes() == before


def test_a_chunk_that_fails_three_times_is_named_and_left_out_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = Failing(8, 3)
    monkeypatch.setitem(ESTIMATORS, "importance", failing)  # type: ignore[index]
    standing = share(str(tmp_path), 8, progress=True)
    reasons = tuple(f"FloatingPointError: no number {number}" for number in (1, 2, 3))
    assert standing.done == (0, 2, 3) and standing.failed == {1: reasons} and not standing.complete
    assert "chunk 1 left out: FloatingPointError: no number 3" in standing.line() and standing.missing == (1,)
    assert "FloatingPointError" in str(standing) and "chunk 1 failed (attempt 3 of 3)" in capsys.readouterr().err
    assert shards_standing(tmp_path).failed == standing.failed
    share(str(tmp_path), 8)
    assert failing.calls == 3  # it has had its attempts
    with pytest.raises(MissingShards, match="chunk 1: FloatingPointError: no number 3"):
        merge_shards(tmp_path)
    some = read_shards(merge_shards(tmp_path, file=tmp_path / "some.nc", partial=True))
    assert some.data.tolist() == [*range(8), *range(16, NUM_DATA)] and len(some["importance"]) == 22
    assert share(str(tmp_path), 8, retry=True).complete
    everything = read_shards(merge_shards(tmp_path))
    assert torch.equal(everything["importance"].value[some.data], some["importance"].value)


def test_a_chunk_that_killed_its_worker_comes_last_and_is_left_out_after_three(tmp_path: Path) -> None:
    share(str(tmp_path / "all"), 8)
    attempts = Attempts(place_of(tmp_path / "all"))
    for _ in range(2):
        attempts.begin(0)
    file_of(tmp_path / "all", 0).unlink()
    assert attempts.all() == {0: [DIED, DIED]}
    order: list[int] = []
    work = Work(place_of(tmp_path / "all"), shards_standing(tmp_path / "all").plan, None)  # type: ignore[arg-type]
    assert work.order() == [1, 2, 3, 0] and not order
    attempts.begin(0)
    standing = share(str(tmp_path / "all"), 8)
    assert standing.failed == {0: (DIED,) * 3}


def test_an_interrupt_is_no_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(target: Target, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setitem(ESTIMATORS, "importance", interrupted)  # type: ignore[index]
    with pytest.raises(KeyboardInterrupt):
        share(str(tmp_path), 8)
    assert not Attempts(place_of(tmp_path)).all()


def test_sigterm_is_no_attempt_and_its_handler_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told_to_stop(target: Target, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    monkeypatch.setitem(ESTIMATORS, "importance", told_to_stop)  # type: ignore[index]
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        share(str(tmp_path), 8)
    assert ended.value.code == 143 and signal.getsignal(signal.SIGTERM) is before
    assert not Attempts(place_of(tmp_path)).all()


def test_shards_of_another_plan_are_not_mixed(done: Path) -> None:
    for changes, told in (
        ({"seed": 5}, "seed"),
        ({"options": {"num_samples": 20}}, "options"),
        ({"batch": 8}, "batch"),
    ):
        with pytest.raises(ValueError, match=f"holds shards of another plan: {told}"):
            share(str(done), 8, **changes)
    with pytest.raises(ValueError, match="chunk is 8 there, and 16 here"):
        share(str(done), 16)
    with pytest.raises(ValueError, match="programs"):
        shard(
            Target(normal_model, normal_guide(0.5), with_equal_ones()),
            output=done, chunk=8, batch=BATCH, options=OPTIONS, seed=3,
        )  # fmt: skip
    with pytest.raises(ValueError, match="num_data"):
        share(str(done), 8, with_equal_ones()[:-1])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_tasks_of_a_slurm_array_share_out_all_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", str(count))
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "5")
    done: set[int] = set()
    for task in range(count):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(5 + task))
        assert launcher_of("auto") == "slurm"
        now = set(share(str(tmp_path), 8).done)
        assert now - done == {chunk for chunk in range(4) if chunk % count == task}
        done = now
    assert done == {0, 1, 2, 3}


def test_launchers_are_known_by_the_environment() -> None:
    torchrun = {
        "TORCHELASTIC_RUN_ID": "1", "RANK": "1", "WORLD_SIZE": "3", "MASTER_ADDR": "here", "MASTER_PORT": "1",
    }  # fmt: skip
    assert launcher_of("auto", {}) == "one" and launcher_of("auto", torchrun) == "torchrun"
    assert LAUNCHERS["torchrun"].worker(torchrun) == (1, 3)
    with pytest.raises(ValueError, match="SLURM_ARRAY_TASK_ID"):
        launcher_of("slurm", {})
    with pytest.raises(ValueError, match="expected auto or one of"):
        launcher_of("mpi", {})


def test_a_store_that_is_gone_leaves_every_nth_chunk_to_each(monkeypatch: pytest.MonkeyPatch) -> None:
    class Store:
        """Counts to three."""

        count = 0

        def add(self, key: str, by: int) -> int:
            self.count += by
            if self.count > 3:
                raise RuntimeError("connection reset")
            return self.count

    order = list(range(10))
    one = list(launchers._counted(Store(), "next", order, 1, 2))
    assert one == [0, 1, 2, 3, 5, 7, 9]


def test_what_is_asked_for_is_checked_before_anything_is_written(tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"estimator": "elbo"}, "estimator: got 'elbo'"),
        ({"options": {"draws": 3}}, "options: importance takes"),
        ({"estimator": "bracket", "options": {}}, "budget of evaluations"),
        ({"estimator": "bracket", "options": {"budget": 3.0}}, "budget of evaluations"),
    ]
    for changes, told in wrong:
        with pytest.raises(ValueError, match=told):
            share(str(tmp_path / "new"), 8, **changes)
    with pytest.raises(ValueError, match="rows of shape"):
        shard(target_of(stored=True), data(5, 3), output=tmp_path / "new")
    with pytest.raises(ValueError, match="one for each of the programs"):
        shard(target_of(stored=True), [data(5), data(5)], output=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(FileNotFoundError, match="no shards at"):
        shards_standing(tmp_path / "new")


@pytest.mark.parametrize(
    ("estimator", "options", "names"),
    [
        ("bounds", {"num_samples": 40, "num_particles": [1, 5], "search": False}, ("elbo", "iwae-5", "importance")),
        pytest.param("anneal", {"num_steps": 3, "num_chains": 4, "search": False}, ("anneal",), marks=pytest.mark.slow),
        pytest.param("smc", {"num_steps": 3, "num_particles": 8}, ("smc",), marks=pytest.mark.slow),
        ("quadrature", {}, ("quadrature",)),
        ("bracket", {"budget": "1e6 evaluations"}, ("lower", "upper")),
    ],
)
def test_each_estimator_is_the_same_by_any_chunks(
    tmp_path: Path, estimator: str, options: dict[str, Any], names: tuple[str, ...]
) -> None:
    x = with_equal_ones(8)
    for chunk in (4, 8):
        share(str(tmp_path / str(chunk)), chunk, x, stored=chunk == 4, estimator=estimator, options=options)
    one, other = (merge_shards(tmp_path / str(chunk)).read_bytes() for chunk in (4, 8))
    assert one == other
    merged = read_shards(tmp_path / "4")
    assert set(names) <= set(merged.estimates) and all(len(e) == 8 for e in merged.estimates.values())
    assert names[0] in str(merged)


def test_a_dry_run_says_what_it_takes_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    target = Target(normal_model, normal_guide(0.9), with_equal_ones()[:5])
    cost = shard_cost(target, with_equal_ones(), chunk=8, batch=BATCH, options=OPTIONS)
    assert cost.plan.num_chunks == 4 and cost.bytes > 100
    assert cost.seconds_by(2) - cost.counting == pytest.approx(2 * cost.seconds)
    assert "30 data in 4 chunks of 8" in str(cost) and not list(tmp_path.iterdir())


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.nc").write_bytes(b"nothing")
    with pytest.raises(OSError):
        read_shards(tmp_path / "x.nc")
    assert issubclass(MissingShards, StateError)
