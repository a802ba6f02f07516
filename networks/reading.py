"""From what somebody's network returns to the tensors of a distribution, as told or as the result itself says."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.distributions import Distribution

from elbowroom.entrances.values import check_choice
from elbowroom.networks.outputs import OUTPUTS, Output, check_parts, describe
from elbowroom.networks.said import one_of, pair_of, parts_of, single_entries

STACKED = "stacked_"
"""Before a name: the tensors stand in one, in equal parts of the dimension that comes first of a datum's."""


def pair_reader(argument: str, output: str | None, known: Sequence[str]) -> Callable[[object], tuple[Tensor, ...]]:
    """How an encoder's mean and standard deviation are read.

    Args:
        argument: the network's name, for errors.
        output: one of `known`, after `"stacked_"` too; None where what is returned says so by itself.
        known: names of pairs in `OUTPUTS`.

    Raises:
        ValueError: for another output.
        TypeError: on a call, if a result says nothing by itself.
    """
    if output is not None:
        check_choice("output", output, (*known, *(STACKED + name for name in known)))

    def read(result: object) -> tuple[Tensor, ...]:
        said = output
        if output is not None and output.startswith(STACKED) and isinstance(result, Tensor):
            result, said = _parts(argument, result, output, 2, 1), output.removeprefix(STACKED)
        else:
            result, said = pair_of(argument, result, output)
        if said is None:
            raise TypeError(
                f"{argument}: returned {describe(result)}, which does not say what it is: say output= one of "
                f"{', '.join(map(repr, known))}; for one tensor of both, 'stacked_' and that name"
            )
        said = said.removeprefix(STACKED)
        return OUTPUTS[said].read(argument, *check_parts(argument, result, said, OUTPUTS[said]))

    return read


class DecoderReader:
    """How what a decoder returns is read: of a distribution object its own parameters; else as `output` says.

    Args:
        output: one of `known`, after `"stacked_"` too; None where what is returned says so by itself.
        known: the ways to say the parameters, by name.
        of_object: a distribution's parameters, `[*batch, ...]` each; None for one of another kind.
        per_value: K, how many numbers each tensor has of each value of a datum.
    """

    def __init__(
        self,
        output: str | None,
        known: Mapping[str, Output],
        of_object: Callable[[Any], tuple[Tensor, ...] | None],
        per_value: int = 1,
    ) -> None:
        self.output, self.known, self.of_object, self.per_value = output, known, of_object, per_value

    def __call__(self, result: object, z: Tensor) -> tuple[Tensor, ...]:
        """The parameters, `[*batch, P]` (or `[*batch, P·K]`) each, where z is `[*batch, D]`.

        Raises:
            TypeError: if a result says nothing by itself, or is something else than was said.
            ValueError: if its shape or its values cannot be.
        """
        if isinstance(result, Distribution):
            return tuple(flat(tensor, z) for tensor in self._of_object(single_entries(result)))
        name, parts = self._picked(result, z.ndim - 1)
        tensors = check_parts("decoder", parts, name, self.known[name])
        return self.known[name].read("decoder", *(flat(tensor, z, self.per_value) for tensor in tensors))

    def _of_object(self, p_x: Any) -> tuple[Tensor, ...]:
        parameters = self.of_object(p_x)
        if parameters is None:
            raise TypeError(
                f"decoder: returned a {type(p_x).__name__}, of which the likelihood's {next(iter(self.known))!r} "
                "cannot be read; return the tensors, or name the likelihood that it is"
            )
        return parameters

    def _picked(self, result: object, num_batch: int) -> tuple[str, object]:
        """What a result is called, and the tensors in it that are meant."""
        if self.output is None:
            return self._by_itself(result)
        name = self.output.removeprefix(STACKED)
        names = self.known[name].parts
        if len(names) == 1:
            return name, one_of(result, (name, *names[0]))
        if name != self.output and isinstance(result, Tensor):
            return name, _parts("decoder", result, self.output, len(names), num_batch)
        return name, parts_of(result, names) or result

    def _by_itself(self, result: object) -> tuple[str, object]:
        """The way that has most tensors of all whose names are there."""
        there = {name: found for name, output in self.known.items() if (found := parts_of(result, output.parts))}
        if not there:
            raise TypeError(
                f"decoder: returned {describe(result)}, which does not say what it is: say output= one of "
                f"{', '.join(map(repr, self.known))}"
            )
        name = max(there, key=lambda name: len(there[name]))
        return name, there[name][0] if len(there[name]) == 1 else there[name]


def flat(output: Tensor, z: Tensor, per_value: int = 1) -> Tensor:
    """`output [*batch, ...]` as `[*batch, P]`, where z is `[*batch, D]`; numbers of one value side by side.

    Args:
        output: of a decoder.
        z: latents.
        per_value: K; in an output of several dimensions a datum, those of a value are in its last dimension or, as
            torch's cross-entropy has classes, in its first.

    Raises:
        ValueError: if the leading dimensions are not those of z, or it cannot be told where the K numbers are.
    """
    num_batch = z.ndim - 1
    if output.ndim <= num_batch or output.shape[:num_batch] != z.shape[:-1]:
        raise ValueError(
            f"decoder: got an output of shape {tuple(output.shape)} for z of shape {tuple(z.shape)}, expected "
            f"{tuple(z.shape[:-1])} followed by the datum's shape; a decoder that takes only z [N, D] needs the "
            "leading dimensions of z folded into one"
        )
    if output.ndim == num_batch + 1:
        return output
    shape = output.shape[num_batch:]
    if per_value > 1 and (shape[-1] == per_value) == (shape[0] == per_value):
        both = "both" if shape[0] == per_value else "neither"
        raise ValueError(
            f"decoder: got {tuple(shape)} numbers a datum, of which the {per_value} of each value are expected in the "
            f"first or in the last dimension, and {both} could be meant; give them flat, those of a value side by "
            "side: lambda z: decoder(z).movedim(1, -1).flatten(1), or without movedim if they are in the last"
        )
    if per_value > 1 and shape[0] == per_value:
        output = output.movedim(num_batch, -1)
    return output.flatten(num_batch)


def _parts(argument: str, result: Tensor, output: str, number: int, dim: int) -> tuple[Tensor, ...]:
    if result.ndim <= dim or result.shape[dim] % number:
        raise ValueError(
            f"{argument}: returned a tensor of shape {tuple(result.shape)} for output={output!r}, expected "
            f"[B, {number} D, ...]: {number} equal parts, the mean in the first"
        )
    return result.chunk(number, dim)
