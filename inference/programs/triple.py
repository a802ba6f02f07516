"""A model, a guide and data: the same programs on some of the data, or on others.

The data lie in those arguments that hold something of each datum, along an axis. A triple on some of its data is the
same programs with these arguments cut, each datum with the key of its noise. Programs that do not follow when they are
given part of their data are run on all of them, and the answers picked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from elbowroom.inference.programs.arguments import (
    Axes,
    PerDatum,
    as_argument,
    as_rows,
    checked_axes,
    leading_axes,
    named,
    picked_rows,
    refuse_empty,
)
from elbowroom.inference.programs.datum_keys import datum_digests, datum_keys
from elbowroom.inference.programs.fixed_globals import check_fixed
from elbowroom.inference.programs.pinned_programs import PinnedPrograms
from elbowroom.inference.programs.requirements import SequentialPlate
from elbowroom.inference.programs.sequential import OfOneDatum, read_each
from elbowroom.inference.programs.structure import Program, ProgramError, read_structure


class Triple(PinnedPrograms):
    """A model, a guide and data `x_1 … x_B`: pinned programs that are read when they are made, and cut by data.

    Attributes:
        per_datum: the arguments that hold something of each datum, by position or name -> the axis of the data.
        keys: a key for each datum, `[B]` uint64, made from its contents: its noise follows it wherever it stands.
        sliceable: whether the programs follow when their data are picked.
        local: parameters with a row for each datum, which are not cut with the data.
        drawing: how latents of a model are drawn whose densities are vmapped: in a plate of samples, or one by one.
        whole, picked: of data picked where the programs do not follow: the triple of all data, which is evaluated, and
            which of them these are, `[R]`; None otherwise.
    """

    whole: Self | None
    picked: Tensor | None

    def __init__(
        self,
        model: Program,
        guide: Program,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        plate: str | None,
        per_datum: PerDatum = None,
    ) -> None:
        arguments = named(args, kwargs)
        refuse_empty(arguments)
        self.whole = self.picked = None
        self.local: tuple[str, ...] = ()
        self.drawing: Literal["plate", "loop"] = "loop"
        self.no_gradient = ""
        try:
            structure = read_structure(model, guide, args, kwargs, plate)
        except SequentialPlate as refusal:
            assert plate is not None
            each = read_each(model, guide, args, kwargs, plate, per_datum, refusal)
            super().__init__(each.model, each.guide, args, kwargs, plate, each.structure)
            self.per_datum, self.sliceable = each.axes, True
            self.keys = datum_keys(self.data, len(self))
            return
        super().__init__(model, guide, args, kwargs, plate, structure)
        if per_datum is not None:
            self.per_datum = checked_axes(per_datum, arguments, len(self))
        else:
            self.per_datum = {} if plate is None else leading_axes(arguments, len(self))
        self.keys = datum_keys(self.data, len(self))
        self.sliceable = self._follows_its_data()
        if plate is not None and not self.sliceable:
            check_fixed(self.structure.given, None, len(self), plate)

    # Its data -----------------------------------------------------------------------------------------------------

    @property
    def data(self) -> list[Tensor]:
        """The per-datum arguments, `[B, ...]` each whatever the axis of their data, in the order of `per_datum`."""
        return self.rows_of(self.per_datum)

    def rows_of(self, keys: Iterable[int | str]) -> list[Tensor]:
        """Some of the per-datum arguments, `[B, ...]` each."""
        arguments = named(self.args, self.kwargs)
        return [as_rows(arguments[key], self.per_datum[key]) for key in keys]

    @property
    def contents(self) -> list[Tensor]:
        """What makes a datum another one, `[B, ...]` each: here all per-datum arguments."""
        return self.data

    @property
    def digests(self) -> Tensor:
        """A digest of each datum, `[B]` int64, equal for equal data."""
        if self.whole is not None and self.picked is not None:
            return self.whole.digests[self.picked]
        return datum_digests(self.contents, len(self))

    # Another one that shares the rest -----------------------------------------------------------------------------

    def holding(self, values: Mapping[int | str, Tensor]) -> Self:
        """The same programs with other tensors, of the same shapes, as some of their arguments; keys stay.

        Per-datum arguments are given as `data` has them, `[B, ...]`.
        """
        (args, kwargs), whole = self._arguments_with(values), self.whole
        return self.replaced(
            args=args,
            kwargs=kwargs,
            whole=whole and whole.holding({k: v for k, v in values.items() if k in whole.per_datum}),
        )

    def pinned_to(self, values: Mapping[int | str, Tensor]) -> Self:
        """The same programs with other tensors, of the same shapes, as some of their arguments, and keys of those."""
        if self.whole is not None and self.picked is not None:
            whole = self.whole.pinned_to({k: v for k, v in values.items() if k in self.whole.per_datum})
            return self.holding(values).replaced(whole=whole, keys=whole.keys[self.picked.numpy()])
        new = self.holding(values)
        return new.replaced(keys=datum_keys(new.data, len(new)))

    def over(self, rows: Sequence[Tensor], keys: np.ndarray) -> Self:
        """The same programs on other data, however many, with these keys; what is said of each datum is read anew.

        Args:
            rows: for each per-datum argument, in the order of `data`, the rows `[R, ...]` in its place.
            keys: of these data, `[R]` uint64.

        Raises:
            ProgramError: if the programs cannot be given other data, or cannot be read with these.
        """
        if not self.sliceable or isinstance(self.model, OfOneDatum):
            why = "each datum has a program of its own" if self.sliceable else self.why_whole()
            raise ProgramError(f"these programs cannot be given other data: {why}")
        args, kwargs = self._arguments_with(dict(zip(self.per_datum, rows, strict=True)))
        structure = read_structure(self.model, self.guide, args, kwargs, self.plate, self.structure.pinned)
        if structure.num_data != len(keys):
            raise ProgramError(f"the programs have {structure.num_data} data when they are given {len(keys)}")
        said = {caution.reason for caution in structure.cautions}
        of_all = [caution for caution in self.structure.cautions if bool(caution.data.all())]
        more = [replace(c, data=torch.ones(len(keys), dtype=torch.bool)) for c in of_all if c.reason not in said]
        structure = replace(structure, cautions=(*structure.cautions, *more))
        return self.replaced(args=args, kwargs=kwargs, structure=structure, keys=keys)

    def along(self, axes: Axes) -> Self:
        """The same programs and data, cut along other axes of their arguments, by position or name."""
        new = self.replaced(per_datum=axes)
        new.keys = datum_keys(new.data, len(new))
        new.sliceable = new._follows_its_data()
        return new

    def at(self, index: Tensor) -> Self:
        """The same programs on the data of an index `[R]` in 0 … B − 1, each with its key; nothing is checked."""
        picked = {key: value[index.to(value.device)] for key, value in zip(self.per_datum, self.data, strict=True)}
        return self.holding(picked).replaced(keys=self.keys[index.numpy()], structure=self.structure.at(index))

    def pick(self, index: Tensor) -> Self:
        """The data of an index `[R]` of programs that do not follow: all are evaluated, and these picked."""
        return self.replaced(
            whole=self if self.whole is None else self.whole,
            picked=index if self.picked is None else self.picked[index],
            keys=self.keys[index.numpy()],
            structure=self.structure.at(index),
        )

    def select(self, index: Sequence[int] | Tensor | np.ndarray) -> Self:
        """The same programs on some of the data (repeats allowed); each datum keeps its noise.

        Programs that cannot be given part of their data (`plate=None`, a plate of fixed size, a parameter for each
        datum) are evaluated on all of them, and the answers picked: right, at the cost of all.
        """
        rows = picked_rows(index, len(self))
        if self.sliceable:
            return self.at(rows)
        return self if torch.equal(rows, torch.arange(len(self))) else self.pick(rows)

    def _arguments_with(self, values: Mapping[int | str, Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with other tensors in the place of some."""
        placed = {key: as_argument(value, self.per_datum.get(key, 0)) for key, value in values.items()}
        args = tuple(placed.get(i, a) for i, a in enumerate(self.args))
        return args, {k: placed.get(k, a) for k, a in self.kwargs.items()}

    # Whether it can be cut ----------------------------------------------------------------------------------------

    def _follows_its_data(self) -> bool:
        """Whether the programs follow when their data are picked: tried once, on two copies of the first datum."""
        if self.plate is None or not self.per_datum:
            return False
        two = self.at(torch.zeros(2, dtype=torch.long))
        try:
            structure = read_structure(self.model, self.guide, two.args, two.kwargs, self.plate, self.structure.pinned)
        except ProgramError:
            return False
        if structure.num_data == 2:
            check_fixed(self.structure.given, structure.given, len(self), self.plate)
        return structure.num_data == 2

    def why_whole(self) -> str:
        """Why the data cannot be cut, in words, and what to do."""
        if self.plate is None:
            return "its plate is None, which makes the whole program one datum"
        if self.local:
            return f"the parameters {list(self.local)} have a row for each datum, and are not cut with the data"
        every = self if self.whole is None else self.whole
        axes = {key: axis for key, axis in every.per_datum.items() if axis}
        if every.per_datum:
            told = f"when the arguments {list(every.per_datum)} are cut" + f" along {axes}" * bool(axes)
        else:
            arguments = named(every.args, every.kwargs).items()
            shapes = {key: tuple(v.shape) for key, v in arguments if isinstance(v, Tensor)}
            if not shapes:
                return f"no argument has a row for each of the {len(every)} data. Give the data as arguments"
            told = f"for no argument is known to hold {len(every)} data along its first axis (shapes {shapes})"
        return (
            f"plate '{self.plate}' keeps its size {len(every)} {told}. Write the plate as pyro.plate(name, len(x)), or "
            "say which arguments hold the data along which axis: per_datum={0: axis}, by position or name"
        )

    def program(self, what: str) -> Program:
        """As `PinnedPrograms.program`.

        Raises:
            ProgramError: if these are some of the data of programs that cannot be cut.
        """
        if self.whole is not None:
            raise ProgramError(f"these programs cannot be given part of their data: {self.why_whole()}")
        return super().program(what)
