"""`elbowroom train`: fit a model and a guide by SVI into a run directory."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from elbowroom.commands.density_answers import held_out_record
from elbowroom.commands.density_runs import fit_density
from elbowroom.commands.options import Training, TrainOptions
from elbowroom.commands.output import finish, named, say
from elbowroom.commands.programs import build
from elbowroom.commands.registered import check_given, kind_of, loss_of
from elbowroom.commands.runs import (
    arguments_of,
    binarize_of,
    is_binary,
    load_data,
    run_record,
    sizes_of,
    torch_device,
)
from elbowroom.densities import HeldOut, held_out
from elbowroom.entrances.visible import one_line
from elbowroom.inference import Fit, fit
from elbowroom.inference.audit.verdict.wording import plural
from elbowroom.inference.training.workers import is_first, num_workers

NUM_STEPS, MOST_EPOCHS = 3500, 350
"""Steps of training where nothing is said, and the most passes that they may take: of the digits both."""


def run(options: TrainOptions) -> Fit | HeldOut:
    """Train and report, in nats per datum of the validation split; of several workers the first one reports."""
    if options.density is None:
        return _run_programs(options)
    if num_workers() > 1:
        raise ValueError(
            f"density: {num_workers()} workers were started, and densities are fitted by one process: run this without "
            "torchrun, or with WORLD_SIZE unset"
        )
    return _run_density(options)


def _run_density(options: TrainOptions) -> HeldOut:
    """Fit a density: without latents the validation data have log p(x), not an ELBO."""
    begin = time.perf_counter()
    fitted = fit_density(options)
    seconds = time.perf_counter() - begin
    result = held_out(fitted.density, fitted.x("validation"), fitted.x("train"), seed=options.seed)
    say(
        f"Fitted {fitted.name}, {fitted.density.num_parameters} parameters, to {len(fitted.data.train)} of "
        f"{named(fitted.data.name)} ({fitted.data.binarize}) in {seconds:.1f} s, "
        f"into {named(options.output)}; the held-out data are the validation split.\n{result}",
        options.json,
    )
    told = {"seconds": seconds, "parameters": fitted.density.num_parameters, "validation": held_out_record(result)}
    finish(told, fitted.path / "result.json", options.json)
    return result


def _run_programs(options: TrainOptions) -> Fit:
    device, quiet = torch_device(options.device), options.json or not is_first()
    binarize = binarize_of(options.data, options.programs)
    options = replace(options, data=replace(options.data, binarize=binarize))  # recorded, whatever the default was
    check_given(options.programs, binarize)
    data, kind = load_data(options.data, options.seed, binary=is_binary(options.programs)), kind_of(options.programs)
    model, guide = build(options.programs, sizes_of(data, kind), options.seed)
    chosen = asdict(options.training)
    chosen["epochs"] = num_epochs = epochs_of(options.training, len(data.train))
    steps = num_epochs * steps_of(options.training, len(data.train))
    say(
        f"Training on {len(data.train)} of {named(data.name)} ({binarize}), validating on {len(data.validation)}, "
        f"into {named(options.output)}: {plural(num_epochs, 'epoch', 'epochs')}, {plural(steps, 'step', 'steps')}"
        f"{by_workers()}",
        quiet,
    )
    chosen["loss"] = chosen["loss"] or loss_of(options.programs)
    result = fit(
        model,
        guide,
        arguments_of(data, kind, "train"),
        validation=arguments_of(data, kind, "validation"),
        plate=options.programs.plate,
        num_epochs=chosen.pop("epochs"),
        **chosen,
        seed=options.seed,
        prepare=data.prepare,
        run_dir=options.output,
        resume=options.resume,
        device=device,
        progress=not options.json,
        config=run_record(options, data),
    )
    for note in dict.fromkeys(note for row in result.history for note in row.get("notes", [])):
        say(one_line(f"Note: {note}."), quiet)
    if not is_first():
        return result
    say(summary(result), options.json)
    finish(record(result, model), Path(options.output) / "result.json", options.json)
    return result


def by_workers() -> str:
    """How many processes train, if they are several."""
    return f", by {num_workers()} workers" if num_workers() > 1 else ""


def steps_of(options: Training, num_data: int) -> int:
    """Steps of an epoch."""
    return -(-num_data // max(1, options.batch_size))


def epochs_of(options: Training, num_data: int) -> int:
    """Epochs of training: as asked for, by default as many as make a number of steps, which fits data of any size."""
    if options.epochs is not None:
        return options.epochs
    return max(1, min(MOST_EPOCHS, round(NUM_STEPS / steps_of(options, num_data))))


def summary(result: Fit) -> str:
    """The end of training in three lines."""
    early = f", ended by {result.stopped} after epoch {len(result.history)}" if result.stopped else ""
    by = f" by {result.workers} workers" if result.workers > 1 else ""
    ended = f"{result.num_steps} steps in {result.seconds:.1f} s{by}{early}.\n"
    if "(" in result.steps:
        ended += f"Steps were taken more slowly than they might be, {result.steps}.\n"
    if result.bound == "none":
        ended += (
            f"The objective ({result.loss}, β = {result.beta:g} at the end) is no bound on log p(x); validation is the "
            "ELBO, β = 1.\n"
        )
    finite = [row for row in result.history if row.get("elbo") is not None]
    if not finite:
        return ended + "The validation ELBO was never finite: see the notes in metrics.jsonl."
    last = finite[-1]
    per_dim = ", ".join(map(per_latent, _numbers(last["kl_per_dim"]))) or "all of them are summed out"
    return ended + (
        f"Validation ELBO {last['elbo']:.3f} ± {last['elbo_stderr']:.3f} nats per datum = reconstruction "
        f"{last['reconstruction']:.3f} − KL {last['kl']:.3f} (per latent: {per_dim}).\n"
        f"Best ELBO {result.best_elbo:.3f} at epoch {result.best_epoch}."
    )


def per_latent(kl: float) -> str:
    """A KL estimated from a few draws: one below zero, which no KL is, says how far off these are."""
    if kl > -0.005:
        return f"{max(kl, 0.0):.2f}"
    return f"0.00 ({kl:.2f} by these draws)".replace("-", "−")


def record(result: Fit, model: Any) -> dict[str, Any]:
    """The result of training as JSON."""
    sigma = getattr(getattr(model, "likelihood", model), "sigma", None)
    return {
        "steps": result.num_steps,
        "steps_taken": result.steps,
        "workers": result.workers,
        "seconds": result.seconds,
        "best_epoch": result.best_epoch,
        "best_elbo": result.best_elbo,
        "stopped": result.stopped,
        "loss": result.loss,
        "beta": result.beta,
        "bound": result.bound,
        "last": result.history[-1],
        "sigma": sigma.item() if isinstance(sigma, Tensor) and sigma.numel() == 1 else None,
    }


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [v for part in value.values() for v in _numbers(part)]
    if isinstance(value, (list, tuple)):
        return [v for part in value for v in _numbers(part)]
    return [float(value)]
