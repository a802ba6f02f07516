"""From what somebody's network returns to the tensors of a distribution, as told or as the result itself says."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.distributions import Distribution

from elbowroom.networks.outputs import OUTPUTS, describe
from elbowroom.networks.said import one_of, pair_of, single_entries

STACKED = "stacked_"
"""Before the name of a pair: the two stand in one tensor, the first half of its second dimension and the other."""


def pair_reader(argument: str, output: str | None, known: Sequence[str]) -> Callable[[object], tuple[Tensor, ...]]:
    """How a mean and a standard deviation are read.

    Args:
        argument: the network's name, for errors.
        output: one of `known`, after `"stacked_"` too; None where what is returned says so by itself.
        known: names of pairs in `OUTPUTS`.

    Raises:
        TypeError: on a call, if a result says nothing by itself.
    """

    def read(result: object) -> tuple[Tensor, ...]:
        said = output
        if output is not None and output.startswith(STACKED) and isinstance(result, Tensor):
            result, said = _halves(argument, result, output), output.removeprefix(STACKED)
        else:
            result, said = pair_of(argument, result, output)
        if said is None:
            raise TypeError(
                f"{argument}: returned {describe(result)}, which does not say what it is: say output= one of "
                f"{', '.join(map(repr, known))}; for one tensor of both, 'stacked_' and that name"
            )
        return OUTPUTS[said.removeprefix(STACKED)](argument, result)

    return read


def one_reader(argument: str, output: str | None, known: Sequence[str]) -> Callable[[object], tuple[Tensor, ...]]:
    """How a distribution's only tensor is read: of a distribution object, its own; else as `output` says.

    Args:
        argument: the network's name, for errors.
        output: one of `known`; None where a distribution is returned.
        known: names in `OUTPUTS`, that of the likelihood's own parameter first.

    Raises:
        TypeError: on a call, if a result says nothing by itself, or is a distribution of another kind.
    """

    def read(result: object) -> tuple[Tensor, ...]:
        if isinstance(result, Distribution):
            return OUTPUTS[known[0]](argument, _parameter(argument, result, known[0]))
        if output is None:
            raise TypeError(
                f"{argument}: returned {describe(result)}, which does not say what it is: say output= one of "
                f"{', '.join(map(repr, known))}"
            )
        return OUTPUTS[output](argument, one_of(result, output))

    return read


_PARAMETERS: dict[str, Callable[[Any], Tensor]] = {
    "logits": lambda p_x: p_x.logits,
    "mean": lambda p_x: p_x.mean,
    "log_rate": lambda p_x: p_x.rate.log(),
}
"""What a distribution object says of itself, for each way of saying it that a likelihood may take first."""


def _parameter(argument: str, result: Distribution, output: str) -> Tensor:
    p_x = single_entries(result)
    try:
        return _PARAMETERS[output](p_x)
    except (KeyError, AttributeError):
        raise TypeError(
            f"{argument}: returned a {type(p_x).__name__}, of which the likelihood's {output!r} cannot be read; return "
            "the tensors, or name the likelihood that it is"
        ) from None


def _halves(argument: str, result: Tensor, output: str) -> tuple[Tensor, Tensor]:
    if result.ndim < 2 or result.shape[1] % 2:
        raise ValueError(
            f"{argument}: returned a tensor of shape {tuple(result.shape)} for output={output!r}, expected "
            "[B, 2 D, ...]: the mean in the first half, the other one in the second"
        )
    first, second = result.chunk(2, 1)
    return first, second
