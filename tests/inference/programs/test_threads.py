"""Two threads that run programs get the numbers that one alone gets, and leave nothing behind."""

import copy
import os
import threading
import warnings
from collections.abc import Callable
from functools import partial

import pyro
import pytest
import torch
from pyro.infer import Trace_ELBO
from pyro.poutine.runtime import _PYRO_STACK
from torch import Tensor

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, fit, hmc, importance
from elbowroom.inference.programs.one_at_a_time import one_at_a_time
from elbowroom.models import VAE
from toys.programs import Ppca

CALLS = 10


def targets() -> list[Target]:
    exact = Ppca.make(4, 2, 1.0)
    return [Target(exact.model, exact.guide, exact.sample(5) + shift) for shift in (0.0, 1.0)]


def in_threads(*works: Callable[[], None]) -> None:
    """Run them at once; what one raises is raised here."""
    failures: list[BaseException] = []

    def kept(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=kept, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def state() -> tuple[object, ...]:
    settings = [pyro.settings.get(name) for name in ("validate_infer", "validate_distributions_pyro")]
    stored = dict(pyro.get_param_store().named_parameters())
    return (*settings, pyro.settings.get("module_local_params"), len(_PYRO_STACK), list(stored), list(warnings.filters))


@pytest.mark.parametrize("calls", [CALLS, pytest.param(200, marks=pytest.mark.slow)])
def test_two_threads_get_what_one_gets(calls: int) -> None:
    pair = targets()
    expected = [importance(target, num_samples=50).value for target in pair]
    before, noise = state(), torch.get_rng_state()

    def work(target: Target, value: Tensor) -> None:
        for _ in range(calls):
            assert torch.equal(importance(target, num_samples=50).value, value)

    in_threads(*(lambda t=t, v=v: work(t, v) for t, v in zip(pair, expected, strict=True)))  # type: ignore[misc]
    assert state() == before and torch.equal(torch.get_rng_state(), noise)
    exact = Ppca.make(4, 2, 1.0)
    assert Trace_ELBO().loss(exact.model, exact.guide, exact.sample(3)) > 0  # Pyro by itself is as it was


@pytest.mark.slow
def test_chains_in_one_thread_and_programs_read_in_another() -> None:
    pair = targets()
    expected = hmc(pair[0], num_chains=2, num_warmup=10, num_draws=10).z["z"]

    def chains() -> None:
        assert torch.equal(hmc(pair[0], num_chains=2, num_warmup=10, num_draws=10).z["z"], expected)

    before = state()
    in_threads(chains, lambda: [targets() for _ in range(5)] and None)  # type: ignore[func-returns-value]
    assert state() == before


def test_training_in_two_threads_is_training_in_one_after_the_other() -> None:
    x = torch.bernoulli(torch.full((40, 6), 0.3))
    pairs = [(VAE(6, 2, hidden=(5,)), AmortizedNormal(6, 2, hidden=(5,))) for _ in range(2)]
    twins = copy.deepcopy(pairs)

    def train(pair: tuple[VAE, AmortizedNormal], seed: int) -> None:
        fit(*pair, x, num_epochs=3, seed=seed, progress=False, compile=False)

    for seed, pair in enumerate(twins):
        train(pair, seed)
    before = state()
    in_threads(*(partial(train, pair, seed) for seed, pair in enumerate(pairs)))
    assert state() == before
    for pair, twin in zip(pairs, twins, strict=True):
        for mine, theirs in zip(pair, twin, strict=True):
            for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
                assert torch.equal(p, q)


def test_a_thread_that_fails_lets_others_go_on() -> None:
    def failing(x: Tensor) -> None:
        raise RuntimeError("no model")

    (target, _), before = targets(), state()

    def fails() -> None:
        for _ in range(5):
            with pytest.raises(Exception, match="no model"):
                Target(failing, failing, torch.zeros(3))

    in_threads(fails, lambda: [importance(target, num_samples=20) for _ in range(10)] and None)  # type: ignore[func-returns-value]
    assert state() == before


def test_what_a_thread_calls_from_inside_goes_on() -> None:
    with one_at_a_time(), one_at_a_time():
        assert importance(targets()[0], num_samples=10).value.isfinite().all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_does_not_wait_for_the_parents_threads() -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with one_at_a_time():
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:  # no test runs here: nothing but an exit
        with one_at_a_time():
            os._exit(7)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
