"""What a network says about a distribution: one tensor or several, said explicitly and checked."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.networks.said import MEAN, SPREAD

Read = Callable[..., tuple[Tensor, ...]]

_ROUNDED = 0.01  # what sums of probabilities may be off: half precision leaves a thousandth


class Output(NamedTuple):
    """One way to say a distribution.

    Attributes:
        parts: of each tensor the names that it may have in a mapping or object.
        read: from the network's name (for errors) and these tensors to those that a guide or a likelihood takes.
        broadcasts: whether some of the tensors may have fewer dimensions, as a parameter that is one for all data has.
    """

    parts: tuple[tuple[str, ...], ...]
    read: Read
    broadcasts: bool = False


def one_called(*names: str) -> tuple[tuple[str, ...]]:
    """The parts of what is one tensor, under any of these names."""
    return (names,)


def as_said(argument: str, *tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors as they are."""
    return tensors


def positive(argument: str, value: Tensor, output: str, log_output: str) -> Tensor:
    """The logarithm of means or rates; those of exactly 0 count as the smallest number that there is.

    Raises:
        ValueError: if one is negative or not finite, or all are zero.
    """
    low, high = (limit.item() for limit in value.detach().aminmax())
    if not (low >= 0 and 0 < high < float("inf")):  # NaN fails too
        raise ValueError(
            f"{argument}: returned values between {low:.4g} and {high:.4g}, expected positive, finite ones for "
            f"output={output!r}; a network whose outputs have any sign says output={log_output!r}"
        )
    return value.clamp_min(torch.finfo(value.dtype).tiny).log()


def logit_of_probs(argument: str, probs: Tensor, output: str = "probs", logit_output: str = "logits") -> Tensor:
    """The logits of probabilities of single events.

    Raises:
        ValueError: if they are none.
    """
    low, high = (limit.item() for limit in probs.detach().aminmax())
    if not (low >= 0 and high <= 1):  # NaN fails too
        raise ValueError(
            f"{argument}: returned values between {low:.4g} and {high:.4g}, expected probabilities in [0, 1] for "
            f"output={output!r}; a network without a final sigmoid says output={logit_output!r}"
        )
    # As torch does: a probability that has been rounded to 0 or 1 counts as one rounding step away from it.
    return torch.logit(probs, eps=torch.finfo(probs.dtype).eps)


def shares(size: int | None, output: str, log_output: str, otherwise: str) -> Output:
    """Numbers that sum to one over each `size` values side by side, or over a datum: what a softmax returns.

    Args:
        size: K; None for all values of a datum.
        output: what this is called.
        log_output: what their logarithms, or unnormalised ones, are called.
        otherwise: what to say where they do not sum to one.
    """

    def read(argument: str, value: Tensor) -> tuple[Tensor, ...]:
        log_shares = positive(argument, value, output, log_output)
        check_sums(argument, log_shares if size is None else log_shares.reshape(-1, size), output, otherwise)
        return (log_shares,)

    return Output(one_called(output), read)


def check_sums(argument: str, log_shares: Tensor, output: str, otherwise: str) -> None:
    """Refuses numbers, of which the logarithms are given, `[*, K]`, that do not sum to one.

    Raises:
        ValueError: with the sums, and what to say of such numbers.
    """
    low, high = (limit.item() for limit in log_shares.detach().exp().sum(-1).aminmax())
    if not (abs(low - 1) < _ROUNDED and abs(high - 1) < _ROUNDED):
        raise ValueError(
            f"{argument}: returned numbers that sum to between {low:.4g} and {high:.4g}, expected shares that sum to 1 "
            f"for output={output!r}; {otherwise}"
        )


def _probs(argument: str, probs: Tensor) -> tuple[Tensor, ...]:
    return (logit_of_probs(argument, probs),)


def _mean_log_var(argument: str, mean: Tensor, log_var: Tensor) -> tuple[Tensor, ...]:
    return mean, _check_std(argument, torch.exp(log_var / 2), "mean_log_var")


def _mean_std(argument: str, mean: Tensor, std: Tensor) -> tuple[Tensor, ...]:
    return mean, _check_std(argument, std, "mean_std")


def _mean_log_std(argument: str, mean: Tensor, log_std: Tensor) -> tuple[Tensor, ...]:
    return mean, _check_std(argument, torch.exp(log_std), "mean_log_std")


def _concentrations(argument: str, alpha: Tensor, beta: Tensor) -> tuple[Tensor, ...]:
    one, other = (positive(argument, value, "concentrations", "log_concentrations") for value in (alpha, beta))
    return one, other


def _mean_scale(argument: str, mean: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
    return mean, positive(argument, scale, "mean_scale", "mean_log_scale")


_LOG_SCALE, _SCALE = ("log_scale", "log_s"), ("scale", "s")

OUTPUTS: dict[str, Output] = {
    "logits": Output(one_called("logits"), as_said),
    "probs": Output(one_called("probs"), _probs),
    "mean": Output(one_called(*MEAN), as_said),
    "mean_log_var": Output((MEAN, SPREAD["mean_log_var"]), _mean_log_var),
    "mean_std": Output((MEAN, SPREAD["mean_std"]), _mean_std),
    "mean_log_std": Output((MEAN, SPREAD["mean_log_std"]), _mean_log_std),
    "mean_log_scale": Output((MEAN, _LOG_SCALE), as_said),
    "mean_scale": Output((MEAN, _SCALE), _mean_scale),
    "log_concentrations": Output((("log_alpha", "log_concentration1"), ("log_beta", "log_concentration0")), as_said),
    "concentrations": Output((("alpha", "concentration1"), ("beta", "concentration0")), _concentrations),
}
"""By their names, what guides hear and what likelihoods hear: logits, the mean, the mean and a standard deviation or a
scale, the two concentrations of a beta distribution. What is said of counts is in `count_outputs.py`."""


def named_outputs(*names: str) -> dict[str, Output]:
    """Some of `OUTPUTS`."""
    return {name: OUTPUTS[name] for name in names}


def check_parts(argument: str, result: object, name: str, output: Output) -> tuple[Tensor, ...]:
    """The tensors of a result, as many as the output has, of one shape.

    Raises:
        TypeError: if it is something else.
        ValueError: if their shapes differ.
    """
    if len(output.parts) == 1:
        if not isinstance(result, Tensor):
            raise TypeError(f"{argument}: returned {describe(result)}, expected one tensor for output={name!r}")
        return (result,)
    number = {2: "a pair", 3: "a triple"}[len(output.parts)]
    right = isinstance(result, tuple | list) and len(result) == len(output.parts)
    if not right or not all(isinstance(t, Tensor) for t in result):  # type: ignore[attr-defined]
        raise TypeError(
            f"{argument}: returned {describe(result)}, expected {number} of tensors for output={name!r}; give a "
            "function that picks these, such as lambda x: network(x)[1:]"
        )
    tensors: tuple[Tensor, ...] = tuple(result)  # type: ignore[arg-type]
    if output.broadcasts:
        return _alike(argument, name, tensors)
    if any(t.shape != tensors[0].shape for t in tensors):
        shapes = " and ".join(str(tuple(t.shape)) for t in tensors)
        raise ValueError(
            f"{argument}: returned tensors of shapes {shapes}, expected {len(tensors)} of the same shape for "
            f"output={name!r}"
        )
    return tensors


def _alike(argument: str, name: str, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """All in the shape of the largest, of which the others may lack dimensions."""
    largest = max(tensors, key=lambda tensor: tensor.numel()).shape
    try:
        return tuple(tensor.expand(largest) for tensor in tensors)
    except RuntimeError:
        shapes = " and ".join(str(tuple(t.shape)) for t in tensors)
        raise ValueError(
            f"{argument}: returned tensors of shapes {shapes}, expected one shape for output={name!r}, or numbers that "
            f"are the same for all data, {list(largest[1:])} or []"
        ) from None


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
