"""Does β > 1 disentangle? Images of four known factors, and how well each latent of a β-VAE keeps to one of them.

A square, a disc or a cross of four sizes at eight by eight places, 16 × 16 zeros and ones of which 2 % are flipped. Of
the means of q: the mutual information gap (Chen, Li, Grosse & Duvenaud 2018, eq. 6; codes in 20 bins, as Locatello et
al. 2019), and how much of a factor a straight line reads off all latents and off the best single one (R², of the kind
as zeros and ones). The same codes turned by a random rotation say what a score is worth: they hold the same.
"""

import argparse
import math

import torch
from scipy.stats import t as student
from torch import Tensor

from benchmarks.clock import steady
from benchmarks.options import at_least_one, parsed, parser
from benchmarks.results import report
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, fit, importance
from elbowroom.models import VAE

SIDE, LEVELS = 16, (8, 8, 4, 3)  # of: column, row, size, kind


def main() -> None:
    """Train a VAE for each β and seed, and report the scores with their 95 % intervals over seeds."""
    made = parser(__doc__, threads=1)
    made.add_argument("--betas", nargs="+", type=float, default=[1.0, 2.0, 4.0])
    made.add_argument("--seeds", type=at_least_one, default=5, help="how many")
    made.add_argument("--num-epochs", type=int, default=40)
    few = {"betas": [1.0, 4.0], "seeds": 2, "num_epochs": 4}
    options = parsed(made, quick=few, long={"betas": [0.5, 1.0, 2.0, 4.0, 8.0], "num_epochs": 60})
    x, _ = images(4096, seed=0)
    test_x, test_factors = images(2048, seed=1)
    found: dict[float, dict[str, Tensor]] = {}
    began = steady(options.device)
    for beta in options.betas:
        rows = [scores(beta, seed, options, x, test_x, test_factors) for seed in range(options.seeds)]
        found[beta] = {key: torch.tensor([row[key] for row in rows]).double() for key in rows[0]}
    lines = []
    for beta, values in found.items():
        lines.append((f"β = {beta:g}", "; ".join(f"{key} {interval(value)}" for key, value in values.items())))
    for beta in options.betas:
        if beta != 1 and 1 in found:
            lines.append(
                (f"MIG, β = {beta:g} less β = 1, seed by seed", interval(found[beta]["MIG"] - found[1]["MIG"]))
            )
    lines.append(("seconds of one thread", f"{steady(options.device) - began:.0f}"))
    title = f"Disentanglement over β: four factors, 6 latents, {options.seeds} seeds, {options.num_epochs} epochs"
    report("disentanglement", title, lines, options)


def images(count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Images `[N, 256]` of zeros and ones, and their factors `[N, 4]`, whole numbers below `LEVELS`."""
    generator = torch.Generator().manual_seed(seed)
    factors = torch.stack([torch.randint(levels, (count,), generator=generator) for levels in LEVELS], -1)
    centre = 4.0 + factors[:, :2]  # pixels, 4 … 11
    radius = (1.5 + 0.75 * factors[:, 2])[:, None, None]
    line = torch.arange(SIDE, dtype=torch.float)
    dx, dy = (
        (line[None, None, :] - centre[:, 0, None, None]).abs(),
        (line[None, :, None] - centre[:, 1, None, None]).abs(),
    )
    square, disc = torch.maximum(dx, dy) <= radius, dx.square() + dy.square() <= radius.square()
    cross = (torch.minimum(dx, dy) <= 0.5) & (torch.maximum(dx, dy) <= radius)
    kind = factors[:, 3, None, None]
    inside = torch.where(kind == 0, square, torch.where(kind == 1, disc, cross))
    flipped = torch.rand(inside.shape, generator=generator) < 0.02
    return (inside ^ flipped).float().flatten(1), factors


def scores(
    beta: float, seed: int, options: argparse.Namespace, x: Tensor, test_x: Tensor, factors: Tensor
) -> dict[str, float]:
    """Train one VAE at this β and score the means of its guide on images that it has not seen."""
    torch.manual_seed(seed)
    model, guide = VAE(SIDE * SIDE, 6, (128, 128)), AmortizedNormal(SIDE * SIDE, 6, (128, 128))
    settings = {"batch_size": 128, "learning_rate": 2e-3, "schedule": "cosine", "progress": False}
    fit(model, guide, x, num_epochs=options.num_epochs, beta=beta, device=options.device, **settings)
    test_x = test_x.to(options.device)
    with torch.no_grad():
        codes = guide.eval().encode(test_x).mean.cpu()
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(seed)))[0]
    target = Target(model.eval(), guide, test_x[:256])
    everything, single = straight_lines(codes, factors)
    return {
        "MIG": mutual_information_gap(codes, factors),
        "MIG turned": mutual_information_gap(codes @ rotation, factors),
        "R² of all latents": everything,
        "R² of the best latent": single,
        "ELBO": importance(target, num_samples=100, search=False).info["elbo"].mean().item(),
    }


def mutual_information_gap(codes: Tensor, factors: Tensor, bins: int = 20) -> float:
    """Mean over factors of (largest − second largest I(z_j; v)) / H(v)."""
    gaps = []
    low, high = codes.amin(0), codes.amax(0)
    binned = ((codes - low) / (high - low).clamp_min(1e-9) * bins).long().clamp(0, bins - 1)  # [N, D]
    for k, levels in enumerate(LEVELS):
        known = torch.stack([information(binned[:, j], factors[:, k], bins, levels) for j in range(codes.shape[1])])
        first, second = known.topk(2).values
        gaps.append((first - second) / information(factors[:, k], factors[:, k], levels, levels))
    return torch.stack(gaps).mean().item()


def information(a: Tensor, b: Tensor, num_a: int, num_b: int) -> Tensor:
    """Mutual information of two discrete variables by their table of counts, nats."""
    joint = torch.bincount(a * num_b + b, minlength=num_a * num_b).double().reshape(num_a, num_b) / len(a)
    apart = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    return torch.where(joint > 0, joint * (joint / apart.clamp_min(1e-300)).log(), 0.0).sum()


def straight_lines(codes: Tensor, factors: Tensor) -> tuple[float, float]:
    """R² of least squares from all latents, and from the best single one; means over factors."""
    wanted = [factors[:, k, None].double() for k in range(3)] + [torch.nn.functional.one_hot(factors[:, 3]).double()]
    everything = sum(explained(codes.double(), v) for v in wanted) / len(wanted)
    single = sum(max(explained(codes[:, j, None].double(), v) for j in range(codes.shape[1])) for v in wanted)
    return everything, single / len(wanted)


def explained(codes: Tensor, wanted: Tensor) -> float:
    """R² of least squares of what is wanted on codes and a constant."""
    with_one = torch.nn.functional.pad(codes, (0, 1), value=1.0)
    left = wanted - with_one @ torch.linalg.lstsq(with_one, wanted).solution
    return 1 - (left.square().sum() / (wanted - wanted.mean(0)).square().sum()).item()


def interval(values: Tensor) -> str:
    """Mean of the seeds ± the half width of its 95 % interval (Student's t); of one seed it has none."""
    half = student.ppf(0.975, len(values) - 1) * values.std() / math.sqrt(len(values))
    return f"{values.mean():.3f} ± {half:.3f}"


if __name__ == "__main__":
    main()
