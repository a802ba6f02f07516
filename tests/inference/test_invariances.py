"""The laws, for every entry of `ESTIMATORS`: a datum's numbers are a function of that datum and of the seed alone."""

from functools import cache
from typing import Any

import pytest
import torch

from elbowroom import inference
from elbowroom.inference import Target
from elbowroom.inference.evaluation.budget import measure
from toys.clock import Clock
from toys.estimators import ESTIMATORS, Pixels
from toys.failure_budget import sigmas
from toys.leaves import Leaves, data_axes, leaves, same, taken
from toys.shown import check_shown, shown_parts

NUM_DATA, SEED = 7, 3
SINGLE = 1e-4  # nats: rounding of a sum of eight log probabilities in single precision, and of its exponentials
UNCHANGING = {
    "bits_per_dimension", "check_program", "code_usage", "encoder_overfitting", "fit", "load_checkpoint", "perplexity",
    "retrain_guide", "shard", "shard_cost", "shards_standing", "merge_shards", "read_shards",
}  # fmt: skip
"""Public calls that train, describe or combine results, or ask one of the others for them."""
AGAIN: dict[str, tuple[Leaves, int]] = {}
"""Filled by `again`, for the tests that need a second run of a call."""


FEW = ("importance", "bounds", "quadrature", "anneal", "bracket", "hmc")
"""What takes a second is quickly tried on these alone."""


def entries(wanted: Any = lambda entry: True, quick: Any = ESTIMATORS) -> pytest.MarkDecorator:
    """The entries of which something is asked; those that take seconds, or are not `quick`, run with the slow tests."""
    names = [name for name, entry in ESTIMATORS.items() if wanted(entry)]
    marks = {name: [] if name in quick and not ESTIMATORS[name].slow else [pytest.mark.slow] for name in names}
    return pytest.mark.parametrize("name", [pytest.param(name, marks=marks[name]) for name in names])


def run(name: str, target: Target, seed: int = SEED, memory_bytes: int | None = None) -> Leaves:
    entry = ESTIMATORS[name]
    return leaves(entry.read(entry.call(target, seed, memory_bytes)))


@cache
def target_of(name: str) -> Target:
    return ESTIMATORS[name].target()


@cache
def answer(name: str) -> Any:
    return ESTIMATORS[name].call(target_of(name), SEED, None)


@cache
def whole(name: str) -> Leaves:
    """All data at once: what every other way of asking is held against."""
    return leaves(ESTIMATORS[name].read(answer(name)))


def again(name: str, clock: Clock) -> tuple[Leaves, int]:
    """The same once more, whatever the state of torch's generator; and how many evaluations that takes."""
    if name not in AGAIN:
        begin = clock.evaluations
        torch.manual_seed(99)
        AGAIN[name] = run(name, target_of(name)), clock.evaluations - begin
    return AGAIN[name]


def test_every_public_call_is_here() -> None:
    calls = {name for name in inference.__all__ if not isinstance(getattr(inference, name), type)}
    assert {name.split()[0] for name in ESTIMATORS} == calls - UNCHANGING


@entries(quick=FEW)
def test_an_answer_and_all_its_parts_print_as_short_tables(name: str) -> None:
    for part in shown_parts(answer(name)):
        check_shown(part)


@entries(lambda entry: not entry.simulates and not entry.collective, quick=("importance", "quadrature", "hmc"))
def test_functions_in_place_of_programs_give_the_same(name: str) -> None:
    entry, expected = ESTIMATORS[name], whole(name)
    found = run(name, Pixels(entry.num_latents).target_of_functions())
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        same(found[path], value, max(entry.tolerance, 1e-8), path)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        pytest.param(name, rows, marks=[] if name in FEW and len(rows) == 2 else [pytest.mark.slow])
        for name, entry in ESTIMATORS.items()
        for rows in ([3], [6, 0])
        if not entry.collective
    ],
)
def test_a_datum_is_the_same_in_any_company(name: str, rows: list[int]) -> None:
    expected, found = whole(name), run(name, target_of(name).select(rows))
    axes = data_axes(expected, NUM_DATA)
    assert found.keys() == expected.keys() and len(axes) >= 2, axes
    for path, axis in axes.items():
        same(found[path], taken(expected[path], axis, rows), ESTIMATORS[name].tolerance, path)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if e.collective and not e.slow else [pytest.mark.slow]) for n, e in ESTIMATORS.items()],
)
def test_the_order_of_the_data_does_not_matter(name: str) -> None:
    """A quick test of what speaks of all data together: numbers of a datum that mind no company mind no order."""
    order = [4, 0, 6, 2, 5, 1, 3]
    expected, found = whole(name), run(name, target_of(name).select(order))
    axes = data_axes(expected, NUM_DATA)
    for path, value in expected.items():
        turned = taken(value, axes[path], order) if path in axes else value
        same(found[path], turned, ESTIMATORS[name].tolerance, path)


@entries(lambda entry: entry.cut, quick=FEW[:3])
def test_the_byte_budget_changes_nothing(name: str, clock: Clock) -> None:
    """Neither how many data nor how many samples are evaluated at once; and a small budget does cut."""
    expected, (found, evaluations) = whole(name), in_pieces(name, clock)
    assert evaluations > again(name, clock)[1]
    for path, value in expected.items():
        same(found[path], value, ESTIMATORS[name].tolerance, path)


def in_pieces(name: str, clock: Clock) -> tuple[Leaves, int]:
    """Under a byte budget that holds some samples of two data, or as much more as a call needs; and its evaluations."""
    memory = int(measure(target_of(name))(2, ESTIMATORS[name].piece))
    while True:
        begin = clock.evaluations
        try:
            return run(name, target_of(name), memory_bytes=memory), clock.evaluations - begin
        except ValueError as error:
            if "memory_bytes" not in str(error):
                raise
            memory *= 2


@entries(quick=FEW)
def test_the_seed_is_all_that_is_random(name: str, clock: Clock) -> None:
    expected = whole(name)
    (repeated, _), other = again(name, clock), run(name, target_of(name), seed=SEED + 1)
    for path, value in expected.items():
        same(repeated[path], value, 0.0, path)
    assert ESTIMATORS[name].random == any(differs(other[path], value) for path, value in expected.items())


@entries(lambda entry: not entry.collective, quick=FEW)
def test_float32_programs(name: str) -> None:
    """Other noise, and rounding: what single precision says differs by the errors that both report."""
    entry, expected = ESTIMATORS[name], whole(name)
    torch.set_default_dtype(torch.float32)
    found = run(name, entry.target(torch.float32))
    assert found.keys() == expected.keys()
    pairs = [(p, p.removesuffix("value") + "stderr") for p in found if p.endswith("value")]
    values = [(p, stderr) for p, stderr in pairs if stderr in found and not entry.simulates]
    for value, stderr in values:
        assert found[value].dtype == torch.float64
        error = torch.hypot(found[stderr], expected[stderr])
        most = sigmas(NUM_DATA * len(values)) * entry.scatter * error + SINGLE
        near = (found[value] - expected[value]).abs() <= most
        none = found[value].isnan() & expected[value].isnan()
        assert bool((near | none | found[value].isinf()).all()), (value, found[value], expected[value], error)


def differs(one: Any, other: Any) -> bool:
    return not torch.equal(one, other) if isinstance(one, torch.Tensor) else one != other
