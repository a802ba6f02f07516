"""Two workers take the steps of one: every objective, kind of noise and size of minibatch; what cannot be is told."""

import logging
import os
import signal
from collections.abc import Callable
from inspect import unwrap
from pathlib import Path
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import Trace_ELBO
from pyro.nn import PyroModule
from torch import Tensor, nn

from elbowroom.inference import WorkersError, fit
from elbowroom.inference.training import OBJECTIVES, EpochState, NonFiniteError, TrainingInterrupted, stepping
from toys.objective_programs import rows, train
from toys.training import NormalisedGuide, ToyGuide, ToyModel, equal, make_data, make_pair, values
from toys.workers import together

DIVISIBLE = sorted(name for name, objective in OBJECTIVES.items() if not objective.couples)
COUPLED = sorted(set(OBJECTIVES) - set(DIVISIBLE))

Run = tuple[list[Tensor], Any]


def told(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


def notes(run: Run) -> str:
    return " ".join(note for row in run[1].history for note in row.get("notes", []))


def run_of(make: Callable[[], tuple[Any, Any]] = make_pair, num_data: int = 20, **options: Any) -> Run:
    """The three steps of an epoch; parameters and what `fit` says."""
    pair = make()
    arguments = {"num_epochs": 1, "batch_size": 8, "learning_rate": 0.02, "progress": False, "compile": False}
    fitted = fit(*pair, make_data(num_data), **arguments | options)
    return values(*pair), fitted


def check_same(one: Run, several: list[Run], tolerance: float = 1e-10) -> None:
    """The workers hold the same to the bit, and what one holds up to rounding; their metrics, too."""
    for rank, (found, fitted) in enumerate(several):
        assert equal(found, several[0][0]), rank
        for ours, theirs in zip(found, one[0], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
        assert fitted.workers == len(several)
        for now, before in zip(told(fitted.history), told(one[1].history), strict=True):
            assert now.keys() == before.keys()
            for name, value in before.items():
                if name == "kl_per_dim":
                    for latent, kl in value.items():
                        torch.testing.assert_close(torch.tensor(now[name][latent]), torch.tensor(kl))
                else:
                    assert now[name] == (pytest.approx(value, rel=1e-8) if isinstance(value, float) else value), name


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n == "IWAE" else pytest.mark.slow) for n in DIVISIBLE])
@pytest.mark.parametrize("compile", [False, pytest.param("auto", marks=pytest.mark.slow)])
def test_two_workers_take_the_steps_of_one(name: str, compile: bool | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "WORTH_A_RECORD", 1)

    def work(rank: int) -> Run:
        pair, fitted = train(name, compile=compile, validation=rows(name, 7, seed=2))
        return values(*pair), fitted

    several = together(2, work)
    check_same(work(0), several)
    assert {fitted.steps for _, fitted in several} == {"recorded" if compile else "run"}
    assert not any(notes(run) for run in several)


class Dropping(ToyGuide):
    """With dropout in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(5, 6), nn.Dropout(0.3), nn.Linear(6, 2))


class Categories(PyroModule):
    """Two finite latents in a plate of their own inside of that of the data, drawn by the guide."""

    def __init__(self, is_guide: bool) -> None:
        super().__init__()
        self.network, self.is_guide = nn.Linear(5, 6) if is_guide else nn.Linear(2, 5), is_guide

    def forward(self, x: Tensor) -> None:
        logits = self.network(x).reshape(-1, 2, 3) if self.is_guide else torch.zeros(3)
        with pyro.plate("data", len(x), dim=-2):
            with pyro.plate("two", 2, dim=-1):
                k = pyro.sample("k", dist.Categorical(logits=logits))
            if not self.is_guide:
                mean = self.network(k.to(x.dtype)).unsqueeze(-2)
                pyro.sample("x", dist.Normal(mean, 1.0).to_event(1), obs=x.unsqueeze(-2))


def make(model: Callable[[], Any], guide: Callable[[], Any]) -> Callable[[], tuple[Any, Any]]:
    def pair() -> tuple[Any, Any]:
        torch.manual_seed(0)
        return model(), guide()

    return pair


def noisy(x: Tensor) -> Tensor:
    return x + 0.1 * torch.randn_like(x)


CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "a minibatch of fewer rows than workers": (3, {"batch_size": 2, "num_data": 5}),
    "unlike parts, a clipped gradient, a schedule": (3, {"clip_norm": 0.5, "schedule": "cosine", "optimizer": "AdamW"}),
    "dropout": (2, {"make": make(ToyModel, Dropping)}),
    "noise in prepare": (2, {"prepare": noisy}),
    "a warm-up": (2, {"warmup_epochs": 2, "beta": 2.0}),
    "particles": (2, {"num_particles": 3, "make": make(ToyModel, Dropping)}),
    "categories of several particles in an inner plate": (
        2,
        {"make": make(lambda: Categories(False), lambda: Categories(True)), "loss": "score-function",
         "num_particles": 2},
    ),
    "the best of epochs": (2, {"keep": "best", "validate_every": 1}),
}  # fmt: skip


QUICK = "unlike parts, a clipped gradient, a schedule", "categories of several particles in an inner plate"


@pytest.mark.parametrize("case", [pytest.param(c, marks=[] if c in QUICK else pytest.mark.slow) for c in CASES])
def test_whatever_the_noise_and_the_parts_are(case: str) -> None:
    size, options = CASES[case]
    if "keep" in options:
        options = options | {"validation": make_data(1, seed=2)}  # of fewer data than workers
    several = together(size, lambda rank: run_of(**options))
    check_same(run_of(**options), several)
    assert not notes(several[0])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss": "IWAE", "num_particles": 5},
        {"loss": "DReG", "num_particles": 5},
        {"loss": "TraceMeanField_ELBO", "kl_weight": "cyclical", "num_cycles": 2},
        {"warmup_epochs": 10, "schedule": "cosine", "clip_norm": 1.0},
    ],
    ids=str,
)
def test_fifty_steps(options: dict[str, Any], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """To 1e-5 in single precision, and to 1e-10 in double."""
    monkeypatch.setattr(stepping, "WORTH_A_RECORD", 1)
    torch.set_default_dtype(dtype)
    arguments = {"num_epochs": 17, "compile": "auto"} | options

    def work(rank: int) -> Run:
        torch.set_default_dtype(dtype)
        return run_of(**arguments)

    one, several = work(0), together(2, work)
    assert one[1].num_steps == 51 and equal(several[0][0], several[1][0])
    apart = max((a - b).abs().max().item() for a, b in zip(one[0], several[0][0], strict=True))
    assert apart < (1e-10 if dtype == torch.float64 else 1e-5)


def test_batch_normalisation_is_told() -> None:
    """Each worker normalises its own rows; buffers are the means, so that all hold the same."""
    several = together(2, lambda rank: run_of(make(ToyModel, NormalisedGuide)))
    assert equal(several[0][0], several[1][0])
    assert "network.0.running_mean" in notes(several[0]) and "not those of one worker" in notes(several[0])
    one = run_of(make(ToyModel, NormalisedGuide))
    assert not torch.allclose(one[0][3], several[0][0][3], rtol=1e-6)


class Gammas(PyroModule):
    """A positive latent, whose draws try until one is accepted."""

    def __init__(self, is_guide: bool) -> None:
        super().__init__()
        self.network, self.is_guide = nn.Linear(5, 1) if is_guide else nn.Linear(1, 5), is_guide

    def forward(self, x: Tensor) -> None:
        shape = self.network(x).exp() if self.is_guide else x.new_ones(1)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Gamma(shape, 1.0).to_event(1))
            if not self.is_guide:
                pyro.sample("x", dist.Normal(self.network(z), 1.0).to_event(1), obs=x)


def test_noise_that_cannot_be_shared_is_told_and_resumed(tmp_path: Path) -> None:
    pair = make(lambda: Gammas(False), lambda: Gammas(True))

    def work(rank: int) -> tuple[Run, Run]:
        whole = run_of(pair, prepare=noisy, num_epochs=2)
        run_of(pair, prepare=noisy, run_dir=tmp_path)
        return whole, run_of(pair, prepare=noisy, num_epochs=2, run_dir=tmp_path, resume=True)

    (whole, resumed), (other, _) = together(2, work)
    assert equal(whole[0], other[0]) and equal(whole[0], resumed[0])
    assert "each draws noise of its own, for they draw by aten._standard_gamma" in notes(whole)


def _penalised(model: Any, guide: Any, x: Tensor) -> Tensor:
    """With a term that is no sum over data."""
    penalty = sum(p.square().sum() for p in unwrap(guide).parameters())
    return Trace_ELBO().differentiable_loss(model, guide, x) + penalty


def _summed(model: Any, guide: Any, x: Tensor) -> Tensor:
    return Trace_ELBO().differentiable_loss(model, guide, x)


def test_a_loss_that_is_no_sum_over_rows_is_told() -> None:
    several = together(2, lambda rank: (run_of(loss=_penalised), run_of(loss=_summed)))
    (penalised, summed), _ = several
    assert "do not add up to its own" in notes(penalised) and not notes(summed)


@pytest.mark.parametrize("name", COUPLED)
def test_objectives_that_couple_rows_are_refused(name: str) -> None:
    for error in together(2, lambda rank: train(name)):
        assert isinstance(error, ValueError) and f"loss='{name}' couples the rows of a minibatch" in str(error)


def test_what_has_no_rows_to_divide_is_refused() -> None:
    for options, why in (
        ({"plate": None}, "plate=None is one datum"),
        ({"free_bits": 0.1}, "free_bits=0.1 is a floor"),
    ):
        for error in together(2, lambda rank, options=options: run_of(**options)):
            assert isinstance(error, ValueError) and why in str(error) and "Train in one process" in str(error)


class Fixed(ToyModel):
    """With parameters for each of eight data."""

    def __init__(self) -> None:
        super().__init__()
        self.shifts = nn.Parameter(torch.zeros(8, 5))

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(self.network(z) + self.shifts, self.scale).to_event(1), obs=x)


def test_programs_of_one_size_are_refused() -> None:
    for error in together(2, lambda rank: run_of(make(Fixed, ToyGuide), num_data=8)):
        assert isinstance(error, ValueError) and "cannot be run on 3 rows" in str(error)


class Cut(Exception):
    """Stands for a crash."""


def cut_at(step: int | None) -> Callable[[Tensor], Tensor]:
    seen = -1

    def prepare(x: Tensor) -> Tensor:
        nonlocal seen
        if seen == step:
            raise Cut
        seen += 1
        return noisy(x)

    prepare.__qualname__ = "prepare"
    return prepare


def test_a_resumed_run_is_the_whole_one_and_another_number_of_workers_is_told(tmp_path: Path) -> None:
    options: dict[str, Any] = {"checkpoint_seconds": 0, "validation": make_data(7, seed=2), "num_epochs": 2}

    def work(rank: int) -> tuple[Run, Run]:
        whole = run_of(prepare=cut_at(None), **options)
        for folder in ("cut", "other"):
            with pytest.raises(Cut):
                run_of(prepare=cut_at(4), run_dir=tmp_path / folder, **options)
        return whole, run_of(prepare=cut_at(None), run_dir=tmp_path / "cut", resume=True, **options)

    for whole, resumed in together(2, work):
        assert equal(whole[0], resumed[0]) and told(whole[1].history) == told(resumed[1].history)
    alone = run_of(prepare=cut_at(None), run_dir=tmp_path / "other", resume=True, **options)
    assert "resumed by 1 worker, before by 2: the same minibatches" in notes(alone)
    for ours, theirs in zip(alone[0], whole[0], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_the_rows_that_are_not_finite_are_named_by_all(tmp_path: Path) -> None:
    x = make_data(20)
    x[[3, 11], 0] = 1e200  # finite, and its square is not

    def work(rank: int) -> tuple[list[int], bool]:
        with pytest.raises(NonFiniteError) as caught:
            fit(*make_pair(), x, batch_size=20, run_dir=tmp_path, progress=False)
        return caught.value.rows, caught.value.path is not None

    assert together(2, work) == [([3, 11], True), ([3, 11], False)]


@pytest.mark.parametrize("who", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_signal_to_one_stops_all_after_the_same_step(who: int, tmp_path: Path) -> None:
    def work(rank: int) -> tuple[str, list[Tensor]]:
        seen = []

        def prepare(x: Tensor) -> Tensor:
            seen.append(x)
            if len(seen) == 3 and rank == who:
                os.kill(os.getpid(), signal.SIGTERM)
            return x

        pair = make_pair()
        with pytest.raises(TrainingInterrupted) as caught:
            run_of(lambda: pair, prepare=prepare, run_dir=tmp_path)
        return str(caught.value), values(*pair)

    (first, ours), (second, theirs) = together(2, work)
    assert "SIGTERM after step 2 of 3" in first and "SIGTERM after step 2 of 3" in second and equal(ours, theirs)
    assert (tmp_path / "checkpoints" / "step-000000002").is_dir()


def test_on_epoch_is_called_in_all_and_ends_all() -> None:
    def work(rank: int) -> tuple[list[int], str | None]:
        seen = []

        def on_epoch(state: EpochState) -> bool:
            seen.append(state.worker)
            return rank == 1

        return seen, run_of(on_epoch=on_epoch, num_epochs=2)[1].stopped

    assert together(2, work) == [([0], "on_epoch"), ([1], "on_epoch")]


def test_an_error_in_one_on_epoch_ends_all(tmp_path: Path) -> None:
    def work(rank: int) -> None:
        def on_epoch(state: EpochState) -> None:
            if rank == 1:
                raise Cut

        run_of(on_epoch=on_epoch, run_dir=tmp_path)

    first, second = together(2, work)
    assert isinstance(first, WorkersError) and "on_epoch raised in another worker" in str(first)
    assert isinstance(second, Cut) and (tmp_path / "checkpoints" / "step-000000003").is_dir()


def test_a_change_in_one_worker_only_is_found_and_named() -> None:
    def work(rank: int) -> None:
        pair = make_pair()

        def on_epoch(state: EpochState) -> None:
            if rank == 1:
                with torch.no_grad():
                    pair[1].network.bias.add_(1e-12)

        run_of(lambda: pair, on_epoch=on_epoch, num_epochs=2)

    for error in together(2, work):
        assert isinstance(error, WorkersError) and "after step 6" in str(error)
        assert "guide.network.bias" in str(error)


def test_workers_that_are_called_differently_are_refused() -> None:
    first, second = together(2, lambda rank: run_of(learning_rate=0.01 * (1 + rank)))
    assert isinstance(first, ValueError) and "workers [1] were called with other arguments" in str(first)
    assert "arguments.learning_rate: 0.01 in worker 0, now 0.02" in str(second)


def test_parameters_are_those_of_the_first() -> None:
    """Initial values may differ: a script that seeds nothing makes other ones in each process."""
    several = together(2, lambda rank: run_of(lambda: make_pair(rank)))
    check_same(run_of(), several)


def test_what_keeps_the_first_from_beginning_is_told_to_all(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    first, second = together(2, lambda rank: run_of(run_dir=tmp_path))
    assert isinstance(first, FileExistsError) and isinstance(second, WorkersError)
    assert "worker 0 could not begin: FileExistsError" in str(second)


def test_only_the_first_logs_and_shows_progress(capfd: pytest.CaptureFixture[str]) -> None:
    def work(rank: int) -> int:
        found: list[Any] = []
        handler = logging.Handler()
        handler.emit = found.append  # type: ignore[method-assign]
        logging.getLogger("elbowroom").addHandler(handler)
        run_of(make(ToyModel, NormalisedGuide))
        return len(found)

    assert together(2, work) == [1, 0]


def test_one_that_has_ended_ends_the_others() -> None:
    def work(rank: int) -> None:
        def prepare(x: Tensor) -> Tensor:
            if rank == 1:
                os._exit(1)
            return x

        run_of(prepare=prepare)

    first, second = together(2, work)
    assert second is None and isinstance(first, WorkersError) and "another one has ended" in str(first)
