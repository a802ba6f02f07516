"""Many hypotheses tested at once: which are rejected."""

import torch
from torch import Tensor


def holm(p_value: Tensor, level: float) -> tuple[Tensor, float]:
    """Which of Q hypotheses are rejected with a family-wise error of `level` (Holm 1979), `[Q]`, and the last limit.

    The k-th smallest p-value is held against level / (Q − k + 1), until one is above.
    """
    order, total = p_value.argsort(), len(p_value)
    limits = level / torch.arange(total, 0, -1, dtype=torch.float64)
    passed = (p_value[order] <= limits).long().cumprod(0).bool()
    rejected = torch.zeros(total, dtype=torch.bool)
    rejected[order] = passed
    return rejected, float(limits[max(int(passed.sum()) - 1, 0)])
