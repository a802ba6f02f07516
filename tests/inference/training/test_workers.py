"""Two workers take the steps of one: every objective, kind of noise and size of minibatch; what cannot be is told."""

import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
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
from elbowroom.inference.training import OBJECTIVES, EpochState, NonFiniteError, TrainingInterrupted, division, stepping
from toys.objective_programs import rows, train
from toys.training import NormalisedGuide, ToyGuide, ToyModel, equal, make_data, make_pair, values
from toys.workers import in_turn, together

DIVISIBLE = sorted(name for name, objective in OBJECTIVES.items() if not objective.couples)
COUPLED = sorted(set(OBJECTIVES) - set(DIVISIBLE))

Run = tuple[list[Tensor], Any]

Work = Callable[[int, Path], Any]
OF_TWO: dict[str, Work] = {}


def of_two(work: Work) -> Work:
    """What two workers do for the test below it, of a rank and a folder: all such in the same two processes."""
    OF_TWO[work.__name__] = work
    return work


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """The name of a work -> what each of two workers got by it."""

    def done(work: Work, folder: Path, rank: int) -> Any:
        torch.set_default_dtype(torch.float64)
        return work(rank, folder)

    return in_turn(2, {name: partial(done, work, tmp_path_factory.mktemp(name)) for name, work in OF_TWO.items()})


def told(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


def notes(run: Run) -> str:
    return " ".join(note for row in run[1].history for note in row.get("notes", []))


def run_of(
    make: Callable[[], tuple[Any, Any]] = make_pair, num_data: int = 20, num_validation: int = 0, **options: Any
) -> Run:
    """The three steps of an epoch; parameters and what `fit` says."""
    pair = make()
    if num_validation:
        options["validation"] = make_data(num_validation, seed=2)
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
        pair, fitted = train(name, compile=compile, validation=rows(name, 7, seed=2), num_epochs=1)
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
    "unlike parts, fewer rows than workers, a clipped gradient, a schedule": (
        3,
        {"batch_size": 4, "num_data": 6, "clip_norm": 0.5, "schedule": "cosine", "optimizer": "AdamW",
         "num_validation": 2},
    ),
    "records of parts of one size and of minibatches of several": (2, {"num_data": 15, "compile": "auto"}),
    "dropout": (2, {"make": make(ToyModel, Dropping)}),
    "noise in prepare": (2, {"prepare": noisy}),
    "a warm-up": (2, {"warmup_epochs": 2, "beta": 2.0}),
    "particles": (2, {"num_particles": 3, "make": make(ToyModel, Dropping)}),
    "categories of several particles in an inner plate": (
        2,
        {"make": make(lambda: Categories(False), lambda: Categories(True)), "loss": "score-function",
         "num_particles": 2},
    ),
    "the best of epochs": (2, {"keep": "best", "validate_every": 1, "num_validation": 1}),
}  # fmt: skip


QUICK = "unlike parts, fewer rows than workers, a clipped gradient, a schedule"


@pytest.mark.parametrize("case", [pytest.param(c, marks=[] if c == QUICK else pytest.mark.slow) for c in CASES])
def test_whatever_the_noise_and_the_parts_are(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Initial values of others than the first do not count: a script that seeds nothing makes some in each process."""
    monkeypatch.setattr(stepping, "WORTH_A_RECORD", 1)
    size, options = CASES[case]
    rest: dict[str, Any] = {name: value for name, value in options.items() if name != "make"}
    several = together(size, lambda rank: run_of(options.get("make", partial(make_pair, rank)), **rest))
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


@of_two
def normalised(rank: int, folder: Path) -> tuple[Run, int, list[bool]]:
    found: list[Any] = []
    shown: list[bool] = []
    handler = logging.Handler()
    handler.emit = found.append  # type: ignore[method-assign]
    logging.getLogger("elbowroom").addHandler(handler)
    module = sys.modules["elbowroom.inference.training.train"]
    bar = module.progress_bar

    def noted(total: int, what: str, unit: str, show: bool, done: int = 0) -> Any:
        shown.append(show)
        return bar(total, what, unit, False, done)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "progress_bar", noted)
        run = run_of(make(ToyModel, NormalisedGuide), progress=True)
    return run, len(found), shown


def test_batch_normalisation_is_told(two: dict[str, list[Any]]) -> None:
    """Each worker normalises its own rows; buffers are the means, so that all hold the same."""
    several = [run for run, *_ in two["normalised"]]
    assert equal(several[0][0], several[1][0])
    assert "network.0.running_mean" in notes(several[0]) and "not those of one worker" in notes(several[0])
    one = run_of(make(ToyModel, NormalisedGuide))
    assert not torch.allclose(one[0][3], several[0][0][3], rtol=1e-6)


def test_only_the_first_logs_and_shows_progress(two: dict[str, list[Any]]) -> None:
    assert [others for _, *others in two["normalised"]] == [[1, [True]], [0, [False]]]


class Gammas(PyroModule):
    """A positive latent, whose draws try until one is accepted."""

    def __init__(self, is_guide: bool) -> None:
        super().__init__()
        self.network, self.is_guide = nn.Linear(5, 1) if is_guide else nn.Linear(1, 5), is_guide
        self.first: list[float] = []  # random number of each run of the guide

    def forward(self, x: Tensor) -> None:
        if self.is_guide:
            self.first.append(torch.rand(()).item())
        shape = self.network(x).exp() if self.is_guide else x.new_ones(1)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Gamma(shape, 1.0).to_event(1))
            if not self.is_guide:
                pyro.sample("x", dist.Normal(self.network(z), 1.0).to_event(1), obs=x)


def gammas(rank: int, **options: Any) -> tuple[Run, float, Tensor]:
    """Steps of a minibatch of ten, the guide's first random number in the last one, and that minibatch."""
    pair = make(lambda: Gammas(False), lambda: Gammas(True))()
    prepared: list[Tensor] = []

    def prepare(x: Tensor) -> Tensor:
        prepared.append(noisy(x))
        return prepared[-1]

    run = run_of(lambda: pair, prepare=prepare, num_data=10, batch_size=10, **options)
    return run, pair[1].first[-1], prepared[-1]


@of_two
def unshared(rank: int, folder: Path) -> tuple[Run, float, Tensor]:
    return gammas(rank, num_epochs=2)


def test_noise_that_cannot_be_shared_is_told(two: dict[str, list[Any]]) -> None:
    (run, ours, batch), (other, theirs, same_batch) = two["unshared"]
    assert "each draws noise of its own, for they draw by aten._standard_gamma" in notes(run)
    assert equal(run[0], other[0])
    assert ours != theirs and torch.equal(batch, same_batch)  # `prepare` has a minibatch of all


@pytest.mark.slow
def test_a_run_whose_noise_is_not_shared_is_resumed(tmp_path: Path) -> None:
    def work(rank: int) -> tuple[Run, Run]:
        whole, *_ = gammas(rank, num_epochs=2)
        gammas(rank, run_dir=tmp_path)
        return whole, gammas(rank, num_epochs=2, run_dir=tmp_path, resume=True)[0]

    for whole, again in together(2, work):
        assert equal(whole[0], again[0])


class Fickle(ToyGuide):
    """Draws another random number first from some step on."""

    fickle, first = False, 0.0

    def forward(self, x: Tensor) -> None:
        if self.fickle:
            self.first = torch.rand(()).item()
        super().forward(x)


def fickle(rank: int, at: int, **options: Any) -> tuple[Run, float]:
    """Two steps an epoch, with another random number in that of the minibatch `at`; the first is an example."""
    pair = make(ToyModel, Fickle)()
    seen = []

    def prepare(x: Tensor) -> Tensor:
        seen.append(x)
        pair[1].fickle = len(seen) == at
        return x

    return run_of(lambda: pair, prepare=prepare, num_data=16, **options), pair[1].first


@of_two
def lost(rank: int, folder: Path) -> tuple[Run, float]:
    return fickle(rank, 3)


def test_noise_that_is_lost_on_the_way_is_told(two: dict[str, list[Any]]) -> None:
    (ours, first), (theirs, second) = two["lost"]
    assert "each draws noise of its own, for the programs draw other random numbers" in notes(ours)
    assert equal(ours[0], theirs[0]) and first != second


@pytest.mark.slow
def test_a_run_whose_noise_was_lost_is_resumed(tmp_path: Path) -> None:
    def work(rank: int) -> tuple[Run, Run]:
        whole, _ = fickle(rank, 3, num_epochs=2)
        fickle(rank, 3, run_dir=tmp_path)
        return whole, fickle(rank, 0, num_epochs=2, run_dir=tmp_path, resume=True)[0]

    for whole, again in together(2, work):
        assert equal(whole[0], again[0])


def _penalised(model: Any, guide: Any, x: Tensor) -> Tensor:
    """With a term that is no sum over data."""
    penalty = sum(p.square().sum() for p in unwrap(guide).parameters())
    return Trace_ELBO().differentiable_loss(model, guide, x) + penalty


def _summed(model: Any, guide: Any, x: Tensor) -> Tensor:
    return Trace_ELBO().differentiable_loss(model, guide, x)


@of_two
def penalised(rank: int, folder: Path) -> Run:
    return run_of(loss=_penalised, num_data=8)


def test_a_loss_that_is_no_sum_over_rows_is_told(two: dict[str, list[Any]]) -> None:
    assert "do not add up to its own" in notes(two["penalised"][0])


@pytest.mark.slow
def test_a_loss_of_the_callers_that_is_a_sum_is_divided() -> None:
    check_same(run_of(loss=_summed), several := together(2, lambda rank: run_of(loss=_summed)))
    assert not notes(several[0])


@of_two
def coupled(rank: int, folder: Path) -> list[str]:
    return [refusal(partial(train, name)) for name in COUPLED]


def refusal(work: Callable[[], Any]) -> str:
    with pytest.raises(ValueError) as caught:
        work()
    return str(caught.value)


def test_objectives_that_couple_rows_are_refused(two: dict[str, list[Any]]) -> None:
    for said in two["coupled"]:
        for name, text in zip(COUPLED, said, strict=True):
            assert f"loss='{name}' couples the rows of a minibatch" in text


@of_two
def undivided(rank: int, folder: Path) -> list[str]:
    return [refusal(lambda: run_of(plate=None)), refusal(lambda: run_of(free_bits=0.1))]


def test_what_has_no_rows_to_divide_is_refused(two: dict[str, list[Any]]) -> None:
    for one_datum, floor in two["undivided"]:
        assert "plate=None is one datum" in one_datum and "Train in one process" in one_datum
        assert "free_bits=0.1 is a floor" in floor


class Fixed(ToyModel):
    """With parameters for each of eight data."""

    def __init__(self) -> None:
        super().__init__()
        self.shifts = nn.Parameter(torch.zeros(8, 5))

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(self.network(z) + self.shifts, self.scale).to_event(1), obs=x)


@pytest.mark.slow
def test_programs_of_one_size_are_refused() -> None:
    for said in together(2, lambda rank: refusal(lambda: run_of(make(Fixed, ToyGuide), num_data=8))):
        assert "cannot be run on 3 rows" in said


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


def cut_and_resumed(rank: int, folder: Path, step: int, **options: Any) -> tuple[Run, Run]:
    """Two epochs, and the same cut at a step; the folder "other" is left as it was after that."""
    options |= {"checkpoint_seconds": 0, "num_epochs": 2}
    whole = run_of(prepare=cut_at(None), **options)
    with pytest.raises(Cut):
        run_of(prepare=cut_at(step), run_dir=folder / "cut", **options)
    if rank == 0:
        shutil.copytree(folder / "cut", folder / "other")
    return whole, run_of(prepare=cut_at(None), run_dir=folder / "cut", resume=True, **options)


def check_resumed(several: list[tuple[Run, Run]], folder: Path, **options: Any) -> None:
    """To the bit by as many workers; by one, who is told so, up to rounding."""
    for whole, resumed in several:
        assert equal(whole[0], resumed[0]) and told(whole[1].history) == told(resumed[1].history)
    options |= {"checkpoint_seconds": 0, "num_epochs": 2}
    alone = run_of(prepare=cut_at(None), run_dir=folder / "other", resume=True, **options)
    assert "resumed by 1 worker, before by 2: the same minibatches" in notes(alone)
    for ours, theirs in zip(alone[0], several[0][0][0], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@of_two
def resumed(rank: int, folder: Path) -> tuple[tuple[Run, Run], Path]:
    return cut_and_resumed(rank, folder, 1, num_data=8), folder


def test_a_resumed_run_is_the_whole_one_and_another_number_of_workers_is_told(two: dict[str, list[Any]]) -> None:
    check_resumed([runs for runs, _ in two["resumed"]], two["resumed"][0][1], num_data=8)


@pytest.mark.slow
def test_a_run_with_validation_that_is_cut_within_an_epoch_is_resumed(tmp_path: Path) -> None:
    options: dict[str, Any] = {"num_validation": 7, "keep": "best"}
    check_resumed(together(2, lambda rank: cut_and_resumed(rank, tmp_path, 4, **options)), tmp_path, **options)


def bad_rows(folder: Path, bad: list[int]) -> tuple[list[int], bool]:
    """Which rows are named, and whether they are written."""
    x = make_data(8)
    x[bad, 0] = 1e200  # finite, and its square is not
    with pytest.raises(NonFiniteError) as caught:
        fit(*make_pair(), x, batch_size=8, run_dir=folder / "run", progress=False)
    return caught.value.rows, caught.value.path is not None


@of_two
def not_finite(rank: int, folder: Path) -> tuple[list[int], bool]:
    return bad_rows(folder, [3])


def test_a_row_of_one_that_is_not_finite_is_named_by_all(two: dict[str, list[Any]]) -> None:
    assert two["not_finite"] == [([3], True), ([3], False)]


@pytest.mark.slow
def test_rows_of_several_that_are_not_finite_are_named_by_all(tmp_path: Path) -> None:
    bad = [1, 2, 3, 4, 6]  # more than one has
    assert together(2, lambda rank: bad_rows(tmp_path, bad)) == [(bad, True), (bad, False)]


def interrupted(rank: int, who: int, folder: Path) -> tuple[str, list[Tensor], Path]:
    """One of the workers gets a signal while it prepares the second minibatch."""
    seen, pair = [], make_pair()

    def prepare(x: Tensor) -> Tensor:
        seen.append(x)
        if len(seen) == 3 and rank == who:
            os.kill(os.getpid(), signal.SIGTERM)
        return x

    with pytest.raises(TrainingInterrupted) as caught:
        run_of(lambda: pair, prepare=prepare, run_dir=folder / "run")
    return str(caught.value), values(*pair), folder / "run"


def check_interrupted(several: list[tuple[str, list[Tensor], Path]]) -> None:
    (first, ours, folder), (second, theirs, _) = several
    assert "SIGTERM after step 2 of 3" in first and "SIGTERM after step 2 of 3" in second and equal(ours, theirs)
    assert (folder / "checkpoints" / "step-000000002").is_dir()


@of_two
def stopped(rank: int, folder: Path) -> tuple[str, list[Tensor], Path]:
    return interrupted(rank, 1, folder)


def test_a_signal_to_one_stops_all_after_the_same_step(two: dict[str, list[Any]]) -> None:
    check_interrupted(two["stopped"])


@pytest.mark.slow
def test_a_signal_to_the_first_does_so_too(tmp_path: Path) -> None:
    check_interrupted(together(2, lambda rank: interrupted(rank, 0, tmp_path)))


@of_two
def ended(rank: int, folder: Path) -> tuple[list[int], str | None]:
    seen = []

    def on_epoch(state: EpochState) -> bool:
        seen.append(state.worker)
        return rank == 1

    return seen, run_of(on_epoch=on_epoch, num_epochs=2, num_data=8)[1].stopped


def test_on_epoch_is_called_in_all_and_ends_all(two: dict[str, list[Any]]) -> None:
    assert two["ended"] == [([0], "on_epoch"), ([1], "on_epoch")]


@pytest.mark.slow
def test_an_error_in_one_on_epoch_ends_all(tmp_path: Path) -> None:
    def work(rank: int) -> None:
        def on_epoch(state: EpochState) -> None:
            if rank == 1:
                raise Cut

        run_of(on_epoch=on_epoch, run_dir=tmp_path)

    first, second = together(2, work)
    assert isinstance(first, WorkersError) and "on_epoch raised in another worker" in str(first)
    assert isinstance(second, Cut) and (tmp_path / "checkpoints" / "step-000000003").is_dir()


@of_two
def apart(rank: int, folder: Path) -> str:
    """One step an epoch; after the first one worker changes a parameter."""
    pair = make_pair()

    def on_epoch(state: EpochState) -> None:
        if rank == 1 and state.epoch == 1:
            with torch.no_grad():
                pair[1].network.bias.add_(1e-12)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(WorkersError) as caught:
        patch.setattr(division, "STEPS_BETWEEN_COMPARISONS", 3)
        run_of(lambda: pair, on_epoch=on_epoch, num_epochs=5, num_data=8)
    return str(caught.value)


def test_a_change_in_one_worker_only_is_found_and_named(two: dict[str, list[Any]]) -> None:
    for said in two["apart"]:
        assert "after step 3 the 2 workers" in said and "guide.network.bias" in said


@of_two
def drawing(rank: int, folder: Path) -> str:
    seen = []

    def prepare(x: Tensor) -> Tensor:
        seen.append(x)
        if len(seen) == 3:
            torch.rand(rank)
        return x

    with pytest.raises(WorkersError) as caught:
        run_of(prepare=prepare, num_data=16)
    return str(caught.value)


def test_random_numbers_that_one_worker_only_draws_are_found_at_the_end(two: dict[str, list[Any]]) -> None:
    assert all("after step 2 the" in said and "the generator of cpu" in said for said in two["drawing"])


@of_two
def differently(rank: int, folder: Path) -> str:
    return refusal(lambda: run_of(learning_rate=0.01 * (1 + rank)))


def test_workers_that_are_called_differently_are_refused(two: dict[str, list[Any]]) -> None:
    first, second = two["differently"]
    assert "workers [1] were called with other arguments" in first
    assert "arguments.learning_rate: 0.01 in worker 0, now 0.02" in second


@of_two
def unbegun(rank: int, folder: Path) -> str:
    if rank == 0:
        (folder / "something").touch()
    with pytest.raises((FileExistsError, WorkersError)) as caught:
        run_of(run_dir=folder)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_what_keeps_the_first_from_beginning_is_told_to_all(two: dict[str, list[Any]]) -> None:
    first, second = two["unbegun"]
    assert first.startswith("FileExistsError")
    assert second.startswith("WorkersError: worker 0 could not begin: FileExistsError")


def test_one_that_has_ended_ends_the_others() -> None:
    def work(rank: int) -> None:
        def prepare(x: Tensor) -> Tensor:
            if rank == 1:
                os._exit(1)
            return x

        run_of(prepare=prepare)

    first, second = together(2, work)
    assert second is None and isinstance(first, WorkersError) and "another one has ended" in str(first)
