"""`elbowroom generate`: what a trained model has learned, in pictures."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elbowroom.commands.options import GenerateOptions
from elbowroom.commands.output import finish, say
from elbowroom.commands.runs import Run, open_run
from elbowroom.report import (
    interpolation_figure,
    prior_samples_figure,
    reconstruction_figure,
    save_figure,
    traversal_figure,
)

Shape = tuple[int, ...]
_FEW = 8  # data that are reconstructed


class Way(NamedTuple):
    """How data of a kind are drawn.

    Attributes:
        reads: the guide's method that turns data into codes.
        says: that method as one writes it.
        like: whose methods to write one's own after.
        figures: (run, means of samples `[N, …]`, shape of a picture) -> file name -> figure.
    """

    reads: str
    says: str
    like: str
    figures: Callable[[Run, Tensor, Shape], Mapping[str, Any]]


def run(options: GenerateOptions) -> list[Path]:
    """Write samples from the prior, reconstructions and, where a datum has one code, walks among the codes."""
    if options.num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {options.num_samples}")
    opened = open_run(options.run, options.which, options.device)
    way = _WAYS.get(opened.kind, _ONE_CODE)
    for method, owner in (("decode", opened.model), ("generate", opened.model), (way.reads, opened.guide)):
        if not hasattr(owner, method):
            raise ValueError(
                f"your {type(owner).__name__} has no {method} method, which pictures need: write decode(z) and "
                f"generate(num_samples, seed=...) on the model and {way.says} on the guide, as {way.like} does"
            )
    where = Path(options.output or Path(options.run) / "generate")
    files = write(opened, where, options.num_samples, options.seed)
    finish({"files": [str(f) for f in files]}, where / "generate.json", options.json)
    say("Written: " + ", ".join(str(f) for f in files), options.json)
    return files


def write(opened: Run, where: Path, num_samples: int, seed: int) -> list[Path]:
    """All pictures of a run, and the samples as numbers."""
    where.mkdir(parents=True, exist_ok=True)
    shape = opened.data.image_shape or _near_square(opened.data.train.shape[1])
    with torch.no_grad():
        generated = opened.model.generate(num_samples, seed=seed)
        figures = _WAYS.get(opened.kind, _ONE_CODE).figures(opened, generated.mean.cpu(), shape)
    for name, figure in figures.items():
        save_figure(figure, where / name)
    np.savez(where / "samples.npz", z=generated.z.cpu().numpy(), mean=generated.mean.cpu().numpy())
    return [*(where / name for name in figures), where / "samples.npz"]


def _of_codes(opened: Run, samples: Tensor, shape: Shape) -> Mapping[str, Any]:
    """Of models whose latents are one code of the whole datum."""

    def decode(z: Tensor) -> Tensor:
        return opened.model.decode(z.to(opened.device)).mean.cpu()

    def encode(x: Tensor) -> Tensor:
        return opened.guide.encode(x.to(opened.device)).mean.cpu()

    x = opened.data.test[:_FEW]
    return {
        "prior-samples.png": prior_samples_figure(samples, shape),
        "reconstructions.png": reconstruction_figure(x, decode(encode(x)), shape),
        "traversal.png": traversal_figure(decode, opened.model.latent_dim, shape),
        "interpolations.png": interpolation_figure(decode, encode, list(zip(x[:4], x[4:8], strict=False)), shape),
    }


def _of_sequences(opened: Run, samples: Tensor, shape: Shape) -> Mapping[str, Any]:
    """Of models with a code for each step: a step is a row of a picture, and one that is not there is zero."""
    x, mask = opened.arguments("test", _FEW)
    mean = opened.model.decode(opened.guide.mean_path(x, mask)).mean * mask.unsqueeze(-1)
    return {
        "prior-samples.png": prior_samples_figure(samples, shape),
        "reconstructions.png": reconstruction_figure(x.cpu(), mean.cpu(), shape),
    }


_ONE_CODE = Way("encode", "encode(x)", "elbowroom.models.VAE", _of_codes)
_WAYS = {"sequence": Way("mean_path", "mean_path(x, mask)", "elbowroom.guides.DeepKalmanSmoother", _of_sequences)}
"""Kind of data, a name in `elbowroom.datasets.KINDS` -> how it is drawn, where that is not by one code for each."""


def _near_square(size: int) -> tuple[int, int]:
    """A picture's shape for data that are no pictures: the divisor nearest to the square root."""
    height = next(h for h in range(math.isqrt(size), 0, -1) if size % h == 0)
    return height, size // height
