"""The objectives by name: a new one is a file and one line here."""

from elbowroom.inference.training.objectives.contract import Objective
from elbowroom.inference.training.objectives.doubly_reparameterised import DReG
from elbowroom.inference.training.objectives.exact import Exact
from elbowroom.inference.training.objectives.iwae import IWAE
from elbowroom.inference.training.objectives.pyro_losses import (
    EnumeratedELBO,
    PyroELBO,
    PyroMeanFieldELBO,
    PyroRenyiELBO,
)
from elbowroom.inference.training.objectives.quantized import Quantized
from elbowroom.inference.training.objectives.renyi import Renyi
from elbowroom.inference.training.objectives.score_function import ScoreFunction
from elbowroom.inference.training.objectives.semi_supervised import SemiSupervised
from elbowroom.inference.training.objectives.sticking_the_landing import StickingTheLanding
from elbowroom.inference.training.objectives.wake_sleep import ReweightedWakeSleep

OBJECTIVES: dict[str, type[Objective]] = {
    "Trace_ELBO": PyroELBO,
    "TraceMeanField_ELBO": PyroMeanFieldELBO,
    "TraceEnum_ELBO": EnumeratedELBO,
    "RenyiELBO": PyroRenyiELBO,
    "IWAE": IWAE,
    "Renyi": Renyi,
    "STL": StickingTheLanding,
    "DReG": DReG,
    "score-function": ScoreFunction,
    "reweighted-wake-sleep": ReweightedWakeSleep,
    "semi-supervised": SemiSupervised,
    "exact": Exact,
    "quantized": Quantized,
}
"""Name -> what it is, what it bounds, and the constructor of the loss."""
