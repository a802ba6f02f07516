"""Does any number of a refined guide mislead without a flag? MNIST VAEs 784-200-200-50, trained briefly and badly.

Two ways to train badly: `hasty`, two epochs at ten times the usual learning rate; `stale`, an encoder of one epoch
under a decoder that goes on for two more. Bar: of 300 images, with `--long`, no value (importance sampling from a
refined guide; log p(x) of the decomposition) is more than three standard errors and 0.1 nat away from annealing with
400 temperatures, from the encoder's output and from the prior, without a flag; and the terms add up to that. The larger
of two noisy values lies high now and then: images that are off without a flag are annealed once more, longer and with
more chains.

Run with MNIST in ELBOWROOM_DATA: python -m benchmarks.refined_mnist [--long] [--num-images 300] [--ways hasty stale]
"""

from functools import partial

import torch

from benchmarks.clock import CPU, timed
from benchmarks.mnist_vae import initialise
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Decomposition, Estimate, Target, anneal, decompose, fit, importance
from elbowroom.models import VAE

FAMILIES = ("mean-field", "full covariance")
_LONGER, _MORE = 1500, 64  # temperatures and chains where an image is off without a flag


def main() -> None:
    """Train in each way, decompose, and hold every number against two annealings."""
    made = parser(__doc__)
    made.add_argument("--num-images", type=int, default=20)
    made.add_argument("--ways", nargs="+", choices=["hasty", "stale"], default=["hasty", "stale"])
    made.add_argument("--num-temperatures", type=int, default=400)
    few = {"num_images": 4, "ways": ["stale"], "num_temperatures": 50}
    options = parsed(made, quick=few, long={"num_images": 300})
    rows = []
    for way in options.ways:
        model, guide, test = programs(way, options.device)
        target = Target(model, guide, test[: options.num_images])
        found, seconds, _ = timed(partial(decompose, target, families=FAMILIES), options.device)
        print(f"{way}: decomposed in {seconds:.0f} s", flush=True)
        steps = options.num_temperatures
        truth = best_of([anneal(target, start=start, num_steps=steps) for start in ("guide", "prior")])
        rows.append((f"{way}: annealing, {steps} temperatures, the larger of two", _mean(truth)))
        rows += [(f"{way}: {name}", value) for name, value in compared(target, found, truth)]
        rows.append((f"{way}: seconds", f"{seconds:.0f} for {len(target)} images"))
    title = f"Numbers of refined guides of {options.num_images} MNIST test images, nats per image"
    report("refined_mnist", title, rows, options)


def programs(way: str, device: torch.device = CPU) -> tuple[VAE, AmortizedNormal, torch.Tensor]:
    """A VAE that is trained in one of the ways, and the binarised test images."""
    data = load("mnist", binarize="dynamic")
    train = torch.cat([data.train, data.validation])
    torch.manual_seed(0)
    model, guide = VAE(784, 50, (200, 200), activation="tanh"), AmortizedNormal(784, 50, (200, 200), activation="tanh")
    initialise(model, guide, train.mean(0))
    settings = {"batch_size": 100, "prepare": data.prepare, "device": device}
    if way == "hasty":
        fit(model, guide, train, num_epochs=2, learning_rate=1e-2, **settings)
    else:
        fit(model, guide, train, num_epochs=1, learning_rate=3e-3, **settings)
        guide.requires_grad_(False)
        fit(model, guide, train, num_epochs=2, learning_rate=3e-3, **settings)
    return model.eval(), guide.eval(), data.test.to(device)


def best_of(annealed: list[Estimate]) -> Estimate:
    """Of two lower bounds the one that lies higher, datum by datum."""
    one, other = annealed
    takes = other.value > one.value
    return Estimate(torch.where(takes, other.value, one.value), torch.where(takes, other.stderr, one.stderr), "lower")


def compared(target: Target, found: Decomposition, truth: Estimate) -> list[tuple[str, str]]:
    """Each number against the truth: how many images are off, and how many of these without a flag."""
    rows = []
    numbers = {f"importance from {rung}": importance(found.refined.target(rung)) for rung in FAMILIES}
    numbers["log p(x) of the decomposition"] = Estimate(
        found.log_p.value, found.log_p.stderr, found.log_p.bound, flags=found.flags
    )
    for name, number in numbers.items():
        flagged = torch.tensor([bool(flag) for flag in number.flags])
        below, above = (off(number, truth, sign) for sign in (1.0, -1.0))
        silent = (below | above) & ~flagged
        rows.append(
            (
                name,
                f"{_mean(number)}; {int(below.sum())} too low, {int(above.sum())} too high, {int(silent.sum())} of "
                f"them silently; {int(flagged.sum())} flagged",
            )
        )
        if bool(silent.any()):
            rows.append((f"{name}, those once more", _once_more(target, number, silent.nonzero().flatten())))
    told = [note for note in found.notes if "lesser mode" in note]
    lesser = [flag for flag in found.flags if "lesser mode" in flag]
    total = found.elbo.value + found.amortization.value + found.optimisation.value + found.approximation.value
    terms = [(name, getattr(found, name)) for name in ("amortization", "optimisation", "approximation")]
    return [
        *rows,
        (
            "searches from the encoder that ended in a lesser mode",
            f"{len(told)}; left there and flagged: {len(lesser)}",
        ),
        *((name, _mean(term)) for name, term in terms),
        ("terms less log p(x), largest", f"{float((total - found.log_p.value).abs().max()):.1e}"),
    ]


def _once_more(target: Target, number: Estimate, data: torch.Tensor) -> str:
    """How many of some images are off still, against a longer annealing of them."""
    part = Estimate(number.value[data], number.stderr[data], number.bound)
    few = target.select(data)
    starts = ("guide", "prior")
    longer = best_of([anneal(few, start=start, num_steps=_LONGER, num_chains=_MORE, seed=1) for start in starts])
    still = off(part, longer, 1.0) | off(part, longer, -1.0)
    return f"{int(still.sum())} of {len(data)} off with {_LONGER} temperatures and {_MORE} chains"


def off(number: Estimate, truth: Estimate, sign: float) -> torch.Tensor:
    """Which images are more than three standard errors and 0.1 nat off in a direction, `[B]` bool."""
    value, stderr = number.value.cpu(), number.stderr.cpu()
    return sign * (truth.value - value) > 3 * torch.hypot(truth.stderr, stderr) + 0.1


def _mean(estimate: Estimate) -> str:
    value, error = estimate.mean()
    return f"{value:.3f} ± {error:.3f}"


if __name__ == "__main__":
    main()
