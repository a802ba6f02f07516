"""`elbowroom compare`: VI against MCMC against the exact posterior, for chosen data."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from elbowroom.commands.options import CompareOptions
from elbowroom.commands.output import finish, named, say
from elbowroom.commands.readings import say_bits
from elbowroom.commands.subject import Subject, say_notes, say_subject, subject_of
from elbowroom.inference import Comparison, Estimate, compare, importance
from elbowroom.inference.evaluation.clock import budget_words
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.report import comparison_record, comparison_table, posterior_figure, save_figure, save_netcdf


def run(options: CompareOptions) -> Comparison:
    """Compare, print the table, and write JSON, netCDF and figures."""
    subject = subject_of(options)
    target = subject.target
    say_subject(subject, options.json)
    say_notes(subject, options.json)
    if options.indices is not None:
        chosen = subject.checked(options.indices)
    else:
        chosen = typical_to_worst(importance(target, num_samples=1000, seed=options.seed, search=False), 4)
    by_nuts = len(chosen) if options.mcmc in (True, "nuts") else options.num_checked
    if by_nuts and options.budget is not None:
        within = budget_words(options.budget)
        say(f"NUTS runs for each of {by_nuts} data by itself, {within} at most in all (--budget).", options.json)
    result = compare(
        target,
        chosen,
        num_samples=options.num_samples,
        mcmc=options.mcmc,
        num_checked=options.num_checked,
        num_chains=options.num_chains,
        num_warmup=options.num_warmup,
        num_draws=options.num_draws,
        budget=options.budget,
        seed=options.seed,
        progress=not options.json,
    )
    say(comparison_table(result), options.json)
    estimates = cast(Mapping[str, Estimate], result.evidence)
    bits = say_bits(subject, estimates, options.json, result.data) if options.units == "bits" else {}
    where = subject.folder(options.output, "compare")
    files = write(result, subject, where)
    finish(
        comparison_record(result) | subject.record | bits | {"files": [str(f) for f in files]},
        where / "comparison.json",
        options.json,
    )
    say("Written: " + named(where / "comparison.json", *files), options.json)
    say("With ArviZ: " + read_with_arviz(result, files[0]), options.json)
    return result


def write(result: Comparison, subject: Subject, where: Path) -> list[Path]:
    """The ArviZ file and the posterior figure of a comparison."""
    x = subject.arguments[0][result.data].cpu()
    files = [where / "comparison.nc", where / "posteriors.png"]
    save_netcdf(result, files[0], observed=x)
    figure = posterior_figure(subject.target, result, images=x, image_shape=subject.image_shape or None)
    save_figure(figure, files[1])
    return files


def read_with_arviz(result: Comparison, path: Path) -> str:
    """The line of Python that summarises the ArviZ file of a comparison: its chains, without MCMC the draws of q."""
    chains, guide = "arviz.summary(data); arviz.plot_forest(data)", "arviz.summary(data, group='guide', kind='stats')"
    return f"data = arviz.from_netcdf({str(path)!r}); {guide if result.draws is None else chains}"


def typical_to_worst(estimate: Estimate[ImportanceInfo], num: int) -> list[int]:
    """Data spread from the median to the largest room log p̂(x) − ELBO, the largest last."""
    room = (estimate.value - estimate.info["elbo"]).nan_to_num(-float("inf"))
    order = room.argsort().tolist()
    half = order[len(order) // 2 :]
    num = min(num, len(half))
    step = (len(half) - 1) / max(num - 1, 1)
    return [half[round(i * step)] for i in range(num)]
