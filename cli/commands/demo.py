"""`elbowroom demo`: the main job on the embedded digits, from training to VI against MCMC against the exact."""

import shutil
import time
from pathlib import Path

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
from elbowroom.commands.output import finish, say, write_json
from elbowroom.inference import Estimate
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.report import comparison_record, gap_figure, loss_figure, save_figure

MARK = "demo.json"
WRITTEN = (MARK, "run", "training.png", "evidence.json", "room.png", "compare", "audit", "generate")
"""All that a demo leaves in its directory."""

_NUM_AUDITED, _AUDIT_SECONDS = 60, 8.0  # a part of the digits, for the demo's two minutes


def run(options: DemoOptions) -> None:
    """Train a Bernoulli VAE with 2 latents, measure its room, look at a few posteriors, and give a verdict."""
    if options.num_compared < 1:
        raise ValueError(f"num_compared must be at least 1, got {options.num_compared}")
    begin = time.perf_counter()
    where = Path(options.output)
    _replace(where)
    path, seed, device = str(where / "run"), options.seed, options.device
    quiet = options.json

    say("1  Train a Bernoulli VAE with 2 latents by SVI on 8×8 handwritten digits\n", quiet)
    chosen = TrainOptions(output=path, training=Training(epochs=options.epochs), seed=seed, device=device)
    fitted = _quietly(quiet, train.run, chosen)
    save_figure(loss_figure(fitted.history), where / "training.png")

    say("\n2  How much room is between the ELBO and log p(x)? All 360 held-out digits\n", quiet)
    sampled, exact = _quietly(
        quiet, evidence.run, EvidenceOptions(run=path, output=str(where), seed=seed, device=device)
    )
    save_figure(gap_figure(sampled, exact), where / "room.png")
    if exact is not None:
        say("\n" + agreement(sampled, exact), quiet)

    say("\n3  VI against MCMC against the exact posterior, from a typical digit to the worst\n", quiet)
    worst = compare.typical_to_worst(exact or sampled, options.num_compared)
    against = CompareOptions(
        run=path,
        data=worst,
        num_warmup=250,  # enough for the gates on most digits in the demo's two minutes
        num_draws=450,
        output=str(where / "compare"),
        seed=seed,
        device=device,
    )
    compared = _quietly(quiet, compare.run, against)

    say(f"\n4  May q be trusted, where does its room come from, and what next? {_NUM_AUDITED} digits\n", quiet)
    audited = AuditOptions(
        run=path,
        limit=_NUM_AUDITED,
        budget=_AUDIT_SECONDS,
        output=str(where / "audit"),
        seed=seed,
        device=device,
    )
    verdict = _quietly(quiet, audit.run, audited).verdict

    say("\n5  What the model has learned\n", quiet)
    _quietly(quiet, generate.run, GenerateOptions(run=path, output=str(where / "generate"), seed=seed, device=device))

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
    files = f"{where}/room.png, {where}/compare/posteriors.png"
    say(f"\nDone in {seconds:.0f} s. Open {where}/audit/report.html; look at {files}.", quiet)


def agreement(sampled: Estimate[ImportanceInfo], exact: Estimate) -> str:
    """How often importance sampling agrees with quadrature, and whether it knows when it does not."""
    distance = ((sampled.value - exact.value) / sampled.stderr).abs()
    off = (distance > 4).tolist()
    flagged = [bool(flag) for flag in sampled.flags]
    named = sum(1 for o, f in zip(off, flagged, strict=True) if o and f)
    return (
        f"Importance sampling is within 4 of its standard errors of the exact log p(x) for {off.count(False)} of "
        f"{len(off)} digits.\nOf the other {sum(off)}, {named} are flagged by their Pareto k̂: posteriors with a mode "
        "or a tail that q misses."
    )


def _quietly(quiet: bool, command, options):  # type: ignore[no-untyped-def]
    """Run a command; with --json its own text is kept off stdout."""
    if not quiet:
        return command(options)
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        return command(options)


def _replace(where: Path) -> None:
    """Make room for a new demo; a directory that holds anything else is left alone."""
    found = {path.name for path in where.iterdir()} if where.exists() else set()
    if found and (MARK not in found or not found <= set(WRITTEN)):
        told = ", ".join(sorted(found - set(WRITTEN)) or sorted(found))
        raise FileExistsError(
            f"output {where} holds something other than an earlier demo ({told}): choose another --output"
        )
    for name in found:
        path = where / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    write_json(where / MARK, {"finished": False})
