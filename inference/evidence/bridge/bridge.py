"""Bridge sampling: log p(x) from posterior draws and draws of a proposal that is fitted to them, datum by datum."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation import budget
from elbowroom.inference.evaluation.budget import Plan, bytes_or_default
from elbowroom.inference.evaluation.check_same_data import check_same_data
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evidence.bridge.error import relative_error
from elbowroom.inference.evidence.bridge.fixed_point import ITERATIONS, optimal_bridge
from elbowroom.inference.evidence.bridge.proposals import PROPOSALS
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.mcmc.effective_size import effective_sample_size
from elbowroom.inference.progress import progress_bar
from elbowroom.inference.target import Target

ERROR_LIMIT = 0.5
"""Relative error above which its own first-order formula is not to be believed."""

_LEAST_DRAWS = 8  # of a chain: half of them must have an effective sample size
_COPIES = 24  # of a datum's draws, while a mixture of a few components is fitted to half of them


class BridgeInfo(TypedDict):
    """The diagnostics of a bridge.

    Keys:
        num_draws: N_1, posterior draws of each datum that are bridged to: the second halves of its chains.
        ess: effective number of them in the error's posterior term, `[B]`.
        proposal_share, posterior_share: shares of the error's two terms in its square, `[B]`.
        num_iterations: iterations to the fixed point, `[B]`.
        num_evaluations: of log p(x, z), for each datum.
        seconds: wall-clock time for all data.
        proposal: the proposal's name.
    """

    num_draws: int
    ess: Tensor
    proposal_share: Tensor
    posterior_share: Tensor
    num_iterations: Tensor
    num_evaluations: int
    seconds: float
    proposal: str


def bridge(
    target: Target,
    draws: Draws,
    *,
    proposal: str = "mixture",
    seed: int = 0,
    memory_bytes: int | None = None,
    progress: bool = False,
) -> Estimate[BridgeInfo]:
    """Estimate log p(x_b) from posterior draws by the optimal bridge (Meng & Wong 1996, equation 4.1).

    With N_1 posterior draws u_i, N_2 draws v_j of a proposal g, and l = joint / g, the estimate is the fixed point of

        r = mean_j [l(v_j) / (s_1 l(v_j) + s_2 r)] / mean_i [1 / (s_1 l(u_i) + s_2 r)],   s_k = N_k / (N_1 + N_2),

    N_1 counted as effective draws. The proposal is fitted to the first half of each chain and the second half is
    bridged to it, for the same draws in both places bias the estimate (Overstall & Forster 2010). All of it happens in
    unconstrained coordinates. It is only as good as the draws: a mode that the chains missed is missing here.

    Args:
        target: programs and data.
        draws: of these data, by `hmc` or another sampler.
        proposal: `"mixture"` (of Gaussians; modes matter), `"gaussian"` or `"guide"`.
        seed: the proposal's draws are a function of (seed, datum).
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show a progress bar if it takes longer than two seconds.

    Returns:
        Estimate with bound `"none"`; value and stderr `[B]` in nats. The error is the relative root mean squared error
        of r (Frühwirth-Schnatter 2004, equation 20), with the posterior term at its effective sample size. The
        sampler's flags are among its own. `info`: see `BridgeInfo`.

    Raises:
        ValueError: on an unknown proposal, draws of other programs or data, chains of fewer than eight draws,
            `proposal="guide"` with a guide whose density at a given point is unknown, or a budget too small.
    """
    begin = time.perf_counter()
    if proposal not in PROPOSALS:
        raise ValueError(f"proposal must be one of {', '.join(PROPOSALS)}, got {proposal!r}")
    _check_draws(target, draws)
    coordinates, flat = Coordinates.of(target), draws.flat
    plan = _plan(target, flat, coordinates.dim, memory_bytes)
    pieces = []
    with progress_bar(len(target), "bridge", "datum", progress) as tick:
        for where, part in plan.data(target):
            z = {name: value[:, :, where] for name, value in draws.z.items()}
            pieces.append(_bridge(Coordinates(part, coordinates.dim), z, proposal, seed, plan))
            tick(len(part))
    bridged = _Bridged(*(torch.cat(column) for column in zip(*pieces, strict=True)))
    num_chains, num_draws = flat.shape[:2]
    second = num_chains * (num_draws - num_draws // 2)
    info: BridgeInfo = {
        "num_draws": second,
        "ess": bridged.ess,
        "proposal_share": bridged.proposal_share,
        "posterior_share": bridged.posterior_share,
        "num_iterations": bridged.num_iterations,
        "num_evaluations": 2 * second,
        "seconds": time.perf_counter() - begin,
        "proposal": proposal,
    }
    columns = (bridged.log_r.tolist(), bridged.stderr.tolist(), bridged.converged.tolist(), draws.flags)
    flags = tuple(_flag(*numbers) for numbers in zip(*columns, strict=True))
    estimate = Estimate(bridged.log_r, bridged.stderr, "none", info, flags)
    return estimate.flagged(target.cautions) if proposal == "guide" else estimate


class _Bridged(NamedTuple):
    """The bridges of some data, `[B]` each."""

    log_r: Tensor
    num_iterations: Tensor
    converged: Tensor
    stderr: Tensor
    ess: Tensor
    proposal_share: Tensor
    posterior_share: Tensor


def _bridge(coordinates: Coordinates, z: dict[str, Tensor], proposal: str, seed: int, plan: Plan) -> _Bridged:
    """Bridge the second half of each chain to a proposal that is fitted to the first."""
    target = coordinates.target
    num_chains, num_draws = next(iter(z.values())).shape[:2]
    half = num_draws // 2

    def log_joint(u: Tensor) -> Tensor:
        return _in_ranges(coordinates.log_joint, u, plan=plan, device=target.device, dtype=target.dtype)

    def log_g(u: Tensor) -> Tensor:
        return _in_ranges(g.log_density, u, plan=plan, device=target.device, dtype=g.dtype)

    with torch.no_grad():
        first = _unconstrained(coordinates, {n: v[:, :half].flatten(0, 1) for n, v in z.items()}, plan)
        second = _unconstrained(coordinates, {n: v[:, half:].flatten(0, 1) for n, v in z.items()}, plan)
        g = PROPOSALS[proposal](coordinates, first, len(second), seed, plan)
        posterior = log_joint(second) - log_g(second)
        other = log_joint(g.draws) - log_g(g.draws)
    other = other.nan_to_num(-torch.inf, torch.inf, -torch.inf)  # far out, a program may overflow: no mass there
    # Correlated draws count as fewer: N_1 is their effective number, that of the worst latent.
    effective = effective_sample_size(second.unflatten(0, (num_chains, -1))).amin(-1)
    effective = effective.nan_to_num(1.0).clamp(1, len(second))
    log_r, num_iterations, converged = optimal_bridge(posterior, other, effective)
    error = relative_error(posterior, other, log_r=log_r, effective=effective, num_chains=num_chains)
    return _Bridged(*(value.cpu() for value in (log_r, num_iterations, converged, *error)))


def _in_ranges(
    log_density: Callable[[Tensor], Tensor], u: Tensor, *, plan: Plan, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """A log density that takes u in a dtype, at u `[N, B, D]` in pieces, `[N, B]`, float64."""
    return torch.cat([log_density(u[piece].to(device, dtype)).double() for piece in _ranges(plan, len(u))])


def _ranges(plan: Plan, size: int) -> list[slice]:
    return [slice(start, start + count) for start, count in plan.sample_ranges(size)]


def _unconstrained(coordinates: Coordinates, z: dict[str, Tensor], plan: Plan) -> Tensor:
    """Draws `[N, B, ...]` as u `[N, B, D]`, float64."""
    device, size = coordinates.target.device, len(next(iter(z.values())))
    z = {name: value.to(device) for name, value in z.items()}
    if coordinates.real:
        return coordinates.pack(z).double()
    pieces = _ranges(plan, size)
    return torch.cat([coordinates.unconstrain({n: v[piece] for n, v in z.items()}).double() for piece in pieces])


def _plan(target: Target, flat: Tensor, dim: int, memory_bytes: int | None) -> Plan:
    """The plan of `budget.plan`, but the draws of the data and their mixtures must fit in the budget too."""
    size = flat.shape[0] * flat.shape[1]
    plan = budget.plan(target, size, memory_bytes)
    if not target.sliceable:
        return plan
    most = bytes_or_default(memory_bytes) // (8 * _COPIES * size * max(dim, 1))
    return replace(plan, data_at_once=max(1, min(plan.data_at_once, most)))


def _check_draws(target: Target, draws: Draws) -> None:
    check_same_data(target, draws=draws)
    for name, shape in target.latents.items():
        drawn = tuple(draws.z[name].shape[3:]) if name in draws.z else None
        if drawn != shape:
            raise ValueError(
                f"draws of site '{name}' have shape {drawn} a datum, the target's have {shape}: are they of these "
                "programs?"
            )
    if not target.latents:
        raise ValueError("this target has no continuous latent, so there is nothing to bridge")
    if draws.flat.shape[1] < _LEAST_DRAWS:
        raise ValueError(
            f"draws has {draws.flat.shape[1]} draws a chain, bridge needs at least {_LEAST_DRAWS}: half of each chain "
            "fits the proposal, the other half is bridged to it"
        )


def _flag(value: float, stderr: float, converged: bool, draws: str) -> str:
    reasons = [f"the draws are no reference ({draws})"] if draws else []
    if not math.isfinite(value):
        reasons.append("the estimate is not finite: the programs return NaN, or proposal and posterior do not overlap")
    elif not converged:
        reasons.append(f"the bridge did not settle in {ITERATIONS} iterations: proposal and posterior hardly overlap")
    elif not stderr <= ERROR_LIMIT:
        reasons.append(f"relative error {stderr:.2f} > {ERROR_LIMIT}: its formula is not to be believed; draw more")
    return "; ".join(reasons)
