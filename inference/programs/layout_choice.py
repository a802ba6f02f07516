"""Which layout a program can take: the fastest that gives the numbers of plain runs."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from elbowroom.inference.programs import densities
from elbowroom.inference.programs.independence import check_repeatable, same
from elbowroom.inference.programs.layouts import LAYOUTS, Layout
from elbowroom.inference.programs.refusals import strict
from elbowroom.inference.programs.structure import MOST_BRANCHES, ProgramError
from elbowroom.inference.programs.terms import Values
from elbowroom.inference.programs.triple import Triple
from elbowroom.inference.programs.varied import NUM_VARIED, alike, varied

_FEW = 3  # data that layouts are tried on
_PLAIN: dict[str, Layout] = {"model": "loop", "guide": "loop"}
_BARE = (RuntimeError, ValueError, IndexError, TypeError, KeyError, ArithmeticError, AssertionError)
_FAILURES = (RuntimeError, ValueError, IndexError, TypeError, AssertionError)
"""What a program raises that cannot be run in a layout; ProgramError and NotImplementedError are among them."""


def choose_layout(triple: Triple) -> dict[str, Layout]:
    """For model and guide, the fastest layout that gives the numbers of plain runs on a few samples and data.

    Raises:
        ProgramError: if not even plain runs can be evaluated.
    """
    probe = _probe(triple)
    with torch.no_grad():
        z, log_q = _first_draws(probe)
        if not bool(log_q.isfinite().any()):
            raise ProgramError(
                f"the guide's log density at its own draws is {log_q[0, 0].item()} for the first data: a zero-variance "
                "guide (scale 0) or NaN parameters. Give every latent a positive, finite scale."
            )
        try:
            guide = [log_q, densities.log_guide(probe, _PLAIN, z)]
        except NotImplementedError:  # a guide whose density is known at its own draws only
            guide = [log_q]
        truth = {"guide": guide, "model": [*_first_joint(probe, z), log_q]}
        check_repeatable(probe, _PLAIN)
        structure = probe.structure
        # The log density of a guide of one site reads no value but that site's own.
        far = _Far.of(probe, both=len(guide) > 1 and len(structure.latents) + len(structure.auxiliary) > 1)
        return {
            what: next(
                layout
                for layout in LAYOUTS
                if layout == "loop" or (_agrees(probe, what, layout, z, truth[what]) and far.agrees(what, layout))
            )
            for what in ("guide", "model")
        }


def _first_draws(probe: Triple) -> tuple[Values, Tensor]:
    """Two draws of the guide and log q.

    Raises:
        ProgramError: it fails where sites that it drew before are summed out.
    """
    try:
        return densities.propose(probe, _PLAIN, 2)
    except (ProgramError, NotImplementedError):
        raise
    except _BARE as error:
        if probe.structure.collapsed:
            raise _fails_summed("guide", probe.structure.collapsed, error) from error
        raise


def choose_drawing(triple: Triple, layouts: Mapping[str, Layout]) -> Literal["plate", "loop"]:
    """How a model whose densities are vmapped draws its latents: in a plate of samples, if they are as in plain runs.

    What such a model does with its latents takes no dim of samples; its prior alone often does.
    """
    if layouts["model"] != "vmap" or triple.structure.sequential:
        return "loop"
    one_by_one = _probe(triple).replaced(drawing="loop")
    in_plate = one_by_one.replaced(drawing="plate")
    try:
        with torch.no_grad():
            expected, found = _draws(one_by_one, layouts), _draws(in_plate, layouts)
    except _FAILURES:
        return "loop"
    return "plate" if all(same(found[name], expected[name]) for name in expected) else "loop"


def _draws(triple: Triple, layouts: Mapping[str, Layout]) -> Values:
    """Draws of the prior, and of the guide where the model draws what masks hide."""
    prior = densities.sample_prior(triple, layouts["model"], NUM_VARIED)
    if triple.structure.fills is None:
        return prior
    filled, log_q = densities.propose(triple, layouts, NUM_VARIED)
    return prior | {f"{name}, filled": value for name, value in filled.items()} | {"log q": log_q}


def _probe(triple: Triple) -> Triple:
    return triple.at(torch.arange(min(_FEW, len(triple)))) if triple.sliceable else triple


def _first_joint(probe: Triple, z: Values) -> list[Tensor]:
    """The model's terms at draws of the guide; what fails there is told as a fault of the program.

    Raises:
        ProgramError: naming the sites that were summed out, if there are any, and where the run has ended.
    """
    try:
        with strict():
            return list(densities.log_joint(probe, "loop", z))
    except (ProgramError, NotImplementedError):
        raise
    except _BARE as error:
        discrete = tuple(n for n in probe.structure.discrete if n not in probe.structure.sequential)
        if discrete:
            raise _fails_summed("model", discrete, error) from error
        raise ProgramError(
            f"the model runs on its own draws, but fails at latents drawn by the guide.\n  {_said(error)}"
        ) from error


def _fails_summed(what: str, discrete: tuple[str, ...], error: Exception) -> ProgramError:
    return ProgramError(
        f"the {what} fails where its discrete sites {list(discrete)} are summed out, each of them with all of its "
        f"values at once along a new dim.\n  {_said(error)}\n  If it branches on one (`if k:`), mark that site with "
        f"infer={{'enumerate': 'sequential'}}: every branch is run then, up to {MOST_BRANCHES} of them. Else write it "
        "for any dims on the left: torch.where, values[..., k], or pyro.ops.indexing.Vindex."
    )


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error} ({'; '.join(getattr(error, '__notes__', []))})"


@dataclass(frozen=True)
class _Far:
    """Points far apart, at which a program that branches on all samples at once differs from plain runs.

    Attributes:
        triple: the programs on a few data.
        z: the points.
        truth: terms of plain runs by program; a program that fails at them is not tried there.
    """

    triple: Triple
    z: Values
    truth: dict[str, list[Tensor]]

    @classmethod
    def of(cls, triple: Triple, both: bool) -> "_Far":
        z, truth = varied(triple), {}
        for what in ("model", "guide") if both else ("model",):
            with suppress(Exception):  # whatever it raises there: points out of reach are not asked about
                truth[what] = _terms(triple, what, "loop", z)
        return cls(triple, z, truth)

    def agrees(self, what: str, layout: Layout) -> bool:
        """Whether a program in a layout has the densities of plain runs."""
        if what not in self.truth:
            return True
        try:
            found = _terms(self.triple, what, layout, self.z)
        except Exception:
            return False
        return all(alike(f, t) for f, t in zip(found, self.truth[what], strict=True))


def _terms(triple: Triple, what: str, layout: Layout, z: Values) -> list[Tensor]:
    if what == "model":
        return list(densities.log_joint(triple, layout, z))
    return [densities.log_guide(triple, {**_PLAIN, "guide": layout}, z)]


def _agrees(probe: Triple, what: str, layout: Layout, z: Values, truth: list[Tensor]) -> bool:
    """Whether a program in a layout draws z and has the densities of plain runs there.

    One that raises there is not in its layout: cut into single samples, as points that raise are, it would agree.
    """
    if layout == "fold" and not probe.sliceable:
        return False
    masked = probe.structure.fills is not None  # then the model draws for the guide
    try:
        layouts = {**_PLAIN, what: layout}
        with strict():
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
