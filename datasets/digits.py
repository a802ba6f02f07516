"""The embedded data: 1797 handwritten digits of 8×8 pixels.

`digits.npz` holds `x`, uint8 `[1797, 8, 8]` with values 0 … 16, and `y`, uint8 `[1797]`: the images and labels of
`sklearn.datasets.load_digits`, unchanged but for the type of the numbers. They are the test set of *Optical Recognition
of Handwritten Digits*, E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998, doi:10.24432/C50P49, under the
Creative Commons Attribution 4.0 licence (https://creativecommons.org/licenses/by/4.0). Each pixel counts the dark ones
among 4×4 pixels of a 32×32 bitmap; 13 people wrote them.
"""

from dataclasses import replace
from pathlib import Path

from elbowroom.datasets.archives import read_npz
from elbowroom.datasets.arrays import Arrays

FOLDER = Path(__file__).parent
"""Where `digits.npz` lies."""


def read_digits(path: Path) -> Arrays:
    """The digits; their values are divided by 16."""
    return replace(read_npz(path), scale=16.0)
