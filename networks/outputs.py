"""What a network says about a distribution: one tensor or a pair, said explicitly and checked."""

from collections.abc import Callable

import torch
from torch import Tensor

Read = Callable[[str, object], tuple[Tensor, ...]]


def _as_one(output: str) -> Read:
    return lambda argument, result: (_one(argument, result, output),)


def _as_two(output: str) -> Read:
    return lambda argument, result: _two(argument, result, output)


def _probs(argument: str, result: object) -> tuple[Tensor, ...]:
    probs = _one(argument, result, "probs")
    low, high = (limit.item() for limit in probs.aminmax())
    if not (low >= 0 and high <= 1):  # NaN fails too
        raise ValueError(
            f"{argument}: returned values between {low:.4g} and {high:.4g}, expected probabilities in [0, 1] for "
            "output='probs'; a network without a final sigmoid says output='logits'"
        )
    # As torch does: a probability that has been rounded to 0 or 1 counts as one rounding step away from it.
    eps = torch.finfo(probs.dtype).eps
    return (torch.logit(probs, eps=eps),)


def _rate(argument: str, result: object) -> tuple[Tensor, ...]:
    rate = _one(argument, result, "rate")
    low, high = (limit.item() for limit in rate.aminmax())
    if not (low > 0 and high < float("inf")):  # NaN fails too
        raise ValueError(
            f"{argument}: returned values between {low:.4g} and {high:.4g}, expected positive, finite ones for "
            "output='rate'; a network whose outputs have any sign says output='log_rate'"
        )
    return (rate.log(),)


def _mean_log_var(argument: str, result: object) -> tuple[Tensor, ...]:
    mean, log_var = _two(argument, result, "mean_log_var")
    return mean, _check_std(argument, torch.exp(log_var / 2), "mean_log_var")


def _mean_std(argument: str, result: object) -> tuple[Tensor, ...]:
    mean, std = _two(argument, result, "mean_std")
    return mean, _check_std(argument, std, "mean_std")


def _mean_log_std(argument: str, result: object) -> tuple[Tensor, ...]:
    mean, log_std = _two(argument, result, "mean_log_std")
    return mean, _check_std(argument, torch.exp(log_std), "mean_log_std")


OUTPUTS: dict[str, Read] = {
    "logits": _as_one("logits"),
    "probs": _probs,
    "mean": _as_one("mean"),
    "mean_log_var": _mean_log_var,
    "mean_std": _mean_std,
    "mean_log_std": _mean_log_std,
    "mean_log_scale": _as_two("mean_log_scale"),
    "log_rate": _as_one("log_rate"),
    "rate": _rate,
    "log_mean": _as_one("log_mean"),
    "log_mean_gate": _as_two("log_mean_gate"),
    "log_concentrations": _as_two("log_concentrations"),
}
"""From the argument's name (for errors) and what that network returned to the tensors of the distribution: logits, the
mean or its logarithm, the mean and the standard deviation or the logarithm of a scale, the mean's logarithm and the
logit of an extra zero, log α and log β of a beta distribution."""


def _one(argument: str, result: object, output: str) -> Tensor:
    if not isinstance(result, Tensor):
        raise TypeError(f"{argument}: returned {describe(result)}, expected one tensor for output={output!r}")
    return result


def _two(argument: str, result: object, output: str) -> tuple[Tensor, Tensor]:
    if not (isinstance(result, tuple | list) and len(result) == 2 and all(isinstance(t, Tensor) for t in result)):
        raise TypeError(
            f"{argument}: returned {describe(result)}, expected a pair of tensors for output={output!r}; give a "
            "function that picks these two, such as lambda x: network(x)[1:]"
        )
    first, second = result
    if first.shape != second.shape:
        raise ValueError(
            f"{argument}: returned tensors of shapes {tuple(first.shape)} and {tuple(second.shape)}, expected two of "
            f"the same shape for output={output!r}"
        )
    return first, second


def _check_std(argument: str, std: Tensor, output: str) -> Tensor:
    low, high = (limit.item() for limit in std.aminmax())
    if not (low > 0 and high < float("inf")):  # NaN fails too
        hint = "; for a log variance say output='mean_log_var'" if low < 0 else ""
        raise ValueError(
            f"{argument}: returned standard deviations between {low:.4g} and {high:.4g} under output={output!r}, "
            f"expected positive, finite ones{hint}"
        )
    return std


def describe(result: object) -> str:
    """What a network returned, in words."""
    if isinstance(result, Tensor):
        return f"one tensor of shape {tuple(result.shape)}"
    if isinstance(result, tuple | list):
        return f"a {type(result).__name__} of {len(result)} ({', '.join(type(item).__name__ for item in result)})"
    return f"a {type(result).__name__}"
