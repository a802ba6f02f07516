"""A model and a guide pinned to what they are called with: what can be run.

A program called with its data is a function of its random choices alone. To ask it something it is run again under
*messengers* (Pyro's effect handlers): each `pyro.sample` statement becomes a message that passes them from the inside
out, and whoever knows an answer writes it in. `PinnedPrograms.trace` stacks them in one order, outermost first:

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
from functools import cached_property, reduce
from typing import Any, Self

import numpy as np
import pyro
import torch
from pyro import poutine
from pyro.poutine.block_messenger import BlockMessenger
from pyro.poutine.messenger import Messenger
from torch import Tensor

from elbowroom.inference.programs.flat_priors import Flatten
from elbowroom.inference.programs.handlers import Pin, Unmask, Weigh, last_site, under
from elbowroom.inference.programs.structure import Program, Structure
from elbowroom.inference.programs.subsampling import Whole

SAMPLES = "_elbowroom_samples"
"""Name of the plate of samples."""


class PinnedPrograms:
    """A model and a guide with their arguments: knows what the pair looks like, and runs either.

    Nothing here is changed once it is made. What differs in something is another one (`replaced`), which shares the
    rest.

    Attributes:
        model, guide: the programs.
        args, kwargs: what both are called with.
        plate: name of the plate over data, or None if the whole program is one datum.
        structure: sites, plates and shapes.
    """

    def __init__(
        self,
        model: Program,
        guide: Program,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        plate: str | None,
        structure: Structure,
    ) -> None:
        self.model, self.guide, self.args, self.kwargs, self.plate = model, guide, args, kwargs, plate
        self.structure = structure

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
    def like(cls, other: "PinnedPrograms", **changes: Any) -> Self:
        """One of this class that shares all attributes of another but those that change: the one way to clone.

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
        """The same with other attributes."""
        return type(self).like(self, **changes)

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
        """
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
