"""What an audit has gathered before it is put into numbers, and which of the examined data speak for all."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.audit.examination import Examination
from elbowroom.inference.audit.known import Known
from elbowroom.inference.diagnostics.baselines import Baseline
from elbowroom.inference.diagnostics.calibration import Calibration
from elbowroom.inference.diagnostics.changed_data import BetterRead
from elbowroom.inference.diagnostics.latent_use import LatentUse, Silence
from elbowroom.inference.diagnostics.own_loss import OwnLoss
from elbowroom.inference.diagnostics.respread import Respread
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evidence.bracket import Bracket
from elbowroom.inference.evidence.importance.importance import ImportanceInfo


@dataclass(frozen=True)
class Parts:
    """What an audit has gathered; parts that are missing are None."""

    num_data: int
    sampled: Estimate[ImportanceInfo]  # importance sampling of all data
    bracket: Bracket
    examination: Examination | None
    calibration: Calibration | None
    latent_use: LatentUse | None
    known: Known | None = None  # what is known of all data, if it is
    notes: tuple[str, ...] = ()  # what is worth knowing of the programs though the numbers stand
    baseline: Baseline | None = None  # of the usable data, by a model without latents
    usable: tuple[int, ...] = ()  # data whose encoder output has not exploded
    own_loss: OwnLoss | None = None  # what training printed, if it was told
    better_read: BetterRead | None = None  # a change of the data that the networks fit far better
    respread: Respread | None = None  # a factor by which q should be wider, or narrower
    silence: Silence | None = None  # whether q says anything about the data at all
    suspicions: tuple[str, ...] = ()  # why these may not be the programs that were meant
    cautions: tuple[str, ...] = ()  # why what rests on log q should be doubted, known before anything was sampled


def representative(parts: Parts) -> Tensor:
    """Positions, among the examined data, of those that are a random sample and whose terms are usable."""
    examination = parts.examination
    assert examination is not None
    place = {datum: i for i, datum in enumerate(examination.data)}
    chosen = torch.tensor([place[datum] for datum in examination.representative], dtype=torch.long)
    return chosen[examination.decomposition.usable[chosen]]


def population_of(parts: Parts, index: Tensor) -> int:
    """How many data those at `index` are a random sample of: all but the ones that are left out for cause."""
    assert parts.examination is not None
    return parts.num_data - (len(parts.examination.representative) - len(index))
