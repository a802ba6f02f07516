"""What every density of the registry must do, at a tiny size: shapes, law 1, refusals, seeds, draws, fit, cost."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from elbowroom.densities import DENSITIES, Density, density_class, make_density
from toys.failure_budget import BUDGET, sigmas
from toys.global_state import untouched

SIZES = {2: 6, 3: 4}
"""Levels -> values of a datum: 64 or 81 states."""
KINDS = [
    (name, levels)
    for name, entry in DENSITIES.items()
    for levels in SIZES
    if entry.data == "any" or (entry.data == "binary") == (levels == 2)
]

every_kind = pytest.mark.parametrize(
    ("name", "levels"),
    # A call of annealing takes a second: once in the quick tests is enough.
    [pytest.param(*kind, marks=[pytest.mark.slow] if kind == ("gan", 2) else []) for kind in KINDS],
    ids=[f"{name}-{levels}" for name, levels in KINDS],
)


def make(name: str, levels: int, seed: int = 0) -> Density:
    options = {} if DENSITIES[name].data == "binary" else {"levels": levels}
    try:
        density: Density = make_density(name, SIZES[levels], seed=seed, **DENSITIES[name].tiny, **options)
    except ImportError as error:  # of what an extra of the package installs
        pytest.skip(str(error))
    return density


def data(levels: int, num_data: int = 60) -> Tensor:
    """Neighbours are alike, and low numbers more frequent than high ones."""
    generator = torch.Generator().manual_seed(1)
    first = torch.rand(num_data, 1, generator=generator)
    noise = torch.rand(num_data, SIZES[levels], generator=generator)
    return ((0.7 * first + 0.3 * noise) ** 1.5 * levels).floor()


@cache
def fitted(name: str, levels: int) -> Density:
    """One for all tests, so they must leave it as it is."""
    density = make(name, levels)
    return density.fit(data(levels), seed=1, num_epochs=15, batch_size=20, learning_rate=0.02)


def states(levels: int) -> Tensor:
    """All of them, `[K^P, P]`."""
    return torch.tensor(list(product(range(levels), repeat=SIZES[levels])), dtype=torch.get_default_dtype())


def test_the_registry_says_what_the_classes_are() -> None:
    for name, entry in DENSITIES.items():
        of = density_class(name)
        assert entry.data in ("binary", "levels", "any")
        assert issubclass(of, Density) and of.bound in ("exact", "lower", "none")
        assert of.avoids and of.cannot and of.__doc__
    with pytest.raises(ValueError, match=rf"name: got density 'gibbs', expected one of {', '.join(DENSITIES)}"):
        make_density("gibbs", 3)


@every_kind
def test_every_datum_has_a_number_of_its_own(name: str, levels: int) -> None:
    """Alone as in company, in any order; the bound is the class's. Of equal data each has its own noise, in turn."""
    density, x = fitted(name, levels), data(levels).unique(dim=0)[:7]
    together = density.log_prob(x, seed=3)
    assert together.bound == density.bound
    assert together.value.shape == together.stderr.shape == (7,) and len(together.flags) == 7
    assert together.value.dtype == torch.float64 and bool((together.stderr >= 0).all())
    order = torch.tensor([4, 2, 0, 6, 1, 5, 3])
    torch.testing.assert_close(density.log_prob(x[order], seed=3).value, together.value[order], rtol=0, atol=1e-9)
    different = next(b for b in range(1, 7) if not (x[:b] == x[b]).all(1).any())
    alone = density.log_prob(x[different : different + 1], seed=3)
    torch.testing.assert_close(alone.value, together.value[different : different + 1], rtol=0, atol=1e-9)


@every_kind
def test_what_it_calls_a_probability_sums_to_one(name: str, levels: int) -> None:
    density = fitted(name, levels)
    if density.bound == "none":
        return
    found = density.log_prob(states(levels))
    total, error = found.value.exp().sum().item(), (found.value.exp() * found.stderr).square().sum().sqrt().item()
    if density.bound == "exact":
        assert total == pytest.approx(1, abs=1e-8)
    else:
        assert total < 1 + sigmas() * error


@every_kind
def test_draws_are_as_frequent_as_it_says(name: str, levels: int) -> None:
    density = fitted(name, levels)
    x = density.sample(4000, seed=5)
    assert x.shape == (4000, SIZES[levels]) and x.dtype == next(density.parameters()).dtype
    assert set(x.unique().tolist()) <= set(range(levels))
    if density.bound != "exact":
        return
    expected = 4000 * density.log_prob(states(levels)).value.exp()
    code = (x * levels ** torch.arange(SIZES[levels] - 1, -1, -1)).sum(-1).long()
    seen = torch.bincount(code, minlength=len(expected)).double()
    rare = expected < 5  # one cell of all that are
    cells = [(seen[~rare], expected[~rare]), (seen[rare].sum()[None], expected[rare].sum()[None])]
    observed, wanted = (torch.cat(column) for column in zip(*cells, strict=True))
    statistic = ((observed - wanted).square() / wanted.clamp_min(1e-9)).sum().item()
    assert statistic < stats.chi2.isf(BUDGET / len(KINDS), len(wanted) - 1)


@every_kind
def test_a_seed_decides_and_nothing_else_is_touched(name: str, levels: int) -> None:
    density, x = make(name, levels), data(levels)
    one, other = make(name, levels), make(name, levels, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(density.parameters(), one.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(density.parameters(), other.parameters(), strict=True))
    with untouched():
        for each in (density, one):
            assert each.fit(x, x[:9], seed=2, num_epochs=2, batch_size=20) is each and not each.training
    assert all(torch.equal(a, b) for a, b in zip(density.parameters(), one.parameters(), strict=True))
    with untouched(density):
        assert torch.equal(density.sample(9, seed=4), one.sample(9, seed=4))
        assert torch.equal(density.log_prob(x[:3], seed=4).value, one.log_prob(x[:3], seed=4).value)
        assert not torch.equal(density.sample(9, seed=4), density.sample(9, seed=5))


@every_kind
def test_a_fit_of_a_few_steps_is_better_than_none(name: str, levels: int) -> None:
    if density_class(name).bound == "none":
        return
    x = data(levels)
    before, after = make(name, levels).log_prob(x), fitted(name, levels).log_prob(x)
    error = torch.hypot(before.stderr, after.stderr).mean().item()
    assert after.value.mean() > before.value.mean() + 0.3 + 4 * error / len(x) ** 0.5


@every_kind
def test_other_values_are_refused_by_name(name: str, levels: int) -> None:
    density = fitted(name, levels)
    x, width = data(levels), SIZES[levels]
    wrong = x.clone()
    wrong[[2, 5], 1] = float(levels)
    for call in (density.log_prob, density.fit):
        for values in (wrong, wrong / 2 / levels, -x, x + torch.nan):
            with pytest.raises(ValueError, match=rf"x: expected whole numbers 0 … {levels - 1}, got others in"):
                call(values)
        with pytest.raises(ValueError, match=rf"x: got shape \(60, {width - 1}\), expected \[B, {width}\]"):
            call(x[:, 1:])
        with pytest.raises(ValueError, match=r"x: got shape \(0, "):
            call(x[:0])
        with pytest.raises(TypeError, match="x: got list, expected a tensor"):
            call(x.tolist())
    with pytest.raises(ValueError, match="validation: expected whole numbers"):
        density.fit(x, wrong)
    with pytest.raises((TypeError, ValueError), match="num_samples"):
        density.sample(0)
    with pytest.raises(TypeError, match="epochs"):
        density.fit(x, epochs=3)


@every_kind
def test_it_costs_what_it_says(name: str, levels: int) -> None:
    """Rows that pass through the network, of twice as many data less those of so many."""
    density, x = fitted(name, levels), data(levels)
    rows = []
    for num_data in (8, 16):
        with counted(density) as passed:
            density.log_prob(x[:num_data])
        evaluated = sum(passed)
        with counted(density) as passed:
            density.sample(num_data)
        rows.append((evaluated, sum(passed)))
    grown = [(twice - once) / 8 for once, twice in zip(*rows, strict=True)]
    if name == "gan":  # annealing tries the programs and tunes its chains before these begin, which `cost` leaves out
        assert grown[0] > density.cost().evaluate
        grown[0] = density.cost().evaluate
    assert grown == pytest.approx(list(density.cost()))


@contextmanager
def counted(density: Density) -> Iterator[list[int]]:
    """The rows of each pass."""
    rows: list[int] = []
    parts = list(density.network) if isinstance(density.network, nn.ModuleList) else [density.network]
    hooks = [part.register_forward_hook(lambda _, inputs, __: rows.append(inputs[0][..., 0].numel())) for part in parts]
    try:
        yield rows
    finally:
        for hook in hooks:
            hook.remove()
