"""A density as a directory: parameters as safetensors, name and options as JSON, and the digests of both."""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError

from elbowroom.densities.density import Density
from elbowroom.densities.registry import density_class, make_density
from elbowroom.entrances import checked
from elbowroom.entrances.visible import one_line
from elbowroom.inference.saving.allowance import TooMuchError, allowance_for
from elbowroom.inference.saving.durable import replace_file
from elbowroom.inference.saving.one_writer import only_writer
from elbowroom.inference.saving.reading import UnreadableError, memory, read_bytes, read_json
from elbowroom.inference.saving.seal import has_seal, sealed

FORMAT = 2
UNSEALED = 1  # the format of before the description had a digest of its own
DESCRIPTION, PARAMETERS = "density.json", "density.safetensors"

_logger = logging.getLogger("elbowroom")


@checked
def save_density(density: Density, path: str | Path, name: str, options: Mapping[str, Any] | None = None) -> None:
    """Write a density of the registry into a directory, which is made if it is not there.

    Args:
        density: what `make_density(name, density.data_dim, **options)` returned, fitted or not.
        path: the directory. The parameters are written first, then the description with their digest: a reader finds
            the density before, the one after, or a digest that does not fit, never half of one.
        name: in `DENSITIES`.
        options: of its constructor, beside `data_dim`.

    Raises:
        ValueError, TypeError: for an unknown name, or options that are no numbers, texts and lists of these.
        InUseError: another process or thread writes a density or a run there.
        WriteError: it cannot be written there.
    """
    density_class(name)
    try:
        json.dumps(dict(options or {}))
    except (TypeError, ValueError) as error:
        raise TypeError(f"options must be as JSON can hold them (numbers, texts, lists): {error}") from error
    place = Path(path)
    with only_writer(place, "path", folder=True):  # or the parameters of one might meet the description of another
        write_density(density, place, name, options or {})


def write_density(density: Density, place: Path, name: str, options: Mapping[str, Any]) -> None:
    """As `save_density`, by who has the lock of the directory; name and options are right."""
    content = safetensors.torch.save(
        {key: value.detach().cpu().contiguous() for key, value in density.state_dict().items()}
    )
    described = {
        "format": FORMAT,
        "density": name,
        "data_dim": density.data_dim,
        "options": dict(options),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    replace_file(place / PARAMETERS, content)
    replace_file(place / DESCRIPTION, json.dumps(sealed(described), indent=1).encode())


@checked
def load_density(path: str | Path) -> Density:
    """The density that `save_density` wrote into a directory, in its dtype, on the CPU, in evaluation mode.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged or of another version; the message names the file.
    """
    description, parameters = Path(path) / DESCRIPTION, Path(path) / PARAMETERS
    for file in (description, parameters):
        if not file.is_file():
            raise FileNotFoundError(f"no density at {path}: it has no {file.name}; save_density writes one")
    try:
        described = read_json(description)
        kind, name, data_dim = described["format"], described["density"], int(described["data_dim"])
        options, digest, known = dict(described["options"]), described["sha256"], has_seal(description, described)
        content = read_bytes(parameters, memory())
    except UnreadableError as error:
        raise ValueError(f"{error}: restore it from a copy, or fit the density again") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{description} is damaged: {type(error).__name__} {error}") from error
    if kind != (FORMAT if known else UNSEALED):
        raise ValueError(f"{description} is of format {kind!r}, this version reads {FORMAT}")
    if not known:
        _logger.warning(
            "%s was written by an earlier version of elbowroom and has no digest: whether it was changed since is not "
            "known. Save the density again to give it one.",
            one_line(str(description)),
        )
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{parameters} is damaged, or not of {description}: its sha256 differs")
    try:
        with allowance_for(len(content)):
            density: Density = make_density(name, data_dim, **options)
    except TooMuchError as error:
        raise ValueError(f"{description} is of a density that is larger than what {parameters} holds") from error
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{description} is damaged or of another version: {error}") from error
    try:
        values = safetensors.torch.load(content)
        dtypes = [value.dtype for value in values.values() if value.is_floating_point()]
        density.to(dtypes[0] if dtypes else None).load_state_dict(values)
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"{parameters} does not fit {description}: {error}") from error
    return density.eval()
