"""What evidence and generate say of a density: log p(x) of held-out data, and pictures of its draws."""

from pathlib import Path
from typing import Any

from elbowroom.commands.density_runs import DensityRun
from elbowroom.commands.options import EvidenceOptions, GenerateOptions
from elbowroom.commands.output import finish, named, say, write_arrays
from elbowroom.densities import HeldOut, held_out
from elbowroom.inference.saving.links import own_folder
from elbowroom.report import Drawn, drawn_figure, save_figure


def density_evidence(opened: DensityRun, options: EvidenceOptions) -> HeldOut:
    """log p(x) of a split, beside that of the training data; printed, and written for each datum."""
    if options.method != "importance" or options.exact == "yes":
        raise ValueError(
            f"{opened.path} is a run of the density {opened.name}: it has no latents to integrate over, so --method "
            "and --exact mean nothing to it"
        )
    split = options.split or "test"
    train = None if split == "train" else opened.x("train")
    result = held_out(opened.density, opened.x(split, options.limit), train, seed=options.seed)
    say(f"{opened.name} on the {split} data. {result}", options.json)
    where = Path(options.output or options.run) / "evidence.json"
    finish(held_out_record(result) | {"split": split, "seed": options.seed}, where, options.json)
    say(f"Per-datum values: {named(where)}", options.json)
    return result


def held_out_record(result: HeldOut) -> dict[str, Any]:
    """The same as JSON, nats per datum but where it says bits."""
    test = result.test
    return {
        "units": "nats per datum",
        "bound": test.bound,
        "log_p": result.nats.value,
        "interval": list(result.nats.interval),
        "estimation_stderr": max(test.mean()[1], test.info.get("common_stderr", 0.0)),
        "bits_per_value": result.bits.value,
        "bits_interval": list(result.bits.interval),
        "train_less_held_out": None if result.overfit is None else result.overfit.value,
        "train_less_held_out_interval": None if result.overfit is None else list(result.overfit.interval),
        "data": [
            {"datum": b, "log_p": value, "stderr": stderr, "flag": flag}
            for b, (value, stderr, flag) in enumerate(
                zip(test.value.tolist(), test.stderr.tolist(), test.flags, strict=True)
            )
        ],
    }


def density_pictures(opened: DensityRun, options: GenerateOptions) -> list[Path]:
    """Draws of x, as a figure and as numbers."""
    where = own_folder(Path(options.run), "generate") if options.output is None else Path(options.output)
    x = opened.density.sample(options.num_samples, seed=options.seed).cpu()
    drawn = Drawn(x / (opened.density.levels - 1), image_shape=opened.data.image_shape)
    files = [
        save_figure(drawn_figure("unit" if opened.kind == "levels" else opened.kind, drawn), where / "samples.png")
    ]
    files.append(write_arrays(where / "samples.npz", {"x": x.numpy()}))
    left_out = dict.fromkeys(("reconstructions", "traversal", "interpolations"), "a density has no latents")
    finish({"files": [str(f) for f in files], "left_out": left_out}, where / "generate.json", options.json)
    say("Written: " + named(*files), options.json)
    return files
