"""KL(q ‖ p(z|x)) and KL(p(z|x) ‖ q), from bounds and posterior draws or exactly."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from elbowroom.inference.estimate import Bound, Estimate, reasons
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.inference.evidence.quadrature.quadrature import QuadratureInfo

_FLIPPED: dict[Bound, Bound] = {"lower": "upper", "upper": "lower", "none": "none", "exact": "exact"}


def reverse(log_p: Estimate, sampled: Estimate[ImportanceInfo]) -> Estimate:
    """KL(q ‖ p(z|x)) = log p(x) − ELBO, `[B]`, nats: a bound of the same kind as log p(x)."""
    elbo, stderr = sampled.info["elbo"], sampled.info["elbo_stderr"]
    value = log_p.value.double().cpu() - elbo
    error = (log_p.stderr.double().cpu().square() + stderr.square()).sqrt()
    return Estimate(value, error, log_p.bound, flags=log_p.flags)


def forward(log_p: Estimate, mean: Tensor, stderr: Tensor, draws_flags: Sequence[str]) -> Estimate:
    """KL(p(z|x) ‖ q) = E_p[log p(x, z) − log q(z|x)] − log p(x), `[B]`, nats: a bound of the other kind.

    Args:
        log_p: log p(x) of each datum.
        mean, stderr: mean of log p(x, z) − log q(z|x) over posterior draws and its Monte Carlo error, `[B]`.
        draws_flags: why the draws are no reference.
    """
    error = (log_p.stderr.double().cpu().square() + stderr.square()).sqrt()
    unknown = "q's density at the posterior's draws is unknown"
    flags = tuple(
        unknown if value != value else reasons(*both)
        for value, both in zip(mean.tolist(), zip(draws_flags, log_p.flags, strict=True), strict=True)
    )
    return Estimate(mean - log_p.value.double().cpu(), error, _FLIPPED[log_p.bound], flags=flags)


def exactly(exact: Estimate[QuadratureInfo], name: Literal["kl_q_p", "kl_p_q"]) -> Estimate:
    """A divergence by quadrature, with its numerical error."""
    value = exact.info[name]
    unknown = "q's density at a point is unknown"
    flags = tuple(f or (unknown if v != v else "") for f, v in zip(exact.flags, value.tolist(), strict=True))
    return Estimate(value, exact.stderr.to(value), "exact", flags=flags)
