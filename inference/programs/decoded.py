"""What the model makes of given latents: E[x | z] of an observed site, and a draw of x given z.

The model is run with its latents set, and the distribution that it has for the site is read off: its mean, where it has
one, else the mean of draws. Finite discrete latents k that are summed out elsewhere are drawn from the prior, and
weighed by what they make of the others: E[x | z] = Σ_k p(z | k) E[x | z, k] / Σ_k p(z | k), over draws of k.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.programs.densities import Layouts, checked, run, size
from elbowroom.inference.programs.global_state import quiet_globals
from elbowroom.inference.programs.handlers import Draw, Set
from elbowroom.inference.programs.latent import Latent
from elbowroom.inference.programs.log_prob import site_log_prob
from elbowroom.inference.programs.masks import seen
from elbowroom.inference.programs.noise import Noise
from elbowroom.inference.programs.plain_runs import sites_of
from elbowroom.inference.programs.simulate import Observe
from elbowroom.inference.programs.structure import ProgramError
from elbowroom.inference.programs.terms import Arrange, Result, Values, gathered, place
from elbowroom.inference.programs.triple import Triple

_DRAWS = 64
"""Draws of x whose mean stands for one without a closed form, and of discrete latents."""

Once = Callable[[int, bool], tuple[Tensor, Tensor]]
"""(which draws of the discrete latents, whether x is drawn) -> x `[S, B, *event]` and log weights `[S, B]`."""

_FIRST = 1 << 49
"""Sample index of decoded data: no estimator reads the random numbers there."""


@dataclass(frozen=True)
class Observation:
    """An observed site of the model.

    Attributes:
        site: how it lies in the program.
        x: its values, NaN where a mask hides them, `[B, *event]`.
    """

    site: Latent
    x: Tensor

    @property
    def name(self) -> str:
        """Of the site."""
        return self.site.name


def observation_of(triple: Triple, layouts: Layouts, z: Mapping[str, Tensor]) -> Observation:
    """The observed site with the most values of a datum, the first one of several.

    Args:
        triple: programs and data.
        layouts: how they are run.
        z: one draw of the latents, `[1, B, *event]`: the model is run there.

    Raises:
        ProgramError: if the model observes nothing.
    """
    if triple.whole is not None and triple.picked is not None:
        every = {name: value[:, :1].expand(1, len(triple.whole), *value.shape[2:]) for name, value in z.items()}
        whole = observation_of(triple.whole, layouts, every)
        return Observation(whole.site, whole.x[triple.picked.to(whole.x.device)])
    if triple.structure.separate:
        rows = [torch.tensor([b]) for b in range(len(triple))]
        parts = [observation_of(triple.at(b), layouts, {n: v[:, b] for n, v in z.items()}) for b in rows]
        return Observation(parts[0].site, torch.cat([part.x for part in parts]))
    with quiet_globals(triple.args), torch.no_grad():
        trace = triple.trace("model", None, Set(place(triple.structure, checked(triple, z), None)))
    found = {n: s for n, s in sites_of(trace, observed=True).items() if n in triple.structure.observed}
    if not found:
        raise ProgramError("the model observes nothing, so nothing can be drawn given its latents")
    name = max(found, key=lambda n: found[n]["value"].numel())
    return _observation(triple, name, found[name])


def decoded(
    triple: Triple, layouts: Layouts, site: Latent, z: Mapping[str, Tensor], *, draw: bool = False, seed: int = 0
) -> Tensor:
    """E[x | z] of an observed site at given latents, or one draw of x given z: `[S, B, *event]`.

    Args:
        triple: programs and data; what the programs are given beside x (labels, masks) is that of each datum.
        layouts: how the programs are run.
        site: of `observation_of`.
        z: latent site -> `[S, B, *event]`.
        draw: draw x instead.
        seed: draws are a function of (seed, datum, sample).

    Raises:
        ProgramError: if the model's distribution has neither a mean nor draws.
    """
    values, num_samples, structure = checked(triple, z), size(z), triple.structure

    def once(start: int, draw: bool) -> tuple[Tensor, Tensor]:
        layout, noise = layouts["model"], None
        if draw or structure.discrete:  # what vmap cannot do, nor a program that branches on a discrete site at once
            layout = "loop" if layout == "vmap" or structure.sequential else layout
            noise = Noise(seed, triple.keys, num_samples, _FIRST + start * num_samples)
        term = partial(_decode, noise=noise, site=site, draw=draw)
        try:
            found, terms = run(triple, layout, term, values, num_samples, noise)
        except NotImplementedError as error:
            raise ProgramError(f"site '{site.name}' has neither a mean nor draws: {error}") from error
        return found[site.name].detach().double(), terms["log_weight"].detach().double()

    with torch.no_grad():
        if structure.discrete:
            drawing = draw or _mean(once) is None
            runs = (once(start, drawing) for start in range(_DRAWS))
            return _one_of(runs, seed) if draw else _weighted(runs)
        mean = None if draw else _mean(once)
        if mean is not None:
            return mean
        draws = [once(start, True)[0] for start in range(1 if draw else _DRAWS)]
        return torch.stack(draws).mean(0)


def _mean(once: Once) -> Tensor | None:
    """The distribution's mean; None where it has none: of categories it is NaN, of others not implemented."""
    try:
        mean = once(0, False)[0]
    except ProgramError:
        return None
    return None if bool(mean.isnan().all()) else mean


def _weighted(runs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """The mean of values with log weights."""
    values, log_weights = zip(*runs, strict=True)
    shares = torch.stack(log_weights).softmax(0)
    return sum((value * _beside(share, value) for value, share in zip(values, shares, strict=True)), torch.zeros(()))


def _one_of(runs: Iterable[tuple[Tensor, Tensor]], seed: int) -> Tensor:
    """One of the values, with probabilities as their weights."""
    values, log_weights = zip(*runs, strict=True)
    generator = torch.Generator().manual_seed(seed)
    weights = torch.stack(log_weights)
    uniform = torch.rand(weights.shape, generator=generator, dtype=torch.float64).to(weights.device)
    chosen = (weights - torch.log(-torch.log(uniform))).argmax(0)
    return torch.stack(values).gather(0, _beside(chosen, values[0]).expand_as(values[0]).unsqueeze(0))[0]


def _beside(share: Tensor, value: Tensor) -> Tensor:
    """`[S, B]` with the dims of a value `[S, B, ...]` behind them."""
    return share.reshape(*share.shape, *(1,) * (value.dim() - 2))


def _observation(triple: Triple, name: str, site: Any) -> Observation:
    """How the site lies in the program: read off a plain run, as `latent_of` does."""
    structure, fn, value = triple.structure, site["fn"], site["value"]
    event = tuple(value.shape[value.dim() - fn.event_dim :])
    batch = tuple(value.shape[: value.dim() - fn.event_dim])
    rank, batch = len(batch), (1,) * (structure.nesting - len(batch)) + batch
    inner = tuple(n for i, n in enumerate(batch) if i - structure.nesting != structure.data_dim)
    lies = Latent(name, rank, inner, event, None, False, False)
    x = value.double().masked_fill(~seen(fn, site["mask"]).to(value.device).expand(value.shape), torch.nan)
    return Observation(lies, gathered(structure, lies, x, None)[0])


def _decode(
    triple: Triple,
    given: Values,
    num_samples: int | None,
    arrange: Arrange,
    *,
    noise: Noise | None,
    site: Latent,
    draw: bool,
) -> Result:
    """The mean of the site, or a draw of it; `log_weight` is log p(z) given what was drawn of the discrete latents."""
    structure = triple.structure
    drawing = [] if noise is None else [Draw(noise, arrange)]
    observe = [Observe(tuple(structure.given))] if draw else []
    trace = triple.trace("model", num_samples, *drawing, *observe, Set(place(structure, given, num_samples)))
    node = trace.nodes[site.name]
    value = node["value"] if draw else node["fn"].mean
    parts = [site_log_prob(trace.nodes[name]) for name in structure.latents]
    terms = [structure.per_datum(part, num_samples or 1, len(triple)) for part in parts]
    return {site.name: gathered(structure, site, value, num_samples)}, {"log_weight": torch.stack(terms).sum(0)}
