"""A record compiled by torch: fewer passes over memory, and none of Python's time between its operations.

What torch has a library of vectors for (MKL's, on processors that it knows) is left to that: compiled code takes up to
five times as long for the tanh of many numbers. What a layer adds to a product of matrices is added by what reads the
sum: `addmm` writes it to memory first, a tenth of the time of a wide layer.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node

from elbowroom.inference.programs.private_torch import codegen_of

COMPILE = ("auto", True, False)

_LEFT = {torch.ops.aten.tanh.default: "tanh", torch.ops.aten.erf.default: "erf"}
_WORTH_A_CALL = 4096  # numbers: of fewer, the call takes as long as the compiled code

_LIBRARY = torch.library.Library("elbowroom", "FRAGMENT")
"""The operations that are left, under names that torch's compiler knows nothing of."""

_MOST_LETTERS = 160  # of a reason


def check_compile(compile: bool | str) -> None:
    """Raise ValueError unless it is "auto", True or False."""
    if not any(compile is way or compile == way == "auto" for way in COMPILE):  # 1 is no True
        raise ValueError(f"compile must be 'auto', True or False, got {compile!r}")


def compiled(record: GraphModule, device: torch.device) -> Callable[..., Any]:
    """The record, compiled at its first call: it raises whatever torch does then, where it finds no compiler, say.

    Args:
        record: of a program; it is left as it is, and parameters are held, not copied.
        device: of its tensors.
    """
    return torch.compile(_with_calls(record) if device.type == "cpu" else record, dynamic=False)


def first_line(error: Exception) -> str:
    """What an error says, in short."""
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first[:_MOST_LETTERS]}"


def _with_calls(record: GraphModule) -> GraphModule:
    """The record with calls of what is left to torch's library."""
    graph = Graph()
    graph.output(graph.graph_copy(record.graph, {}))
    graph.set_codegen(codegen_of(record.graph))  # its arguments may be nested
    for node in list(graph.nodes):
        noted = node.meta.get("val")
        if not isinstance(noted, Tensor) or noted.numel() < _WORTH_A_CALL:
            continue
        if node.target in _LEFT:
            node.target = getattr(torch.ops.elbowroom, _LEFT[node.target]).default
        elif node.target is torch.ops.aten.addmm.default and not node.kwargs:
            _add_afterwards(graph, node)
    return GraphModule(record, graph)


def _add_afterwards(graph: Graph, node: Node) -> None:
    """input + matrix @ matrix in two steps; torch's compiler makes one of them where it knows the product's name."""
    added, *matrices = node.args
    with graph.inserting_before(node):
        product = graph.call_function(torch.ops.elbowroom.mm.default, tuple(matrices))
        node.replace_all_uses_with(graph.call_function(torch.ops.aten.add.Tensor, (product, added)))
    graph.erase_node(node)


_LIBRARY.define("mm(Tensor x, Tensor y) -> Tensor")
_LIBRARY.impl("mm", torch.mm, "CPU")
_LIBRARY.impl("mm", lambda x, y: x.new_empty(len(x), y.shape[1]), "Meta")
for _name in _LEFT.values():
    _LIBRARY.define(f"{_name}(Tensor x) -> Tensor")
    _LIBRARY.impl(_name, getattr(torch, _name), "CPU")
    _LIBRARY.impl(_name, torch.empty_like, "Meta")
