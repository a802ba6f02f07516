"""What a triple gives under a layout that is given: draws of the guide, and log densities `[S, B]` in nats.

For datum x_b and samples s = 1 … S, each function below is one question to one program:

    propose                  z[s, b] ~ q(z | x_b),  log q(z[s, b] | x_b)          the guide, drawing
    log_guide                log q(z[s, b] | x_b)                                 the guide, its latents set
    log_joint                log p(z[s, b]),  log p(x_b | z[s, b])                the model, its latents set
    log_joint_unconstrained  the joint at z = T(u), plus log |det dT/du|          the model, latents set to T(u)
    log_masked               log p of what masks hide of z, which q draws from p  the model, its latents set
    latent_terms             log q and log p of each latent site                  both
    sample_prior             z[s, b] ~ p(z)                                       the model, drawing

All of them are `run`: a *layout* (`layouts.py`) brings S samples of B data to the program, a *term* (`terms.py`) runs
it and reads the answer off. `Target` is these functions under the layouts that were found right for its programs.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from elbowroom.entrances.said import said
from elbowroom.inference.programs import evaluations, terms
from elbowroom.inference.programs.global_state import quiet_globals
from elbowroom.inference.programs.handlers import Set
from elbowroom.inference.programs.layouts import LAYOUTS, Layout
from elbowroom.inference.programs.noise import Noise
from elbowroom.inference.programs.picked import on_whole
from elbowroom.inference.programs.refusals import Questions, refusing, strict
from elbowroom.inference.programs.sequential import by_datum
from elbowroom.inference.programs.structure import ProgramError
from elbowroom.inference.programs.terms import Result, Term, Values
from elbowroom.inference.programs.triple import Triple

Layouts = Mapping[str, Layout]
"""`"model"` and `"guide"` -> how it is run."""

_PLAIN: Layouts = {"model": "loop", "guide": "loop"}


def run(
    triple: Triple,
    layout: Layout,
    term: Term,
    values: Mapping[str, Tensor],
    num_samples: int,
    noise: Noise | None = None,
) -> Result:
    """Evaluate a term of a program in a layout: values by site and terms by name, all `[S, B, ...]`."""
    with evaluations.counting(num_samples * len(triple) * _weight(values)):
        return _run(triple, layout, term, values, num_samples, noise)


def _weight(values: Mapping[str, Tensor]) -> int:
    """What an evaluation at these values counts as."""
    differentiated = torch.is_grad_enabled() and any(value.requires_grad for value in values.values())
    return evaluations.GRADIENT if differentiated else 1


def _run(
    triple: Triple, layout: Layout, term: Term, values: Mapping[str, Tensor], num_samples: int, noise: Noise | None
) -> Result:
    if triple.whole is not None:

        def on_all(whole: Triple, term: Term, values: Mapping[str, Tensor], noise: Noise | None) -> Result:
            return run(whole, layout, term, values, num_samples, noise)

        return on_whole(triple, term, values, noise, on_all)

    if triple.structure.separate:

        def on_one(one: Triple, term: Term, values: Mapping[str, Tensor], noise: Noise | None) -> Result:
            return run(one, layout, term, values, num_samples, noise)

        return by_datum(triple, term, values, noise, on_one)

    def evaluate(triple: Triple, values: Mapping[str, Tensor], num_samples: int) -> Result:
        if triple.whole is not None:  # a piece of programs that cannot be cut: the pieces are made here, not below
            with strict():
                return run(triple, layout, term, values, num_samples, noise)
        return LAYOUTS[layout](triple, term, dict(values), num_samples, noise)

    with quiet_globals(triple.args):
        return refusing(triple, term, values, num_samples, Questions(evaluate, _alone, _ordinary))


def _alone(triple: Triple, points: Mapping[str, Tensor], unconstrained: bool) -> Result:
    return run(triple, "loop", partial(terms.prior_alone, unconstrained=unconstrained), points, 1)


def _ordinary(triple: Triple) -> object:
    return log_joint(triple, "loop", propose(triple, _PLAIN, 1)[0])


def watched_run(triple: Triple, what: str, watch: AbstractContextManager[Any]) -> None:
    """Run a program once as it is, at a draw of the guide, inside a context that watches what it does."""
    one = triple.at(torch.tensor([0])) if triple.structure.separate else triple
    z = propose(one, _PLAIN, 1)[0] if what == "model" else {}
    with quiet_globals(one.args), torch.no_grad(), watch:
        one.trace(what, None, *([Set(terms.place(one.structure, z, None))] if z else []))


def propose(triple: Triple, layouts: Layouts, num_samples: int, seed: int = 0, start: int = 0) -> tuple[Values, Tensor]:
    """Draws z of the guide for samples `start … start + S − 1`, site -> `[S, B, *event]`, and log q, `[S, B]`.

    What masks hide of z, in both programs alike, is drawn from the prior given the rest, and its density counts in
    log q as in log p(z): log w is what it is without. Where the guide's other draws depend on what is hidden, the guide
    draws that too.
    """
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}")
    noise = Noise(seed, triple.keys, num_samples, start)
    z, parts = run(triple, layouts["guide"], partial(terms.draw, noise=noise), {}, num_samples, noise)
    fills = triple.structure.fills
    if fills is not None and bool(fills.any()):
        noise = Noise(seed, triple.keys, num_samples, start)
        filled = run(
            triple, drawing_layout(triple, layouts["model"]), partial(terms.fill, noise=noise), z, num_samples, noise
        )[0]
        marks = fills.to(triple.device)
        z = {name: torch.where(_beside(marks, value), filled[name], value) for name, value in z.items()}
    return z, _whole(triple, layouts, z, parts)


def log_guide(triple: Triple, layouts: Layouts, z: Mapping[str, Tensor]) -> Tensor:
    """log q(z | x), `[S, B]`."""
    return _whole(
        triple, layouts, z, run(triple, layouts["guide"], terms.guide_density, checked(triple, z), size(z))[1]
    )


def _whole(triple: Triple, layouts: Layouts, z: Mapping[str, Tensor], parts: Values) -> Tensor:
    """log q as masks leave it, with the density of what they hide: the prior's where that draws it, or the guide's."""
    fills = triple.structure.fills
    if fills is None:
        return parts["log_q"]
    if not bool(fills.any()):
        return parts["log_q"] + parts["hidden"]
    hidden = log_masked(triple, layouts["model"], z)
    if "hidden" in parts:
        hidden = torch.where(fills.to(hidden.device), hidden, parts["hidden"])
    return parts["log_q"] + hidden


def _beside(marks: Tensor, value: Tensor) -> Tensor:
    """Marks `[B]` with the dims of a value `[S, B, ...]` behind them."""
    return marks.reshape(-1, *(1,) * (value.dim() - 2))


def log_masked(triple: Triple, layout: Layout, z: Mapping[str, Tensor]) -> Tensor:
    """The log prior density of what masks hide of z, given the rest, `[S, B]`."""
    return run(triple, layout, terms.masked_density, checked(triple, z), size(z))[1]["log_p"]


def log_joint(triple: Triple, layout: Layout, z: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """log p(z) and log p(x | z), `[S, B]` each."""
    joint = run(triple, layout, terms.joint_density, checked(triple, z), size(z))[1]
    return joint["prior"], joint["likelihood"]


def log_joint_unconstrained(triple: Triple, layout: Layout, u: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Values]:
    """log p(x, T(u)) + log |det dT/du| and that log-Jacobian, `[S, B]` each, and z = T(u)."""
    check_sites(triple, "u", u)
    z, joint = run(triple, layout, terms.joint_density_unconstrained, dict(u), size(u))
    return joint["prior"] + joint["likelihood"] + joint["log_jacobian"], joint["log_jacobian"], z


def unconstrain(triple: Triple, layout: Layout, z: Mapping[str, Tensor]) -> Values:
    """u = T⁻¹(z), site -> `[S, B, *event of u]`."""
    known: Layout = "loop" if triple.structure.sequential else layout
    return run(triple, known, terms.unconstrain, checked(triple, z), size(z))[0]


def latent_terms(triple: Triple, layouts: Layouts, z: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """(log q, log p) of each latent site, `[S, B, *event]` where both factorise over the event, else `[S, B]`.

    Raises:
        ProgramError: if a site has no density of its own.
    """
    if triple.structure.auxiliary:
        raise ProgramError(
            f"the guide draws its latents by way of {list(triple.structure.auxiliary)}, so they have no densities of "
            "their own there; log_guide gives log q of all latents together"
        )
    values = checked(triple, z)
    parts = {
        what: run(triple, layouts[what], partial(terms.densities_by_element, what=what), values, size(z))[1]
        for what in ("guide", "model")
    }
    pairs = {}
    for name in triple.structure.latents:
        q, p = parts["guide"].get(name), parts["model"].get(name)
        if q is None or p is None:
            raise ProgramError(f"site '{name}' has no density of its own in both programs")
        if triple.structure.fills is not None and terms.HIDDEN + name in parts["guide"]:
            by_prior, by_guide = (parts[what][terms.HIDDEN + name] for what in ("model", "guide"))
            q = q + torch.where(triple.structure.fills.to(q.device), by_prior, by_guide)
        if q.shape != p.shape:
            q, p = (t.flatten(2).sum(2) if t.dim() > 2 else t for t in (q, p))
        pairs[name] = (q, p)
    return pairs


def sample_prior(triple: Triple, layout: Layout, num_samples: int, seed: int = 0, start: int = 0) -> Values:
    """Draws z of the model before any data are seen, site -> `[S, B, *event]`, in the dtype of the guide's draws."""
    # Keys of its own: with the same seed, the guide's draws must not be made of the same numbers.
    noise = Noise(seed, ~triple.keys, num_samples, start)
    z = run(triple, drawing_layout(triple, layout), partial(terms.draw_prior, noise=noise), {}, num_samples, noise)[0]
    known = triple.structure.latents
    return {name: value.to(known[name].dtype or value.dtype) if name in known else value for name, value in z.items()}


def drawing_layout(triple: Triple, layout: Layout) -> Layout:
    """The layout in which all latents of a model are drawn.

    vmap evaluates densities only, and a program that branches on a site knows one value of it at a time.
    """
    if triple.structure.sequential:
        return "loop"
    return triple.drawing if layout == "vmap" else layout


def checked(triple: Triple, z: Mapping[str, Tensor]) -> Values:
    """The latents among z, each of the shape `[S, B, *event]` that its site has.

    Raises:
        ValueError: naming the site, its shape and the one expected.
    """
    check_sites(triple, "z", z)
    for name, shape in triple.latents.items():
        expected = (size(z), len(triple), *shape)
        if tuple(z[name].shape) != expected:
            raise ValueError(
                f"z['{name}'] has shape {tuple(z[name].shape)}, expected [samples, data, *event] = {expected}"
            )
    return {name: z[name] for name in triple.structure.latents}


def check_sites(triple: Triple, argument: str, values: Mapping[str, Tensor]) -> None:
    """Raise TypeError or ValueError, naming the argument, unless it has a tensor for each latent site."""
    if not isinstance(values, Mapping):
        raise TypeError(
            f"{argument} must be a mapping, latent site -> tensor, as propose returns it, got {said(values)}"
        )
    if missing := [name for name in triple.structure.latents if name not in values]:
        raise ValueError(
            f"{argument} lacks the latent sites {missing}; it has {sorted(map(str, values))}: give all of them, as "
            "propose returns them"
        )
    for name in triple.structure.latents:
        if not isinstance(values[name], Tensor) or values[name].is_meta:
            raise TypeError(f"{argument}['{name}'] must be a tensor that holds values, got {said(values[name])}")


def size(values: Mapping[str, Tensor]) -> int:
    """S, the number of samples of values `[S, B, ...]`."""
    return next((len(v) for v in values.values()), 1)
