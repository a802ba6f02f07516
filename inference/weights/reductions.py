"""Reductions of importance weights log w `[S, B]`: bounds, log p(x), effective sample size."""

import math

import torch
from torch import Tensor

ROUNDING = 64.0
"""A spread of log w below this many units in its last place is rounding, not variation."""

ROUNDING_LIMIT = 0.05
"""Nats: what rounding may hide of a value. Beyond it equal weights say nothing, and the value is flagged."""


def elbo(log_w: Tensor) -> Tensor:
    """Evidence lower bound, E_q[log w] ≈ mean_s log w[s, b], `[B]`, nats."""
    return log_w.mean(0)


def elbo_stderr(log_w: Tensor) -> Tensor:
    """Standard error of `elbo`, sd_s(log w) / √S, `[B]`, nats; NaN for one sample."""
    return (_variance(log_w) / len(log_w)).sqrt()


def log_marginal(log_w: Tensor) -> Tensor:
    """log p̂(x) = log (1/S) Σ_s w[s, b], `[B]`, nats: a lower bound on log p(x) in expectation."""
    return log_w.logsumexp(0) - math.log(len(log_w))


def log_marginal_stderr(log_w: Tensor) -> Tensor:
    """Delta-method standard error of `log_marginal`, √(Var w / S) / mean w, `[B]`, nats; NaN for one sample."""
    num_samples = len(log_w)
    relative = (log_w - log_marginal(log_w)).exp()
    return (_variance(relative) / num_samples).sqrt()


def iwae(log_w: Tensor, num_particles: int) -> Tensor:
    """IWAE-K bound, E[log (1/K) Σ_k w_k], averaged over the ⌊S/K⌋ disjoint groups of K samples, `[B]`, nats.

    Burda, Grosse & Salakhutdinov (2016), equation 8.

    Raises:
        ValueError: if K is not between 1 and S.
    """
    return grouped(log_w, num_particles).mean(0)


def grouped(log_w: Tensor, num_particles: int) -> Tensor:
    """log (1/K) Σ_k w_k of each disjoint group of K samples, `[⌊S/K⌋, B]`, nats."""
    num_samples = len(log_w)
    if not 1 <= num_particles <= num_samples:
        raise ValueError(f"num_particles must be between 1 and the {num_samples} samples given, got {num_particles}")
    groups = log_w[: num_samples - num_samples % num_particles].unflatten(0, (-1, num_particles))
    return groups.logsumexp(1) - math.log(num_particles)


def normalized(log_w: Tensor) -> Tensor:
    """Self-normalised weights, w / Σ_s w, `[S, B]`."""
    return log_w.softmax(0)


def ess(log_w: Tensor) -> Tensor:
    """Effective sample size of importance sampling, (Σ w)² / Σ w², `[B]`, between 1 and S (Kong 1992)."""
    return (2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp()


def is_constant(log_w: Tensor) -> Tensor:
    """Whether all weights of a datum are equal up to rounding, `[B]`: the guide is the posterior."""
    return spread_is_rounding(log_w.amax(0), log_w.amin(0), torch.finfo(log_w.dtype).eps)


def spread_is_rounding(largest: Tensor, smallest: Tensor, eps: float) -> Tensor:
    """Whether `largest − smallest` is at the rounding level of log weights of that size, with machine epsilon `eps`.

    The terms whose difference log w is may be much larger than log w itself (784 pixels, a sharp likelihood), so a
    spread below √eps nats counts as rounding whatever the size is: it moves no estimate by more than that. A spread
    above `ROUNDING_LIMIT` never does, and none does where that is less than a unit in the last place: weights of
    −1e8 nats in float32 are known to 8 nats, and equal up to that for a guide that is nowhere near the posterior.
    """
    scale = torch.maximum(largest.abs(), smallest.abs())
    tolerance = (ROUNDING * eps * scale).clamp(math.sqrt(eps), ROUNDING_LIMIT)
    return ((largest - smallest) <= tolerance) & (eps * scale <= ROUNDING_LIMIT)


def rounding_error(value: Tensor, eps: float) -> Tensor:
    """What a sum of this size is known to in floating point, eps·|value|, nats; zero where that is below √eps."""
    error = eps * value.abs()
    return torch.where((error > math.sqrt(eps)) & value.isfinite(), error, 0.0)


def rounding_flag(value: float, eps: float) -> str:
    """The reason not to trust a value that rounding leaves unknown; empty up to `ROUNDING_LIMIT` nats."""
    error = eps * abs(value)
    if not ROUNDING_LIMIT < error < math.inf:
        return ""
    single = eps > torch.finfo(torch.float64).eps
    way_out = "use float64, or look why the guide is so far from the posterior" if single else "the guide is far away"
    return f"log w of size {abs(value):.0e} is known to {error:.1g} nats only in float{32 if single else 64}: {way_out}"


def _variance(values: Tensor) -> Tensor:
    """Over samples, unbiased; NaN for one sample (torch would warn as well)."""
    return values.var(0) if len(values) > 1 else torch.full_like(values[0], torch.nan)
