"""A folder of pictures as data: PNG, JPEG and the like, all of one size, grey or in colour."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbowroom.datasets.arrays import Arrays
from elbowroom.datasets.keys import split_of
from elbowroom.datasets.refusals import pickle_conversion

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
"""Files that are pictures; others in the folder are not looked at."""

_GREY = ("1", "L", "LA")
_COLOUR = ("RGB", "P", "RGBA", "CMYK")


def read_images(folder: Path) -> Arrays:
    """The pictures, in the order of their names, as `[N, H, W]`, or `[N, H, W, 3]` where one of them has colours.

    Subfolders named train, validation and test are the splits. Other subfolders are classes, in the order of their
    names, as torchvision's ImageFolder has it, the same of each split. Values are 0 … 255, or the 0 and 1 of masks.

    Raises:
        ValueError: if there are no pictures, one cannot be read, they differ in size, see-through ones are among
            them, or there are others in subfolders that are neither splits nor classes; the message names the files.
    """
    splits = {split: place for place in _folders(folder) if (split := split_of(place.name))}
    if splits and "train" not in splits:
        raise ValueError(
            f"{folder}: subfolders {', '.join(p.name for p in splits.values())}, but no train: name one of them, if "
            "that is the data"
        )
    places = splits or {"train": folder}
    classes = sorted({below.name for place in places.values() for below in _folders(place)})
    parts = {split: _labelled(place, classes) for split, place in places.items()}
    _refuse_others(folder, {path for paths, _ in parts.values() for path in paths})
    read = {split: [_read(path) for path in paths] for split, (paths, _) in parts.items()}
    every = [image for images in read.values() for image in images]
    colour = any(image.ndim == 3 for image in every)
    _check_sizes(every, [path for paths, _ in parts.values() for path in paths], folder)
    return Arrays(
        {split: np.stack([_with_channels(image, colour) for image in images]) for split, images in read.items()},
        {split: np.asarray(labels) for split, (_, labels) in parts.items() if labels},
    )


def files_of(folder: Path) -> list[Path]:
    """All pictures in a folder and below it, in a fixed order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())


def _refuse_others(folder: Path, read: set[Path]) -> None:
    """Pictures that would be passed over are a mistake, or data."""
    hidden = {part for part in folder.rglob("*") if part.name.startswith((".", "__"))}
    others = [path for path in files_of(folder) if path not in read and not hidden & {path, *path.parents}]
    if others:
        raise ValueError(
            f"{folder}: {len(read)} pictures are read, and {len(others)} lie elsewhere below it, such as "
            f"{others[0].relative_to(folder)}: put them all into the folder, or into subfolders of it by class, or by "
            "split (train, validation, test) and class"
        )


def _labelled(folder: Path, names: Sequence[str]) -> tuple[list[Path], list[int]]:
    """The pictures of a split, and their classes, numbered as among these names, if they lie in subfolders."""
    if paths := _images(folder):
        return paths, []
    classes = [(names.index(place.name), path) for place in _folders(folder) for path in _images(place)]
    if not classes:
        raise ValueError(
            f"{folder}: a folder without pictures ({', '.join(ENDINGS)}), in it or its subfolders. {_there(folder)}"
        )
    return [path for _, path in classes], [label for label, _ in classes]


def _there(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    if any(name.startswith("data_batch") for name in names):
        return f"Its data_batch files are pickles, and unpickling can run any code: {pickle_conversion('data_batch_1')}"
    shown = ", ".join(names[:5]) + (f", … ({len(names)} in all)" if len(names) > 5 else "")
    return f"There is {shown or 'nothing'}: name one of the files, if it is the data"


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())


def _read(path: Path) -> NDArray[np.uint8]:
    """`[H, W]`, or `[H, W, 3]` of a picture with colours."""
    from PIL import Image, UnidentifiedImageError  # here: slow to import, and few need it

    try:
        with Image.open(path) as image:
            if image.mode not in (*_GREY, *_COLOUR):
                raise ValueError(
                    f"its pixels are of the kind {image.mode!r}, expected 8-bit grey or colours: of 16 bits, "
                    "PIL.Image.fromarray((numpy.asarray(image) // 257).astype('uint8')); of others save all as one "
                    "array [N, height, width] in an .npy"
                )
            alpha = image.mode in ("LA", "RGBA") or "transparency" in image.info
            if alpha and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
                raise ValueError("it is transparent in places: put it on a background (image.convert('RGB'))")
            return np.asarray(image.convert("L" if image.mode in _GREY else "RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path}: cannot be taken as a picture: {error}") from error


def _check_sizes(images: Sequence[NDArray[Any]], paths: Sequence[Path], folder: Path) -> None:
    first = images[0].shape[:2]
    other = [(path, image.shape[:2]) for path, image in zip(paths, images, strict=True) if image.shape[:2] != first]
    if other:
        path, size = other[0]
        raise ValueError(
            f"{folder}: pictures of different sizes: {paths[0].name} has {first[0]}×{first[1]} pixels, "
            f"{path.name} {size[0]}×{size[1]} ({len(other)} of {len(paths)} differ from the first). Give all one size "
            "(Pillow: image.resize((width, height)))"
        )


def _with_channels(image: NDArray[np.uint8], colour: bool) -> NDArray[np.uint8]:
    return np.repeat(image[..., None], 3, axis=-1) if colour and image.ndim == 2 else image
