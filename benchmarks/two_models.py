"""`versus` on pairs of models whose difference is known: does it name the right one, and do its intervals cover?

Linear Gaussian models: x ~ N(0, W Wᵀ + σ² I), and a second model with other weights. Over data drawn anew the mean
difference is E[log p_a − log p_b] = KL(p ‖ p_b) − KL(p ‖ p_a), in closed form. And two VAEs of the digits: one trained
by the bound of 20 particles, whose log p(x) is higher and whose ELBO is lower, and one trained by the ELBO.
"""

import argparse
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, fit, versus
from elbowroom.models import VAE

SIGMA, PIXELS, DATA = 0.8, 6, 100
DIFFERENCES = (0.0, 0.05, 0.5, 5.0)


def weights(scale: float, latents: int, turn: float = 0.0) -> Tensor:
    """W `[P, D]`, times a scale, with something added to it."""
    generator = torch.Generator().manual_seed(3)
    first, other = torch.randn(2, PIXELS, latents, generator=generator, dtype=torch.float64)
    return scale * first / latents**0.5 + turn * other


def covariance(weight: Tensor) -> Tensor:
    """Of x."""
    return weight @ weight.T + SIGMA**2 * torch.eye(len(weight), dtype=torch.float64)


def divergence(truth: Tensor, weight: Tensor) -> float:
    """KL(p ‖ p_w), nats."""
    true, model = (dist.MultivariateNormal(truth.new_zeros(PIXELS), covariance(w)) for w in (truth, weight))
    return float(torch.distributions.kl_divergence(true, model))


def solved(reach: Callable[[float], float], wanted: float, most: float) -> float:
    """By bisection: where a rising function has the wanted value."""
    low, high = 0.0, most
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if reach(middle) < wanted else (low, middle)
    return (low + high) / 2


def pair(difference: float, latents: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of the truth and of two models whose mean difference is as wanted: 0 of two that are off as much."""
    truth = weights(1.0, latents)
    if difference > 0:
        turn = solved(lambda t: divergence(truth, weights(1.0, latents, t)), difference, 50.0)
        return truth, truth, weights(1.0, latents, turn)
    one = weights(1.15, latents)
    turn = solved(lambda t: divergence(truth, weights(1.0, latents, t)), divergence(truth, one), 50.0)
    return truth, one, weights(1.0, latents, turn)


def target(weight: Tensor, x: Tensor) -> Target:
    """The model with its exact posterior, a tenth too wide."""
    num_latents = weight.shape[1]
    eye = torch.eye(num_latents, dtype=torch.float64, device=x.device)
    posterior = torch.linalg.inv(weight.T @ weight / SIGMA**2 + eye)
    to_mean, tril = posterior @ weight.T / SIGMA**2, 1.1 * torch.linalg.cholesky(posterior)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(num_latents), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ weight.T, SIGMA).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.MultivariateNormal(x @ to_mean.T, scale_tril=tril))

    return Target(model, guide, x)


def known_pairs(options: argparse.Namespace, num_pairs: int, latents: int, budget: str) -> dict[str, str]:
    """Right and wrong answers, and coverage, over pairs with data of their own."""
    answers: dict[str, str] = {}
    for difference in options.differences:
        truth, one, other = pair(difference, latents)
        p_x = dist.MultivariateNormal(truth.new_zeros(PIXELS), covariance(truth))
        right = wrong = open_ = covered = used = 0
        for seed in range(num_pairs):
            torch.manual_seed(1000 * latents + seed)
            x = p_x.sample((DATA,)).to(options.device)
            a, b = (target(weight.to(options.device), x) for weight in (one, other))
            found = versus(a, b, budget=budget, seed=seed)
            low, high = found.log_p.interval()
            covered += low <= difference <= high
            right += found.better == "a" and difference > 0
            wrong += found.better == "b" or (found.better == "a" and difference == 0)
            open_ += found.better is None
            used += len(found.log_p)
        answers[f"{latents} latents, difference {difference:g}: right, cannot be told, wrong; covered at 95 %"] = (
            f"{right}, {open_}, {wrong} of {num_pairs}; {covered} ({used / num_pairs:.0f} of {DATA} data)"
        )
        print(*list(answers.items())[-1], sep=": ", flush=True)
    return answers


def digits(num_epochs: int, budget: str, device: torch.device) -> dict[str, str]:
    """A VAE trained by the bound of 20 particles against one trained by the ELBO."""
    data = load("digits", binarize="threshold")
    x, test = data.train.float(), data.test.float().to(device)
    targets = []
    for loss, num_particles in (("IWAE", 20), ("Trace_ELBO", 1)):
        torch.manual_seed(0)
        model, guide = VAE(64, 2, hidden=(64, 64)), AmortizedNormal(64, 2, hidden=(64, 64))
        fit(model, guide, x, num_epochs=num_epochs, loss=loss, num_particles=num_particles, device=device, seed=0)
        targets.append(Target(model, guide, test))
    found = versus(*targets, names=("IWAE", "VAE"), budget=budget)
    print(found)
    return {"two VAEs of the digits": " ".join(found.sentences)}


def main() -> None:
    """All pairs, then the digits."""
    made = parser(__doc__, threads=1)
    made.add_argument("--pairs", type=int, default=10)
    made.add_argument("--differences", type=float, nargs="+", default=list(DIFFERENCES))
    made.add_argument("--epochs", type=int, default=40)
    made.add_argument("--evaluations", type=float, nargs=2, default=[1e7, 1e7], help="of a pair, and of the VAEs")
    few = {"pairs": 1, "differences": [0.5], "epochs": 2, "evaluations": [1e5, 1e5]}
    options = parsed(made, quick=few, long={"pairs": 100, "epochs": 150, "evaluations": [1e7, 3e7]})
    of_pair, of_digits = (f"{count:g} evaluations" for count in options.evaluations)
    rows = known_pairs(options, options.pairs, 1, of_pair)
    rows |= known_pairs(options, max(1, options.pairs // 20), 3, of_pair)
    rows |= digits(options.epochs, of_digits, options.device)
    title = "versus: pairs with a known difference, and two VAEs of the digits"
    report("two_models", title, list(rows.items()), options)


if __name__ == "__main__":
    main()
