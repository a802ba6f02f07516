"""The loss of a minibatch and its gradients as a pure tensor program: Pyro runs once, and is replayed at each step.

A record is made of a whole call of `loss_and_grads`, backward pass and all, whatever the objective is. Parameters and
buffers are held, not copied: a replay reads their values of the moment, and writes the buffers that a step writes. Its
draws come from torch's global generator as those of the programs do. So a replay gives the same bits as a run.
"""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode

from elbowroom.inference.evaluation.noted_shapes import noting_shapes_alone
from elbowroom.inference.evaluation.simplified import simplified
from elbowroom.inference.programs.one_at_a_time import one_at_a_time
from elbowroom.inference.programs.private_torch import OpOverload, schema_of

Step = Callable[..., Any]
"""A minibatch's tensors -> its loss, with the gradients left in the parameters."""


@dataclass(frozen=True)
class Record:
    """A recorded step.

    Attributes:
        run: a minibatch's tensors -> the loss, and the gradient of each of `tensors`.
        tensors: the parameters that have one.
    """

    run: Callable[..., Sequence[Tensor]]
    tensors: tuple[Tensor, ...]

    def __call__(self, *batch: Tensor) -> float:
        """The loss; gradients are left in the parameters."""
        with torch.no_grad():
            loss, *gradients = self.run(*batch)
        for tensor, gradient in zip(self.tensors, gradients, strict=True):
            tensor.grad = gradient
        return loss.item()

    def compiled(self) -> "Record":
        """The same, compiled at its first call; its draws are still those of torch's generator.

        Raises:
            ImportError: where torch finds no compiler (at the first call it raises of its own).
        """
        run = torch.compile(self.run, dynamic=False, options={"fallback_random": True})
        return Record(run, self.tensors)


def recorded(step: Step, batch: tuple[Tensor, ...], trainable: Sequence[Tensor], changing: Sequence[Tensor]) -> Record:
    """Record a step on a minibatch. It is taken, too: buffers and the generator are as after a step.

    Args:
        step: what is recorded.
        batch: the minibatch; a record is of its shapes.
        trainable: the parameters; gradients that they have are forgotten.
        changing: all tensors of the programs whose values training changes.

    Raises:
        Exception: whatever a program that cannot be recorded (it branches on values, or leaves torch) brings about.
    """
    found: list[int] = []

    def pure(*batch: Tensor) -> tuple[Tensor, ...]:
        _forget(trainable)
        with _LossAsTensor(), _without_warnings_of_nan():
            loss = step(*batch)
        gradients = [p.grad for p in trainable]
        _forget(trainable)
        found[:] = [i for i, gradient in enumerate(gradients) if gradient is not None]
        return (torch.as_tensor(loss).detach(), *(g.detach() for g in gradients if g is not None))

    with one_at_a_time(), noting_shapes_alone(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = make_fx(pure)(*batch)
    graph = simplified(graph, changing={id(tensor) for tensor in changing})
    _apart(graph)
    return Record(graph, tuple(trainable[i] for i in found))


def _forget(tensors: Sequence[Tensor]) -> None:
    for tensor in tensors:
        tensor.grad = None


def _apart(graph: GraphModule) -> None:
    """Each gradient in memory of its own: an optimiser scales them in place, and what is equal was merged."""
    (output,) = (node for node in graph.graph.nodes if node.op == "output")
    results: list[Any] = list(output.args[0])
    seen: set[Node] = set()
    for i, node in enumerate(results):
        if (memory := _memory(node)) in seen or memory.op != "call_function":
            with graph.graph.inserting_before(output):
                results[i] = graph.graph.call_function(torch.ops.aten.clone.default, (node,))
        seen.add(memory)
    output.args = (tuple(results),)
    graph.recompile()


def _memory(node: Node) -> Node:
    """What a node is a view of, or the node itself."""
    while node.op == "call_function" and isinstance(node.target, OpOverload):
        returned = schema_of(node.target).returns
        if not (returned and returned[0].alias_info) or not isinstance(node.args[0], Node):
            break
        node = node.args[0]
    return node


class _LossAsTensor(TorchFunctionMode):
    """Losses end with `.item()`: here it gives a tensor, in double precision as Python's numbers are.

    So the number is recorded, and not its value; a branch on it, or a number made of it, cannot be.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.item and args[0].is_floating_point():
            return args[0].detach().double()
        return func(*args, **(kwargs or {}))


@contextmanager
def _without_warnings_of_nan() -> Iterator[None]:
    """Pyro's losses ask whether they are NaN, which would be a branch on values; training asks each step itself."""
    name = "warn_if_nan"
    modules = [m for key, m in list(sys.modules.items()) if key.startswith("pyro.infer") and hasattr(m, name)]
    before = [getattr(module, name) for module in modules]
    try:
        for module in modules:
            setattr(module, name, _silent)
        yield
    finally:
        for module, function in zip(modules, before, strict=True):
            setattr(module, name, function)


def _silent(value: Any, *_: Any, **__: Any) -> Any:
    return value
