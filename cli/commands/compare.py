"""`elbowroom compare`: VI against MCMC against the exact posterior, for chosen data of a trained run."""

from pathlib import Path

from elbowroom.commands.options import CompareOptions
from elbowroom.commands.output import finish, say
from elbowroom.commands.runs import Run, open_run, picture_shape
from elbowroom.inference import Comparison, Estimate, Target, compare, importance
from elbowroom.inference.evaluation.clock import budget_words
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.report import comparison_record, comparison_table, posterior_figure, save_figure, save_netcdf


def run(options: CompareOptions) -> Comparison:
    """Compare, print the table, and write JSON, netCDF and figures."""
    opened = open_run(options.run, options.which, options.device)
    target = opened.target(options.split)
    if options.data is not None:
        chosen = _checked(options, len(target))
    else:
        chosen = typical_to_worst(importance(target, num_samples=1000, seed=options.seed, search=False), 4)
    if options.mcmc and options.budget is not None:
        within = budget_words(options.budget)
        say(f"NUTS runs for each of {len(chosen)} data by itself, {within} at most in all (--budget).", options.json)
    result = compare(
        target,
        chosen,
        num_samples=options.num_samples,
        mcmc=options.mcmc,
        num_chains=options.num_chains,
        num_warmup=options.num_warmup,
        num_draws=options.num_draws,
        budget=options.budget,
        seed=options.seed,
        progress=not options.json,
    )
    say(comparison_table(result), options.json)
    where = Path(options.output or Path(options.run) / "compare")
    files = write(result, target, opened, options.split, where)
    finish(comparison_record(result) | {"files": [str(f) for f in files]}, where / "comparison.json", options.json)
    say("Written: " + ", ".join(str(f) for f in [where / "comparison.json", *files]), options.json)
    say("With ArviZ: " + read_with_arviz(result, files[0]), options.json)
    return result


def write(result: Comparison, target: Target, opened: Run, split: str, where: Path) -> list[Path]:
    """The ArviZ file and the posterior figure of a comparison."""
    where.mkdir(parents=True, exist_ok=True)
    x = opened.arguments(split)[0][result.data].cpu()
    files = [where / "comparison.nc", where / "posteriors.png"]
    save_netcdf(result, files[0], observed=x)
    figure = posterior_figure(target, result, images=x, image_shape=picture_shape(opened.data, x) or None)
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


def _checked(options: CompareOptions, num_data: int) -> list[int]:
    chosen = options.data or []
    if not chosen or not all(0 <= datum < num_data for datum in chosen) or len(set(chosen)) < len(chosen):
        raise ValueError(
            f"data must be different indices of the {options.split} split, 0 … {num_data - 1}, such as [0,5]; "
            f"got {chosen}"
        )
    return chosen
