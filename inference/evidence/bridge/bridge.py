"""Bridge sampling: log p(x) from posterior draws, datum by datum."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypedDict

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.budget import Plan, bytes_or_default, plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evaluation.same_data import check_same_data
from elbowroom.inference.evidence.bridge.optimal import ITERATIONS, optimal_bridge, relative_error
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.mcmc.effective_size import effective_sample_size
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.progress import progress_bar
from elbowroom.inference.target import Target

ERROR_LIMIT = 0.5
"""Relative error above which its own first-order formula is not to be believed."""

_FIRST = 1 << 47  # sample index of the guide's draws: no other estimator reads the random numbers there
_LEAST_DRAWS = 8  # of a chain: half of them must have an effective sample size
_COPIES = 24  # of a datum's draws, while a mixture of a few components is fitted to half of them


class BridgeInfo(TypedDict):
    """What a bridge says besides log p̂(x).

    Keys:
        num_draws: N_1, posterior draws of each datum that are bridged to: the second halves of its chains.
        ess: effective number of them in the error's posterior term, `[B]`.
        proposal_share, posterior_share: shares of the error's two terms in its square, `[B]`.
        num_iterations: until the fixed point was reached, `[B]`.
        num_evaluations: of log p(x, z), for each datum.
        seconds: wall-clock time for all data.
        proposal: its name.
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
    if proposal not in _PROPOSALS:
        raise ValueError(f"proposal must be one of {', '.join(_PROPOSALS)}, got {proposal!r}")
    _check_draws(target, draws)
    coordinates, flat = Coordinates.of(target), draws.flat
    cut = _cut(target, flat, coordinates.dim, memory_bytes)
    pieces = []
    with progress_bar(len(target), "bridge", "datum", progress) as tick:
        for rows, part in cut.data(target):
            z = {name: value[:, :, rows] for name, value in draws.z.items()}
            pieces.append(_bridge(Coordinates(part, coordinates.dim), z, proposal, seed, cut))
            tick(len(part))
    found = {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}
    value, stderr, converged = found["value"], found["stderr"], found["converged"]
    num_chains, num_draws = flat.shape[:2]
    second = num_chains * (num_draws - num_draws // 2)
    columns = (value.tolist(), stderr.tolist(), converged.tolist(), draws.flags)
    info: BridgeInfo = {
        "num_draws": second,
        "ess": found["ess"],
        "proposal_share": found["proposal_share"],
        "posterior_share": found["posterior_share"],
        "num_iterations": found["num_iterations"],
        "num_evaluations": 2 * second,
        "seconds": time.perf_counter() - begin,
        "proposal": proposal,
    }
    return Estimate(value, stderr, "none", info, tuple(_flag(*row) for row in zip(*columns, strict=True)))


def _bridge(coordinates: Coordinates, z: dict[str, Tensor], proposal: str, seed: int, cut: Plan) -> dict[str, Tensor]:
    """Everything that is reported of some data, `[B]` each."""
    target = coordinates.target
    num_chains, num_draws = next(iter(z.values())).shape[:2]
    half = num_draws // 2
    with torch.no_grad():
        first = _unconstrained(coordinates, {n: v[:, :half].flatten(0, 1) for n, v in z.items()}, cut)
        second = _unconstrained(coordinates, {n: v[:, half:].flatten(0, 1) for n, v in z.items()}, cut)
        log_g, v = _PROPOSALS[proposal](coordinates, first, len(second), seed, cut)
        posterior = _in_ranges(coordinates.log_joint, second, cut, target) - _in_ranges(log_g, second, cut, target)
        other = _in_ranges(coordinates.log_joint, v, cut, target) - _in_ranges(log_g, v, cut, target)
    other = other.nan_to_num(-torch.inf, torch.inf, -torch.inf)  # far out, a program may overflow: no mass there
    chains = second.unflatten(0, (num_chains, -1))
    effective = effective_sample_size(chains).amin(-1).nan_to_num(1.0).clamp(1, len(second))
    log_r, num_iterations, converged = optimal_bridge(posterior, other, effective)
    errors = relative_error(posterior, other, log_r, effective, num_chains)
    found = {"value": log_r, "num_iterations": num_iterations, "converged": converged} | errors
    return {name: value.cpu() for name, value in found.items()}


# Proposals: log density at u, and draws `[N, B, D]` ------------------------------------------------------------------

LogDensity = Callable[[Tensor], Tensor]


def _mixture(
    coordinates: Coordinates, points: Tensor, count: int, seed: int, cut: Plan, components: int | None = None
) -> tuple[LogDensity, Tensor]:
    mixture, numbers = Mixture.fit(points, components), RandomNumbers(coordinates.target, seed)
    v = mixture.sample(
        numbers.normal("bridge normal", count, coordinates.dim).double(),
        numbers.uniform("bridge component", count),
        numbers.uniform("bridge width", count),
    )
    return mixture.log_density, v


def _gaussian(coordinates: Coordinates, points: Tensor, count: int, seed: int, cut: Plan) -> tuple[LogDensity, Tensor]:
    return _mixture(coordinates, points, count, seed, cut, components=1)


def _guide(coordinates: Coordinates, points: Tensor, count: int, seed: int, cut: Plan) -> tuple[LogDensity, Tensor]:
    try:
        coordinates.log_guide(points[:1].to(coordinates.target.dtype))
    except NotImplementedError as error:
        raise ValueError(
            f"proposal='guide' needs the guide's density at any point, which this guide does not tell ({error}). Use "
            "proposal='mixture'."
        ) from error
    draws = [
        coordinates.unconstrain(coordinates.target.propose(size, seed=seed, start=_FIRST + start)[0])
        for start, size in cut.sample_ranges(count)
    ]
    return coordinates.log_guide, torch.cat(draws).double()


_PROPOSALS: dict[str, Callable[..., tuple[LogDensity, Tensor]]] = {
    "mixture": _mixture,
    "gaussian": _gaussian,
    "guide": _guide,
}


# Evaluation in pieces -------------------------------------------------------------------------------------------------


def _in_ranges(log_density: LogDensity, u: Tensor, cut: Plan, target: Target) -> Tensor:
    """A log density at u `[N, B, D]`, `[N, B]`, float64."""
    own = getattr(log_density, "__self__", None)
    dtype = torch.float64 if isinstance(own, Mixture) else target.dtype
    return torch.cat([log_density(u[piece].to(target.device, dtype)).double() for piece in _ranges(cut, len(u))])


def _ranges(cut: Plan, size: int) -> list[slice]:
    return [slice(start, start + count) for start, count in cut.sample_ranges(size)]


def _unconstrained(coordinates: Coordinates, z: dict[str, Tensor], cut: Plan) -> Tensor:
    """Draws `[N, B, ...]` as u `[N, B, D]`, float64."""
    device, size = coordinates.target.device, len(next(iter(z.values())))
    z = {name: value.to(device) for name, value in z.items()}
    if coordinates.real:
        return coordinates.pack(z).double()
    pieces = _ranges(cut, size)
    return torch.cat([coordinates.unconstrain({n: v[piece] for n, v in z.items()}).double() for piece in pieces])


def _cut(target: Target, flat: Tensor, dim: int, memory_bytes: int | None) -> Plan:
    """As `chunks.plan`, but the draws of the data and their mixtures must fit in the budget too."""
    size = flat.shape[0] * flat.shape[1]
    cut = plan(target, size, memory_bytes)
    if not target.sliceable:
        return cut
    most = bytes_or_default(memory_bytes) // (8 * _COPIES * size * max(dim, 1))
    return replace(cut, rows=max(1, min(cut.rows, most)))


def _check_draws(target: Target, draws: Draws) -> None:
    check_same_data(target, draws=draws)
    for name, shape in target.latents.items():
        found = tuple(draws.z[name].shape[3:]) if name in draws.z else None
        if found != shape:
            raise ValueError(
                f"draws of site '{name}' have shape {found} a datum, the target's have {shape}: are they of these "
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
    told = [f"the draws are no reference ({draws})"] if draws else []
    if not math.isfinite(value):
        told.append("the estimate is not finite: the programs return NaN, or proposal and posterior do not overlap")
    elif not converged:
        told.append(f"the bridge did not settle in {ITERATIONS} iterations: proposal and posterior hardly overlap")
    elif not stderr <= ERROR_LIMIT:
        told.append(f"relative error {stderr:.2f} > {ERROR_LIMIT}: its formula is not to be believed; draw more")
    return "; ".join(told)
