"""Trained weights from a file into a network: .safetensors, or PyTorch's files read without running anything.

A file holds tensors under dotted names. A network's own names are the ends of some of them: what stands before is the
*prefix* (`encoder.` where the encoder is part of a VAE, `state_dict.model.encoder.` in a checkpoint of Lightning,
`module.` after DataParallel). It is found by looking for prefixes under which every name of the network is there in
its shape.
"""

import shlex
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_module

_OPTIONAL = "num_batches_tracked"  # counts of batch normalisation, which evaluation does not read
_STARTS = (b"PK", b"\x80")  # of a zip, and of the pickle that it was before PyTorch 1.6
_SHOWN = 6  # names that an error lists


class LoadedWeights(NamedTuple):
    """What was loaded.

    Attributes:
        path: the file.
        prefix: what stands before the network's names in it.
        num_tensors: how many tensors were set.
    """

    path: Path
    prefix: str
    num_tensors: int


class _File(NamedTuple):
    """The tensors of a file under dotted names, and the prefixes at which a dict begins in it."""

    tensors: dict[str, Tensor]
    parts: list[str]


@checked
def load_weights(
    module: nn.Module, path: str | Path, prefix: str | None = None, *, hint: str | None = None
) -> LoadedWeights:
    """Set all parameters and buffers of a network to those of a file, which holds them among others or alone.

    Nothing is guessed: every name must be there under one prefix, in its shape, and no other names beside them. Values
    are converted to the dtype and device of the network. The file runs no code (`torch.load(…, weights_only=True)`).

    Args:
        module: the network; its mode (`eval()`) is left as it is.
        path: a `.safetensors` file, or one of `torch.save`: a state dict, or a dict that holds it at any depth
            (`state_dict` of Lightning, `model_state_dict`, `model`, …).
        prefix: the prefix or a part of it: `encoder.` finds `state_dict.model.encoder.`. By default the one that fits.
        hint: where several fit, the one that has this word in it (`"enc"`).

    Raises:
        FileNotFoundError: if there is no such file.
        TypeError: if `module` is no `nn.Module`.
        ValueError: if the file cannot be read so, no prefix fits (with the names that are missing, unexpected or of
            another shape), or several do (with all of them).
    """
    module, path = check_module("module", module), Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file of weights at {path}")
    file, own = _read(path), module.state_dict()
    if not own:
        raise ValueError(f"{path}: the network {type(module).__name__} has no weights that could be loaded")
    part = "" if not prefix or prefix.endswith(".") else "."
    asked = None if prefix is None else prefix + part
    names = [name for name in _prefixes(own, file.tensors) if asked is None or f".{asked}" in f".{name}"]
    fitting = _narrowed([name for name in names if not _misfits(own, file, name)], asked, hint)
    if len(fitting) != 1:
        reason = _several(fitting) if fitting else _none(own, file, names, asked, hint)
        raise ValueError(f"{path}: the weights of {type(module).__name__} {reason}")
    found = {name: file.tensors[fitting[0] + name] for name in own if fitting[0] + name in file.tensors}
    module.load_state_dict(found, strict=False)  # checked above, name by name
    return LoadedWeights(path, fitting[0], len(found))


def _prefixes(own: Iterable[str], stored: Iterable[str]) -> list[str]:
    """What stands before any of the network's names in a file."""
    keys = list(stored)
    return sorted({key.removesuffix(name) for name in own for key in keys if f".{key}".endswith(f".{name}")})


def _narrowed(fitting: list[str], asked: str | None, hint: str | None) -> list[str]:
    """Of several prefixes the one that was asked for as it is, or ends so, or has the word in it, if there is one."""
    for wanted in (
        [name for name in fitting if name == asked],
        [name for name in fitting if asked and name.endswith(f".{asked}")],
        [name for name in fitting if hint and hint in name.lower()],
    ):
        if len(wanted) == 1 and len(fitting) > 1:
            return wanted
    return fitting


def _misfits(own: Mapping[str, Tensor], file: _File, prefix: str) -> dict[str, list[str]]:
    """What is wrong under a prefix, by kind; empty if all fits.

    Other dicts that a file has beside the weights (of an optimiser, say) are not unexpected there.
    """
    others = [part for part in file.parts if len(part) > len(prefix)]
    under = {key.removeprefix(prefix): value for key, value in file.tensors.items() if key.startswith(prefix)}
    beside = [name for name in under if name not in own and not any(f"{prefix}{name}".startswith(o) for o in others)]
    shapes = [
        f"{name} {list(under[name].shape)} in the file, {list(value.shape)} in the network"
        for name, value in own.items()
        if name in under and under[name].shape != value.shape
    ]
    missing = [name for name in own if name not in under and not name.endswith(_OPTIONAL)]
    kinds = {"missing in the file": missing, "unexpected in the file": beside, "of another shape": shapes}
    return {kind: names for kind, names in kinds.items() if names}


def _several(fitting: list[str]) -> str:
    return f"fit under several prefixes: {_listed(map(repr, fitting))}. Say which one is meant (prefix)"


def _none(own: Mapping[str, Tensor], file: _File, names: list[str], asked: str | None, hint: str | None) -> str:
    """Why nothing fits: what is wrong where it is least."""
    if not names:
        under = "" if asked is None else f" under {asked!r}"
        return f"are not there{under}. It needs {_listed(own)}; the file has {_listed(file.tensors)}"

    def faults(name: str) -> tuple[int, bool]:
        return sum(map(len, _misfits(own, file, name).values())), not (hint and hint in name.lower())

    best = min(names, key=faults)
    told = "; ".join(f"{kind}: {_listed(items)}" for kind, items in _misfits(own, file, best).items())
    return f"do not fit those under {best!r}, which are nearest: {told}"


def _listed(names: Iterable[str]) -> str:
    items = list(names)
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


def _read(path: Path) -> _File:
    file = _File({}, [])
    _flatten(_stored(path), "", file)
    if not file.tensors:
        raise ValueError(
            f"{path}: no weights in it; save a state dict: torch.save(network.state_dict(), {path.name!r})"
        )
    return file


def _flatten(stored: Mapping[Any, Any], prefix: str, file: _File) -> None:
    """Tensors of nested dicts under dotted names; lists, as of optimisers, are no weights."""
    for key, value in stored.items():
        if isinstance(value, Tensor):
            file.tensors[f"{prefix}{key}"] = value
        elif isinstance(value, Mapping):
            file.parts.append(f"{prefix}{key}.")
            _flatten(value, f"{prefix}{key}.", file)


def _stored(path: Path) -> Mapping[str, Any]:
    if path.suffix.lower() == ".safetensors":
        return _of_safetensors(path)
    with path.open("rb") as stream:
        start = stream.read(4)
    if not start.startswith(_STARTS):
        raise ValueError(f"{path}: not a file of torch.save: it starts with {start.hex(' ') or 'nothing'}")
    try:
        with warnings.catch_warnings(action="ignore"):  # of TorchScript, which is told below
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise ValueError(
            f"{path}: it holds Python objects besides tensors, and unpickling those can run any code: refused. If you "
            f"trust it, convert it once: {_conversion(path)}"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError) as error:
        if "TorchScript" in str(error):
            line = f"torch.save(torch.jit.load({path.name!r}).state_dict(), {path.stem + '-weights.pt'!r})"
            raise ValueError(f"{path}: a TorchScript program, not weights alone; convert it once: {line}") from error
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(
            f"{path}: cannot be read as a file of torch.save ({type(error).__name__}: {reason})"
        ) from error
    if not isinstance(stored, Mapping):
        raise ValueError(f"{path}: it holds a {type(stored).__name__}, expected a state dict: network.state_dict()")
    return stored


def _of_safetensors(path: Path) -> Mapping[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        stored: dict[str, Tensor] = load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: cannot be read as a .safetensors file: {error}") from error
    return stored


def _conversion(path: Path) -> str:
    """One line of shell that keeps the tensors of a file: of a network that was saved whole, or a dict."""
    code = (
        f"import torch; x = torch.load({path.name!r}, map_location='cpu', weights_only=False); "
        "x = x.state_dict() if hasattr(x, 'state_dict') else x.get('state_dict', x); "
        f"torch.save({{k: v for k, v in x.items() if torch.is_tensor(v)}}, {path.stem + '-weights.pt'!r})"
    )
    return f"python -c {shlex.quote(code)}"
