"""Results on disk and results joined: nothing is lost, nothing is mixed up."""

import math
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elbowroom.inference import Estimate, Target, agreement, audit_target, decompose
from elbowroom.inference.audit.joined_blocks import joined
from elbowroom.inference.audit.store import _TYPES, load_result, save_result
from elbowroom.inference.mcmc import hmc
from toys.audit import GENEROUS, Line, clean_audit, exploded_audit, modes_audit

TOLD = {"data": "some"}
PARTS = ("bracket", "decomposition", "agreement", "chains", "calibration", "latent_use", "portrait")


def same(one: Any, other: Any, tolerance: float = 0.0, skip: tuple[str, ...] = ()) -> None:
    """Equal in type and content, tensors to a tolerance; targets by what they are pinned to."""
    assert type(one) is type(other)
    if isinstance(one, Tensor):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance, equal_nan=True)
    elif isinstance(one, Target):
        assert len(one) == len(other)
    elif is_dataclass(one):
        for field in fields(one):
            if field.name not in skip:
                same(getattr(one, field.name), getattr(other, field.name), tolerance, skip)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            same(one[key], other[key], tolerance, skip)
    elif isinstance(one, (tuple, list)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b, tolerance, skip)
    else:
        assert one == other or (one != one and other != other)


def through(value: Any, target: Any = None) -> Any:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "deep" / "file"
        save_result(path, "kind", TOLD, value)
        return load_result(path, "kind", TOLD, target)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "audit",
    [clean_audit, pytest.param(lambda: modes_audit("large"), marks=pytest.mark.slow), lambda: exploded_audit(True)],
)
def test_every_part_of_an_audit_comes_back(audit: Any, part: str) -> None:
    result = getattr(audit(), part)
    if part == "bracket":
        result = result.ledger  # which the others are read from
    if result is None:
        pytest.skip("four data have no use of latents")
    target = result.refined.base if part == "decomposition" else None
    same(through(result, target), result)


@pytest.mark.slow
def test_every_type_that_can_be_kept_is_met_here(tmp_path: Path) -> None:
    """A type that is made known to the store is part of something that the tests above bring back."""
    audit_target(Line().target(2), budget=GENEROUS, num_simulations=30, state=tmp_path)
    files = [clean_audit().bracket.ledger, *(getattr(clean_audit(), part) for part in PARTS if part != "bracket")]
    met = {name for value in files for name in _names(value)}
    kept = "".join(path.read_bytes().decode(errors="ignore") for path in tmp_path.iterdir()).replace("\\", "")
    assert {name for name in _TYPES if name not in met and f'"type": "{name}"' not in kept} == set()


def _names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(_names, value.values()))
    if isinstance(value, (tuple, list)):
        return set().union(*map(_names, value))
    if is_dataclass(value) and not isinstance(value, (type, Target)):
        return {type(value).__name__}.union(*(_names(getattr(value, field.name)) for field in fields(value)))
    return set()


numbers = st.floats(allow_nan=True, allow_infinity=True)
tensors = st.builds(
    lambda shape, dtype, seed: (100 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))).to(dtype),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from([torch.float64, torch.float32, torch.int64, torch.bool]),
    st.integers(0, 99),
)
leaves = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | numbers | st.text() | tensors
estimates = st.builds(
    lambda value, info: Estimate(value, value, "lower", info), tensors, st.dictionaries(st.text(), leaves, max_size=3)
)
values = st.recursive(
    leaves | estimates,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(values)
def test_what_is_kept_comes_back(value: Any) -> None:
    same(through(value), value)


def test_numbers_that_are_not_finite_come_back() -> None:
    same(through((math.nan, math.inf, -math.inf, -0.0)), (math.nan, math.inf, -math.inf, -0.0))
    assert math.copysign(1, through(-0.0)) == -1
    found = through(torch.tensor([math.nan, math.inf]))
    assert found[0] != found[0] and found[1] == math.inf


def test_what_is_not_known_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    @dataclass
    class Stranger:
        value: int = 3

    for value in (Stranger(), {1, 2}, object(), [Stranger()], lambda: None):
        with pytest.raises(TypeError, match="cannot be kept in a state file"):
            save_result(tmp_path / "file", "kind", TOLD, value)
    assert list(tmp_path.iterdir()) == []


def test_tensors_that_share_memory_are_kept_apart() -> None:
    base = torch.arange(6.0)
    same(through((base, base[2:4], base.reshape(2, 3).T)), (base, base[2:4], base.reshape(2, 3).T.contiguous()))


def examined(target: Target) -> tuple[Any, Any, Any]:
    draws = hmc(target, num_chains=2, num_warmup=30, num_draws=60, seed=0)
    found = decompose(target, draws=draws, num_samples=64, seed=0)
    return found, agreement(target, draws, num_samples=100, log_p=found.log_p, seed=0), draws.convergence


@pytest.mark.slow
def test_joined_results_are_those_of_all_data_at_once() -> None:
    """Blocks of 3 data and 1, which is also the number of the latents."""
    target = Line(0.7).target(4)
    whole = examined(target)
    blocks = [examined(target.select(rows)) for rows in ([0, 1, 2], [3])]
    for kind, result in enumerate(whole):
        same(joined([block[kind] for block in blocks], target), result, 1e-6, skip=("seconds", "rhat"))
    put_together: Any = joined([block[0] for block in blocks], target)
    assert put_together.refined.base is target
    assert put_together.seconds == sum(block[0].seconds for block in blocks)
    assert put_together.family == whole[0].family and list(put_together.ladder) == list(whole[0].ladder)


def test_one_result_joined_is_itself() -> None:
    audit = clean_audit()
    assert audit.decomposition is not None
    target = audit.decomposition.refined.base
    for result in (audit.decomposition, audit.agreement, audit.chains):
        same(joined([result], target), result)


def test_names_of_latents_are_not_strung_together() -> None:
    seen = clean_audit().agreement
    assert seen is not None
    twice: Any = joined([seen, replace(seen, flags=("chains",) * len(seen))], Line().target(1))
    assert twice.latents == seen.latents == ("z[0]", "z[1]", "z[2]")
    assert twice.flags == seen.flags + ("chains",) * len(seen) and len(twice.why_not["tails"]) == 2 * len(seen)
    assert twice.mean_error.shape == (2 * len(seen), 3) and twice.reference == seen.reference
