"""Named data, and files of one's own: read from this machine and checked; nothing is downloaded, nothing is run.

load.py           by name or path: read, check, split, binarize
dataset.py        what that gives: three splits, where they came from, what was done to them
locate.py         from a name to files
sources.py        the sets known by name: their files, and how they are split
own_files.py      a file of one's own: which reader takes it
archives.py       .npy, .npz and .mat
idx.py            the IDX format of MNIST
tables.py         .csv, .tsv, .amat and .parquet
tensors.py        .pt and .safetensors
annotated.py      .h5ad
image_folder.py   folders of pictures
bags.py           sparse counts, and the words of their columns
keys.py           the names under which files hold data, labels and masks
refusals.py       files that are not read, and how to convert them
arrays.py         what a reader hands on, and the checks that they are data
stored.py         arrays in files, of which some rows are read
mapped.py         very many data of an .npy, of which only the rows that are asked for are in memory
few.py            a few data of each split, and how many fit
masks.py          sequences of different lengths
splits.py         which data are held out
binarize.py       how grey values become zeros and ones
dequantize.py     how integers become real numbers without gaps
labels.py         data of which few labels are told
kinds.py          what programs are called with, by what a datum is
digits.py         handwritten digits, embedded
linear_system.py  simulated sequences
topics.py         simulated bags of words
philox.py         random numbers that are the same on every machine
"""

from elbowroom.datasets.binarize import Binarize, check_binary
from elbowroom.datasets.dataset import Dataset
from elbowroom.datasets.dequantize import Dequantize, dequantized
from elbowroom.datasets.kinds import KINDS
from elbowroom.datasets.labels import keep_labels
from elbowroom.datasets.load import load
from elbowroom.datasets.mapped import Mapped, mapped
from elbowroom.datasets.sources import NAMES
from elbowroom.datasets.splits import SPLITS

__all__ = [
    "KINDS",
    "NAMES",
    "SPLITS",
    "Binarize",
    "Dataset",
    "Dequantize",
    "Mapped",
    "check_binary",
    "dequantized",
    "keep_labels",
    "load",
    "mapped",
]
