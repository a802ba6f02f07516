"""Tensors in files: PyTorch's .pt and .pth, read without running anything, and .safetensors."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elbowroom.datasets.arrays import Arrays
from elbowroom.datasets.keys import arrays_by_key, find_keys


def read_torch(path: Path) -> Arrays:
    """A tensor `[N, …]`, a pair of data and labels as of torchvision, or a dict named as in `keys.find_keys`.

    Raises:
        ValueError: if it holds anything else, or cannot be read by `torch.load(…, weights_only=True)`, which runs no
            code of the file's; the message says how to convert it.
    """
    with path.open("rb") as stream:
        start = stream.read(4)
    if not start.startswith((b"PK", b"\x80")):  # a zip, or the pickle that it was before PyTorch 1.6
        raise ValueError(f"{path}: not a file of torch.save: it starts with {start.hex(' ') or 'nothing'}")
    try:
        with warnings.catch_warnings(action="ignore"):  # of TorchScript, which is refused
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError) as error:
        raise ValueError(f"{path}: {_why_not(path, error)}") from error
    if isinstance(stored, Tensor):
        return Arrays({"train": _array(stored)})
    if isinstance(stored, tuple | list) and len(stored) == 2 and all(isinstance(part, Tensor) for part in stored):
        return Arrays({"train": _array(stored[0])}, {"train": _array(stored[1])})
    if isinstance(stored, Mapping):
        return _by_key({str(key): value for key, value in stored.items()}, path)
    raise ValueError(
        f"{path}: it holds a {type(stored).__name__}, expected a tensor [N, …], a pair (data, labels), or a dict with "
        f"train or x: torch.save({{'x': data}}, {path.name!r})"
    )


def read_safetensors(path: Path) -> Arrays:
    """Tensors named as in `keys.find_keys`; a single one, whatever its name."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        stored: dict[str, Tensor] = load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: cannot be read as a .safetensors file: {error}") from error
    if len(stored) == 1:
        return Arrays({"train": _array(next(iter(stored.values())))})
    return _by_key(stored, path)


def _by_key(stored: Mapping[str, Any], path: Path) -> Arrays:
    tensors = {key: value for key, value in stored.items() if isinstance(value, Tensor)}
    if any(key.split(".")[-1] in ("weight", "bias") for key in tensors) or "state_dict" in stored:
        raise ValueError(
            f"{path}: weights of a network, no data: they are for --networks.checkpoint, or "
            "elbowroom.networks.load_weights in Python"
        )
    keys = find_keys(tensors, str(path))
    return arrays_by_key(keys, {key: _array(tensors[key]) for key in keys.used()})


def _array(tensor: Tensor) -> NDArray[Any]:
    """A tensor as NumPy has it; what NumPy does not know (bfloat16) in single precision."""
    dense = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
    array: NDArray[Any] = (dense.float() if dense.dtype == torch.bfloat16 else dense).numpy()
    return np.asarray(array)


def _why_not(path: Path, error: Exception) -> str:
    if isinstance(error, UnpicklingError):
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        said = f"it holds Python objects besides tensors{f' ({found[1]})' if found else ''}"
        tensors = ".tensors" if found and found[1].endswith(".TensorDataset") else ""
        return (
            f"{said}, and unpickling those can run any code: refused. If you trust it, open it once with "
            f"torch.load({path.name!r}, weights_only=False){tensors}, and save its tensors alone: "
            f"torch.save({{'x': data, 'y': labels}}, {path.stem + '-data.pt'!r})"
        )
    if "TorchScript" in str(error):
        return "a program of TorchScript, no data"
    return f"cannot be read as a file of torch.save ({type(error).__name__}: {str(error).splitlines()[0]})"
