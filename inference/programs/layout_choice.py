"""Which layout a program can take: the fastest that gives the numbers of plain runs."""

import torch
from torch import Tensor

from elbowroom.inference.programs import densities
from elbowroom.inference.programs.independence import check_repeatable, same
from elbowroom.inference.programs.layouts import LAYOUTS, Layout
from elbowroom.inference.programs.structure import ProgramError
from elbowroom.inference.programs.terms import Values
from elbowroom.inference.programs.triple import Triple

_FEW = 3  # data that layouts are tried on
_PLAIN: dict[str, Layout] = {"model": "loop", "guide": "loop"}
_FAILURES = (RuntimeError, ValueError, IndexError, TypeError, AssertionError)
"""What a program raises that cannot be run in a layout; ProgramError and NotImplementedError are among them."""


def choose_layout(triple: Triple) -> dict[str, Layout]:
    """For model and guide, the fastest layout that gives the numbers of plain runs on a few samples and data.

    Raises:
        ProgramError: if not even plain runs can be evaluated.
    """
    probe = triple.at(torch.arange(min(_FEW, len(triple)))) if triple.sliceable else triple
    with torch.no_grad():
        z, log_q = densities.propose(probe, _PLAIN, 2)
        if not bool(log_q.isfinite().any()):
            raise ProgramError(
                f"the guide's log density at its own draws is {log_q[0, 0].item()} for the first data: a zero-variance "
                "guide (scale 0) or NaN parameters. Give every latent a positive, finite scale."
            )
        try:
            guide = [log_q, densities.log_guide(probe, _PLAIN, z)]
        except NotImplementedError:  # a guide whose density is known at its own draws only
            guide = [log_q]
        truth = {"guide": guide, "model": [*densities.log_joint(probe, "loop", z), log_q]}
        check_repeatable(probe, _PLAIN)
        return {
            what: next(layout for layout in LAYOUTS if layout == "loop" or _agrees(probe, what, layout, z, truth[what]))
            for what in ("guide", "model")
        }


def _agrees(probe: Triple, what: str, layout: Layout, z: Values, truth: list[Tensor]) -> bool:
    """Whether a program in a layout draws z and has the densities of plain runs there."""
    if layout == "fold" and not probe.sliceable:
        return False
    masked = probe.structure.fills is not None  # then the model draws for the guide
    try:
        layouts = {**_PLAIN, what: layout}
        again, log_q = densities.propose(probe, layouts, 2) if what == "guide" or masked else (z, truth[-1])
        if what == "model":
            terms = [*densities.log_joint(probe, layout, z), log_q]
        else:
            terms = [log_q, densities.log_guide(probe, layouts, z)] if len(truth) > 1 else [log_q]
        if not all(same(again[name], z[name]) for name in z):
            return False
    except _FAILURES:
        return False
    return all(same(a, t) for a, t in zip(terms, truth, strict=True))
