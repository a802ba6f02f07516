"""The parameters of a pair of programs: found, named, copied and put back."""

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyro
import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor, nn

from elbowroom.inference.programs.structure import Program


@dataclass(frozen=True)
class Parameters:
    """Everything in the programs that training changes or that its result depends on.

    Attributes:
        trainable: name -> leaf tensor, in a stable order: `model.<name>` and `guide.<name>` for what modules own,
            `store.<name>` for `pyro.param` in plain functions (unconstrained values). A tensor that both programs
            share is there once.
        modules: "model" and "guide" -> the module that owns the program, where there is one.
    """

    trainable: dict[str, Tensor]
    modules: dict[str, nn.Module]

    def everything(self) -> dict[str, Tensor]:
        """The trainable tensors, frozen parameters and buffers, by name; buffers may be replaced in a step."""
        tensors = dict(self.trainable)
        ids = {id(t) for t in tensors.values()}
        for what, module in self.modules.items():
            for name, tensor in (*module.named_parameters(), *module.named_buffers()):
                if id(tensor) not in ids:
                    ids.add(id(tensor))
                    tensors[f"{what}.{name}"] = tensor
        return tensors

    def snapshot(self) -> dict[str, Tensor]:
        """Copies of everything, on the CPU."""
        return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in self.everything().items()}

    def load(self, values: Mapping[str, Tensor], source: str) -> None:
        """Copy values into the programs, in place.

        Raises:
            ValueError: names, shapes or dtypes differ; every difference is named, and nothing is changed.
        """
        load_tensors(self.everything(), values, source)

    def shapes(self) -> dict[str, dict[str, Any]]:
        """Name -> shape and dtype, for the run's record."""
        return {
            name: {"shape": list(t.shape), "dtype": str(t.dtype).removeprefix("torch.")}
            for name, t in self.everything().items()
        }

    def non_finite(self) -> list[str]:
        """Names of trainable tensors that hold NaN or infinite values."""
        return [name for name, t in self.trainable.items() if not bool(t.detach().isfinite().all())]

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Modules in evaluation mode inside, each put back into the mode it was in."""
        modes = [(m, m.training) for module in self.modules.values() for m in module.modules()]
        try:
            for module, _ in modes:
                module.training = False
            yield
        finally:
            for module, mode in modes:
                module.training = mode


def find_parameters(model: Program, guide: Program, run: Callable[[Program, Program], Any]) -> Parameters:
    """The parameters of both programs: what their modules own and what they ask for by `pyro.param`.

    Args:
        model, guide: the programs.
        run: runs both once, given the programs to run, so that parameters made at the first call exist.

    Raises:
        ValueError: no parameter to train, or one that would be lost when training ends.
    """
    statements = {"model": _Statements(), "guide": _Statements()}
    run(_under(model, statements["model"]), _under(guide, statements["guide"]))
    modules = {what: owner for what, program in (("model", model), ("guide", guide)) if (owner := owner_of(program))}
    trainable: dict[str, Tensor] = {}
    for what, module in modules.items():
        _add(trainable, {f"{what}.{name}": p for name, p in module.named_parameters() if p.requires_grad})
    store = pyro.get_param_store()
    for what, stated in statements.items():
        for name, tensor in stated.values.items():
            key = f"store.{name}" if store.param_name(tensor) is not None else f"{what}.{name}"
            if key.startswith(f"{what}.") and not isinstance(tensor, nn.Parameter):
                raise ValueError(
                    f"the {what} calls pyro.param('{name}') inside a PyroModule: such a parameter belongs to no module "
                    "and would be lost after training. Write it as an attribute: "
                    "self.name = PyroParam(initial, constraint=...)."
                )
            if tensor.requires_grad:
                _add(trainable, {key: tensor})
    if not trainable:
        raise ValueError(
            "there is nothing to train: neither program owns a parameter that requires a gradient. Write the programs "
            "as modules (PyroModule), or register parameters with pyro.param or pyro.module."
        )
    return Parameters(trainable, modules)


def owner_of(program: Any) -> nn.Module | None:
    """The module that is the program, or whose method it is."""
    while isinstance(program, functools.partial):
        program = program.func
    if isinstance(program, nn.Module):
        return program
    owner = getattr(program, "__self__", None)
    return owner if isinstance(owner, nn.Module) else None


def name_of(program: Any) -> str:
    """What to call a program in the run's record."""
    while isinstance(program, functools.partial):
        program = program.func
    return getattr(program, "__qualname__", None) or type(program).__qualname__


def load_tensors(into: Mapping[str, Tensor], values: Mapping[str, Tensor], source: str) -> None:
    """Copy values into tensors of the same names, shapes and dtypes, or raise ValueError and change nothing."""
    check_alike(into, values, source)
    with torch.no_grad():
        for name, tensor in into.items():
            tensor.copy_(values[name])


def check_alike(into: Mapping[str, Tensor], values: Mapping[str, Tensor], source: str) -> None:
    """Raise ValueError unless both have the same names, shapes and dtypes; every difference is named."""
    differences = [f"'{n}' is not in {source}" for n in into if n not in values]
    differences += [f"'{n}' is in {source} but not in these programs" for n in values if n not in into]
    for name in into.keys() & values.keys():
        ours, theirs = into[name], values[name]
        if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
            differences.append(
                f"'{name}' is {tuple(theirs.shape)} {theirs.dtype} in {source}, here {tuple(ours.shape)} {ours.dtype}"
            )
    if differences:
        shown = "\n  ".join(sorted(differences)[:12])
        raise ValueError(
            f"these programs are not the ones that were saved ({len(differences)} differences):\n  {shown}\n"
            "Build model and guide with the arguments they had when the run was made (see its config.json)."
        )


def digest(tensor: Tensor) -> int:
    """A number of 63 bits that another tensor of other bits does not have."""
    content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return int.from_bytes(hashlib.blake2b(content.data, digest_size=8).digest(), "little") >> 1


class _Statements(Messenger):
    """Notes the unconstrained tensor behind each parameter statement."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, Tensor] = {}

    def _pyro_post_param(self, msg: Any) -> None:
        value = msg["value"]
        self.values[msg["name"]] = value.unconstrained() if hasattr(value, "unconstrained") else value


def _under(program: Program, messenger: Messenger) -> Program:
    def run(*args: Any, **kwargs: Any) -> Any:
        with messenger:
            return program(*args, **kwargs)

    return run


def _add(into: dict[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Add tensors that are not there yet, by identity."""
    ids = {id(t) for t in into.values()}
    for name, tensor in tensors.items():
        if id(tensor) not in ids:
            ids.add(id(tensor))
            into[name] = tensor
