"""A record with less to do, and the same results to the bit.

A run of a program records every operation, many of them for nothing: what depends on no input is worked out once, what
was worked out before is not worked out again, and views that change nothing are passed over. What is written to in
place, or shares its memory with what is, is left as it was recorded.
"""

from collections.abc import Collection, Hashable
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from elbowroom.inference.programs.private_torch import OpOverload, schema_of

_SAME = {"aten.alias.default", "aten.detach.default"}
_RESHAPING = {"aten.view.default", "aten.expand.default", "aten.permute.default", "aten._unsafe_view.default"}


def simplified(module: GraphModule, differentiable: bool = False, changing: Collection[int] = ()) -> GraphModule:
    """The record with constants folded, repeated operations merged and empty views dropped.

    Args:
        module: the record.
        differentiable: whether it is to be differentiated: then it keeps its `detach`.
        changing: `id` of tensors that it holds, parameters say, whose values will be others when it is replayed.
    """
    written = _written(module)
    seen: dict[Hashable, Node] = {}
    for node in list(module.graph.nodes):
        if node.op != "call_function" or node in written or not _is_pure(node.target):
            continue
        if _is_empty(node) and not (differentiable and node.target is torch.ops.aten.detach.default):
            node.replace_all_uses_with(node.args[0])
        elif (earlier := seen.setdefault(_key(node), node)) is not node:
            node.replace_all_uses_with(earlier)
    module.graph.eliminate_dead_code()
    _fold(module, written, changing)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module


def _fold(module: GraphModule, written: set[Node], changing: Collection[int]) -> None:
    """Replace what depends on no input by its value."""
    values: dict[Node, Any] = {}
    for node in module.graph.nodes:
        if node.op == "get_attr":
            if node not in written and id(held := getattr(module, node.target)) not in changing:
                values[node] = held
            continue
        is_pure = node.op == "call_function" and node not in written and _is_pure(node.target)
        if is_pure and all(n in values for n in node.all_input_nodes):
            args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
            values[node] = node.target(*args, **kwargs)
    for node, value in values.items():
        used = any(user not in values for user in node.users)
        if node.op == "get_attr" or not used or not isinstance(value, Tensor):
            continue
        name = f"_folded_{node.name}"
        module.register_buffer(name, value)
        with module.graph.inserting_before(node):
            node.replace_all_uses_with(module.graph.get_attr(name))


def _written(module: GraphModule) -> set[Node]:
    """Nodes that are written to in place, and all that may share their memory."""
    group: dict[Node, set[Node]] = {}
    mutated: list[Node] = []
    for node in module.graph.nodes:
        group[node] = {node}
        if node.op != "call_function" or not isinstance(node.target, OpOverload):
            for source in node.all_input_nodes:  # items of a tuple
                if node.op != "output":
                    _join(group, node, source)
            continue
        for place, argument in enumerate(schema_of(node.target).arguments):
            if argument.alias_info is None:
                continue
            value = node.args[place] if place < len(node.args) else node.kwargs.get(argument.name)
            for source in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(source, Node):
                    _join(group, node, source)
                    if argument.alias_info.is_write:
                        mutated.append(source)
    return set().union(*(group[node] for node in mutated))


def _join(group: dict[Node, set[Node]], one: Node, other: Node) -> None:
    if group[one] is not group[other]:
        together = group[one] | group[other]
        for node in together:
            group[node] = together


def _is_pure(target: Any) -> bool:
    """Whether a call gives the same each time, and changes nothing."""
    if not isinstance(target, OpOverload):
        return False
    return not schema_of(target).is_mutable and torch.Tag.nondeterministic_seeded not in target.tags


def _is_empty(node: Node) -> bool:
    """Whether a node is a view that has the sizes and strides of what it views."""
    name = str(node.target)
    if name in _SAME:
        return True
    source = node.args[0] if node.args else None
    if name not in _RESHAPING or not isinstance(source, Node):
        return False
    before, after = source.meta.get("val"), node.meta.get("val")
    return (
        isinstance(before, Tensor)
        and isinstance(after, Tensor)
        and before.shape == after.shape
        and before.stride() == after.stride()
    )


def _key(node: Node) -> Hashable:
    return (node.target, _frozen(node.args), _frozen(tuple(sorted(node.kwargs.items()))))


def _frozen(value: Any) -> Hashable:
    """Arguments as a key: 1, 1.0 and True are three."""
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    return value if isinstance(value, Node) else (type(value).__name__, value)
