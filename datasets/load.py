"""Load a data set by name, or from a file: read, check, split, binarize."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elbowroom.datasets.arrays import check_arrays, check_grey, find_labels, to_rows
from elbowroom.datasets.bags import check_vocabulary
from elbowroom.datasets.binarize import Binarize, binarize_rows, check_mode
from elbowroom.datasets.dataset import Dataset
from elbowroom.datasets.dequantize import Dequantize, check_dequantize, dequantize_rows
from elbowroom.datasets.few import check_memory, few_of
from elbowroom.datasets.image_folder import files_of
from elbowroom.datasets.locate import Found, find
from elbowroom.datasets.philox import check_seed
from elbowroom.datasets.splits import TENTHS, WHOLE, Plan, Rule
from elbowroom.datasets.splits import whole as whole_plan
from elbowroom.entrances import checked


@checked
def load(
    name: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    binarize: Binarize = "none",
    threshold: float = 0.5,
    dequantize: Dequantize = "none",
    seed: int = 0,
    whole: bool = False,
    limit: int | None = None,
) -> Dataset:
    """Read a data set from local files, check it, and return its train, validation and test data.

    Grey values are scaled to [0, 1]: uint8 by 1/255 (unless it holds only 0 and 1), digits by 1/16; floats are kept as
    they are. How each set is split is written in `datasets/splits.py` and, in words, in `Dataset.split_rule`; it does
    not depend on `seed`. A file of one's own holds one array, a datum a row, or arrays `train`, `validation`, `test`
    (or `x_train` and the like, or `x`; what is missing is taken from the training array):

    - `.npy`, IDX: an array. `.npz`, `.mat`, `.safetensors`, `.pt` (a tensor, a pair of data and labels, or a dict):
      arrays by name. A sparse matrix in an `.npz`, as SciPy saves it (CSR or CSC), is one array.
    - `.csv`, `.tsv`, `.parquet` (by pyarrow): columns of numbers, of which one called label or y holds classes;
      `.amat`: text, columns apart by blanks.
    - `.h5ad`: the matrix X of AnnData, dense or sparse.
    - a folder of pictures of one size, with the splits or the classes in subfolders, if there are any.

    Sequences of different lengths are an array `x [N, T, P]` with a `mask [N, T]` beside it (`mask_train` beside
    `x_train`): what stands where it is false is made zero. Bags of words are counts `[N, V]`, dense or sparse, with the
    words, one a line, in `NAME.vocabulary.txt` beside `NAME.npz`. Pickles are never read.

    Args:
        name: `digits` (embedded), `linear-system` (sequences simulated by `datasets/linear_system.py`),
            `topics-simulated` (bags simulated by `datasets/topics.py`), `mnist`, `fashion-mnist`, `omniglot`,
            `freyfaces`, a path, or the name of a file in the data folder.
        data_dir: the data folder; without it, the environment variable `ELBOWROOM_DATA`.
        binarize: how grey values become zeros and ones: `none`, `threshold`, `static` or `dynamic` (see
            `binarize.binarize_rows`). Under `dynamic` pass `Dataset.prepare` to training.
        threshold: with `binarize="threshold"`, values above it become 1.
        dequantize: for models with a density of grey values: `static` adds one uniform draw to each stored integer, and
            values are (k + u) / (s + 1); `dynamic` draws anew for each minibatch (see `dequantize.dequantize_rows`).
        seed: of the draw of `static` and `dynamic`.
        whole: take a file of one's own that has no splits as it is: all of its data, in its order, are `test`, and
            there are none to train on. One datum will do. Sources that have splits are read as ever.
        limit: keep the first so many data of each split; of an `.npy` or `.npz` the others are never in memory, so
            that files are read that would not fit, such as dSprites. Which data a split has does not depend on it.

    Raises:
        FileNotFoundError: naming the files looked for, where, and how to provide them; nothing is downloaded.
        ValueError: on an unknown name or option, and on files that are damaged, hold pickles, hold no usable data or
            more than fits into memory; the message names the file and, where values are wrong, the rows.
        ImportError: on a `.parquet` file, without pyarrow.
    """
    check_mode(binarize, threshold)
    check_dequantize(dequantize, binarize)
    seed = check_seed(seed)
    found = find(name, data_dir)
    files = tuple(found.files.values())
    source = ", ".join(str(path) for path in files) or found.name
    arrays = found.layout.read(found.files)
    check_arrays(arrays, source)
    labels, notes = find_labels(arrays, source)
    arrays = replace(arrays, labels=labels)
    plan, split_rule = _plan(found.source.rule, {split: len(x) for split, x in arrays.data.items()}, source, whole)
    if limit is not None:
        arrays, plan = few_of(arrays, plan, limit)
        split_rule += f"; of each the first {limit}"
    check_memory(arrays, source)
    rows = to_rows(arrays, source)
    image_shape = _check_shape(found, rows.image_shape, rows.data["train"].shape[1], source)
    if binarize != "none" or found.source.image_shape is not None:  # the named sets are images
        for split, x in rows.data.items():
            check_grey(x, f"{source}: the {split} array")
    parts = {
        split: dequantize_rows(
            binarize_rows(rows.data[array][taken], split, binarize, threshold=threshold, seed=seed),
            rows.scale,
            split,
            dequantize,
            seed,
            source,
        )
        for split, (array, taken) in plan.items()
    }
    if binarize == "threshold" and limit is None:
        _check_varied(parts["train" if len(parts["train"]) else "test"], rows.data["train"], threshold, source)
    return Dataset(
        name=found.name,
        train=torch.from_numpy(parts["train"]),
        validation=torch.from_numpy(parts["validation"]),
        test=torch.from_numpy(parts["test"]),
        image_shape=image_shape,
        labels={s: _labels(arrays.labels[a], taken) for s, (a, taken) in plan.items() if a in arrays.labels},
        vocabulary=check_vocabulary(arrays.vocabulary, rows.data["train"].shape[1], source),
        binarize=binarize,
        threshold=threshold,
        dequantize=dequantize,
        seed=seed,
        scale=rows.scale,
        split_rule=split_rule,
        sha256=_sha256(files),
        files=files,
        masks={s: torch.from_numpy(rows.masks[a][taken]) for s, (a, taken) in plan.items() if a in rows.masks},
        grey=any(bool(((x != 0) & (x != 1)).any()) for x in rows.data.values()),
        notes=notes,
    )


def _plan(rule: Rule, sizes: dict[str, int], source: str, as_it_is: bool) -> tuple[Plan, str]:
    """The rows of each split, and in words how they were chosen; `TENTHS` is the rule of files of one's own."""
    if as_it_is and rule is TENTHS and set(sizes) == {"train"}:
        return whole_plan(sizes["train"]), WHOLE
    return rule.plan(sizes, source), rule.text


def _check_shape(
    found: Found, image_shape: tuple[int, ...] | None, num_features: int, source: str
) -> tuple[int, ...] | None:
    """A named set has images of a known size; flattened ones get their shape back."""
    expected = found.source.image_shape
    if expected is None:
        return image_shape
    if image_shape not in (None, expected) or num_features != int(np.prod(expected)):
        size = "×".join(str(n) for n in image_shape or (num_features,))
        raise ValueError(f"{source}: data of {size} values, but {found.name} has {'×'.join(map(str, expected))} pixels")
    return expected


def _check_varied(x: NDArray[np.float32], grey: NDArray[np.float32], threshold: float, source: str) -> None:
    if x.min() == x.max():
        raise ValueError(
            f"{source}: threshold={threshold} makes every training value {x.max():.0f}; the values lie between "
            f"{grey.min():.6g} and {grey.max():.6g}. Take a threshold between them, or binarize='none'"
        )


def _labels(labels: NDArray[np.int64], taken: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(labels[taken])


def _sha256(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in (file for place in files for file in (files_of(place) if place.is_dir() else [place])):
        with path.open("rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()
