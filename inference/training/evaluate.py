"""The held-out ELBO and its parts, in nats per datum."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.evaluation.budget import plan
from elbowroom.inference.programs.structure import ProgramError
from elbowroom.inference.showing.numbers import with_error
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table
from elbowroom.inference.target import Target
from elbowroom.inference.training.parts import Part, part_of
from elbowroom.inference.training.workers import ALONE, Workers


@dataclass(frozen=True, repr=False)
class Evaluation(Shown):
    """ELBO = reconstruction − KL at β = 1, means over the data in nats per datum.

    Attributes:
        elbo: E_q[log p(x, z) − log q(z|x)].
        elbo_stderr: its Monte Carlo standard error, the data held fixed.
        reconstruction: E_q[log p(x|z)].
        kl: E_q[log q(z|x) − log p(z)].
        kl_per_dim: latent site -> KL of each latent dimension, where guide and prior factorise over them (nested lists
            with the shape of the site's value), else of the site as a whole. Empty where sites have no densities of
            their own: guides with auxiliary sites, priors that depend on a discrete site that is summed out.
        non_finite: rows whose log p(x, z) − log q(z|x) is NaN or infinite for some draw; the means then are too.
    """

    elbo: float
    elbo_stderr: float
    reconstruction: float
    kl: float
    kl_per_dim: dict[str, Any]
    non_finite: tuple[int, ...]

    def as_table(self) -> Table:
        """The ELBO and its parts."""
        lost = f"{len(self.non_finite)} data are not finite, and so are the means: {list(self.non_finite[:8])} …"
        head = (
            f"ELBO {with_error(self.elbo, self.elbo_stderr)} nats per datum (data held fixed)",
            f"reconstruction {self.reconstruction:.3f}, KL {self.kl:.3f} nats per datum",
            *((lost,) if self.non_finite else ()),
        )
        return Table(head)


def evaluate(target: Target, *, num_samples: int = 4, seed: int = 0) -> Evaluation:
    """Estimate the ELBO of a target's data with S draws of the guide for each.

    The draws are a function of (seed, datum): the global generator is not touched, and two evaluations of different
    parameters share their noise, so that their difference is sharper than either.
    """
    return evaluated(target, num_samples, seed, ALONE)


def evaluated(target: Target, num_samples: int, seed: int, workers: Workers) -> Evaluation:
    """The same by several workers, each of whom takes a part of the data; all of them know the result."""
    share = part_of(len(target) if target.sliceable else 1, workers)
    own = target.select(range(share.begin, share.end)) if share.size < len(target) and target.sliceable else target
    parts: list[tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]] = []
    with torch.no_grad():
        for _, piece in plan(own, num_samples).data(own):
            parts.append(_moments(piece, num_samples, seed))
    columns = [torch.cat([p[i] for p in parts], 1).double() for i in range(3)]  # type: ignore[misc]
    sums = {name: sum((p[3][name] for p in parts[1:]), parts[0][3][name]) for name in parts[0][3]}
    log_w, reconstruction, kl = (_gathered(column, len(target), share, workers) for column in columns)
    num_data = log_w.shape[1]
    for total in sums.values():
        if not share.counts:
            total.zero_()
        workers.add(total)
    per_dim = {name: (total / (num_samples * num_data)).tolist() for name, total in sums.items()}
    spread = log_w.var(0).sum().sqrt() / num_data / math.sqrt(num_samples)
    return Evaluation(
        elbo=log_w.mean().item(),
        elbo_stderr=spread.item(),
        reconstruction=reconstruction.mean().item(),
        kl=kl.mean().item(),
        kl_per_dim=per_dim,
        non_finite=tuple((~log_w.isfinite()).any(0).nonzero().flatten().tolist()),
    )


def default_interval(num_samples: int, num_validation: int, num_particles: int, num_training: int) -> int:
    """Epochs between validations so that they take about a twentieth of the time.

    Counted, not timed, so that a resumed run validates where an uninterrupted one does: an evaluation runs each
    program twice, forward, on every draw; a training step runs each once, and its backward pass costs two forward
    ones.
    """
    return max(1, math.ceil(20 * 2 * num_samples * num_validation / (3 * num_particles * num_training)))


def _gathered(own: Tensor, num_data: int, share: Part, workers: Workers) -> Tensor:
    """`[S, N]` of the columns that each worker has, in the order of the data."""
    if workers.size == 1:
        return own
    begin, end = (0, num_data) if share.num_rows == 1 else (share.begin, share.end)
    whole = own.new_zeros(len(own), num_data)
    if share.counts:
        whole[:, begin:end] = own
    workers.add(whole)
    return whole


def _moments(target: Target, num_samples: int, seed: int) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
    """log w, log p(x|z) and log q − log p(z), `[S, B]` each, and the latter's sum by dimension."""
    z, log_q = target.propose(num_samples, seed=seed)
    prior, likelihood = target.log_joint(z)
    try:
        terms = target.latent_terms(z)
    except ProgramError:  # no densities of their own; the sums above hold all the same
        terms = {}
    by_dimension = {name: (q - p).double().sum((0, 1)) for name, (q, p) in terms.items()}
    return prior + likelihood - log_q, likelihood, log_q - prior, by_dimension
