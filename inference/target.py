"""A (model, guide, data) triple as two functions on [samples, data] tensors."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyro
import torch
from pyro import poutine
from torch import Tensor

from elbowroom.inference.programs.arguments import check_per_datum, named, per_datum_tensors, picked_rows, refuse_empty
from elbowroom.inference.programs.global_state import quiet_globals
from elbowroom.inference.programs.handlers import Pin, Set, Weigh
from elbowroom.inference.programs.independence import check_alone
from elbowroom.inference.programs.layouts import LAYOUTS, Layout, choose_layout
from elbowroom.inference.programs.noise import Noise, datum_keys
from elbowroom.inference.programs.structure import Program, ProgramError, Structure, read_structure
from elbowroom.inference.programs.terms import (
    Result,
    Values,
    densities_by_element,
    draw,
    draw_prior,
    guide_density,
    joint_density,
    joint_density_unconstrained,
    place,
    unconstrain,
)

SAMPLES = "_elbowroom_samples"


class Target:
    """Pins a model and a guide to data and evaluates both on many samples of every datum at once.

    For datum x_b and samples z_s ~ q(z|x_b), every estimator is a reduction over s of
    `log w[s, b] = log p(x_b, z[s, b]) − log q(z[s, b] | x_b)`. Entry `[s, b]` of any result depends on `z[s, b]` and
    datum b alone. Plate rescaling and `poutine.scale` are undone, masks are kept, finite discrete latents that the
    guide leaves to the model are summed out. A value outside a site's support has log density −∞.

    Args:
        model: Pyro program of p(x, z); called as `model(*args, **kwargs)`.
        guide: Pyro program of q(z | x), called with the same arguments.
        *args: the programs' arguments, data first.
        plate: name of the vectorised plate over data; None treats the whole program as one datum (B = 1).
        per_datum: which arguments have a row for each datum (positions or names). By default every tensor whose
            leading dimension is the plate's size.
        layout: how a program is given many samples: `"plate"` (an outer plate: the program broadcasts), `"fold"`
            (samples are folded into the batch: convolutions), `"vmap"` (densities of programs that know of no batch
            at all), `"loop"` (one run a sample). By default the first of
            them that gives the same numbers as plain runs, found separately for model and guide.
        **kwargs: keyword arguments of the programs.

    Raises:
        ProgramError: the pair cannot be evaluated datum by datum; the message names the site and the remedy.
    """

    def __init__(
        self,
        model: Program,
        guide: Program,
        *args: Any,
        plate: str | None = "data",
        per_datum: Sequence[int | str] | None = None,
        layout: Layout | None = None,
        **kwargs: Any,
    ) -> None:
        for name, program in (("model", model), ("guide", guide)):
            if not callable(program):
                raise TypeError(f"{name} must be a Pyro program (a callable), got {type(program).__name__}")
        if layout is not None and layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {sorted(LAYOUTS)} or None, got {layout!r}")
        refuse_empty(named(args, kwargs))
        self.model, self.guide, self.args, self.kwargs, self.plate = model, guide, args, kwargs, plate
        self.structure = read_structure(model, guide, args, kwargs, plate)
        self.per_datum = self._find_per_datum(per_datum)
        self.keys = datum_keys(self._rows(), len(self))
        self.sliceable = self._try_select()
        self.layouts: dict[str, Layout] = (
            {"model": layout, "guide": layout} if layout is not None else choose_layout(self)
        )
        if layout is None and self.sliceable and len(self) > 1:
            with torch.no_grad():
                check_alone(self)

    def __len__(self) -> int:
        return self.structure.num_data

    @property
    def latents(self) -> dict[str, tuple[int, ...]]:
        """Latent site -> shape of its value for one datum."""
        return {name: latent.shape for name, latent in self.structure.latents.items()}

    @property
    def device(self) -> torch.device:
        """Where the data are."""
        values = (*self.args, *self.kwargs.values())
        return next((v.device for v in values if isinstance(v, Tensor)), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """The floating dtype of the data, or the default one."""
        values = (*self.args, *self.kwargs.values())
        floats = (v.dtype for v in values if isinstance(v, Tensor) and v.is_floating_point())
        return next(floats, torch.get_default_dtype())

    @cached_property
    def latent_names(self) -> list[str]:
        """A name for each scalar coordinate of the latents, in order: `z[0]`, `z[1]`, …"""
        names: list[str] = []
        for name, shape in self.latents.items():
            names += [name + (f"[{','.join(map(str, i))}]" if shape else "") for i in np.ndindex(*shape)]
        return names

    def propose(self, num_samples: int, *, seed: int = 0, start: int = 0) -> tuple[Values, Tensor]:
        """Draw z[s, b] ~ q(z | x_b) for samples `start … start + num_samples − 1` and return log q too.

        The draws are a function of (seed, sample index, datum) alone; the global generator is not touched.

        Returns:
            z: latent site -> `[S, B, *event]`; log_q: `[S, B]`, nats.
        """
        if num_samples < 1:
            raise ValueError(f"num_samples must be at least 1, got {num_samples}")
        noise = Noise(seed, self.keys, num_samples, start)
        z, log_q = self._run("guide", partial(draw, noise=noise), {}, num_samples, noise)
        return z, log_q["log_q"]

    def log_guide(self, z: Mapping[str, Tensor]) -> Tensor:
        """log q(z | x) at any point, `[S, B]`, nats; z as returned by `propose`."""
        return self._run("guide", guide_density, self._check(z), _num_samples(z))[1]["log_q"]

    def log_joint(self, z: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """log p(z) and log p(x | z), `[S, B]` each, nats; differentiable in z."""
        terms = self._run("model", joint_density, self._check(z), _num_samples(z))[1]
        return terms["prior"], terms["likelihood"]

    def log_weights(self, num_samples: int, *, seed: int = 0, start: int = 0) -> Tensor:
        """log w = log p(x, z) − log q(z | x) at fresh draws of the guide, `[S, B]`, nats."""
        z, log_q = self.propose(num_samples, seed=seed, start=start)
        prior, likelihood = self.log_joint(z)
        return prior + likelihood - log_q

    def latent_terms(self, z: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """(log q, log p) of each latent site, kept apart along its event where both sides factorise over it.

        Returns:
            site -> two tensors, `[S, B, *event]` where both distributions are independent over the event dims, else
            `[S, B]`.

        Raises:
            ProgramError: if a site has no density of its own: the guide draws it by way of an auxiliary site, or its
                prior depends on a discrete site that is summed out.
        """
        if self.structure.auxiliary:
            raise ProgramError(
                f"the guide draws its latents by way of {list(self.structure.auxiliary)}, so they have no densities of "
                "their own there; log_guide gives log q of all latents together"
            )
        z = self._check(z)
        parts = {
            what: self._run(what, partial(densities_by_element, what=what), z, _num_samples(z))[1]
            for what in ("guide", "model")
        }
        terms = {}
        for name in self.structure.latents:
            q, p = parts["guide"].get(name), parts["model"].get(name)
            if q is None or p is None:
                raise ProgramError(f"site '{name}' has no density of its own in both programs")
            if q.shape != p.shape:
                q, p = (t.flatten(2).sum(2) if t.dim() > 2 else t for t in (q, p))
            terms[name] = (q, p)
        return terms

    def log_joint_unconstrained(self, u: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Values]:
        """The joint in unconstrained coordinates u, with z = T(u), T = `biject_to(support)`.

        Returns:
            log p(x, T(u)) + log |det dT/du| `[S, B]`, that log-Jacobian `[S, B]`, and z.
        """
        z, terms = self._run("model", joint_density_unconstrained, dict(u), _num_samples(u))
        return terms["prior"] + terms["likelihood"] + terms["log_jacobian"], terms["log_jacobian"], z

    def unconstrain(self, z: Mapping[str, Tensor]) -> Values:
        """u = T⁻¹(z) with T = `biject_to(support)` of each latent site; latent site -> `[S, B, *event of u]`."""
        return self._run("model", unconstrain, self._check(z), _num_samples(z))[0]

    def sample_prior(self, num_samples: int, *, seed: int = 0, start: int = 0) -> Values:
        """Draws `start … start + S − 1` of the latents from the model's prior, latent site -> `[S, B, *event]`."""
        # Keys of its own: with the same seed, the guide's draws must not be made of the same numbers.
        noise = Noise(seed, ~self.keys, num_samples, start)
        # vmap evaluates densities only; a program that needs it draws sample by sample.
        layout = LAYOUTS["loop" if self.layouts["model"] == "vmap" else self.layouts["model"]]
        with quiet_globals(self.args):
            return layout(self, partial(draw_prior, noise=noise), {}, num_samples, noise)[0]

    def simulate(self, seed: int = 0) -> tuple["Target", Values]:
        """The programs on data drawn from the model, and exact posterior draws `[1, B, ...]` (see `simulate.py`)."""
        from elbowroom.inference.programs.simulate import simulate

        return simulate(self, seed)

    def pinned_to(self, values: Mapping[int | str, Tensor]) -> "Target":
        """The same programs with other tensors, of the same shapes, as some of their arguments."""
        new = self._at(torch.arange(len(self)))
        new.args = tuple(values.get(i, a) for i, a in enumerate(self.args))
        new.kwargs = {k: values.get(k, a) for k, a in self.kwargs.items()}
        new.keys = datum_keys(new._rows(), len(new))
        return new

    def select(self, index: Sequence[int] | Tensor | np.ndarray) -> "Target":
        """The same programs on some of the data (repeats allowed); each datum keeps its noise.

        Raises:
            ProgramError: if the programs cannot be given part of their data (`plate=None`, a fixed plate size).
        """
        if not self.sliceable:
            raise ProgramError(
                "these programs cannot be given part of their data: "
                + ("plate=None makes the whole program one datum" if self.plate is None else self._why_whole())
            )
        return self._at(picked_rows(index, len(self)))

    def program(self, what: str) -> Program:
        """The model or the guide as a plain Pyro program pinned to this data, unscaled: for Pyro's own samplers."""
        inner = self.model if what == "model" else self.guide

        def pinned() -> Any:
            with Weigh(), Pin(self.structure.pinned):
                return inner(*self.args, **self.kwargs)

        return pinned

    def sites(self) -> list[tuple[str, str, str, Any]]:
        """(program, kind, name, Pyro's site record) of every sample site of a plain run, for reports."""
        rows: list[tuple[str, str, str, Any]] = []
        z, _ = self.propose(1)
        for what in ("model", "guide"):
            with quiet_globals(self.args), torch.no_grad():
                trace = self._trace(what, None, Set(place(self.structure, z, None)))
            for name, site in trace.nodes.items():
                if site["type"] == "sample" and type(site["fn"]).__name__ != "_Subsample":
                    rows.append((what, _kind(name, site, self.structure), name, site))
        return rows

    # How a program is run ---------------------------------------------------------------------------------------

    def _run(
        self,
        what: str,
        evaluate: Callable[..., Result],
        values: Mapping[str, Tensor],
        num_samples: int,
        noise: Noise | None = None,
    ) -> Result:
        """Evaluate a program in its layout: per-site values and per-datum terms, all `[S, B, …]`."""
        with quiet_globals(self.args):
            return LAYOUTS[self.layouts[what]](self, evaluate, values, num_samples, noise)

    def _trace(self, what: str, num_samples: int | None, *messengers: Any) -> Any:
        """Trace one run under messengers (innermost last), inside a plate of samples if there is one."""
        program: Any = self.model if what == "model" else self.guide
        stack = [Weigh(), *messengers, Pin(self.structure.pinned)]
        if num_samples is not None:
            stack.append(pyro.plate(SAMPLES, num_samples, dim=-1 - self.structure.nesting))
        with poutine.trace() as tracer:
            _enter(stack, lambda: program(*self.args, **self.kwargs))
        return tracer.trace

    def _at(self, rows: Tensor, structure: Structure | None = None) -> "Target":
        new = object.__new__(type(self))
        new.__dict__.update({k: v for k, v in self.__dict__.items() if k != "latent_names"})
        picked = set(self.per_datum)
        new.args = tuple(a[rows.to(a.device)] if i in picked else a for i, a in enumerate(self.args))
        new.kwargs = {k: a[rows.to(a.device)] if k in picked else a for k, a in self.kwargs.items()}
        new.keys = self.keys[rows.numpy()]
        fields = {**self.structure.__dict__, "num_data": len(rows)}
        new.structure = structure or Structure(**fields)
        return new

    def _find_per_datum(self, chosen: Sequence[int | str] | None) -> tuple[int | str, ...]:
        arguments = named(self.args, self.kwargs)
        if chosen is not None:
            return check_per_datum(chosen, arguments, len(self))
        return () if self.plate is None else per_datum_tensors(arguments, len(self))

    def _rows(self) -> list[Tensor]:
        return [self.args[k] if isinstance(k, int) else self.kwargs[k] for k in self.per_datum]

    def _try_select(self) -> bool:
        """Whether the programs follow when their data are picked: tried once, on two copies of the first datum."""
        if self.plate is None or not self.per_datum:
            return False
        two = self._at(torch.zeros(2, dtype=torch.long))
        try:
            structure = read_structure(self.model, self.guide, two.args, two.kwargs, self.plate, self.structure.pinned)
        except ProgramError:
            return False
        return structure.num_data == 2

    def _why_whole(self) -> str:
        return (
            f"plate '{self.plate}' keeps its size {len(self)} when the data arguments {list(self.per_datum)} are cut. "
            "Write the plate as pyro.plate(name, len(x)), or name the per-datum arguments with per_datum=(...)"
        )

    def _check(self, z: Mapping[str, Tensor]) -> Values:
        """z with each site's shape checked against the structure."""
        missing = [n for n in self.structure.latents if n not in z]
        if missing:
            raise ValueError(f"z lacks the latent sites {missing}; it has {sorted(z)}")
        num_samples = _num_samples(z)
        for name, shape in self.latents.items():
            expected = (num_samples, len(self), *shape)
            if tuple(z[name].shape) != expected:
                raise ValueError(
                    f"z['{name}'] has shape {tuple(z[name].shape)}, expected [samples, data, *event] = {expected}"
                )
        return {name: z[name] for name in self.structure.latents}


def _num_samples(z: Mapping[str, Tensor]) -> int:
    return next((len(v) for v in z.values()), 1)


def _enter(stack: list[Any], run: Callable[[], Any]) -> Any:
    if not stack:
        return run()
    with stack[0]:
        return _enter(stack[1:], run)


def _kind(name: str, site: Any, structure: Structure) -> str:
    if site["is_observed"]:
        return "observed"
    return "summed out" if name in structure.discrete else "auxiliary" if name in structure.auxiliary else "latent"
