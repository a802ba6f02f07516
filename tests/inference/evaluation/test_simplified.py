"""A simplified record: fewer operations, the same bits, and what is written to in place is left alone."""

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from elbowroom.inference.evaluation.simplified import simplified
from toys.programs import data


def calls(module: GraphModule) -> list[str]:
    return [str(node.target) for node in module.graph.nodes if node.op == "call_function"]


def test_constants_repeats_and_empty_views() -> None:
    def function(x: Tensor) -> Tensor:
        constant = torch.arange(3.0).exp() + 1
        once, again = (x + constant).exp(), (x + constant).exp()
        return (once.view(3).detach() * again.expand(3)).sum()

    x = data(3)
    record = simplified(make_fx(function)(x))
    assert sorted(calls(record)) == ["aten.add.Tensor", "aten.exp.default", "aten.mul.Tensor", "aten.sum.default"]
    for point in (x, 2 * x):
        assert torch.equal(record(point), function(point))


def test_numbers_of_different_types_are_different_arguments() -> None:
    def function(x: Tensor) -> tuple[Tensor, Tensor]:
        return x * 1, x * 1.0

    whole = torch.arange(3)
    record = simplified(make_fx(function)(whole))
    assert [value.dtype for value in record(whole)] == [torch.int64, torch.get_default_dtype()]


def test_what_is_written_to_in_place() -> None:
    """Two equal tensors, of which one is written to through a view; a constant that is written to; a reshaped input."""

    def function(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        one, other = x + 1, x + 1
        one.view(3)[0].fill_(7.0)
        buffer = torch.zeros(3)
        buffer[1] = x[2]
        return one * other, buffer + x, other.exp()

    x = data(3)
    record = simplified(make_fx(function)(x))
    for point in (x, 2 * x):
        for found, expected in zip(record(point.clone()), function(point.clone()), strict=True):
            assert torch.equal(found, expected)


def test_random_numbers_are_drawn_anew() -> None:
    record = simplified(make_fx(lambda x: x + torch.randn(3) * torch.randn(3))(torch.zeros(3)))
    assert calls(record).count("aten.randn.default") == 2
    assert not torch.equal(record(torch.zeros(3)), record(torch.zeros(3)))
