"""A model and a guide pinned to data: what can be run, and cut by data.

A program called with its data is a function of its random choices alone. To ask it something it is run again under
*messengers* (Pyro's effect handlers): each `pyro.sample` statement becomes a message that passes them from the inside
out, and whoever knows an answer writes it in. `Triple.trace` stacks them in one order, outermost first:

    trace         writes every site down: distribution, value, mask, plates
    Weigh         sets every scale to 1, after subsampling and `poutine.scale` inside the program have set theirs
    Unmask        takes the masks off latent sites, if there are any: a latent has its own normalised prior
    *messengers   the question: set these latents, draw those from counter-based noise, enumerate the others
    Flatten       gives latents whose prior the model masks away a constant one, if there are any
    Pin           gives the data plate of a minibatch the indices that it drew when the structure was read
    Whole         gives all other subsampling plates all their rows, and plates without a size theirs
    block         hides sites that are one point in both programs, if there are any
    plate         S samples at once, in a dim to the left of all of the program's plates

What comes back is Pyro's trace; `terms.py` reads it. With the plate of samples, values in it are
`[S, *batch, *event]`; a plain run (`num_samples=None`) has no such plate, and values `[*batch, *event]`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial, reduce
from typing import Any, Literal, Self

import numpy as np
import pyro
import torch
from pyro import poutine
from pyro.poutine.block_messenger import BlockMessenger
from pyro.poutine.messenger import Messenger
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
from elbowroom.inference.programs.flat_priors import Flatten
from elbowroom.inference.programs.handlers import Pin, Unmask, Weigh, last_site, under
from elbowroom.inference.programs.requirements import SequentialPlate
from elbowroom.inference.programs.sequential import OfOneDatum, cut, structure_of_each, whole_runs
from elbowroom.inference.programs.structure import Program, ProgramError, read_structure
from elbowroom.inference.programs.subsampling import Whole

SAMPLES = "_elbowroom_samples"
"""Name of the plate of samples."""


class Triple:
    """A model, a guide and data `x_1 … x_B`: knows what the pair looks like, runs either, and picks data.

    Nothing here is changed once it is made. What differs in something is another triple (`replaced`), which shares the
    rest.

    Attributes:
        model, guide: the programs.
        args, kwargs: what both are called with.
        plate: name of the plate over data, or None if the whole program is one datum.
        per_datum: the arguments that hold something of each datum, by position or name -> the axis of the data.
        structure: sites, plates and shapes.
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
        self.model, self.guide, self.args, self.kwargs, self.plate = model, guide, args, kwargs, plate
        self.whole = self.picked = None
        self.local: tuple[str, ...] = ()
        self.drawing: Literal["plate", "loop"] = "loop"
        self.no_gradient = ""
        try:
            self.structure = read_structure(model, guide, args, kwargs, plate)
        except SequentialPlate as refusal:
            return self._datum_by_datum(per_datum, refusal)
        if per_datum is not None:
            self.per_datum = checked_axes(per_datum, arguments, len(self))
        else:
            self.per_datum = {} if plate is None else leading_axes(arguments, len(self))
        self.keys = datum_keys(self.data, len(self))
        self.sliceable = self._follows_its_data()
        if plate is not None and not self.sliceable:
            check_fixed(self.structure.given, None, len(self), plate)
        return None

    def _datum_by_datum(self, per_datum: PerDatum, refusal: SequentialPlate) -> None:
        """The same of data in a sequential plate, each of which has a program of its own (`sequential.py`)."""
        assert self.plate is not None
        arguments = named(self.args, self.kwargs)
        runs, num_data = whole_runs(self.model, self.guide, self.args, self.kwargs, self.plate)
        find = leading_axes if per_datum is None else partial(checked_axes, per_datum)
        self.per_datum = find(arguments, num_data)
        if not self.per_datum:
            raise refusal
        calls = [cut(self.args, self.kwargs, self.per_datum, b) for b in range(num_data)]
        self.model, self.guide = (OfOneDatum(program, self.plate) for program in (self.model, self.guide))
        self.structure = structure_of_each(self.model, self.guide, calls, runs, self.plate, refusal)
        self.keys, self.sliceable = datum_keys(self.data, num_data), True

    # What it is ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.structure.num_data

    @property
    def latents(self) -> dict[str, tuple[int, ...]]:
        """Latent site -> shape of its value for one datum."""
        return {name: latent.shape for name, latent in self.structure.latents.items()}

    @cached_property
    def latent_names(self) -> list[str]:
        """A name for each scalar coordinate of the latents, in order: `z[0]`, `z[1]`, …"""
        names: list[str] = []
        for name, shape in self.latents.items():
            names += [name + (f"[{','.join(map(str, i))}]" if shape else "") for i in np.ndindex(*shape)]
        return names

    @cached_property
    def varying(self) -> Tensor:
        """Which scalar coordinates of the latents can vary: not those that their support makes constant, `[N]`."""
        marks: list[bool] = []
        for latent in self.structure.latents.values():
            event = latent.constant or (False,) * math.prod(latent.event)
            marks += [not constant for constant in event] * math.prod(latent.plates)
        return torch.tensor(marks, dtype=torch.bool)

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

    @property
    def device(self) -> torch.device:
        """Where the data are."""
        values = (*self.args, *self.kwargs.values())
        return next((v.device for v in values if isinstance(v, Tensor)), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """The floating dtype of the latents that have coordinates; without any that of the data, or the default one."""
        known = [latent.dtype for latent in self.structure.latents.values() if latent.dtype is not None]
        if known:
            return reduce(torch.promote_types, known)
        values = (*self.args, *self.kwargs.values())
        floats = (v.dtype for v in values if isinstance(v, Tensor) and v.is_floating_point())
        return next(floats, torch.get_default_dtype())

    # Another one that shares the rest -----------------------------------------------------------------------------

    @classmethod
    def like(cls, other: "Triple", **changes: Any) -> Self:
        """One of this class that shares all attributes of another triple but those that change: the one way to clone.

        Raises:
            TypeError: for a change of something that the other does not have.
        """
        attributes = {
            name: value
            for name, value in vars(other).items()
            if not isinstance(getattr(type(other), name, None), cached_property)  # worked out from the others
        }
        if unknown := sorted(changes.keys() - attributes.keys()):
            raise TypeError(f"a {type(other).__name__} has no attributes {unknown}; it has {sorted(attributes)}")
        new = object.__new__(cls)
        vars(new).update(attributes | changes)
        return new

    def replaced(self, **changes: Any) -> Self:
        """The same triple with other attributes."""
        return type(self).like(self, **changes)

    def holding(self, values: Mapping[int | str, Tensor]) -> Self:
        """The same programs with other tensors, of the same shapes, as some of their arguments; keys stay.

        Per-datum arguments are given as `data` has them, `[B, ...]`.
        """
        whole = self.whole
        placed = {key: as_argument(value, self.per_datum.get(key, 0)) for key, value in values.items()}
        return self.replaced(
            args=tuple(placed.get(i, a) for i, a in enumerate(self.args)),
            kwargs={k: placed.get(k, a) for k, a in self.kwargs.items()},
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
        placed = {key: as_argument(value, self.per_datum[key]) for key, value in zip(self.per_datum, rows, strict=True)}
        args = tuple(placed.get(i, a) for i, a in enumerate(self.args))
        kwargs = {k: placed.get(k, a) for k, a in self.kwargs.items()}
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

    # Running it ---------------------------------------------------------------------------------------------------

    def trace(self, what: str, num_samples: int | None, *messengers: Any) -> Any:
        """Pyro's trace of one run of the `"model"` or the `"guide"` under messengers, innermost last.

        `num_samples` puts it in a plate of samples; None makes a plain run.
        """
        stack = [Weigh(), *self._unmask(what), *messengers, *self._flatten(what), *self._pins()]
        if num_samples is not None:
            stack.append(pyro.plate(SAMPLES, num_samples, dim=-1 - self.structure.nesting))
        tracer = poutine.trace()
        try:
            with tracer:
                under(stack, lambda: self._program(what)(*self.args, **self.kwargs))
        except Exception as error:
            error.add_note(f"in the {what}, {last_site(tracer.trace)}")
            raise
        return tracer.trace

    def program(self, what: str) -> Program:
        """The model or the guide as a plain Pyro program pinned to this data, unscaled, latents without their masks.

        It is for Pyro's own samplers.

        Raises:
            ProgramError: if these are some of the data of programs that cannot be cut.
        """
        if self.whole is not None:
            raise ProgramError(f"these programs cannot be given part of their data: {self.why_whole()}")
        inner = self._program(what)

        def pinned() -> Any:
            return under([Weigh(), *self._unmask(what), *self._pins()], lambda: inner(*self.args, **self.kwargs))

        return pinned

    def _pins(self) -> list[Any]:
        sizes = {name: len(self) if name == self.plate else n for name, n in self.structure.sizes.items()}
        follow = self.structure.follow
        hidden = [BlockMessenger(hide=list(follow))] if follow else []
        return [Pin(self.structure.pinned), Whole(but=self.structure.pinned, sizes=sizes), *hidden]

    def _unmask(self, what: str) -> list[Messenger]:
        structure = self.structure
        names = {*structure.masked, *(structure.discrete if what == "model" else structure.collapsed)}
        return [Unmask(names)] if names else []

    def _flatten(self, what: str) -> list[Messenger]:
        return [Flatten(self.structure.flat)] if what == "model" and self.structure.flat else []

    def _program(self, what: str) -> Program:
        return self.model if what == "model" else self.guide
