"""What a network is given beside x or z: a class label as one-hot, or a vector, on any leading dimensions."""

import torch
from torch import Tensor

from elbowroom.entrances.values import check_size


def one_hot(labels: Tensor, num_classes: int, like: Tensor) -> Tensor:
    """The k-th unit vector for each label k in `labels [*batch]`: `[*batch, K]`, of the dtype of `like`."""
    return (labels.unsqueeze(-1) == torch.arange(num_classes, device=labels.device)).to(like.dtype)


def beside(*parts: Tensor) -> Tensor:
    """Vectors `[*batch, n_i]` one after the other, `[*batch, Σ n_i]`; their leading dimensions broadcast."""
    batch = torch.broadcast_shapes(*(part.shape[:-1] for part in parts))
    return torch.cat([part.expand(*batch, part.shape[-1]) for part in parts], -1)


def check_context(context: Tensor, context_dim: int, like: Tensor) -> Tensor:
    """The context of each datum of `like [B, ...]` as vectors `[B, C]`: whole numbers are class labels, made one-hot.

    Args:
        context: `[B, C]` of the dtype of `like` (or `[B, ...]`, flattened), or labels 0 … C − 1 of an integer dtype,
            `[B]`.
        context_dim: C.
        like: data, with a row for each context.

    Raises:
        TypeError: if it is no tensor, or of another dtype than the data.
        ValueError: if it has another number of rows or columns, or labels out of range.
    """
    if not isinstance(context, Tensor):
        raise TypeError(f"context: got {type(context).__name__}, expected a torch.Tensor with a row for each datum")
    if not context.is_floating_point():
        return one_hot(check_labels("context", context, context_dim, len(like)), context_dim, like)
    flat = context.flatten(1) if context.ndim > 2 else context
    if flat.shape != (len(like), context_dim):
        raise ValueError(
            f"context: got shape {tuple(context.shape)} for {len(like)} data, expected [{len(like)}, {context_dim}], "
            f"or class labels [{len(like)}] of an integer dtype (try context.long())"
        )
    if context.dtype != like.dtype:
        raise TypeError(f"context: got {context.dtype} beside data of {like.dtype}; try context.to({like.dtype})")
    return flat


def check_labels(name: str, labels: Tensor, num_classes: int, num_data: int) -> Tensor:
    """Class labels 0 … K − 1, one for each datum, `[B]`.

    Raises:
        ValueError: if they are of another shape, of a dtype of real numbers, or out of range.
    """
    if labels.shape != (num_data,) or labels.is_floating_point():
        raise ValueError(
            f"{name}: got shape {tuple(labels.shape)} and {labels.dtype}, expected class labels [{num_data}] of an "
            "integer dtype, one for each datum"
        )
    outside = (labels < 0) | (labels >= num_classes)
    if bool(outside.any()):
        rows = outside.nonzero().flatten().tolist()
        raise ValueError(
            f"{name}: got labels outside 0 … {num_classes - 1}, such as {int(labels[outside][0])} (rows {rows[:8]}); "
            "give the number of classes that the data have, or number them from 0"
        )
    return labels


def context_size(context_dim: int | None, num_classes: int | None) -> int:
    """C, of which one of the two is given: the length of a vector, or the number of classes.

    Raises:
        ValueError: if neither is given, or both.
    """
    if (context_dim is None) == (num_classes is None):
        raise ValueError(
            f"context_dim and num_classes: got {context_dim} and {num_classes}, expected one of them: the length of "
            "the vectors that are the context, or the number of classes whose labels are"
        )
    return check_size("context_dim", context_dim) if num_classes is None else check_size("num_classes", num_classes)
