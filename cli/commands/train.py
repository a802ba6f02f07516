"""`elbowroom train`: fit a model and a guide by SVI into a run directory."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from elbowroom.commands.options import TrainOptions
from elbowroom.commands.output import finish, say
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
from elbowroom.inference import Fit, fit


def run(options: TrainOptions) -> Fit:
    """Train and report, in nats per datum of the validation split."""
    device = torch_device(options.device)
    binarize = binarize_of(options.data, options.programs)
    options = replace(options, data=replace(options.data, binarize=binarize))  # recorded, whatever the default was
    check_given(options.programs, binarize)
    data, kind = load_data(options.data, options.seed, binary=is_binary(options.programs)), kind_of(options.programs)
    model, guide = build(options.programs, sizes_of(data, kind), options.seed)
    say(
        f"Training on {len(data.train)} of {data.name} ({binarize}), "
        f"validating on {len(data.validation)}, into {options.output}",
        options.json,
    )
    chosen = asdict(options.training)
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
    say(summary(result), options.json)
    finish(record(result, model), Path(options.output) / "result.json", options.json)
    return result


def summary(result: Fit) -> str:
    """The end of training in three lines."""
    early = f", ended by {result.stopped} after epoch {len(result.history)}" if result.stopped else ""
    ended = f"{result.num_steps} steps in {result.seconds:.1f} s{early}.\n"
    if result.bound == "none":
        ended += (
            f"The objective ({result.loss}, β = {result.beta:g} at the end) is no bound on log p(x); validation is the "
            "ELBO, β = 1.\n"
        )
    finite = [row for row in result.history if row.get("elbo") is not None]
    if not finite:
        return ended + "The validation ELBO was never finite: see the notes in metrics.jsonl."
    last = finite[-1]
    per_dim = ", ".join(f"{v:.2f}" for v in _numbers(last["kl_per_dim"])) or "all of them are summed out"
    return ended + (
        f"Validation ELBO {last['elbo']:.3f} ± {last['elbo_stderr']:.3f} nats per datum = reconstruction "
        f"{last['reconstruction']:.3f} − KL {last['kl']:.3f} (per latent: {per_dim}).\n"
        f"Best ELBO {result.best_elbo:.3f} at epoch {result.best_epoch}."
    )


def record(result: Fit, model: Any) -> dict[str, Any]:
    """The result of training as JSON."""
    sigma = getattr(getattr(model, "likelihood", model), "sigma", None)
    return {
        "steps": result.num_steps,
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
