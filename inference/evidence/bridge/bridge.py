"""Bridge sampling: log p(x) from posterior draws and draws of a proposal that is fitted to them, datum by datum."""

import math
import time
from dataclasses import replace
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation import budget
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evaluation.budget import Plan, bytes_or_default
from elbowroom.inference.evaluation.check_same_data import check_same_data
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evidence.bridge.exchange import MOST, SIGNIFICANT, blocks, disagreement, splits
from elbowroom.inference.evidence.bridge.fixed_point import ITERATIONS
from elbowroom.inference.evidence.bridge.halves import Bridged, Chains
from elbowroom.inference.evidence.bridge.proposals import PROPOSALS
from elbowroom.inference.evidence.bridge.tails import heavy
from elbowroom.inference.evidence.second_opinion import doubted_by_draws
from elbowroom.inference.mcmc.draws import Draws
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
        proposal_stderr, posterior_stderr: Monte Carlo errors of the two means whose quotient r is, relative to each,
            `[B]`, nats; the square of the estimate's error, as the formula has it, is the sum of their squares.
        proposal_share, posterior_share: shares of the error's two terms in its square, `[B]`.
        proposal_k, posterior_k: Pareto k̂ of the terms of both means, `[B]`; −∞ where all are equal, NaN where too few
            differ.
        proposal_unseen, posterior_unseen: by how much terms that were never drawn may raise each mean, relative to it,
            `[B]`: the terms are bounded, so that a heavy tail is harmless where this is small.
        exchanged: log r after each exchange of blocks of draws, `[2 P, B]`, nats; the first row is the estimate's own.
        exchange_ratio: differences between the two of each pair, in units of the errors that they report: the root of
            the mean of their squares, `[B]`. About one if the errors are right.
        num_iterations: iterations to the fixed point, `[B]`.
        num_evaluations: of log p(x, z), for each datum.
        seconds: wall-clock time for all data.
        proposal: the proposal's name.
    """

    num_draws: int
    ess: Tensor
    proposal_stderr: Tensor
    posterior_stderr: Tensor
    proposal_share: Tensor
    posterior_share: Tensor
    proposal_k: Tensor
    posterior_k: Tensor
    proposal_unseen: Tensor
    posterior_unseen: Tensor
    exchanged: Tensor
    exchange_ratio: Tensor
    num_iterations: Tensor
    num_evaluations: int
    seconds: float
    proposal: str


@checked
@asked_again
def bridge(
    target: Target,
    draws: Draws,
    *,
    proposal: str = "mixture",
    num_exchanges: int = 1,
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

    The error is checked without new chains, after Micaletto & Vehtari (2025, arXiv 2508.14487): by Pareto k̂ of the
    terms of both means, and by dealing blocks of each chain anew. A pair of deals exchanges what is fitted to and what
    is bridged to, so that its two estimates share no draw on the bridged side, and differ by the error that they report
    or else report too little. Then the datum is flagged, and its error is what the differences say.

    Args:
        target: programs and data.
        draws: of these data, by `hmc` or another sampler.
        proposal: `"mixture"` (of Gaussians; modes matter), `"gaussian"` or `"guide"`.
        num_exchanges: P, pairs of deals, 0 to 3: with 1 the halves of each chain are exchanged, with more its quarters
            too. Each costs about as much as the bridge itself; chains of fewer than 32 draws have their halves alone.
        seed: the proposal's draws are a function of (seed, datum).
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show a progress bar if it takes longer than two seconds.

    Returns:
        Estimate with bound `"none"`; value and stderr `[B]` in nats. The error is the relative root mean squared error
        of r (Frühwirth-Schnatter 2004, equation 20), with the posterior term at its effective sample size; where the
        exchanges contradict it, it is multiplied by `exchange_ratio`. The sampler's flags are among its own. `info`:
        see `BridgeInfo`.

    Raises:
        ValueError: on an unknown proposal, `num_exchanges` outside 0 … 3, draws of other programs or data, chains of
            fewer than eight draws, `proposal="guide"` with a guide whose density at a given point is unknown, or a
            budget too small.
    """
    target = target.collapsed()
    begin = time.perf_counter()
    if proposal not in PROPOSALS:
        raise ValueError(f"proposal must be one of {', '.join(PROPOSALS)}, got {proposal!r}")
    if not 0 <= num_exchanges <= MOST:
        raise ValueError(f"num_exchanges must lie in 0 … {MOST}, got {num_exchanges}")
    target.check_proper()
    _check_draws(target, draws)
    coordinates, flat = Coordinates.of(target), draws.flat
    plan = _plan(target, flat, coordinates.dim, memory_bytes)
    pieces = []
    with progress_bar(len(target), "bridge", "datum", progress) as tick:
        for where, part in plan.data(target):
            z = {name: value[:, :, where] for name, value in draws.z.items()}
            pieces.append(_bridge(Coordinates(part, coordinates.dim), z, proposal, num_exchanges, seed, plan))
            tick(len(part))
    bridged = {name: torch.cat([piece[name] for piece in pieces], -1) for name in pieces[0]}
    num_chains, num_draws = flat.shape[:2]
    second = num_chains * (num_draws - num_draws // 2)
    info = _info(bridged, num_chains * num_draws, second, time.perf_counter() - begin, proposal)
    columns = zip(*(bridged[name].tolist() for name in _FLAGGED), draws.flags, strict=True)
    flags = tuple(_flag(_Verdict(*row)) for row in columns)
    estimate = Estimate(bridged["log_r"], bridged["stderr"], "none", info, flags, target.unnormalised)
    estimate = estimate.flagged(target.cautions) if proposal == "guide" else estimate
    return doubted_by_draws(estimate, draws)


def _bridge(
    coordinates: Coordinates, z: dict[str, Tensor], proposal: str, num_exchanges: int, seed: int, plan: Plan
) -> dict[str, Tensor]:
    """Bridge the second half of each chain to a proposal that is fitted to the first, and blocks dealt anew."""
    num_draws = next(iter(z.values())).shape[1]
    cut = blocks(num_draws)
    with torch.no_grad():
        chains = Chains.of(coordinates, z, 0 if num_exchanges else num_draws // 2, plan, proposal, seed)
        deals = splits(num_exchanges, num_draws) or [((0, 1), (2, 3))]
        every = [
            chains.bridge([cut[i] for i in fitted], [cut[i] for i in bridged], split)
            for split, (fitted, bridged) in enumerate(deals)
        ]
    return {name: value.cpu() for name, value in _together(every).items()}


def _together(every: list[Bridged]) -> dict[str, Tensor]:
    """The estimate of the first split, `[B]` each, with what the others say of its error."""
    first = every[0]
    log_r, stderr = torch.stack([b.log_r for b in every]), torch.stack([b.error.stderr for b in every])
    settled = torch.stack([b.converged for b in every])
    if len(every) > 1:
        apart, ratio = disagreement(log_r.masked_fill(~settled, torch.nan), stderr)
    else:
        apart = ratio = torch.full_like(first.log_r, torch.nan)
    contradicted = (apart > SIGNIFICANT) & (ratio > 1)
    own = first.error
    return {
        "log_r": first.log_r,
        "stderr": torch.where(contradicted, own.stderr * ratio, own.stderr),
        "formula": own.stderr,
        "converged": first.converged,
        "num_iterations": first.num_iterations,
        "ess": own.ess,
        "proposal_stderr": own.proposal_stderr,
        "posterior_stderr": own.posterior_stderr,
        **first.tails._asdict(),
        "exchanged": log_r,
        "exchange_apart": apart,
        "exchange_ratio": ratio,
    }


def _info(bridged: dict[str, Tensor], whole: int, second: int, seconds: float, proposal: str) -> BridgeInfo:
    """What `bridge` reports of so many draws, of which `second` were bridged to."""
    num_splits = len(bridged["exchanged"])
    square = bridged["proposal_stderr"].square(), bridged["posterior_stderr"].square()
    return {
        "num_draws": second,
        "ess": bridged["ess"],
        "proposal_stderr": bridged["proposal_stderr"],
        "posterior_stderr": bridged["posterior_stderr"],
        "proposal_share": square[0] / (square[0] + square[1]),
        "posterior_share": square[1] / (square[0] + square[1]),
        "proposal_k": bridged["proposal_k"],
        "posterior_k": bridged["posterior_k"],
        "proposal_unseen": bridged["proposal_unseen"],
        "posterior_unseen": bridged["posterior_unseen"],
        "exchanged": bridged["exchanged"],
        "exchange_ratio": bridged["exchange_ratio"],
        "num_iterations": bridged["num_iterations"],
        "num_evaluations": 2 * second if num_splits == 1 else whole + num_splits // 2 * whole,
        "seconds": seconds,
        "proposal": proposal,
    }


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


class _Verdict(NamedTuple):
    """What is asked of one datum before its number is let go without a flag; in the order of `_FLAGGED`."""

    value: float
    stderr: float
    formula: float
    converged: bool
    proposal_k: float
    proposal_unseen: float
    posterior_k: float
    posterior_unseen: float
    apart: float
    draws: str


_FLAGGED = (
    *("log_r", "stderr", "formula", "converged", "proposal_k", "proposal_unseen", "posterior_k", "posterior_unseen"),
    "exchange_apart",
)


def _flag(of: _Verdict) -> str:
    reasons = [f"the draws are no reference ({of.draws})"] if of.draws else []
    if not math.isfinite(of.value):
        reasons.append("the estimate is not finite: the programs return NaN, or proposal and posterior do not overlap")
    elif not of.converged:
        reasons.append(f"the bridge did not settle in {ITERATIONS} iterations: proposal and posterior hardly overlap")
    elif not of.stderr <= ERROR_LIMIT:
        reasons.append(f"relative error {of.stderr:.2f} > {ERROR_LIMIT}: its formula is not to be believed; draw more")
    else:
        reasons.append(heavy("proposal's", of.proposal_k, of.proposal_unseen))
        reasons.append(heavy("posterior's", of.posterior_k, of.posterior_unseen))
    if of.apart > SIGNIFICANT:
        reasons.append(
            f"exchanged blocks of the draws give estimates {of.apart:.1f} of their standard errors apart: the error by "
            f"its formula, {of.formula:.3f}, is too small; draw more"
        )
    return "; ".join(filter(None, reasons))
