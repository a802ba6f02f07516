"""The noise of a Gaussian likelihood: how large it is, how large it should be, and what that does to samples."""

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from elbowroom.inference.evaluation.budget import plan
from elbowroom.inference.evaluation.weighted_draws import WeightedDraws, reduced, weighted_draws
from elbowroom.inference.programs.handlers import Set
from elbowroom.inference.programs.terms import Arrange, Result, Values, place
from elbowroom.inference.target import Target

if TYPE_CHECKING:
    from elbowroom.inference.programs.structure import Structure

_NAMED = 0.05  # relative difference of σ from its best value that is worth a sentence


def observation_sigma(
    target: Target, num_samples: int, seed: int, memory_bytes: int | None
) -> tuple[dict[str, float], str]:
    """Return σ of x ~ N(μ(z), σ²) and its best value, if that is the likelihood and σ the same for every datum.

    With c² = E_q[(x − μ(z))²/σ²] averaged over the n values of a datum and over data, the best noise of the same shape
    is c σ, and E_q[log p(x|z)], the ELBO with it, would gain n (c² − 1 − log c²)/2 nats a datum.

    Returns:
        `value` (root mean square of σ over the values of a datum), `optimal` = c · value and `optimal_stderr` (as a
        sample of data), `log_lik_gain` (nats per datum), `explained` (share of the variance of x over data that the
        means under q explain), `num_values` n; and a few sentences. Empty if there is no such noise: another
        likelihood, several observed sites, a σ that differs from datum to datum, masks, summed-out sites.
    """
    site = _site(target)
    if site is None:
        return {}, ""
    name, sigma, total = site
    chunk_plan = plan(target, num_samples, memory_bytes)
    reduce = partial(_mean_squares, site=name, num_samples=num_samples)
    means = list(reduced(target, weighted_draws, chunk_plan, num_samples, seed, reduce))
    squares, scaled = torch.cat(means, 1)  # [B] each
    size = sigma.numel()
    ratio = scaled / size
    c2 = float(ratio.mean())
    value = float(sigma.square().mean().sqrt())
    stderr = float(ratio.std() / len(ratio) ** 0.5) / (2 * c2)
    record = {
        "value": value,
        "optimal": math.sqrt(c2) * value,
        "optimal_stderr": stderr * math.sqrt(c2) * value,
        "log_lik_gain": size * (c2 - 1 - math.log(c2)) / 2,
        "explained": 1 - float(squares.mean()) / total,
        "num_values": float(size),
    }
    return record, _sentences(name, record)


def squared_errors(target: Target, z: Values) -> Tensor | None:
    """Σ (x − μ(z))² over the values of each datum, `[S, B]`; None if x is no mean plus Gaussian noise."""
    structure = target.structure
    if len(structure.observed) != 1 or structure.discrete:
        return None
    name = structure.observed[0]
    site = next(record for program, _, at, record in target.sites() if program == "model" and at == name)
    if _normal(site["fn"]) is None or site["mask"] is not None:
        return None
    num_samples = len(next(iter(z.values())))
    return target.run("model", partial(_residuals, site=name), z, num_samples)[1]["squares"]


def _sentences(name: str, record: dict[str, float]) -> str:
    unexplained = 100 * (1 - record["explained"])
    first = (
        f"'{name}' is a mean plus Gaussian noise of σ = {record['value']:.3g}. The means leave {unexplained:.0f} % of "
        "the variance of x to that noise: shown as means, samples and reconstructions are smooth where x has the "
        "detail in those per cent (blur); shown with the noise, they are grainy, for noise has no structure."
    )
    off = record["value"] / record["optimal"] - 1
    gain = f"setting it there gains {record['log_lik_gain']:.3g} nats per datum, everything else left as it is"
    best = f"the residuals under q ask for {record['optimal']:.3g} ± {record['optimal_stderr']:.1g}"
    if abs(off) < _NAMED:
        return f"{first} σ is what it should be: {best}."
    effect = (
        "the likelihood asks too little of the means, which lets latents fall out of use"
        if off > 0
        else "the likelihood takes noise for news, which makes posteriors narrower than they should be"
    )
    return f"{first} σ is too {'large' if off > 0 else 'small'}: {best}; {gain}. Meanwhile {effect}."


def _site(target: Target) -> tuple[str, Tensor, float] | None:
    """Name, σ of one datum's values and their total variance over data, if there is such noise."""
    structure = target.structure
    if len(structure.observed) != 1 or structure.discrete or structure.data_dim is None or len(target) < 2:
        return None
    name = structure.observed[0]
    site = next(record for program, _, at, record in target.sites() if program == "model" and at == name)
    base = _normal(site["fn"])
    if base is None or site["mask"] is not None:
        return None
    value = site["value"].detach().double().cpu()
    axis = len(site["fn"].batch_shape) + structure.data_dim
    scale = base.scale.detach().double().cpu().expand(value.shape).movedim(axis, 0).reshape(len(target), -1)
    if bool(((scale - scale[0]).abs() > 1e-6 * scale[0]).any()):
        return None
    total = float(value.movedim(axis, 0).reshape(len(target), -1).var(0).sum())
    return (name, scale[0], total) if total > 0 else None


def _normal(fn: Any) -> Normal | None:
    """The Normal of single entries that a distribution of vectors is made of, or says it is."""
    while isinstance(fn, Independent) or isinstance(getattr(fn, "independent_entries", None), Normal):
        fn = fn.base_dist if isinstance(fn, Independent) else fn.independent_entries
    return fn if isinstance(fn, Normal) else None


def _mean_squares(chunks: Iterator[WeightedDraws], site: str, num_samples: int) -> Tensor:
    """`_residuals` averaged over the draws of some data, `[2, B]`."""
    sums: list[Tensor] = []
    for drawn in chunks:
        terms = drawn.target.run("model", partial(_residuals, site=site), drawn.z, drawn.num_samples)[1]
        sums.append(torch.stack([terms["squares"], terms["scaled"]]).double().cpu().sum(1))
    return torch.stack(sums).sum(0) / num_samples


def _residuals(target: Target, given: Values, num_samples: int | None, arrange: Arrange, *, site: str) -> Result:
    """Σ (x − μ)² and Σ (x − μ)²/σ² over the values of a datum, `[S, B]` each."""
    structure: Structure = target.structure
    record = target.trace("model", num_samples, Set(place(structure, given, num_samples))).nodes[site]
    fn = record["fn"]
    base = _normal(fn)
    assert base is not None
    squares = (record["value"] - base.loc).square()
    terms = {"squares": squares, "scaled": squares / base.scale.square()}
    rank = len(fn.event_shape)
    summed = {name: term.flatten(-rank).sum(-1) if rank else term for name, term in terms.items()}
    return {}, {name: structure.per_datum(term, num_samples or 1, len(target)) for name, term in summed.items()}
