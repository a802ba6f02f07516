"""May the draws be believed? R-hat, effective sample sizes and errors of every datum and latent at once.

The numbers are ArviZ's, to rounding, and its functions are the independent reference in the tests. They are not called
here because they walk over data and latents one by one in Python, on the CPU: five times as long for 10,000 data.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.entrances import check_fields
from elbowroom.inference.mcmc.effective_size import by_scalar, geyer, split
from elbowroom.inference.mcmc.rhat import MIN_DRAWS, normal_scores, rank_rhat
from elbowroom.inference.showing.numbers import flag_counts, flagged_first
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table

CHUNK_BYTES = 2**22
"""How many bytes of draws are diagnosed at a time; work space takes about thirty times as much."""


_TIMID = 0.25
"""Step size times D^¼, in posterior standard deviations, below which the posterior is no Gaussian on any scale; of one
the best is near 1 (Neal 2011, section 5.4.4)."""

_CONSTANT = {"rhat": 1.0, "mcse_mean": 0.0, "mcse_sd": 0.0}
"""Diagnostics of a scalar that is a constant of its support."""


@dataclass(frozen=True)
class Gates:
    """The gates that draws must pass before they may be called a reference (Vehtari et al. 2021, sections 4 and 5).

    Attributes:
        rhat: largest rank-normalised split R-hat.
        ess_per_chain: smallest bulk and tail effective sample size, for each chain.
        divergences: largest number of divergent transitions.
        ebfmi: smallest energy Bayesian fraction of missing information of any chain.
    """

    rhat: float = 1.01
    ess_per_chain: float = 100.0
    divergences: int = 0
    ebfmi: float = 0.2

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, repr=False)
class Convergence(Shown):
    """Diagnostics of draws `[chains, draws, data, latents]`.

    A scalar that its support makes constant has R-hat 1, errors 0 and as many effective draws as there are.

    Attributes:
        rhat: rank-normalised split R-hat, `[B, N]`.
        ess_bulk, ess_tail: effective sample sizes of the ranks and of the 5 % and 95 % quantiles, `[B, N]`.
        ess_moments: the smaller effective sample size of the mean of z and of (z − mean)², without ranks, `[B, N]`: the
            honest number for antithetic chains, which flatter the mean alone.
        mcse_mean, mcse_sd: Monte Carlo standard errors of the posterior mean and standard deviation, `[B, N]`.
        divergences: divergent transitions after warm-up, `[B]`.
        ebfmi: energy Bayesian fraction of missing information, the smallest of the chains, `[B]`; None if the sampler
            keeps no energies.
        flags: for each datum the reason why its draws are no reference, or an empty string.
    """

    rhat: Tensor
    ess_bulk: Tensor
    ess_tail: Tensor
    ess_moments: Tensor
    mcse_mean: Tensor
    mcse_sd: Tensor
    divergences: Tensor
    ebfmi: Tensor | None
    flags: tuple[str, ...]

    @property
    def ess(self) -> Tensor:
        """The smaller of bulk and tail effective sample size, `[B, N]`."""
        return torch.minimum(self.ess_bulk, self.ess_tail)

    def as_table(self) -> Table:
        """Of each datum the latent that mixed worst; flagged data first."""
        rhat, ess = self.rhat.amax(1), self.ess.amin(1)
        rows = [
            (str(b), f"{float(rhat[b]):.4f}", f"{float(ess[b]):.0f}", str(int(self.divergences[b])), self.flags[b])
            for b in flagged_first(self.flags, rhat)
        ]
        failed = sum(map(bool, self.flags))
        head = (f"convergence of {len(self.flags)} data: {failed} failed their gates", *flag_counts(self.flags))
        columns = ("datum", "largest R-hat", "smallest ESS", "divergences", "flag")
        return Table(head, columns, ">>>><", rows, len(self.flags))


def convergence(
    z: Tensor,
    diverging: Tensor,
    gates: Gates | None = None,
    *,
    energy: Tensor | None = None,
    varying: Tensor | None = None,
    names: Sequence[str] | None = None,
    step_size: Tensor | None = None,
) -> Convergence:
    """Diagnose draws.

    Args:
        z: `[C, T, B, N]`.
        diverging: marks of divergent transitions, `[C, T, B]`.
        gates: what the draws must pass.
        energy: the Hamiltonian at each draw, `[C, T, B]`, of samplers that have one.
        varying: which scalars are not constants of their support, `[N]`; by default all of them.
        names: of the N scalars, for flags to tell which one is worst.
        step_size: of leapfrog steps in units of the scale that was learned, `[C, T, B]`, for flags to tell of a
            posterior that no such scale fits.

    Raises:
        ValueError: on tensors of other shapes.
    """
    _check_shapes(z, diverging, energy)
    gates, num_chains = gates or Gates(), len(z)
    at_once = max(1, CHUNK_BYTES // max(z[:, :, :1].numel() * 8, 1))  # data
    pieces = [_diagnose(part) for part in z.split(at_once, 2)]
    numbers = {name: torch.cat([piece[name] for piece in pieces]).cpu() for name in pieces[0]}
    if varying is not None and bool(varying.any()):
        constants = _CONSTANT | dict.fromkeys(("ess_bulk", "ess_tail", "ess_moments"), float(z[:, :, 0, 0].numel()))
        numbers = {name: torch.where(varying, value, constants[name]) for name, value in numbers.items()}
    divergences = diverging.sum((0, 1)).cpu()
    fraction = None if energy is None else torch.cat([ebfmi(e).amin(0) for e in energy.split(at_once, 2)]).cpu()
    flags = _flags(numbers, divergences, fraction, num_chains, gates, names)
    if step_size is not None:
        last = step_size[:, -1].contiguous()  # torch's median of an expanded tensor is not its median
        flags = _with_cause(flags, last.median(0).values.tolist(), _TIMID / z.shape[-1] ** 0.25)
    return Convergence(**numbers, divergences=divergences, ebfmi=fraction, flags=flags)


def ebfmi(energy: Tensor) -> Tensor:
    """Energy Bayesian fraction of missing information, mean (E_t − E_t−1)² / Var E, of each chain.

    Small values say that momenta drawn afresh cannot reach the energies of the posterior: heavy tails.

    Args:
        energy: the Hamiltonian at each draw, `[C, T, ...]`.

    Returns:
        `[C, ...]`, float64; NaN where the energy never changes.

    Source: Betancourt (2016), "Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte Carlo", equation 3.
    """
    if energy.shape[1] < 2:
        return torch.full_like(energy[:, 0], torch.nan, dtype=torch.float64)
    values = energy.detach().double()
    return values.diff(dim=1).square().mean(1) / values.var(1)


def _diagnose(z: Tensor) -> dict[str, Tensor]:
    """Diagnostics `[B, N]` by name, of draws `[C, T, B, N]`."""
    chains, shape = by_scalar(z)
    if chains.shape[2] < MIN_DRAWS:
        names = ("rhat", "ess_bulk", "ess_tail", "ess_moments", "mcse_mean", "mcse_sd")
        return {name: chains.new_full(shape, torch.nan) for name in names}
    halves = split(chains)
    scores, ordered = normal_scores(halves)
    squares = (chains - chains.mean((1, 2), keepdim=True)).square()
    ess_mean, ess_squares = geyer(halves), geyer(split(squares))
    undefined = chains.isnan().any(2).any(1)
    variance = squares.mean((1, 2))
    spread = (squares.square().mean((1, 2)) - variance.square()) / ess_squares
    numbers = {
        "rhat": rank_rhat(halves, scores, ordered) if len(z) > 1 else torch.full_like(variance, torch.nan),
        "ess_bulk": geyer(scores),
        "ess_tail": _ess_tail(chains, ordered),
        "ess_moments": torch.minimum(ess_mean, ess_squares),
        "mcse_mean": chains.flatten(1).std(1) / ess_mean.sqrt(),
        "mcse_sd": (spread / variance / 4).sqrt(),  # delta method: Var sd = Var(sd²) / (4 sd²)
    }
    return {name: value.masked_fill(undefined, torch.nan).reshape(shape) for name, value in numbers.items()}


def _ess_tail(chains: Tensor, ordered: Tensor) -> Tensor:
    """The smaller effective sample size of the indicators of the 5 % and of the 95 % quantile, `[R]`."""
    if ordered.shape[1] < chains[0].numel():  # of chains of odd length, halves leave out the middle draw
        ordered = chains.flatten(1).sort(1).values
    low, high = (geyer(split((chains <= _quantile(ordered, p)).double())) for p in (0.05, 0.95))
    return torch.minimum(low, high)


def _quantile(ordered: Tensor, p: float) -> Tensor:
    """R's type 7 from sorted values `[R, S]`, `[R, 1, 1]`; in ArviZ's order of operations, for ties are compared to."""
    size = ordered.shape[1]
    position = size * p + (1 - p)
    low = min(max(int(position), 1), size - 1)
    weight = min(max(position - low, 0.0), 1.0)
    return ((1.0 - weight) * ordered[:, low - 1] + weight * ordered[:, low]).reshape(-1, 1, 1)


def _with_cause(flags: tuple[str, ...], step_size: list[float], least: float) -> tuple[str, ...]:
    """The flags, with why chains that failed went so slowly, where that is seen."""
    cause = (
        "steps had to be {:.2g} of a standard deviation: the posterior is thin along a curve, or a funnel, in which "
        "the scale of some latents depends on others; a model that draws noise and scales it (non-centred) has none"
    )
    told = zip(flags, step_size, strict=True)
    return tuple(f"{flag}; {cause.format(size)}" if flag and size < least else flag for flag, size in told)


def _flags(
    numbers: dict[str, Tensor],
    divergences: Tensor,
    fraction: Tensor | None,
    num_chains: int,
    gates: Gates,
    names: Sequence[str] | None,
) -> tuple[str, ...]:
    """For each datum every gate that it did not pass, in words."""
    num_data = len(divergences)
    least = gates.ess_per_chain * num_chains
    ess_of_each = torch.minimum(numbers["ess_bulk"], numbers["ess_tail"])
    (rhat, worst), (ess, least_known) = numbers["rhat"].max(1), ess_of_each.min(1)  # NaN stays
    reasons: list[list[str]] = [[] for _ in range(num_data)]

    def add(failed: Tensor, text: str, values: Tensor, scalar: Tensor | None = None) -> None:
        for b in failed.nonzero().flatten().tolist():
            of = "" if scalar is None or names is None else f" of {names[int(scalar[b])]}"
            reasons[b].append(text.format(values[b].item(), of=of))

    every = torch.ones(num_data, dtype=torch.bool)
    if num_chains < 2:
        add(every, "one chain cannot show disagreement (run at least 2, better 4)", rhat)
    add(rhat.isnan(), "R-hat is undefined (a chain that never moved, or too few draws)", rhat)
    add(rhat > gates.rhat, f"R-hat{{of}} {{:.4f}} > {gates.rhat}: the chains disagree", rhat, worst)
    add(ess < least, f"effective sample size{{of}} {{:.0f}} < {least:.0f}", ess, least_known)
    add(divergences > gates.divergences, "{} divergent transitions", divergences)
    if fraction is not None:
        add(fraction < gates.ebfmi, f"E-BFMI {{:.2f}} < {gates.ebfmi}: momenta do not reach all energies", fraction)
        add(fraction.isnan(), "E-BFMI is undefined (an energy that never changes or is not a number)", fraction)
    return tuple("; ".join(each) for each in reasons)


def _check_shapes(z: Tensor, diverging: Tensor, energy: Tensor | None) -> None:
    if z.dim() != 4:
        raise ValueError(f"z must be [chains, draws, data, latents], got shape {tuple(z.shape)}")
    for name, value in (("diverging", diverging), ("energy", energy)):
        if value is not None and value.shape != z.shape[:3]:
            raise ValueError(
                f"{name} has shape {tuple(value.shape)}, expected [chains, draws, data] = {tuple(z.shape[:3])}"
            )
