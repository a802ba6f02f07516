"""`elbowroom generate`: what a trained model has learned, in pictures."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

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


def run(options: GenerateOptions) -> list[Path]:
    """Write samples from the prior, reconstructions and, where codes are continuous, traversals and interpolations."""
    if options.num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {options.num_samples}")
    opened = open_run(options.run, options.which, options.device)
    reader = ("posterior", opened.model) if _is_mixture(opened) else ("encode", opened.guide)
    for method, owner in (("decode", opened.model), ("generate", opened.model), reader):
        if not hasattr(owner, method):
            raise ValueError(
                f"your {type(owner).__name__} has no {method} method, which pictures need: write decode(z) and "
                "generate(num_samples, seed=...) on the model and encode(x) on the guide, as elbowroom.models.VAE does"
            )
    where = Path(options.output or Path(options.run) / "generate")
    files = write(opened, where, options.num_samples, options.seed)
    finish({"files": [str(f) for f in files]}, where / "generate.json", options.json)
    say("Written: " + ", ".join(str(f) for f in files), options.json)
    if _is_mixture(opened):
        say("No traversal and no interpolations: there is nothing between the components of a mixture.", options.json)
    return files


def write(opened: Run, where: Path, num_samples: int, seed: int) -> list[Path]:
    """All pictures of a run, and the samples as numbers."""
    where.mkdir(parents=True, exist_ok=True)
    shape = opened.data.image_shape or _near_square(opened.data.train.shape[1])
    with torch.no_grad():
        generated = opened.model.generate(num_samples, seed=seed)
        figures = (_of_components if _is_mixture(opened) else _of_codes)(opened, shape)
        figures["prior-samples.png"] = prior_samples_figure(generated.mean.cpu(), shape)
    for name, figure in figures.items():
        save_figure(figure, where / name)
    np.savez(where / "samples.npz", z=generated.z.cpu().numpy(), mean=generated.mean.cpu().numpy())
    return [*(where / name for name in figures), where / "samples.npz"]


def _is_mixture(opened: Run) -> bool:
    return hasattr(opened.model, "num_components")


def _of_codes(opened: Run, shape: Sequence[int]) -> dict[str, Any]:
    """Of models with a continuous code for each datum."""

    def decode(z: torch.Tensor) -> torch.Tensor:
        return opened.model.decode(z.to(opened.device)).mean.cpu()

    def encode(x: torch.Tensor) -> torch.Tensor:
        return opened.guide.encode(x.to(opened.device)).mean.cpu()

    x = opened.data.test[:8]
    return {
        "reconstructions.png": reconstruction_figure(x, decode(encode(x)), shape),
        "traversal.png": traversal_figure(decode, opened.model.latent_dim, shape),
        "interpolations.png": interpolation_figure(decode, encode, list(zip(x[:4], x[4:8], strict=False)), shape),
    }


def _of_components(opened: Run, shape: Sequence[int]) -> dict[str, Any]:
    """Of mixtures, which know p(k|x): a datum becomes the mean of its most probable component."""
    x = opened.data.test[:8]
    k = opened.model.posterior(x.to(opened.device)).probs.argmax(-1)
    means = opened.model.decode(k).mean.cpu()
    return {"reconstructions.png": reconstruction_figure(x, means, shape, codes="their most probable component")}


def _near_square(size: int) -> tuple[int, int]:
    """A picture's shape for data that are no pictures: the divisor nearest to the square root."""
    height = next(h for h in range(math.isqrt(size), 0, -1) if size % h == 0)
    return height, size // height
