"""Records compiled by torch give the numbers of plain runs; where they do not, or cannot be made, records are used."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, bounds, importance
from elbowroom.inference.evaluation import compiled, joint_in_blocks
from elbowroom.inference.evaluation.compiled import check_compile
from elbowroom.models import VAE
from toys.programs import data


def vae(num_data: int = 7, **options: Any) -> Target:
    torch.manual_seed(0)
    x = (data(num_data, 32) > 0).double()
    return Target(VAE(32, 2, (64,), **options), AmortizedNormal(32, 2, (8,)), x)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blocks, and few numbers are worth a call of torch's own library."""
    monkeypatch.setattr(joint_in_blocks, "_FEWEST", 1)
    monkeypatch.setattr(joint_in_blocks, "_BLOCK_BYTES", 2**18)
    monkeypatch.setattr(compiled, "_WORTH_A_CALL", 8)


def compiles(monkeypatch: pytest.MonkeyPatch, how: Callable[[Any], Any]) -> list[Any]:
    """In place of torch's compiler, which takes seconds; gives what it was called with."""
    calls: list[Any] = []
    monkeypatch.setattr(torch, "compile", lambda graph, dynamic: calls.append(graph) or how(graph))
    return calls


def assert_same(found: Any, plain: Any) -> None:
    torch.testing.assert_close(found.value, plain.value, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.stderr, plain.stderr, rtol=1e-8, atol=1e-12)
    assert found.flags == plain.flags


def raises(*_: Any) -> Any:
    raise RuntimeError("no C++ compiler was found\nand more")


WAYS = {
    "compiled": lambda graph: graph,
    "recorded (not compiled: RuntimeError: no C++ compiler was found)": lambda graph: raises,
    "recorded (not compiled: it gives other numbers than a run of the programs)": lambda graph: (
        lambda *inputs: tuple(term * (1 + 1e-9) for term in graph(*inputs))
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", WAYS)
def test_what_the_compiler_gives_is_tried(how: str, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, target = compiles(monkeypatch, WAYS[how]), vae()
    plain = importance(target, num_samples=300, seed=3, compile=False)
    assert plain.info["evaluated"] == "run" and not calls
    for _ in range(2):  # made once, and the reason is kept with it
        found = importance(target, num_samples=300, seed=3, compile=True)
        assert found.info["evaluated"] == how
        assert_same(found, plain)
    assert len(calls) == 1


@pytest.mark.slow
def test_automatically_only_where_it_pays(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, target = compiles(monkeypatch, lambda graph: graph), vae()
    assert importance(target, num_samples=300).info["evaluated"] == "run"
    monkeypatch.setattr(joint_in_blocks, "_WORTH_BYTES", 0)
    assert importance(target, num_samples=300).info["evaluated"] == "recorded" and not calls
    monkeypatch.setattr(joint_in_blocks, "_WORTH_COMPILING", 0)
    assert importance(target, num_samples=300).info["evaluated"] == "compiled" and len(calls) == 1


def test_a_program_that_cannot_be_recorded_says_so(small: None) -> None:
    target = Target(VAE(32, 2, (8,)), AmortizedNormal(32, 2, (8,)), (data(3, 32) > 0).double(), layout="loop")
    found = importance(target, num_samples=30, compile=True)
    assert found.info["evaluated"] == "run (the programs give no record in blocks)"


def test_bounds_are_the_same_in_blocks(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, target = compiles(monkeypatch, lambda graph: graph), vae()
    plain = bounds(target, num_samples=300, seed=3, num_particles=[1, 7], compile=False)
    found = bounds(target, num_samples=300, seed=3, num_particles=[1, 7], compile=True)
    assert len(calls) == 1 and list(found) == list(plain)
    for name, estimate in plain.items():
        torch.testing.assert_close(found[name].value, estimate.value, rtol=1e-10, atol=1e-10, equal_nan=True)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
def test_operations_that_are_left_to_torchs_library(
    activation: str, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = compiles(monkeypatch, lambda graph: graph)
    importance(vae(activation=activation), num_samples=300, compile=True)
    called = {str(node.target) for node in calls[0].graph.nodes}
    assert ("elbowroom.tanh.default" in called) is (activation == "tanh")
    assert "aten.tanh.default" not in called
    assert "elbowroom.mm.default" in called and "aten.addmm.default" not in called


def test_the_record_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    compiles(monkeypatch, lambda graph: graph)
    weight = torch.nn.Parameter(torch.randn(4, 4096, dtype=torch.float64))
    with torch.no_grad():
        record = make_fx(lambda x: ((x @ weight).tanh() - x.erf() @ weight, x))(torch.randn(3, 4, dtype=torch.float64))
        before, x = str(record.graph), torch.randn(3, 4, dtype=torch.float64)
        fast = compiled.compiled(record, torch.device("cpu"))
        assert str(record.graph) == before
        assert "elbowroom.tanh" in fast.code and "aten.erf" in fast.code  # of twelve numbers
        weight.mul_(2.0)  # parameters are held, not copied
        for found, expected in zip(fast(x), ((x @ weight).tanh() - x.erf() @ weight, x), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-14)
        assert "elbowroom" not in compiled.compiled(record, torch.device("cuda")).code


@pytest.mark.parametrize("value", [1, 0, "yes", None])
def test_other_ways_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="compile must be 'auto', True or False"):
        check_compile(value)
    for estimate in (importance, bounds):
        words = "'auto', True or False" if value == "yes" else "True or False, or a str"
        with pytest.raises((ValueError, TypeError), match=f"compile must be {words}"):
            estimate(vae(1), num_samples=3, compile=value)


@pytest.mark.slow
def test_compiled_by_torch(small: None) -> None:
    """In pieces of nearly one size, of two widths of numbers, and again after the parameters have changed."""
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        torch.manual_seed(0)
        x = (data(9, 32) > 0).to(dtype)
        model = VAE(32, 2, (64,), activation="tanh").to(dtype)
        target = Target(model, AmortizedNormal(32, 2, (8,)).to(dtype), x)
        for _ in range(2):
            plain, found = (importance(target, num_samples=700, seed=3, compile=how) for how in (False, True))
            assert found.info["evaluated"] == "compiled"
            torch.testing.assert_close(found.value, plain.value, rtol=tolerance, atol=tolerance)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.mul_(1.1)
        some = importance(target.select([4]), num_samples=700, seed=3, compile=True)
        whole = importance(target, num_samples=700, seed=3, compile=True)
        torch.testing.assert_close(some.value, whole.value[4:5], rtol=tolerance, atol=tolerance)
