"""How good are draws, if one looks at them? How rough they are, and how far from the nearest training image.

Both are told in units of held-out data: 1 is what new data have. Draws that are smoother are below 1 in roughness;
draws that copy training images are below 1 in distance, those that look like none are above.
"""

import torch
from torch import Tensor

_CHUNK = 256


def roughness(x: Tensor, image_shape: tuple[int, int]) -> float:
    """The mean absolute difference of neighbouring pixels, over rows and columns, of images `[N, P]`."""
    images = x.reshape(-1, *image_shape)
    across, down = images.diff(dim=2).abs(), images.diff(dim=1).abs()
    return ((across.sum() + down.sum()) / (across.numel() + down.numel())).item()


def nearest_distance(x: Tensor, train: Tensor) -> float:
    """The mean over images `[N, P]` of the smallest Σ_p |x_p − t_p| to a training image t, `[M, P]`."""
    nearest = [torch.cdist(rows, train.to(rows), p=1).amin(1) for rows in x.split(_CHUNK)]
    return torch.cat(nearest).mean().item()
