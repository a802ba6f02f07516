"""Matrices that have no factor, answered by NaN instead of an error."""

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Unfactored(TorchFunctionMode):
    """Inside, a matrix that has no Cholesky factor or inverse has one of NaN instead of raising."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        soft = _SOFT.get(func)
        if soft is None:
            return func(*args, **(kwargs or {}))
        *results, info = soft(*args, **(kwargs or {}))
        result = results[0]
        failed = (info > 0).reshape(*info.shape, *(1,) * (result.dim() - info.dim()))
        return torch.where(failed, torch.nan, result)


_SOFT: dict[Any, Callable[..., Any]] = {
    torch.linalg.cholesky: torch.linalg.cholesky_ex,
    torch.linalg.inv: torch.linalg.inv_ex,
    torch.inverse: torch.linalg.inv_ex,
    torch.linalg.solve: torch.linalg.solve_ex,
}
