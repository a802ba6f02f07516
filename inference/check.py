"""Run a pair of programs once and say, in readable words, what is wrong with their shapes or what they look like."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.programs.arguments import PerDatum
from elbowroom.inference.programs.independence import check_permuted
from elbowroom.inference.programs.structure import Program
from elbowroom.inference.showing.numbers import in_short
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table
from elbowroom.inference.target import Target


@dataclass(frozen=True, repr=False)
class ProgramReport(Shown):
    """What `check_program` saw: printable, one line a site.

    Attributes:
        num_data: B.
        latents: latent site -> shape of its value for one datum.
        sites: (program, kind, site, plates, batch shape, event shape) of each sample site.
        layouts: how model and guide are given many samples (see `Target`).
        notes: things that are allowed but worth knowing.
    """

    num_data: int
    latents: dict[str, tuple[int, ...]]
    sites: tuple[tuple[str, str, str, str, str, str], ...]
    layouts: dict[str, str]
    notes: tuple[str, ...]

    def as_table(self) -> Table:
        """The sites of both programs, under what is worth knowing."""
        title = f"{self.num_data} data; samples run as model: {self.layouts['model']}, guide: {self.layouts['guide']}"
        columns = ("program", "kind", "site", "plates (dim, size)", "batch", "event")
        head = (title, *(f"note: {note}" for note in self.notes))
        return Table(head, columns, "<" * len(columns), self.sites, noun="sites")


@checked
def check_program(
    model: Program,
    guide: Program,
    *args: Any,
    plate: str | None = "data",
    per_datum: PerDatum = None,
    **kwargs: Any,
) -> ProgramReport:
    """Check that (model, guide, data) is a triple whose terms separate datum by datum.

    Looks for: programs that fail on these arguments, sites that only one program has, sites outside the data plate,
    batch dims that no plate covers, data in a sequential plate whose steps depend on each other, data outside the
    likelihood's support, point-mass guides, terms that change when a datum stands alone or the data are permuted, and
    programs that are not functions of their arguments (dropout or batch normalisation left in training mode).

    Raises:
        ProgramError: naming the site or argument, what was found, and what to do.
    """
    target = Target(model, guide, *args, plate=plate, per_datum=per_datum, **kwargs)
    with torch.no_grad():
        if target.sliceable:
            check_permuted(target, target.layouts)
        z, log_q = target.propose(2)
        terms = _terms(target, z, log_q)
    return ProgramReport(
        num_data=len(target),
        latents=target.latents,
        sites=tuple(_rows(target)),
        layouts=dict(target.layouts),
        notes=tuple(_notes(target, terms)),
    )


def _terms(target: Target, z: dict[str, Tensor], log_q: Tensor) -> dict[str, Tensor]:
    prior, likelihood = target.log_joint(z)
    return {"log q(z|x)": log_q, "log p(z)": prior, "log p(x|z)": likelihood}


def _rows(target: Target) -> list[tuple[str, str, str, str, str, str]]:
    rows = []
    for what, kind, name, site in target.sites():
        plates = ", ".join(f"{f.name} ({f.dim}, {f.size})" for f in site["cond_indep_stack"]) or "-"
        batch, event = (str(tuple(shape)) for shape in (site["fn"].batch_shape, site["fn"].event_shape))
        rows.append((what, kind, name, plates, batch, event))
    return rows


def _minibatch(target: Target) -> str:
    """What is said of a data plate that stands for more rows than there are; empty for one that does not."""
    if target.plate is None:
        return ""
    frames = (f for *_, site in target.sites() for f in site["cond_indep_stack"] if f.name == target.plate)
    sizes = {f.full_size for f in frames} - {None, -1, len(target)}
    return (
        f"plate '{target.plate}' stands for {max(sizes)} rows, and the programs have {len(target)} of them: the "
        "numbers are of these, in the order in which they were given, and nothing is scaled up"
        if sizes
        else ""
    )


def _notes(target: Target, terms: dict[str, Tensor]) -> list[str]:
    structure = target.structure
    notes = [*in_short(target.unnormalised), *target.notes, *(caution.reason for caution in structure.cautions)]
    if structure.improper:
        notes.append(f"improper priors: {', '.join(structure.improper)}: there is no p(x), but hmc and nuts may run")
    if structure.masked:
        notes.append(f"masked latents follow their prior where they are hidden: {', '.join(structure.masked)}")
    if structure.fills is not None and not bool(structure.fills.all()):
        notes.append("for some data the guide draws what is hidden itself, as its other draws may depend on it")
    if structure.separate:
        notes.append(f"plate '{target.plate}' is sequential: the programs are run for one datum after the other")
    if target.structure.discrete:
        notes.append(f"finite discrete latents summed out exactly: {', '.join(target.structure.discrete)}")
    if target.structure.whole:
        notes.append(f"plates that take a subsample are given all their rows: {', '.join(target.structure.whole)}")
    if minibatch := _minibatch(target):
        notes.append(minibatch)
    if target.plate is not None and not target.sliceable and len(target) > 1:
        notes.append(
            "the programs cannot be given part of their data, so B = 1 and permuted data were not tried: "
            + target.why_whole()
        )
    if bool((terms["log p(z)"] == -torch.inf).any()):
        notes.append("the guide draws values outside the prior's support: their weights are zero")
    bad = ~torch.isfinite(terms["log q(z|x)"]).all(0) | torch.isnan(terms["log p(x|z)"]).any(0)
    if bool(bad.any()):
        notes.append(
            f"NaN or infinite terms for data {bad.nonzero().flatten().tolist()[:8]}: these data cannot be answered"
        )
    return notes
