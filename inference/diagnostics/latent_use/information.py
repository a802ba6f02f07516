"""How much z tells about x: activity, mutual information, and the aggregate posterior against the prior."""

import math
from typing import NotRequired, TypedDict

import torch
from torch import Tensor

from elbowroom.inference.diagnostics.latent_use.summary import Summary
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.budget import cells_within
from elbowroom.inference.evaluation.scalars import by_site, side_by_side
from elbowroom.inference.target import Target

NUM_PAIRS = 2_000_000
"""Densities q(z_i | x_b) that are evaluated for the aggregate posterior."""

_FEW = 64  # data whose priors are compared


class InformationInfo(TypedDict):
    """Diagnostics of I_q(x; z) and of the aggregate posterior.

    Keys:
        limit: log B, nats, which I_q(x; z) of B data cannot exceed.
        num_draws: M, draws of q whose densities were averaged.
    """

    limit: float
    num_draws: NotRequired[int]


def activity(summary: Summary) -> tuple[Tensor, Tensor]:
    """Var_x E_q[z_n | x] and its standard error over data, `[N]` each.

    The means are averages of S draws, whose own variance is taken off; the error is √((m₄ − m₂²)/B).

    Source: Burda, Grosse & Salakhutdinov (2016), "Importance weighted autoencoders".
    """
    size = len(summary.mean)
    if size < 2:
        return torch.zeros_like(summary.mean[0]), torch.full_like(summary.mean[0], torch.inf)
    centred = summary.mean - summary.mean.mean(0)
    second = centred.square().sum(0) / (size - 1)
    noise = summary.variance.mean(0) / summary.num_samples
    stderr = ((centred.pow(4).mean(0) - centred.square().mean(0).square()).clamp_min(0) / size).sqrt()
    return (second - noise).clamp_min(0), stderr


def over_data(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over data `[B, ...]` and its standard error as a sample of data."""
    if len(values) < 2:
        return values.mean(0), torch.full_like(values[0], torch.inf)
    return values.mean(0), values.std(0) / len(values) ** 0.5


def mutual_information(
    target: Target, summary: Summary, memory_bytes: int | None, num_pairs: int = NUM_PAIRS
) -> tuple[Estimate[InformationInfo], Estimate[InformationInfo]]:
    """I_q(x; z) = E[log q(z|x) − log q(z)] and KL(q(z) ‖ p(z)) with q(z) = (1/B) Σ_b q(z | x_b), shape `[1]` each.

    For M draws, as many of each datum, q(z) is summed over all B data, the draw's own included: without error for
    the B data at hand, so that it never exceeds log B; as an estimate for all data that B is a sample of it is low, the
    more so the nearer it comes to log B.

    Args:
        target: programs and data.
        summary: draws of its guide.
        memory_bytes: byte budget for one evaluation.
        num_pairs: M is at most so many over B, and at least one.

    Source: Hoffman & Johnson (2016), "ELBO surgery".
    """
    datum, z = _chosen(target, summary, max(1, num_pairs // len(target)))
    limit = math.log(len(target))
    try:
        conditional, aggregate, prior = _densities(target, datum, z, memory_bytes)
    except NotImplementedError:
        flag = "the guide's density at a point is unknown, and with it that of the aggregate posterior"
        nothing = torch.full((1,), torch.nan, dtype=torch.float64)
        empty: Estimate[InformationInfo] = Estimate(nothing, nothing, "none", {"limit": limit}, (flag,))
        return empty, empty
    flag = ""
    mutual, mutual_stderr = _clustered(conditional - aggregate, datum)
    if float(mutual) > limit - 1:
        flag = f"within a nat of log B = {limit:.2f}, the most that {len(target)} data can show: it is likely larger"
    info: InformationInfo = {"limit": limit, "num_draws": len(datum)}
    estimate = Estimate(mutual, mutual_stderr, "lower", info, (flag,))
    if _prior_varies(target, z):
        flag = "the prior differs from datum to datum: this compares q(z) with each datum's own prior"
    gap, gap_stderr = _clustered(aggregate - prior, datum)
    return estimate, Estimate(gap, gap_stderr, "upper", {"limit": limit}, (flag,))


def against_prior(target: Target, summary: Summary, seed: int) -> dict[str, Tensor]:
    """Mean and sd of the aggregate posterior in prior sds, and the Kolmogorov–Smirnov distance of each marginal, `[N]`.

    `prior_sd` holds the prior's sds. Draws of a datum's own prior are taken for each draw of q: a prior that depends on
    inputs is averaged over them, as the aggregate posterior is.
    """
    with torch.no_grad():
        prior = side_by_side(target.sample_prior(len(summary.draws), seed=seed)).double().cpu().flatten(0, 1)
    draws = summary.draws.flatten(0, 1)
    sd = prior.std(0)
    return {
        "aggregate_mean": (draws.mean(0) - prior.mean(0)) / sd,
        "aggregate_sd": draws.std(0) / sd,
        "aggregate_distance": _kolmogorov_smirnov(draws.T.contiguous(), prior.T.contiguous()),
        "prior_sd": sd,
    }


def _chosen(target: Target, summary: Summary, num_draws: int) -> tuple[Tensor, Tensor]:
    """M draws: of which datum, `[M]`, and the latents, `[M, N]`. Which data, if not all, follows from their keys."""
    num_data = len(target)
    order = torch.from_numpy(target.keys.argsort().astype("int64"))
    if num_draws < num_data:
        datum = order[torch.linspace(0, num_data - 1, num_draws).round().long()]
        return datum, summary.draws[0, datum]
    rounds = min(len(summary.draws), num_draws // num_data)
    return order.repeat(rounds), summary.draws[:rounds, order].flatten(0, 1)


def _densities(target: Target, datum: Tensor, z: Tensor, memory_bytes: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """log q(z_i | x) of the datum that each draw is of, log q(z_i) and log p(z_i), `[M]` each."""
    num_data = len(target)
    cells = cells_within(target, memory_bytes)
    data_at_once = min(num_data, cells) if target.sliceable else num_data
    count = max(1, cells // data_at_once)
    conditional = torch.full((len(z),), torch.nan, dtype=torch.float64)
    aggregate = torch.full((len(z),), -torch.inf, dtype=torch.float64)
    with torch.no_grad():
        for begin in range(0, num_data, data_at_once):
            end = min(begin + data_at_once, num_data)
            part = target if end - begin == num_data else target.select(range(begin, end))
            log_q = torch.cat([_copied(part, points) for points in z.split(count)])  # [M, B']
            aggregate = torch.logaddexp(aggregate, log_q.logsumexp(1))
            of_part = (datum >= begin) & (datum < end)
            conditional[of_part] = log_q[of_part].gather(1, (datum[of_part] - begin).unsqueeze(1)).squeeze(1)
        prior = _prior(target, datum, z, cells)
    return conditional, aggregate - math.log(num_data), prior


def _copied(part: Target, points: Tensor) -> Tensor:
    """log q(z_i | x_b) of every point under every datum, `[M', B]`."""
    everywhere = points.unsqueeze(1).expand(-1, len(part), -1)
    return part.log_guide(by_site(part, everywhere)).double().cpu()


def _prior(target: Target, datum: Tensor, z: Tensor, cells: int) -> Tensor:
    """log p(z_i) under the prior of the datum that the draw is of, `[M]`."""
    if not target.sliceable:
        pieces = [
            target.log_joint(by_site(target, points.unsqueeze(1).expand(-1, len(target), -1)))[0]
            .gather(1, index.to(points.device).unsqueeze(1))
            .squeeze(1)
            for index, points in zip(datum.split(cells), z.split(cells), strict=True)
        ]
        return torch.cat(pieces).double().cpu()
    pieces = [
        target.select(index).log_joint(by_site(target, points.unsqueeze(0)))[0][0]
        for index, points in zip(datum.split(cells), z.split(cells), strict=True)
    ]
    return torch.cat(pieces).double().cpu()


def _prior_varies(target: Target, z: Tensor) -> bool:
    """Whether the prior differs between the first few data, at two points."""
    few = target.select(range(min(_FEW, len(target)))) if target.sliceable else target
    with torch.no_grad():
        prior = few.log_joint(by_site(few, z[:2].unsqueeze(1).expand(-1, len(few), -1)))[0]
    return not torch.allclose(prior, prior[:, :1].expand_as(prior), rtol=1e-5, atol=1e-5)


def _clustered(values: Tensor, datum: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of draws `[M]` that come by datum, in whole rounds, and its standard error as a sample of data, `[1]`."""
    rounds = int((datum == datum[0]).sum())
    mean, stderr = over_data(values.reshape(rounds, -1).mean(0))
    return mean.reshape(1), stderr.reshape(1)


def _kolmogorov_smirnov(one: Tensor, other: Tensor) -> Tensor:
    """The largest difference of two empirical distribution functions, `[N]`, of draws `[N, m]` and `[N, n]`."""
    one, other = one.sort(1).values, other.sort(1).values
    both = torch.cat([one, other], 1)
    difference = [torch.searchsorted(side, both, right=True) / side.shape[1] for side in (one, other)]
    return (difference[0] - difference[1]).abs().amax(1).double()
