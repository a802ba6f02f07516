"""`elbowroom generate`: what a trained model has learned, in pictures of whatever a datum is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elbowroom.commands.density_answers import density_pictures
from elbowroom.commands.density_runs import open_density
from elbowroom.commands.latent_vector import LatentVector, Unknown, check_standard_normal, has_vector, takes_given
from elbowroom.commands.options import GenerateOptions
from elbowroom.commands.output import finish, named, say, write_arrays
from elbowroom.commands.subject import Subject, is_run, say_notes, say_subject, subject_of
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


def run(options: GenerateOptions) -> list[Path]:
    """Write samples, reconstructions, traversals and interpolations of one latent vector, topics of a topic model."""
    if options.num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {options.num_samples}")
    if is_run(options) and (fitted := open_density(options.run, options.device, options.data.dir)) is not None:
        return density_pictures(fitted, options)
    subject = subject_of(options)
    say_subject(subject, options.json)
    say_notes(subject, options.json)
    where = subject.folder(options.output, "generate")
    files, left_out = write(subject, where, options.num_samples, options.seed)
    told = {"files": [str(f) for f in files], "left_out": left_out} | subject.record
    finish(told, where / "generate.json", options.json)
    say("Written: " + named(*files), options.json)
    for name, reason in left_out.items():
        say(f"No {name}: {reason}.", options.json)
    return files


def write(subject: Subject, where: Path, num_samples: int, seed: int) -> tuple[list[Path], dict[str, str]]:
    """All pictures of programs and the samples as numbers; and which pictures are left out, and why."""
    model, guide, arrays = subject.target.model, subject.target.guide, Arrays()

    def samples() -> Any:
        drawn, latents = drawn_samples(subject, num_samples, seed)
        arrays.update({"mean" if drawn.means else "x": drawn.x, **latents})
        return drawn_figure(subject.kind, drawn)

    def reconstructions() -> Any:
        x, *others = (value[:_SHOWN].cpu() for value in subject.arguments)
        return redrawn_figure(subject.kind, _drawn(subject, x, tuple(others)), reconstructed(subject, seed))

    pictures: dict[str, Callable[[], Any]] = {
        "prior-samples": samples,
        "reconstructions": reconstructions,
        "traversal": lambda: _traversal(subject),
        "interpolations": lambda: _interpolations(subject),
    }
    if hasattr(model, "topics"):
        pictures["topics"] = lambda: topics_figure(model.topics().cpu(), subject.dataset.vocabulary)
    if hasattr(guide, "nearest"):
        pictures["code-usage"] = lambda: usage_figure(_code_usage(subject))
    files, left_out = [], {}
    with torch.no_grad():
        for name, picture in pictures.items():
            try:
                files.append(save_figure(picture(), where / f"{name}.png"))
            except (Unknown, ProgramError) as reason:
                left_out[name] = str(reason)
    if arrays:
        numbers = {name: value.cpu().numpy() for name, value in arrays.items()}
        files.append(write_arrays(where / "samples.npz", numbers))
    return files, left_out


def _code_usage(subject: Subject) -> CodeUsage:
    """How the data use the codebook."""
    model, guide = subject.target.model, subject.target.guide
    return code_usage(guide.nearest(*subject.arguments), model.num_codes)  # type: ignore[attr-defined]


def drawn_samples(subject: Subject, num_samples: int, seed: int) -> tuple[Drawn, Arrays]:
    """E[x|z] for z of the prior by the model's `generate`, with what the data are given; else draws of the program."""
    model: Any = subject.target.model
    if hasattr(model, "generate") and takes_given(subject):
        given = [_repeated(value, num_samples) for value in subject.arguments[1:]]
        generated = model.generate(num_samples, *given, seed=seed)
        others = tuple(value.cpu() for value in given)
        return _drawn(subject, generated.mean.cpu(), others, means=True), {"z": generated.z}
    target = subject.first(num_samples)
    parts = [target.simulate(seed + i) for i in range(-(-num_samples // len(target)))]
    x, *drawn_others = (
        torch.cat(values)[:num_samples].cpu() for values in zip(*(part.args for part, _ in parts), strict=True)
    )
    latents = {f"z_{n}": torch.cat([z[n][0] for _, z in parts])[:num_samples] for n in target.latents}
    return _drawn(subject, x, tuple(drawn_others)), latents


def _repeated(value: Tensor, num_rows: int) -> Tensor:
    """So many rows, from the first on again where there are fewer."""
    return value[torch.arange(num_rows, device=value.device) % len(value)]


def _drawn(subject: Subject, x: Tensor, others: tuple[Tensor, ...] = (), *, means: bool = False) -> Drawn:
    shape = None if subject.image_shape == () else subject.shape
    return Drawn(x, others, shape, means, subject.dataset.vocabulary)


def reconstructed(subject: Subject, seed: int) -> Tensor:
    """What the programs make of the first data.

    The model's `reconstruct`; else E[x|z] at q's mean, by `decode` and `encode`; else the mean of draws of x given
    draws of q.

    Raises:
        Unknown: if a part of what the data say is in latents that are summed out.
    """
    model: Any = subject.target.model
    data = [value[:_SHOWN] for value in subject.arguments]
    if hasattr(model, "reconstruct"):
        again: Tensor = model.reconstruct(*data).cpu()
        return again
    if has_vector(subject):
        vector, shown = LatentVector(subject), list(range(len(data[0])))
        return vector.decoder(shown)(vector.encoder(shown)(data[0]))
    target = subject.first(_SHOWN)
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


def _traversal(subject: Subject) -> Any:
    """Along each latent, with what the first datum is given."""
    vector = LatentVector(subject)
    check_standard_normal(subject)
    given = f"given what datum 0 is given{_in_words(vector.given)}" if vector.given else ""
    return traversal_figure(vector.decoder([0]), vector.model.latent_dim, _picture(subject), given=given)


def _in_words(given: list[Tensor]) -> str:
    """A label, or other single numbers, of the first datum."""
    return f" ({', '.join(f'{value[0].item():g}' for value in given)})" if all(v[0].numel() == 1 for v in given) else ""


def _interpolations(subject: Subject) -> Any:
    vector = LatentVector(subject)
    pairs = vector.pairs(_SHOWN // 2)
    first, data = [i for i, _ in pairs], [(vector.x[i].cpu(), vector.x[j].cpu()) for i, j in pairs]
    return interpolation_figure(vector.decoder(first), vector.encoder(first), data, _picture(subject))


def _picture(subject: Subject) -> Any:
    """The shape of a datum that is drawn as a small image.

    Raises:
        Unknown: if it is none.
    """
    if not is_picture(subject.kind):
        raise Unknown(f"a datum is a {subject.kind}, of which a row of small images shows nothing")
    return _drawn(subject, subject.arguments[0]).shape
