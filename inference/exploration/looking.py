"""Around some of the data at once: draws, planes, densities on them, modes, and what the model makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.audit.result import Audit
from elbowroom.inference.evaluation.budget import cells_within
from elbowroom.inference.evaluation.clock import Clock
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.exploration.columns import ladder_of
from elbowroom.inference.exploration.decoding import Decoder
from elbowroom.inference.exploration.draws import Cloud, cloud, guide_draws
from elbowroom.inference.exploration.frame import Frame
from elbowroom.inference.exploration.modes import modes_of
from elbowroom.inference.exploration.overview import Overview
from elbowroom.inference.exploration.planes import plane_of
from elbowroom.inference.exploration.result import View
from elbowroom.inference.exploration.surfaces import at, on_lattices
from elbowroom.inference.exploration.windows import widened
from elbowroom.inference.progress import progress_bar

DENSITY, DECODED = 49, 13
"""Points along each axis of a plane at which densities are evaluated, and at which the model decodes."""

_SAMPLES, _SHOWN = 2000, 200
"""Draws of q from which planes are found, and those of each kind that are kept."""

_FIRST, _MOST = 2, 128
"""Data that are looked at whatever the budget, and those that are looked at together."""


@dataclass(frozen=True)
class Looker:
    """Looks around data, some at a time.

    Attributes:
        coordinates: of all data.
        audit: what is known of them.
        overview: where their codes are.
        own: what decodes a lattice around each datum; None where one lattice serves all, or the model cannot be asked.
        decoder: the model, if it can be asked.
    """

    coordinates: Coordinates
    audit: Audit
    overview: Overview
    own: Decoder | None
    decoder: Decoder | None

    def views(
        self, order: Sequence[int], clock: Clock, seed: int, memory_bytes: int | None, progress: bool
    ) -> tuple[tuple[View, ...], int]:
        """Around as many data, in order, as the budget has room for; and how many of them were tried."""
        views: list[View] = []
        with progress_bar(len(order), "explore", "datum", progress) as tick:
            size, begin = _FIRST, clock.spent
            done = 0
            while done < len(order) and size > 0:
                some = order[done : done + size]
                views += self.block(some, seed, memory_bytes)
                done += len(some)
                tick(len(some))
                each = (clock.spent - begin) / done
                size = min(_MOST, int(clock.left / each) if each > 0 else _MOST)
        return tuple(views), done

    def block(self, data: Sequence[int], seed: int, memory_bytes: int | None) -> list[View]:
        """Around a few data at once; around one whose draws of q are not finite there is no plane."""
        some = self.coordinates.at(torch.tensor(data))
        guide = torch.cat(list(guide_draws(some, _SAMPLES, seed, memory_bytes)))
        if bool((lost := ~guide.isfinite().all(2).all(0)).any()):
            kept = [datum for datum, is_lost in zip(data, lost.tolist(), strict=True) if not is_lost]
            return self.block(kept, seed, memory_bytes) if kept else []
        around = cloud(some, guide, seed, memory_bytes)
        posteriors = [around.posterior_of(b) for b in range(len(data))]
        centres = _centres(some, around, memory_bytes)
        frames = [plane_of(some.names, around.guide[:, b], posteriors[b], centres[b]) for b in range(len(data))]
        frames = widened(some, frames, memory_bytes)
        surfaces = on_lattices(some, frames, DENSITY, memory_bytes)
        modes = modes_of(some, around.guide, around.posterior, cells_within(some.target, memory_bytes))
        means = self.overview.means[list(data)]
        again = None if self.decoder is None else self.decoder.at(some, means.unsqueeze(0))[0]
        lattices = None if self.own is None else self.own.lattice(some, frames, DECODED)
        return [
            View(
                datum=datum,
                frame=frames[b],
                log_joint=surfaces.log_joint[..., b],
                log_prior=surfaces.log_prior[..., b],
                log_q=None if surfaces.log_q is None else surfaces.log_q[..., b],
                posterior=_few(frames[b], posteriors[b]),
                guide=frames[b].places(_thinned(around.guide[:, b])),
                modes=frames[b].places(modes[b]),
                code=frames[b].places(means[b]),
                again=None if again is None else again[b],
                decoded=None if lattices is None else lattices[b],
                ladder=ladder_of(self.audit, datum),
                says=_says(some.dim, around, b),
            )
            for b, datum in enumerate(data)
        ]


def _centres(coordinates: Coordinates, around: Cloud, memory_bytes: int | None) -> Tensor:
    """For each datum the highest of the mean of its draws and some of them, `[B, D]`: chains' where these are sound."""
    columns = []
    for b in range(len(coordinates.target)):
        posterior = around.posterior_of(b)
        draws = around.guide[:, b] if posterior is None else posterior
        columns.append(torch.cat([draws.mean(0, keepdim=True), _thinned(draws, 64)]))
    candidates = torch.stack(columns, 1)  # [K, B, D]
    best = at(coordinates, candidates, memory_bytes).log_joint.argmax(0)  # [B]
    return candidates[best, torch.arange(candidates.shape[1])]


def _thinned(draws: Tensor, most: int = _SHOWN) -> Tensor:
    """At most so many of the draws `[S, D]`, evenly spaced."""
    return draws[torch.linspace(0, len(draws) - 1, min(most, len(draws))).round().long()]


def _few(frame: Frame, posterior: Tensor | None) -> Tensor | None:
    return None if posterior is None else frame.places(_thinned(posterior))


def _says(dim: int, around: Cloud, b: int) -> tuple[str, ...]:
    """What is to be seen, and what is not."""
    said = []
    if dim > 2:
        still = "the third direction stands" if dim == 3 else f"the other {dim - 2} directions stand"
        said.append(
            f"The plane is a slice: {still} still. Dots are draws from wherever they are, where they fall upon it."
        )
    if around.doubts[b]:
        said.append(f"No draws of Markov chains are shown: {around.doubts[b]}.")
    return tuple(said)
