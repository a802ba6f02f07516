"""Named data: one set embedded, one simulated, the others read from local files and checked; nothing is downloaded."""

from elbowroom.datasets.binarize import Binarize, check_binary
from elbowroom.datasets.dataset import Dataset
from elbowroom.datasets.kinds import KINDS
from elbowroom.datasets.labels import keep_labels
from elbowroom.datasets.load import load
from elbowroom.datasets.sources import NAMES
from elbowroom.datasets.splits import SPLITS

__all__ = ["KINDS", "NAMES", "SPLITS", "Binarize", "Dataset", "check_binary", "keep_labels", "load"]
