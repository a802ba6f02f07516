"""What there is to walk through: the data on a map, and around each of them a plane of latent space."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.entry_points import report_function
from elbowroom.inference.estimate import Bound
from elbowroom.inference.exploration.frame import Frame
from elbowroom.inference.showing.numbers import plain, with_error
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import LINES, Table

ABSENT, STEPS = 255, 254
"""The byte of a value that is not there, and the number of steps between the lowest and the highest value."""


@dataclass(frozen=True)
class Scale:
    """Which values the bytes 0 … 254 of pictures stand for: value = low + (high − low) · byte / 254; 255 is none."""

    low: float
    high: float

    def bytes_of(self, values: Tensor) -> Tensor:
        """Values (NaN: not there) as bytes, the nearest one; beyond the ends, the end."""
        width = (self.high - self.low) or 1.0
        steps = ((values - self.low) / width * STEPS).round().clamp(0, STEPS)
        return torch.where(values.isnan(), float(ABSENT), steps.nan_to_num(0.0)).to(torch.uint8)


@dataclass(frozen=True, repr=False)
class Decoded(Shown):
    """What the model makes of a lattice of points on a plane.

    Attributes:
        window: the part of the plane, `[P, 2]`, ends included.
        mean: E[x | z] in bytes of `Exploration.scale`, `[G, G, *event]` (a line: `[G, *event]`).
        sample: a draw of x given each point, the same; None if there is none.
    """

    window: Tensor
    mean: Tensor
    sample: Tensor | None

    def as_table(self) -> Table:
        """How many points there are."""
        shape = " × ".join(map(str, self.mean.shape[: len(self.window)]))
        drawn = "" if self.sample is None else ", and a draw of x at each"
        return Table((f"means of x at {shape} points of a plane{drawn}",))


@dataclass(frozen=True)
class Rung:
    """One value of a datum, nats: what it is, its standard error, and what it bounds."""

    name: str
    value: float
    stderr: float
    bound: Bound


@dataclass(frozen=True, repr=False)
class View(Shown):
    """What is around one datum.

    Attributes:
        datum: its index.
        frame: the plane.
        log_joint: log p(x, u) on the plane's lattice, nats, `[M, M]` (a line: `[M]`); −∞ where there is no density.
        log_prior: log p(u), the same.
        log_q: log q(u | x), the same; None if the guide's density at a point is unknown.
        posterior: draws of Markov chains that passed their gates, where they fall upon the plane, `[K, P]`; None
            without such.
        guide: draws of q, the same.
        modes: places of the modes that chains or q lead to, highest first, `[J, P]`.
        code: where the mean of q falls, `[P]`.
        again: E[x | z] at the mean of q, bytes `[*event]`; None if the model cannot be asked.
        decoded: the model around the datum; None if it cannot be asked, or if the map's serves all data alike.
        ladder: from the ELBO upwards.
        says: sentences on what is to be seen, and what not to trust.
    """

    datum: int
    frame: Frame
    log_joint: Tensor
    log_prior: Tensor
    log_q: Tensor | None
    posterior: Tensor | None
    guide: Tensor
    modes: Tensor
    code: Tensor
    again: Tensor | None
    decoded: Decoded | None
    ladder: tuple[Rung, ...]
    says: tuple[str, ...]

    def as_table(self) -> Table:
        """Which plane it is, and the ladder."""
        head = (f"the latent space around datum {self.datum}", self.frame.says, *self.says)
        rows = [(rung.name, with_error(rung.value, rung.stderr), rung.bound) for rung in self.ladder]
        return Table(head, ("rung", "nats", "bound"), "<><", rows, noun="rungs")


@dataclass(frozen=True, repr=False)
class Column(Shown):
    """A number, or a label, of each datum.

    Attributes:
        values: `[B]`; NaN where it is not known.
        says: what it is.
        unit: `nats`, or empty.
        worst: which values most need a look: the highest, the lowest, or none (None).
        is_label: whether values are names of classes, not amounts.
    """

    values: Tensor
    says: str
    unit: str = ""
    worst: Literal["high", "low"] | None = None
    is_label: bool = False

    def as_table(self) -> Table:
        """What it is, and its ends."""
        known = self.values[self.values.isfinite()]
        ends = (
            f" from {plain(float(known.min()), 4)} to {plain(float(known.max()), 4)} {self.unit}" if len(known) else ""
        )
        return Table((f"{self.says}: {len(known)} of {len(self.values)} data{ends.rstrip()}",))


@dataclass(frozen=True, repr=False)
class Moment(Shown):
    """Where the data were at a moment of the training.

    Attributes:
        name: such as `epoch 20`.
        codes: the means of q on the map, `[B, P]`.
        columns: name -> `[B]`, such as ELBO and room.
    """

    name: str
    codes: Tensor
    columns: Mapping[str, Tensor]

    def as_table(self) -> Table:
        """When, and what is known of the data then."""
        return Table((f"{len(self.codes)} data at {self.name}: codes, {', '.join(self.columns)}",))


@dataclass(frozen=True, repr=False)
class Exploration(Shown):
    """The latent space around each of many data, to be walked through in a page (`save`).

    Attributes:
        num_data: B.
        latents: names of the D coordinates.
        is_constrained: whether coordinates are unconstrained ones u of latents z = T(u); densities are those of u.
        observed: name of the observed site that is drawn.
        x: its values, bytes `[B, *event]`.
        scale: of all bytes.
        columns: name -> a number of each datum: ELBO, log p(x), room, k̂, label.
        flags: of each datum why its numbers should not be trusted, or an empty string.
        map: the plane of all codes.
        codes: the mean of q of each datum, where it falls upon the map, `[B, P]`.
        log_prior: log p(u) on the lattice of the map, nats, `[M, M]`.
        decoded: the model over the map; None if it cannot be asked, or if a datum tells it more than z.
        views: of the chosen data, those that most need a look first.
        moments: of the training, in order; empty without.
        notices: what is not shown, and why.
        about: what was explored: part -> name -> what it is.
    """

    num_data: int
    latents: tuple[str, ...]
    is_constrained: bool
    observed: str
    x: Tensor
    scale: Scale
    columns: Mapping[str, Column]
    flags: tuple[str, ...]
    map: Frame
    codes: Tensor
    log_prior: Tensor
    decoded: Decoded | None
    views: tuple[View, ...]
    moments: tuple[Moment, ...] = ()
    notices: tuple[str, ...] = ()
    about: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.num_data

    def as_table(self) -> Table:
        """The views, in order."""
        head = (
            f"{len(self)} data, {len(self.latents)} latents of each; planes around {len(self.views)} of them",
            *self.notices,
            "(.save('explore.html') writes the page)",
        )
        names = [name for name, column in self.columns.items() if not column.is_label][:4]
        rows = [
            (
                str(view.datum),
                *(f"{float(self.columns[name].values[view.datum]):.3f}" for name in names),
                self.flags[view.datum],
            )
            for view in self.views[:LINES]
        ]
        return Table(head, ("datum", *names, "flag"), ">" * (1 + len(names)) + "<", rows, len(self.views), "views")

    @checked
    def save(
        self,
        path: str | Path,
        *,
        image_shape: tuple[int, ...] | None = None,
        title: str | None = None,
        max_bytes: int = 3_000_000,
    ) -> Path:
        """Write one page that asks for nothing over the network; it is whole or not there. Returns its path.

        Args:
            path: of the page, such as `explore.html`.
            image_shape: of a datum: (height, width), (height, width, 3) or (3, height, width); `()` says that data are
                no pictures, None lets it be guessed.
            title: of the page.
            max_bytes: of the file; lattices and pictures are made coarser, and then planes fewer, to keep it, and
                the page says so.

        Raises:
            RuntimeError: if elbowroom was installed before it named who writes the page.
            ValueError: if the shape does not fit the data.
        """
        write = report_function("exploration", "elbowroom.report.save_explorer(exploration, path)")
        written: Path = write(self, path, image_shape=image_shape, title=title, max_bytes=max_bytes)
        return written
