"""Memory under an explicit budget, whatever S and B are."""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyro.infer import autoguide
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, anneal, decompose, hmc, importance, quadrature
from elbowroom.inference.evaluation.budget import (
    MEMORY_BYTES,
    Plan,
    _Allocations,
    bytes_or_default,
    bytes_per_cell,
    bytes_per_draw,
    cells_within,
    measure,
    plan,
)
from elbowroom.inference.programs.evaluations import total
from elbowroom.inference.programs.noise import BLOCK
from elbowroom.models import from_decoder
from toys.programs import Ppca, conjugate, data, normal_model


class Allocated(TorchDispatchMode):
    """Bytes of the tensors made by operations: all of them, so more than are alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, Tensor) and not tensor._is_view():
                self.bytes += tensor.numel() * tensor.element_size()
        return out


@cache
def wide() -> Target:
    problem = Ppca.make(50, 2, 0.5)
    return Target(problem.model, problem.guide, problem.sample(40))


@settings(max_examples=25, deadline=None)
@given(budget=st.integers(20_000, 3_000_000), num_samples=st.integers(1, 3000))
def test_one_evaluation_stays_within_the_budget(budget: int, num_samples: int) -> None:
    cut = plan(wide(), num_samples, budget)
    part = wide().select(range(cut.data_at_once))
    with torch.no_grad(), Allocated() as allocated:
        part.log_weights(cut.samples_at_once)
    assert allocated.bytes <= 1.02 * budget  # of all tensors ever made: those alive at once are fewer


@settings(max_examples=50, deadline=None)
@given(budget=st.integers(20_000, 30_000_000), num_samples=st.integers(1, 3000))
def test_a_plan_covers_everything_once(budget: int, num_samples: int) -> None:
    cut = plan(wide(), num_samples, budget)
    assert 1 <= cut.data_at_once <= 40 and 1 <= cut.samples_at_once <= num_samples
    assert cut.samples_at_once % BLOCK == 0 or cut.samples_at_once < BLOCK or cut.samples_at_once == num_samples
    starts = list(cut.sample_ranges(num_samples))
    assert [start for start, _ in starts] == list(range(0, num_samples, cut.samples_at_once))
    assert sum(count for _, count in starts) == num_samples
    pieces = list(cut.data(wide()))
    covered = torch.cat([part.args[0] for _, part in pieces])
    assert torch.equal(covered, wide().args[0])
    assert all(piece.stop - piece.start == len(part) for piece, part in pieces)


def test_a_cost_is_measured_once_and_counted_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The count of a call is a function of its arguments, not of what was measured before."""
    target, found = conjugate().target(), []
    for _ in range(2):
        before = total()
        found.append((measure(target), bytes_per_draw(target), total() - before))
        monkeypatch.setattr(Target, "propose", None)
        monkeypatch.setattr(Target, "log_weights", None)
    assert found[0] == found[1] and found[0][2] > 0
    with pytest.raises(TypeError):
        measure(target, memory_bytes=2**20)  # another budget, another trial


def test_all_data_at_once_are_preferred() -> None:
    """A budget for a tenth of the samples cuts samples, not data: the encoder runs once for each datum and chunk."""
    cost = measure(wide())
    cut = plan(wide(), 10_000, int(cost(40, 1000)))
    assert cut.data_at_once == 40 and cut.samples_at_once == 768
    few = plan(wide(), 10_000, int(cost(20, BLOCK)) + 1)
    assert few.data_at_once == 20 and few.samples_at_once == BLOCK


def test_too_small_a_budget_says_what_would_do() -> None:
    target = conjugate().target()
    assert "memory_bytes=10 is too small: one sample of one datum takes about" in refusal(target)
    needed = int(re.search(r"about (\d+) bytes", refusal(target))[1])
    assert plan(target, 100, needed) == Plan(5, 1, 1)
    x = data(6)
    whole = Target(normal_model, autoguide.AutoNormal(normal_model), x)  # it has parameters for six data
    assert "one sample of these 6 data takes" in refusal(whole)
    needed = int(re.search(r"about (\d+) bytes", refusal(whole))[1])
    assert plan(whole, 100, needed) == Plan(6, 6, 1)


@pytest.mark.parametrize("memory_bytes", [0, -1])
@pytest.mark.parametrize(
    "ask",
    [
        lambda target, n: bytes_or_default(n),
        lambda target, n: plan(target, 10, n),
        cells_within,
        lambda target, n: quadrature(target, memory_bytes=n),
        lambda target, n: hmc(target, memory_bytes=n),
        lambda target, n: decompose(target, memory_bytes=n),
        lambda target, n: anneal(target, memory_bytes=n),
    ],
)
def test_a_budget_of_nothing_is_not_the_default(ask: Callable[[Target, int], Any], memory_bytes: int) -> None:
    with pytest.raises(ValueError, match=f"memory_bytes must be (at least 1|an integer from 1 .*), got {memory_bytes}"):
        ask(conjugate().target(), memory_bytes)


def test_cells_within_a_budget() -> None:
    target = conjugate().target()
    each = bytes_per_cell(target)
    assert cells_within(target, int(10.5 * each)) == 10
    assert cells_within(target, int(10.5 * each), copies=3) == 3
    assert cells_within(target, 1) == 1
    assert cells_within(target) == int(MEMORY_BYTES // each)


def refusal(target: Target) -> str:
    with pytest.raises(ValueError) as caught:
        plan(target, 100, 10)
    return str(caught.value)


class Convolved(nn.Module):
    """Somebody's decoder, of convolutions: what they unfold is more than all that they return."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side, self.stretch = side, nn.Linear(2, side**2 // 4)
        self.narrow, self.wide = nn.ConvTranspose2d(1, 4, 4, 2, 1), nn.Conv2d(4, 1, 5, padding=2)

    def forward(self, z: Tensor) -> Tensor:
        small = self.stretch(z).reshape(-1, 1, self.side // 2, self.side // 2)
        return self.wide(self.narrow(small).relu_()).reshape(*z.shape[:-1], self.side**2)


def images(side: int, num_data: int) -> Target:
    decoder = Convolved(side)
    model = from_decoder(decoder, latent_dim=2, likelihood="normal-fixed", output="mean", sigma=1.0)
    return Target(model, AmortizedNormal(side**2, 2, (4,)), torch.randn(num_data, side**2), layout="plate")


@pytest.mark.parametrize(
    ("layer", "shape", "window", "places"),
    [
        (nn.Conv2d(3, 4, 4, 2, 1), (2, 3, 8, 6), 3 * 16, 2 * 4 * 3),
        (nn.Conv2d(4, 6, 3, groups=2), (2, 4, 5, 5), 4 * 9, 2 * 3 * 3),
        (nn.ConvTranspose2d(3, 4, 4, 2, 1), (2, 3, 4, 3), 4 * 16, 2 * 4 * 3),
        (nn.ConvTranspose2d(4, 6, 3, groups=2), (2, 4, 5, 5), 6 * 9, 2 * 5 * 5),
        (nn.Conv1d(3, 2, 5), (2, 3, 9), 3 * 5, 2 * 5),
    ],
)
def test_a_convolution_needs_its_columns_while_it_runs(layer: nn.Module, shape, window: int, places: int) -> None:
    layer, counter = layer.double(), _Allocations()
    with torch.no_grad(), counter:
        out = layer(torch.empty(shape).normal_().double())
    assert counter.unfolded == 8 * window * places
    assert counter.outputs >= 8 * out.numel()


def test_what_convolutions_unfold_is_in_the_cost() -> None:
    """Of S samples of B data the columns are S·B of one image's: 5·5·4 numbers a pixel, where the output is one."""
    side = 16
    cost = measure(images(side, 12))
    unfolded = 8 * 100 * side**2
    assert unfolded < cost.cell < 1.5 * unfolded
    assert bytes_per_cell(images(side, 12)) == pytest.approx(cost.cell, rel=0.1)


def test_a_cost_is_measured_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight data and seventeen samples of large images would take more than what is measured for."""
    target, asked = images(64, 12), []
    cell = measure(target).cell
    evaluate = Target.log_weights
    monkeypatch.setattr(
        Target,
        "log_weights",
        lambda t, n, **k: asked.append(len(t) * n) or evaluate(t, n, **k),  # type: ignore[func-returns-value]
    )
    budget = 32 * 2**20
    assert measure(target, 1.0, budget).cell == pytest.approx(cell, rel=0.05)
    assert bytes_per_cell(target, memory_bytes=budget) == pytest.approx(cell, rel=0.05)
    assert 2 < max(asked) < budget / cell < 8 * 16
    assert measure(target, 1.0, 1).cell == pytest.approx(cell, rel=0.05)  # never less than one datum and two samples


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's count of memory is read from /proc")
def test_the_memory_that_is_in_use_stays_within_the_cost() -> None:
    """Of 256 images of 32 × 32 pixels; every block of memory is given back at once, so the peak is what is in use."""
    code = textwrap.dedent("""
        import torch
        from test_budget import images, measure
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(1)
        target = images(32, 8)
        expected = measure(target)(8, 32)
        def line(file, key):
            return next(int(row.split()[1]) * 1024 for row in open(file) if row.startswith(key))
        before = line("/proc/self/status", "VmRSS")
        open("/proc/self/clear_refs", "w").write("5")
        with torch.no_grad():
            target.log_weights(32)
        print(expected, line("/proc/self/status", "VmHWM") - before)
    """)
    told = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **told}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected, in_use = map(float, done.stdout.split())
    assert expected / 3 < in_use < expected


def test_gradients_cost_more() -> None:
    with_gradients = plan(wide(), 10_000, 1_000_000_000, gradients=True)
    assert with_gradients.samples_at_once < plan(wide(), 10_000, 1_000_000_000).samples_at_once / 2


def test_the_default_budget() -> None:
    assert plan(wide(), 500) == plan(wide(), 500, MEMORY_BYTES) == Plan(40, 40, 500)


@pytest.mark.slow
def test_resident_memory_does_not_grow_with_the_number_of_samples() -> None:
    """A million samples of 40 data (1.3 GB of z and x at once) under a budget of 16 MiB."""
    import resource

    importance(wide(), num_samples=2000, memory_bytes=2**24)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    importance(wide(), num_samples=100_000, memory_bytes=2**24)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # kilobytes
    assert grown < 64 * 1024
