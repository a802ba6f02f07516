"""Training by stochastic variational inference: exact to resume, in nats per datum."""

from elbowroom.inference.training.checkpoint import CheckpointError
from elbowroom.inference.training.evaluate import Evaluation, evaluate
from elbowroom.inference.training.fit import fit
from elbowroom.inference.training.load import Loaded, load_checkpoint
from elbowroom.inference.training.nonfinite import NonFiniteError
from elbowroom.inference.training.objective import LOSSES
from elbowroom.inference.training.result import Fit
from elbowroom.inference.training.schedule import SCHEDULES
from elbowroom.inference.training.signals import TrainingInterrupted

__all__ = [
    "LOSSES",
    "SCHEDULES",
    "CheckpointError",
    "Evaluation",
    "Fit",
    "Loaded",
    "NonFiniteError",
    "TrainingInterrupted",
    "evaluate",
    "fit",
    "load_checkpoint",
]
