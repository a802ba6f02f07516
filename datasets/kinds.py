"""What is a datum? The kinds of data that programs are written for, and what a data set hands to a program of each.

    model(*arguments), guide(*arguments),    arguments = KINDS[kind].arguments(data, split)

The first argument is always x, observations with a row for each datum; each of the others has a row for each datum too.
A new kind is one line of `KINDS`; `elbowroom.models.registry.Entry.data` names it for a family.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeGuard

import torch
from torch import Tensor

from elbowroom.datasets.arrays import name_rows
from elbowroom.datasets.dataset import Dataset

Arguments = tuple[Tensor, ...]
Sizes = Mapping[str, int | tuple[int, ...]]


class Kind(NamedTuple):
    """One kind of data.

    Attributes:
        says: the programs' arguments in words.
        arguments: the arguments of a split.
        sizes: what a constructor may ask for by name, of the training data's arguments.
    """

    says: str
    arguments: Callable[[Dataset, str], Arguments]
    sizes: Callable[[Arguments], Sizes]


def _rows(data: Dataset, split: str) -> Arguments:
    if data.masks:
        raise ValueError(
            f"{data.name}: sequences of different lengths, and these programs are given x without a mask; take a model "
            "of sequences, such as deep-markov, or, of your own programs, say that a datum is a 'sequence'"
        )
    return (data.split(split),)


def _whole_numbers(data: Dataset, split: str) -> Arguments:
    """The numbers that the source holds, before they were divided by its scale."""
    if data.binarize != "none":
        raise ValueError(
            f"{data.name}: binarize={data.binarize!r} leaves zeros and ones, and this model is of whole numbers: load "
            "the data with binarize='none'"
        )
    x = data.split(split) * data.scale
    rounded = x.round()
    far = ((x - rounded).abs() > 1e-3).any(1) | (rounded < 0).any(1)
    if bool(far.any()):
        rows = far.nonzero().flatten().tolist()
        raise ValueError(
            f"{data.name} ({split}): expected whole numbers from 0 on, got others in {name_rows(rows)}; counts are "
            "integers in the file, or floats that are whole"
        )
    return (rounded,)


def _images(data: Dataset, split: str) -> Arguments:
    if _is_channels_first(data.image_shape):
        return (data.split(split).reshape(-1, *data.image_shape),)
    height, width, channels = _image_shape(data)
    x = data.split(split).reshape(-1, height, width, channels)
    return (x.movedim(-1, 1).contiguous() if channels > 1 else x.reshape(-1, 1, height, width),)


def _is_channels_first(shape: tuple[int, ...] | None) -> TypeGuard[tuple[int, int, int]]:
    """Whether images in colour are stored as torch has them, (3, height, width)."""
    return shape is not None and len(shape) == 3 and shape[0] == 3 and shape[2] != 3


def _image_shape(data: Dataset) -> tuple[int, int, int]:
    shape = data.image_shape
    if shape is None or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3)):
        raise ValueError(
            f"{data.name}: a datum has the shape {shape}, expected an image (height, width) or (height, width, 3): "
            "store the array as [N, height, width] or [N, height, width, 3]"
        )
    return shape[0], shape[1], shape[2] if len(shape) == 3 else 1


def _steps(data: Dataset, split: str) -> Arguments:
    """The rows of an image, or of a table `[T, P]`, one after the other; a datum without rows has one value a step.

    Without a mask of the data's own all steps are there.
    """
    x, shape = data.split(split), data.image_shape
    num_steps = x.shape[1] if shape is None else shape[0]
    x = x.reshape(len(x), num_steps, -1)
    return x, data.masks[split] if data.masks else torch.ones(x.shape[:2], dtype=torch.bool)


def _labelled(data: Dataset, split: str) -> Arguments:
    x, y = _labels(data, split)
    if bool((y < 0).any()):
        rows = (y < 0).nonzero().flatten().tolist()
        raise ValueError(f"{data.name} ({split}): {name_rows(rows)} have no label, and this model takes one of each")
    return x, y


def _partly_labelled(data: Dataset, split: str) -> Arguments:
    x, y = _labels(data, split)
    return x, y.clamp(min=0), y >= 0


def _labels(data: Dataset, split: str) -> Arguments:
    if split not in data.labels:
        raise ValueError(
            f"{data.name} has no labels of the {split} split: use digits, mnist or omniglot, or a .npz file with "
            "`y_train` (whole numbers, one a datum) beside `x_train`" + "".join(f"; {note}" for note in data.notes)
        )
    return data.split(split), data.labels[split]


def _completion(data: Dataset, split: str) -> Arguments:
    """The lower half of the rows of an image, and the upper half, with the middle one if their number is odd."""
    height, width, channels = _image_shape(data)
    x, seen = data.split(split), (height + 1) // 2 * width * channels
    return x[:, seen:], x[:, :seen]


def _of_rows(arguments: Arguments) -> Sizes:
    return {"data_dim": arguments[0].shape[1]}


def _of_completion(arguments: Arguments) -> Sizes:
    return {"data_dim": arguments[0].shape[1], "context_dim": arguments[1].shape[1]}


def _of_images(arguments: Arguments) -> Sizes:
    shape = tuple(arguments[0].shape[1:])
    return {"data_dim": arguments[0][0].numel(), "image_shape": shape}


def _of_steps(arguments: Arguments) -> Sizes:
    return {"data_dim": arguments[0].shape[2], "num_steps": arguments[0].shape[1]}


def _of_labels(arguments: Arguments) -> Sizes:
    return {"data_dim": arguments[0].shape[1], "num_classes": int(arguments[1].max()) + 1}


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "binary": Kind("x [B, P], zeros and ones", _rows, _of_rows),
        "real": Kind("x [B, P], real numbers", _rows, _of_rows),
        "unit": Kind("x [B, P], numbers from 0 to 1", _rows, _of_rows),
        "counts": Kind("x [B, P], whole numbers 0, 1, 2, …", _whole_numbers, _of_rows),
        "levels": Kind("x [B, P], whole numbers 0 … K − 1", _whole_numbers, _of_rows),
        "bag": Kind("x [B, W], how often each of W words occurs", _whole_numbers, _of_rows),
        "image": Kind("x [B, C, H, W]", _images, _of_images),
        "sequence": Kind("x [B, T, P] and mask [B, T], true where there is a step", _steps, _of_steps),
        "labelled": Kind("x [B, P] and y [B], a class 0 … K − 1", _labelled, _of_labels),
        "partly-labelled": Kind(
            "x [B, P] and y [B], a class 0 … K − 1, and seen [B], true where it is told", _partly_labelled, _of_labels
        ),
        "completion": Kind(
            "x [B, P], the lower half of an image, and its upper half [B, C]", _completion, _of_completion
        ),
    }
)
"""Kind -> what it is, beginning with a flat row of values."""
