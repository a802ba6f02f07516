"""`elbowroom demo`: the main job on the embedded digits, from training to VI against MCMC against the exact."""

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from elbowroom.commands import audit, compare, evidence, generate, train
from elbowroom.commands.options import (
    AuditOptions,
    CompareOptions,
    DemoOptions,
    EvidenceOptions,
    GenerateOptions,
    Training,
    TrainOptions,
)
from elbowroom.commands.output import finish, named, say, write_json
from elbowroom.inference import Audit, Comparison, Estimate
from elbowroom.inference.estimate import contradictions
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.inference.evidence.quadrature.quadrature import QuadratureInfo
from elbowroom.report import comparison_record, gap_figure, loss_figure, save_figure

MARK = "demo.json"
RUN = "run"
WRITTEN = (MARK, RUN, "training.png", "evidence.json", "room.png", "compare", "audit", "generate")
"""All that a demo leaves in its directory."""

_NUM_AUDITED, _AUDIT_SECONDS = 48, 20.0  # a part of the digits, for the demo's minute
_WARMUP, _DRAWS = 150, 500  # enough for the gates of HMC, and of two chains of NUTS


def run(options: DemoOptions) -> None:
    """Train a Bernoulli VAE with 2 latents, measure its room, look at a few posteriors, and give a verdict."""
    if options.num_compared < 1:
        raise ValueError(f"num_compared must be at least 1, got {options.num_compared}")
    begin = time.perf_counter()
    where = Path(options.output)
    _replace(where)
    _show_training(options, where)
    sampled, exact = _show_room(options, where)
    compared = _show_posteriors(options, where, exact or sampled)
    verdict = _show_verdict(options, where)
    _show_pictures(options, where)
    seconds = time.perf_counter() - begin
    result = {
        "finished": True,
        "seconds": seconds,
        "elbo": sampled.info["elbo"].mean().item(),
        "importance": sampled.mean(),
        "exact": None if exact is None else exact.mean(),
        "comparison": comparison_record(compared),
        "verdict": verdict.splitlines(),
    }
    finish(result, where / MARK, options.json)
    files = f"{named(where)}/room.png, {named(where)}/compare/posteriors.png"
    say(f"\nDone in {seconds:.0f} s. Open {named(where)}/audit/report.html; look at {files}.", options.json)


def _show_training(options: DemoOptions, where: Path) -> None:
    """Fit the programs that all else is about, and draw the losses."""
    say("1  Train a Bernoulli VAE with 2 latents by SVI on 8×8 handwritten digits\n", options.json)
    training = Training(epochs=options.epochs)
    chosen = TrainOptions(output=str(where / RUN), training=training, seed=options.seed, device=options.device)
    fitted = _quietly(options.json, train.run, chosen)
    save_figure(loss_figure(fitted.history), where / "training.png")


def _show_room(options: DemoOptions, where: Path) -> tuple[Estimate[ImportanceInfo], Estimate[QuadratureInfo] | None]:
    """log p(x) of all held-out digits by importance sampling and by quadrature, and the room below it as a figure."""
    say("\n2  How much room is between the ELBO and log p(x)? All 360 held-out digits\n", options.json)
    chosen = EvidenceOptions(run=str(where / RUN), output=str(where), seed=options.seed, device=options.device)
    sampled, exact = _quietly(options.json, evidence.run, chosen)
    save_figure(gap_figure(sampled, exact), where / "room.png")
    if exact is not None:
        say("\n" + agreement(sampled, exact), options.json)
    return sampled, exact


def _show_posteriors(options: DemoOptions, where: Path, log_p: Estimate[Any]) -> Comparison:
    """Four methods' posteriors of digits with a typical to the largest room under `log_p`."""
    say("\n3  VI against MCMC against the exact posterior, from a typical digit to the worst\n", options.json)
    chosen = CompareOptions(
        run=str(where / RUN),
        indices=compare.typical_to_worst(log_p, options.num_compared),
        mcmc="hmc",
        num_checked=1,
        num_warmup=_WARMUP,
        num_draws=_DRAWS,
        budget=None,
        output=str(where / "compare"),
        seed=options.seed,
        device=options.device,
    )
    compared: Comparison = _quietly(options.json, compare.run, chosen)
    return compared


def _show_verdict(options: DemoOptions, where: Path) -> str:
    """The verdict of an audit of some digits."""
    say(f"\n4  May q be trusted, where does its room come from, and what next? {_NUM_AUDITED} digits\n", options.json)
    chosen = AuditOptions(
        run=str(where / RUN),
        limit=_NUM_AUDITED,
        budget=_AUDIT_SECONDS,
        output=str(where / "audit"),
        seed=options.seed,
        device=options.device,
    )
    audited: Audit = _quietly(options.json, audit.run, chosen)
    return audited.verdict


def _show_pictures(options: DemoOptions, where: Path) -> None:
    """Samples, reconstructions, traversals and interpolations."""
    say("\n5  What the model has learned\n", options.json)
    output = str(where / "generate")
    chosen = GenerateOptions(run=str(where / RUN), output=output, seed=options.seed, device=options.device)
    _quietly(options.json, generate.run, chosen)


def agreement(sampled: Estimate[ImportanceInfo], exact: Estimate) -> str:
    """How often importance sampling agrees with quadrature, and whether it knows when it does not."""
    against = contradictions({"importance": sampled, "exact": exact})["importance"]
    off = [b for b, text in enumerate(against) if text]
    alone = sum(1 for b in off if sampled.flags[b].removesuffix(against[b]))
    return (
        f"Importance sampling agrees with the exact log p(x) of {len(sampled) - len(off)} of {len(sampled)} digits, "
        f"within 4 of its standard errors.\nOf the other {len(off)}, {alone} are flagged by their weights alone: "
        "posteriors with a mode or a tail that q misses."
    )


def _quietly(quiet: bool, command, options):  # type: ignore[no-untyped-def]
    """Run a command; with --json it shows no bars either, and what it prints is kept off stdout."""
    if not quiet:
        return command(options)
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        return command(replace(options, json=True))


def _replace(where: Path) -> None:
    """Make room for a new demo; a directory that holds anything else is left alone."""
    present = {path.name for path in where.iterdir()} if where.exists() else set()
    if present and (MARK not in present or not present <= set(WRITTEN)):
        names = ", ".join(sorted(present - set(WRITTEN)) or sorted(present))
        raise FileExistsError(
            f"output {where} holds something other than an earlier demo ({names}): choose another --output"
        )
    for name in present:
        path = where / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    write_json(where / MARK, {"finished": False})
