"""One call: the map of all data, and a plane around each of those that need a look."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.audit.audit import audit_target
from elbowroom.inference.audit.result import Audit
from elbowroom.inference.evaluation.clock import Budget, Clock
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evidence.importance.importance import importance
from elbowroom.inference.exploration.columns import columns_of, flags_of, own_columns
from elbowroom.inference.exploration.decoding import Decoder, decoder_of
from elbowroom.inference.exploration.frame import Frame
from elbowroom.inference.exploration.looking import Looker
from elbowroom.inference.exploration.overview import code_means, one_of, overview_of
from elbowroom.inference.exploration.result import Exploration, Moment, Scale, View
from elbowroom.inference.exploration.shared import on_the_map, serves_all
from elbowroom.inference.exploration.surfaces import on_lattices
from elbowroom.inference.programs.arguments import picked_rows
from elbowroom.inference.target import Target

MOST_VIEWS = 360
"""Data around which there is a plane, if nobody says which."""

ON_MAP = 49
"""Points along each axis of the map at which the prior's density is evaluated."""

_AUDIT_SHARE = 0.6
"""Of the budget, for the audit of a target that has none."""

_OF_A_MOMENT = 256
"""Draws of each datum for its ELBO, and log p̂(x) less that, at an earlier moment."""


@checked
def explore(
    of: Target | Audit,
    *,
    data: Sequence[int] | None = None,
    labels: Tensor | None = None,
    columns: Mapping[str, Tensor] | None = None,
    moments: Mapping[str, Target] | None = None,
    budget: Budget = 120.0,
    seed: int = 0,
    memory_bytes: int | None = None,
    progress: bool = False,
) -> Exploration:
    """What latent space looks like around the data, and what the model makes of each point: for a page to walk through.

        explore(target).save("explore.html")

    Around each chosen datum, on a plane of its latents' unconstrained coordinates, log p(x, u), log p(u) and
    log q(u | x) at a lattice of points, E[x | z] and a draw of x given z at a coarser one, draws of q and of Markov
    chains where they fall upon the plane, and modes. With one or two latents the plane is all there is. Of more it goes
    through a point of high posterior density, along the two directions in which the second moments of the posterior
    differ most from those of q, by the KL divergence of two Gaussians.

    Args:
        of: programs pinned to data; or an audit of them, whose numbers are shown then. A target is audited first, with
            a part of the budget.
        data: around which of them, in this order; by default around those with the largest room and as many others
            evenly among the rest, at most 360, as far as the budget reaches.
        labels: of the data, `[B]`, whole numbers, for the map.
        columns: further numbers of the data by name, `[B]` each, for the map.
        moments: programs on the same data at earlier moments of the training, by name, in order: their codes on the
            map.
        budget: seconds, or a text such as `"1e7 evaluations"`, by which two calls give the same. Two data are looked at
            in any case.
        seed: of everything random.
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show a progress bar if it takes longer than two seconds.

    Raises:
        ValueError: if the latents have no unconstrained coordinates, a column has not a number for each datum, or an
            audit has no target (it was not made in this process).
        IndexError: if an index is out of range.
        ProgramError: as of `audit`.
    """
    clock = Clock(budget)
    if isinstance(of, Audit) and of.target is None:
        raise ValueError("of: got an audit without its target; explore the target, or audit it again in this process")
    more, asked = own_columns(labels, columns, len(of)), _asked_for(data, len(of))
    audit = _audited(of, clock, seed, memory_bytes, progress)
    coordinates = _coordinates_of(audit)
    overview = overview_of(coordinates, coordinates.names, seed, memory_bytes)
    decoder, why = decoder_of(coordinates, overview, seed, memory_bytes)
    shared = decoder if decoder and serves_all(coordinates.target, decoder, overview.frame) else None
    order = _worst_and_others(audit) if asked is None else asked
    looker = Looker(coordinates, audit, overview, None if shared and coordinates.dim <= 2 else decoder, decoder)
    views, done = looker.views(order, clock, seed, memory_bytes, progress)
    decoded, views = on_the_map(coordinates, shared, overview.frame, views) if shared else (None, views)
    prior = on_lattices(one_of(coordinates), [overview.frame], ON_MAP, memory_bytes).log_prior
    return Exploration(
        num_data=len(of),
        latents=tuple(coordinates.names),
        is_constrained=not coordinates.real,
        observed="" if decoder is None else decoder.observation.name,
        x=_bytes(decoder, coordinates.target),
        scale=Scale(0.0, 1.0) if decoder is None else decoder.scale,
        columns={**columns_of(audit), **more},
        flags=flags_of(audit),
        map=overview.frame,
        codes=overview.frame.places(overview.means),
        log_prior=prior[..., 0],
        decoded=decoded,
        views=views,
        moments=_moments(moments or {}, overview.frame, seed, memory_bytes),
        notices=(*why, *_fewer(views, done, len(order), len(of), clock)),
        about=audit.about,
    )


def _asked_for(data: Sequence[int] | None, num_data: int) -> list[int] | None:
    """The data that the caller named, each once."""
    return None if data is None else list(dict.fromkeys(picked_rows(data, num_data, "data").tolist()))


def _audited(of: Target | Audit, clock: Clock, seed: int, memory_bytes: int | None, progress: bool) -> Audit:
    if isinstance(of, Audit):
        return of
    budget = clock.part(_AUDIT_SHARE * clock.left)
    return audit_target(of, budget=budget, seed=seed, memory_bytes=memory_bytes, progress=progress)


def _coordinates_of(audit: Audit) -> Coordinates:
    """Of all data of an audit."""
    assert audit.target is not None
    coordinates = Coordinates.of(audit.target.collapsed(), gradients=False)
    if coordinates.dim == 0:
        raise ValueError("of: this target has no continuous latent to look at (finite discrete ones are summed out)")
    return coordinates


def _bytes(decoder: Decoder | None, target: Target) -> Tensor:
    """The data in bytes, `[B, *event]`; without a decoder nothing of each."""
    if decoder is None:
        return torch.zeros(len(target), 0, dtype=torch.uint8)
    return decoder.scale.bytes_of(decoder.observation.x.double().cpu())


def _worst_and_others(audit: Audit) -> list[int]:
    """Data by falling room, those whose ELBO is not finite first; of too many the worst half, and others evenly among
    the rest."""
    room = audit.bracket.width.double().cpu()
    if audit.sampled is not None:
        elbo = audit.sampled.info["elbo"].double().cpu()
        room = torch.where(elbo.isfinite(), audit.bracket.lower.value.double().cpu() - elbo, torch.inf)
    order: list[int] = room.nan_to_num(-torch.inf).argsort(descending=True, stable=True).tolist()
    if len(order) <= MOST_VIEWS:
        return order
    worst, rest = order[: MOST_VIEWS // 2], order[MOST_VIEWS // 2 :]
    places = torch.linspace(0, len(rest) - 1, MOST_VIEWS - len(worst)).round().long().tolist()
    return worst + [rest[place] for place in places]


def _moments(targets: Mapping[str, Target], frame: Frame, seed: int, memory_bytes: int | None) -> tuple[Moment, ...]:
    """Where the codes were at earlier moments, and ELBO and room then, the room by importance sampling: from below."""
    found = []
    for name, target in targets.items():
        coordinates = Coordinates.of(target.collapsed(), gradients=False)
        codes = frame.places(code_means(coordinates, seed, memory_bytes))
        sampled = importance(target, num_samples=_OF_A_MOMENT, seed=seed, search=False, memory_bytes=memory_bytes)
        elbo = sampled.info["elbo"]
        found.append(Moment(name, codes, {"ELBO": elbo, "room": sampled.value - elbo}))
    return tuple(found)


def _fewer(views: Sequence[View], done: int, num_asked: int, num_data: int, clock: Clock) -> tuple[str, ...]:
    """A sentence if there is not a plane around each datum."""
    if len(views) == num_data:
        return ()
    told = f"Planes are shown around {len(views)} of {num_data} data"
    why = []
    if done < num_asked:
        why.append(f"the budget of {clock.says(clock.budget)} had no room for more")
    if len(views) < done:
        why.append(f"q has no finite draws of {done - len(views)}")
    return (f"{told}{': ' if why else ''}{'; '.join(why)}.",)
