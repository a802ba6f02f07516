"""Which data are held out: one rule a data set, a function of the arrays' sizes alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from elbowroom.datasets import philox

SPLITS = ("train", "validation", "test")
"""What a data set is split into."""

Plan = dict[str, tuple[str, NDArray[np.int64]]]
"""split -> (the array it is taken from, the rows taken)."""


@dataclass(frozen=True)
class Rule:
    """How the splits that a source lacks are taken from its training array.

    Validation first, then test, each from the array's end; splits that the source has are left as they are, and so is
    the training array if nothing is missing. The order before the cut is the file's, or one permutation fixed for good
    (`philox.permutation(N, "split")`): no seed moves a datum from the held-out data to the training data.

    Attributes:
        text: the rule in words, for the run's record.
        validation: share of the training array taken for validation; None if the source must have it.
        test: likewise.
        permuted: permute the training array before the cut.
    """

    text: str
    validation: Fraction | None
    test: Fraction | None
    permuted: bool

    def plan(self, sizes: Mapping[str, int], source: str) -> Plan:
        """Rows of each split, given the number of data in each array of the source.

        Raises:
            ValueError: if there is no training array, a missing split cannot be made, or nothing would be left to
                train on.
        """
        if "train" not in sizes:
            raise ValueError(f"{source}: no training array, only {', '.join(sizes)}")
        missing = [split for split in SPLITS if split not in sizes]
        counts = {split: self._count(split, sizes["train"], source) for split in missing}
        num_train = sizes["train"] - sum(counts.values())
        if num_train < 1:
            raise ValueError(
                f"{source}: {_data(sizes['train'])} cannot be split into train, {' and '.join(missing)}: at least "
                f"{len(missing) + 1} are needed. Give more data, or an .npz with the arrays train, validation and test"
            )
        rows = np.arange(sizes["train"], dtype=np.int64)
        if missing and self.permuted:
            rows = philox.permutation(sizes["train"], "split")
        cuts = np.split(rows, np.cumsum([num_train, *counts.values()])[:-1])
        taken: Plan = dict(zip(["train", *missing], (("train", cut) for cut in cuts), strict=True))
        given: Plan = {s: (s, np.arange(n, dtype=np.int64)) for s, n in sizes.items() if s != "train"}
        return {split: (taken | given)[split] for split in SPLITS}

    def _count(self, split: str, size: int, source: str) -> int:
        share = {"validation": self.validation, "test": self.test}[split]
        if share is None:
            raise ValueError(f"{source}: no {split} array, and this data set's {split} data are not made from others")
        return max(1, int(size * share))


WHOLE = "the file has no splits: all of its data, in its order, are the test data"
"""What is said where nothing is held out of a file of one's own."""


def whole(num_data: int) -> Plan:
    """All data of the training array as test data, and none to train on: for looking at a file as it is."""
    none = np.arange(0, dtype=np.int64)
    return {"train": ("train", none), "validation": ("train", none), "test": ("train", np.arange(num_data))}


TENTHS = Rule(
    "validation and test as the file has them; a missing one is a tenth of the training array, fixed permutation",
    validation=Fraction(1, 10),
    test=Fraction(1, 10),
    permuted=True,
)
"""For one's own arrays."""

DIGITS = Rule(
    "1257 train, 180 validation, 360 test: consecutive parts of a fixed permutation, not stratified",
    validation=Fraction(180, 1797),
    test=Fraction(360, 1797),
    permuted=True,
)
"""The permutation knows nothing of writers: the same 13 people are in all three splits."""

LAST_SIXTH = Rule(
    "the test file as it is; validation is the last sixth of the train file (10000 of 60000)",
    validation=Fraction(1, 6),
    test=None,
    permuted=False,
)
"""For MNIST and Fashion-MNIST: 50000 / 10000 / 10000."""

OMNIGLOT = Rule(
    "the test array as it is; validation is 1345 of the 24345 training images, fixed permutation",
    validation=Fraction(1345, 24345),
    test=None,
    permuted=True,
)
"""23000 / 1345 / 8070, the sizes customary since the VampPrior paper (Tomczak and Welling 2018)."""

FRAMES = Rule(
    "consecutive frames: the first 80 % train, the next 10 % validation, the last 10 % test",
    validation=Fraction(1, 10),
    test=Fraction(1, 10),
    permuted=False,
)
"""For video. A random split puts a near copy of each held-out frame into the training data, so that held-out numbers
measure memory; here only the frames next to the two cuts have such neighbours. The numbers are lower for it and not to
be compared with those of random splits."""


def _data(count: int) -> str:
    return "1 datum" if count == 1 else f"{count} data"
