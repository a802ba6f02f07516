"""Training data of which few labels are told, for models that learn from both."""

from dataclasses import replace

import numpy as np
import torch

from elbowroom.datasets import philox
from elbowroom.datasets.dataset import Dataset
from elbowroom.entrances import checked


@checked
def keep_labels(data: Dataset, per_class: int, *, seed: int = 0) -> Dataset:
    """The same data with so many labels of each class in the training split; the others are −1.

    Which are kept is a function of (seed, number of training data) alone, the same on every machine; fewer labels are
    a part of more. Held-out data keep theirs.

    Raises:
        ValueError: if the number is out of range, there are no labels, or a class has fewer.
    """
    if per_class < 1:
        raise ValueError(f"labels_per_class must be at least 1, got {per_class}")
    if "train" not in data.labels:
        raise ValueError(f"{data.name} has no labels of the train split, of which {per_class} a class were asked for")
    y = data.labels["train"].numpy()
    order = philox.permutation(len(y), "labels", seed)
    kept = np.full_like(y, -1)
    for label in np.unique(y[y >= 0]):
        rows = order[y[order] == label]
        if len(rows) < per_class:
            raise ValueError(f"labels_per_class is {per_class}, but class {label} of {data.name} has {len(rows)} data")
        kept[rows[:per_class]] = label
    return replace(data, labels={**data.labels, "train": torch.from_numpy(kept)})
