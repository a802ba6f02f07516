"""A triple whose discrete sites that the guide draws are summed out of both programs."""

import math
import weakref
from typing import Any, TypeVar

from elbowroom.inference.programs.gradients import why_no_gradient
from elbowroom.inference.programs.layout_choice import choose_drawing, choose_layout
from elbowroom.inference.programs.structure import MOST_BRANCHES, ProgramError
from elbowroom.inference.programs.triple import Triple

T = TypeVar("T", bound=Triple)

MOST_VALUES = 100_000
"""Combinations of values for a datum up to which discrete sites that the guide draws are summed out."""
_COLLAPSED: "weakref.WeakKeyDictionary[Triple, Any]" = weakref.WeakKeyDictionary()
"""What came of it: a triple, or the error that says why not."""


def collapsed(triple: T, needed: bool) -> T:
    """The triple without the finite discrete latents that its guide draws: see `Target.collapsed`."""
    counts = {n: latent.num_values for n, latent in triple.structure.latents.items() if latent.num_values}
    if not counts or math.prod(counts.values()) > MOST_VALUES or triple.structure.auxiliary:
        return triple
    if triple not in _COLLAPSED:
        try:
            _COLLAPSED[triple] = collapse(triple, tuple(counts))
        except ProgramError as refusal:
            _COLLAPSED[triple] = refusal
    found = _COLLAPSED[triple]
    if not isinstance(found, ProgramError):
        return found
    if needed:
        raise found
    return triple


def collapse(triple: T, sites: tuple[str, ...]) -> T:
    """The triple without these latents: all their values at once, or else, up to 64 of them, one by one.

    At once is cheaper, but asks programs to broadcast over dims of their own for the values; a network that
    concatenates a label with a latent does not.

    Raises:
        ProgramError: the programs fail either way.
    """
    try:
        return _summing(triple, sites, at_once=True)
    except ProgramError as refusal:
        latents = [triple.structure.latents[name] for name in sites]
        if any(latent.plates for latent in latents) or math.prod(n.num_values or 1 for n in latents) > MOST_BRANCHES:
            raise
        try:
            return _summing(triple, sites, at_once=False)
        except ProgramError:
            raise refusal from None


def _summing(triple: T, sites: tuple[str, ...], at_once: bool) -> T:
    every = triple if triple.whole is None else triple.whole
    whole = every.replaced(structure=every.structure.summing(sites, at_once))
    layouts = choose_layout(whole)
    found: dict[str, Any] = {
        "layouts": layouts,
        "drawing": choose_drawing(whole, layouts),
        "no_gradient": why_no_gradient(whole, layouts),
    }
    if triple.whole is None:
        return whole.replaced(**found)
    structure = triple.structure.summing(sites, at_once)
    return triple.replaced(structure=structure, whole=whole.replaced(**found), **found)
