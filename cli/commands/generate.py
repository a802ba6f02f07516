"""`elbowroom generate`: what a trained model has learned, in pictures of whatever a datum is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elbowroom.commands.density_answers import density_pictures
from elbowroom.commands.density_runs import open_density
from elbowroom.commands.options import GenerateOptions
from elbowroom.commands.output import finish, say
from elbowroom.commands.runs import Run, open_run
from elbowroom.inference import CodeUsage, ProgramError, code_usage
from elbowroom.report import (
    Drawn,
    drawn_figure,
    interpolation_figure,
    is_picture,
    redrawn_figure,
    save_figure,
    topics_figure,
    traversal_figure,
    usage_figure,
)

_SHOWN = 8  # data that are reconstructed
_DRAWS = 64  # draws of (z, x) whose mean is a reconstruction where the model says no mean

Arrays = dict[str, Tensor]


class Unknown(Exception):
    """A picture that these programs cannot be asked for; the message says why."""


def run(options: GenerateOptions) -> list[Path]:
    """Write samples, reconstructions, traversals and interpolations of one latent vector, topics of a topic model."""
    if options.num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {options.num_samples}")
    if (fitted := open_density(options.run, options.device)) is not None:
        return density_pictures(fitted, options)
    opened = open_run(options.run, options.which, options.device)
    where = Path(options.output or Path(options.run) / "generate")
    files, left_out = write(opened, where, options.num_samples, options.seed)
    finish({"files": [str(f) for f in files], "left_out": left_out}, where / "generate.json", options.json)
    say("Written: " + ", ".join(str(f) for f in files), options.json)
    for name, reason in left_out.items():
        say(f"No {name}: {reason}.", options.json)
    return files


def write(opened: Run, where: Path, num_samples: int, seed: int) -> tuple[list[Path], dict[str, str]]:
    """All pictures of a run and the samples as numbers; and which pictures are left out, and why."""
    where.mkdir(parents=True, exist_ok=True)
    arrays: Arrays = {}

    def samples() -> Any:
        drawn, latents = drawn_samples(opened, num_samples, seed)
        arrays.update({"mean" if drawn.means else "x": drawn.x, **latents})
        return drawn_figure(opened.kind, drawn)

    def reconstructions() -> Any:
        x, *others = (value.cpu() for value in opened.arguments("test", _SHOWN))
        again = reconstructed(opened, seed)
        return redrawn_figure(opened.kind, _drawn(opened, x, tuple(others)), again)

    pictures: dict[str, Callable[[], Any]] = {
        "prior-samples": samples,
        "reconstructions": reconstructions,
        "traversal": lambda: _traversal(opened),
        "interpolations": lambda: _interpolations(opened),
    }
    if hasattr(opened.model, "topics"):
        pictures["topics"] = lambda: topics_figure(opened.model.topics().cpu(), opened.data.vocabulary)
    if hasattr(opened.guide, "nearest"):
        pictures["code-usage"] = lambda: usage_figure(_code_usage(opened))
    files, left_out = [], {}
    with torch.no_grad():
        for name, picture in pictures.items():
            try:
                files.append(save_figure(picture(), where / f"{name}.png"))
            except (Unknown, ProgramError) as reason:
                left_out[name] = str(reason)
    if arrays:
        numbers: dict[str, Any] = {name: value.cpu().numpy() for name, value in arrays.items()}
        np.savez(where / "samples.npz", **numbers)
        files.append(where / "samples.npz")
    return files, left_out


def _code_usage(opened: Run) -> CodeUsage:
    """How the test data use the codebook."""
    return code_usage(opened.guide.nearest(*opened.arguments("test")), opened.model.num_codes)


def drawn_samples(opened: Run, num_samples: int, seed: int) -> tuple[Drawn, Arrays]:
    """E[x|z] for z of the prior by the model's `generate`; else draws of the program, beside the test data's labels."""
    if hasattr(opened.model, "generate") and len(opened.arguments("test", 1)) == 1:
        generated = opened.model.generate(num_samples, seed=seed)
        return _drawn(opened, generated.mean.cpu(), means=True), {"z": generated.z}
    target = opened.target("test", num_samples)
    parts = [target.simulate(seed + i) for i in range(-(-num_samples // len(target)))]
    x, *others = (
        torch.cat(values)[:num_samples].cpu() for values in zip(*(part.args for part, _ in parts), strict=True)
    )
    latents = {f"z_{n}": torch.cat([z[n][0] for _, z in parts])[:num_samples] for n in target.latents}
    return _drawn(opened, x, tuple(others)), latents


def _drawn(opened: Run, x: Tensor, others: tuple[Tensor, ...] = (), *, means: bool = False) -> Drawn:
    return Drawn(x, others, opened.data.image_shape, means, opened.data.vocabulary)


def reconstructed(opened: Run, seed: int) -> Tensor:
    """What the programs make of the first test data.

    The model's `reconstruct`; else E[x|z] at q's mean, by `decode` and `encode`; else the mean of draws of x given
    draws of q.

    Raises:
        Unknown: if a part of what the data say is in latents that are summed out.
    """
    data = opened.arguments("test", _SHOWN)
    if hasattr(opened.model, "reconstruct"):
        return opened.model.reconstruct(*data).cpu()
    if _has_vector(opened):
        return _decoder(opened)(_encoder(opened)(data[0]))
    target = opened.target("test", _SHOWN)
    if target.structure.discrete:
        raise Unknown(
            f"{list(target.structure.discrete)}, which is summed out, is not drawn given a datum: write "
            "reconstruct(*data) on the model, E[x] given what it infers"
        )
    return (
        torch.stack([target.simulate(seed + i, target.propose(1, seed=i)[0])[0].args[0] for i in range(_DRAWS)])
        .mean(0)
        .cpu()
    )


def _traversal(opened: Run) -> Any:
    decode = _decoder(opened)
    if len(latents := opened.target("test", 1).latents) > 1:
        raise Unknown(
            f"it walks over the quantiles of a standard-normal prior, and what is decoded is one of the latents "
            f"{list(latents)}, with a prior of its own"
        )
    return traversal_figure(decode, opened.model.latent_dim, _picture(opened))


def _interpolations(opened: Run) -> Any:
    decode, encode = _decoder(opened), _encoder(opened)
    x = opened.arguments("test", _SHOWN)[0].cpu()
    pairs = list(zip(x[: _SHOWN // 2], x[_SHOWN // 2 :], strict=False))
    return interpolation_figure(decode, encode, pairs, _picture(opened))


def _picture(opened: Run) -> Any:
    """The shape of a datum that is drawn as a small image.

    Raises:
        Unknown: if it is none.
    """
    if not is_picture(opened.kind):
        raise Unknown(f"a datum is a {opened.kind}, of which a row of small images shows nothing")
    return _drawn(opened, opened.arguments("test", 1)[0]).shape


def _has_vector(opened: Run) -> bool:
    """Whether all is known of one latent vector, and x is all that the programs see."""
    has = hasattr(opened.model, "decode") and hasattr(opened.model, "latent_dim") and hasattr(opened.guide, "encode")
    return has and len(opened.arguments("test", 1)) == 1


def _decoder(opened: Run) -> Callable[[Tensor], Tensor]:
    _check_vector(opened)
    return lambda z: opened.model.decode(z.to(opened.device)).mean.cpu()


def _encoder(opened: Run) -> Callable[[Tensor], Tensor]:
    _check_vector(opened)
    return lambda x: mean_of(opened.guide.encode(x.to(opened.device))).cpu()


def mean_of(q_z: Any) -> Tensor:
    """q's mean; where it has no closed form, as of flows, that of a few draws."""
    try:
        mean: Tensor = q_z.mean
    except NotImplementedError:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            mean = q_z.sample((_DRAWS,)).mean(0)
    return mean


def _check_vector(opened: Run) -> None:
    if not _has_vector(opened):
        raise Unknown(
            "it walks along one latent vector of programs that see x alone: write decode(z) and latent_dim on the "
            "model and encode(x) on the guide, as elbowroom.models.VAE and AmortizedNormal do"
        )
