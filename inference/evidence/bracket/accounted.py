"""Particles that no proposal accounted for, held against the chains: have these been where the particles are?"""

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.budget import cells_within
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evidence.bracket.choice import PARTICLES
from elbowroom.inference.evidence.bracket.particles import Particles
from elbowroom.inference.evidence.bracket.sizes import NUM_ADAPTED
from elbowroom.inference.evidence.bracket.work import Work, no_value
from elbowroom.inference.evidence.bridge.adapted import mixture_of
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.programs.evaluations import GRADIENT


def account(work: Work, data: Tensor, draws: Draws, method: str) -> None:
    """Send the particles of these data again that are not accounted for, and see if the chains' mixture covers them.

    Args:
        work, data: as of a stage.
        draws: of these data.
        method: the column of log p(x) by that mixture.
    """
    told = work.ledger.columns[PARTICLES].flags if PARTICLES in work.ledger.columns else [""] * len(work.target)
    places = torch.tensor([i for i, b in enumerate(data.tolist()) if told[b]], dtype=torch.long)
    if not len(places):
        return
    if not work.target.sliceable:
        places = torch.arange(len(data))
    some = data[places]
    coordinates = Coordinates.of(work.part(some))
    cells = cells_within(coordinates.target, work.memory_bytes, copies=GRADIENT)
    path = Path(coordinates, "prior", record=False, cells=cells)
    at = Particles.sent(path, work.seed)
    column = work.ledger.columns[method]
    found = Estimate(column.value[some], column.stderr[some], "lower")
    mixture = mixture_of(draws.select(places.tolist()), coordinates)
    missed = Particles.under(mixture.log_density, path, at).missed(found, NUM_ADAPTED)
    work.ledger.put(PARTICLES, some, no_value(len(some)), missed)
