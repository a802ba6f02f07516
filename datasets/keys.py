"""The names under which files hold data, labels and masks, split by split."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from elbowroom.datasets.arrays import Arrays

_DATA_KEYS = {
    "train": ("train", "x_train", "train_x", "train_images", "x", "data", "images", "imgs", "arr_0"),
    "validation": ("validation", "valid", "val", "x_validation", "x_valid", "x_val", "validation_images"),
    "test": ("test", "x_test", "test_x", "test_images", "testdata"),
}
_LABEL_KEYS = {
    "train": ("y_train", "train_y", "train_labels", "y", "labels", "targets", "target", "latents_classes"),
    "validation": ("y_validation", "y_valid", "y_val", "validation_labels"),
    "test": ("y_test", "test_y", "test_labels"),
}

_MASK_KEYS = {
    "train": ("mask", "mask_train", "train_mask"),
    "validation": ("mask_validation", "validation_mask", "mask_valid", "mask_val"),
    "test": ("mask_test", "test_mask"),
}

_LABEL_COLUMNS = ("label", "labels", "y", "class", "target")


class Keys(NamedTuple):
    """Split -> the key of its array, for each of what a split has; and the keys of what is none of these."""

    data: Mapping[str, str]
    labels: Mapping[str, str]
    masks: Mapping[str, str]
    others: tuple[str, ...] = ()

    def used(self) -> set[str]:
        """The keys of what is read."""
        return {key for part in (self.data, self.labels, self.masks) for key in part.values()}


def find_keys(keys: Iterable[str], source: str) -> Keys:
    """Which of a file's keys hold data, labels and masks, whatever their case.

    Raises:
        ValueError: if none holds training data, or two claim the same split.
    """
    names = list(keys)
    data, labels, masks = (_claims(names, known, source) for known in (_DATA_KEYS, _LABEL_KEYS, _MASK_KEYS))
    found = Keys(data, labels, masks)
    if "train" not in found.data:
        raise ValueError(
            f"{source}: no array to train on. Its keys are {_listed(names)}; expected one of "
            f"{', '.join(_DATA_KEYS['train'])} (and, if there are held-out data, validation and test or the like). "
            "Save the data under such a name, or alone in an .npy file"
        )
    return found._replace(others=tuple(name for name in names if name not in found.used()))


def arrays_by_key(keys: Keys, read: Mapping[str, Any]) -> Arrays:
    """The arrays under the keys that were found."""
    parts = (keys.data, keys.labels, keys.masks)
    data, labels, masks = ({split: read[key] for split, key in part.items()} for part in parts)
    return Arrays(data, labels, masks=masks, notes=(f"not read: {_listed(keys.others)}",) if keys.others else ())


def split_of(name: str) -> str | None:
    """The split that a folder's name says, if it says one."""
    folders = {
        "train": ("train", "training"),
        "validation": ("validation", "valid", "val"),
        "test": ("test", "testing"),
    }
    return next((split for split, names in folders.items() if name.lower() in names), None)


def is_label_column(name: str) -> bool:
    """Whether a table's column of that name holds classes."""
    return name.strip().lower() in _LABEL_COLUMNS


def _claims(names: list[str], known: Mapping[str, tuple[str, ...]], source: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for split, aliases in known.items():
        claims = [name for name in names if name.lower() in aliases]
        if len(claims) > 1:
            raise ValueError(f"{source}: the keys {_listed(claims)} all name the {split} array: keep one of them")
        if claims:
            found[split] = claims[0]
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"
