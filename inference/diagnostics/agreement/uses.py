"""What q may be used for: for each use, the limits it must keep and the number that broke one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.weights import K_LIMIT

Reasons = tuple[Tensor, list[str]]
"""For each datum whether a limit is broken, `[B]` bool, and what to say if it is."""


@dataclass(frozen=True)
class Limits:
    """From where on an error matters. A datum fails only by more than two standard errors beyond a limit.

    Attributes:
        mean_error: in posterior sds. A mean off by a quarter adds 3 % to the root mean squared error of a point
            estimate, √(1 + 0.25²).
        tail_mass: least and most posterior probability outside a central 90 % interval: it then covers 85 to 95 %.
        far_tail_mass: the same for a 99 % interval, between a fifth of and three times what it says.
        pareto_k: largest k̂: beyond it importance weights cannot mend the tails or log p(x) (Vehtari et al. 2024); nor
            can they where `importance` flags them for their tail.
        log_p_error: nats; a tenth of a nat is a tenth of the evidence for one datum.
        missed_mass: most posterior probability of missed modes. k̂, effective sample sizes and error bars are blind to
            them, and each of them takes −log(1 − mass) nats off log p̂(x).
        sigmas: standard errors beyond a limit.
    """

    mean_error: float = 0.25
    tail_mass: tuple[float, float] = (0.05, 0.15)
    far_tail_mass: tuple[float, float] = (0.002, 0.03)
    pareto_k: float = K_LIMIT
    log_p_error: float = 0.1
    missed_mass: float = 0.05
    sigmas: float = 2.0


@dataclass(frozen=True)
class Measured:
    """What the uses are judged by: tensors over data as `Agreement` has them."""

    latents: tuple[str, ...]
    mean_error: Tensor
    mean_error_stderr: Tensor
    tail_mass: Tensor
    tail_mass_stderr: Tensor
    far_tail_mass: Tensor
    far_tail_mass_stderr: Tensor
    missed_mass: Tensor
    missed_mass_stderr: Tensor
    pareto_k: Tensor
    heavy_tail: Tensor  # whether the weights' tail is too heavy whatever the limit on k̂ is: `weights.heavy_tail`
    log_p_stderr: Tensor  # of the importance estimate
    log_p_off: Tensor  # importance estimate − a better one, nats; NaN if there is none
    log_p_off_stderr: Tensor
    cautions: tuple[str, ...]  # for each datum why log q, and with it every weight, should be doubted; or empty


def judge(measured: Measured, limits: Limits) -> tuple[dict[str, Tensor], dict[str, tuple[str, ...]]]:
    """Which data survive each use, `[B]` bool, and for each datum the reasons why not, or an empty string."""
    uses, why_not = {}, {}
    for use, rules in RULES.items():
        judgements = [rule(measured, limits) for rule in rules]
        uses[use] = ~torch.stack([broken for broken, _ in judgements]).any(0)
        marks = [broken.tolist() for broken, _ in judgements]
        why_not[use] = tuple(
            "; ".join(texts[b] for mark, (_, texts) in zip(marks, judgements, strict=True) if mark[b])
            for b in range(len(measured.pareto_k))
        )
    return uses, why_not


def _mean(measured: Measured, limits: Limits) -> Reasons:
    size, stderr = measured.mean_error.abs(), measured.mean_error_stderr
    broken, n = _worst(size - limits.sigmas * stderr - limits.mean_error)
    numbers = _picked(n, measured.mean_error, stderr)
    text = "the mean of {0} is off by {1:+.2f} ± {2:.2f} posterior sds (limit {3:g})"
    return broken, [text.format(measured.latents[i], *row, limits.mean_error) for i, row in numbers]


def _interval(measured: Measured, limits: Limits) -> Reasons:
    return _mass(measured, measured.tail_mass, measured.tail_mass_stderr, limits.tail_mass, limits.sigmas, 90)


def _far_interval(measured: Measured, limits: Limits) -> Reasons:
    mass, stderr = measured.far_tail_mass, measured.far_tail_mass_stderr
    return _mass(measured, mass, stderr, limits.far_tail_mass, limits.sigmas, 99)


def _mass(
    measured: Measured, mass: Tensor, stderr: Tensor, range: tuple[float, float], sigmas: float, percent: int
) -> Reasons:
    low, high = range
    excess = torch.maximum(mass - sigmas * stderr - high, low - mass - sigmas * stderr)
    relative = torch.where(mass > high, excess / high, excess / low)
    broken, n = _worst(relative)
    numbers = _picked(n, mass, stderr)
    text = "the {0} % interval of {1} leaves out {2:.3f} ± {3:.3f} of the posterior (limits {4:g} to {5:g})"
    return broken, [text.format(percent, measured.latents[i], *row, low, high) for i, row in numbers]


def _pareto(measured: Measured, limits: Limits) -> Reasons:
    # A limit on these very draws: what k̂ forecasts is the error of what is computed from them, so no noise is allowed.
    k, heavy = measured.pareto_k, measured.heavy_tail
    beyond = ~(k <= limits.pareto_k)
    texts = [
        f"Pareto k̂ = {v:.2f} > {limits.pareto_k:g}" if b else "the importance weights have too heavy a tail"
        for v, b in zip(k.tolist(), beyond.tolist(), strict=True)
    ]
    return beyond | heavy, texts


def _missed(measured: Measured, limits: Limits) -> Reasons:
    mass, stderr = measured.missed_mass, measured.missed_mass_stderr
    text = "q misses modes that hold {:.3f} ± {:.3f} of the posterior (limit {:g})"
    texts = [text.format(m, s, limits.missed_mass) for m, s in zip(mass.tolist(), stderr.tolist(), strict=True)]
    return mass - limits.sigmas * stderr > limits.missed_mass, texts


def _noisy(measured: Measured, limits: Limits) -> Reasons:
    stderr = measured.log_p_stderr
    text = "importance sampling knows log p(x) only to ± {:.2f} nats (limit {:g})"
    return ~(stderr <= limits.log_p_error), [text.format(s, limits.log_p_error) for s in stderr.tolist()]


def _off(measured: Measured, limits: Limits) -> Reasons:
    off, stderr = measured.log_p_off, measured.log_p_off_stderr
    text = "importance sampling is off by {:+.2f} ± {:.2f} nats in log p(x) (limit {:g})"
    texts = [text.format(o, s, limits.log_p_error) for o, s in zip(off.tolist(), stderr.tolist(), strict=True)]
    return off.abs() - limits.sigmas * stderr > limits.log_p_error, texts


def _doubtful(measured: Measured, limits: Limits) -> Reasons:
    return torch.tensor([bool(caution) for caution in measured.cautions]), list(measured.cautions)


RULES = {
    "means": (_mean,),
    "intervals": (_interval, _missed),
    "tails": (_far_interval, _pareto, _missed, _doubtful),
    "model comparison": (_pareto, _noisy, _missed, _off, _doubtful),
}
"""use -> the rules that a datum must keep."""


def _worst(excess: Tensor) -> tuple[Tensor, Tensor]:
    """From `[B, N]`: whether any latent breaks the limit, and which does so the most, `[B]` each."""
    largest = excess.nan_to_num(torch.inf, posinf=torch.inf).max(1)  # what is not a number keeps no limit
    return largest.values > 0, largest.indices


def _picked(n: Tensor, *columns: Tensor) -> list[tuple[int, tuple[float, ...]]]:
    """For each datum its latent n and what the columns `[B, N]` hold for it."""
    values = zip(*(column.gather(1, n.unsqueeze(1)).squeeze(1).tolist() for column in columns), strict=True)
    return list(zip(n.tolist(), values, strict=True))
