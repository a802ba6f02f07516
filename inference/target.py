"""A (model, guide, data) triple as two functions on [samples, data] tensors."""

import math
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.programs import densities
from elbowroom.inference.programs.arguments import PerDatum
from elbowroom.inference.programs.collapse import collapsed
from elbowroom.inference.programs.described import Described
from elbowroom.inference.programs.drawn_from import doubted
from elbowroom.inference.programs.from_functions import SITE, Density, Joint, Sampler
from elbowroom.inference.programs.function_checks import check_seeded, checked_functions
from elbowroom.inference.programs.gradients import why_no_gradient
from elbowroom.inference.programs.independence import check_alone, check_company
from elbowroom.inference.programs.latent import Latent
from elbowroom.inference.programs.layout_choice import choose_drawing, choose_layout
from elbowroom.inference.programs.layouts import LAYOUTS, Layout
from elbowroom.inference.programs.local_parameters import local_parameters
from elbowroom.inference.programs.noise import Noise
from elbowroom.inference.programs.other_axes import other_axes
from elbowroom.inference.programs.simulate import simulate
from elbowroom.inference.programs.structure import Program
from elbowroom.inference.programs.terms import Result, Term, Values
from elbowroom.inference.showing.numbers import flag_counts, in_short
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table


class Target(Shown, Described):
    """Pins a model and a guide to data and evaluates both on many samples of every datum at once.

    For datum x_b and samples z_s ~ q(z|x_b), every estimator is a reduction over s of
    `log w[s, b] = log p(x_b, z[s, b]) − log q(z[s, b] | x_b)`. Entry `[s, b]` of any result depends on `z[s, b]` and
    datum b alone. Plate rescaling and `poutine.scale` are undone, plates that subsample are given all their rows, masks
    of observed sites are kept, finite discrete latents that the guide leaves to the model are summed out. A latent that
    is masked in both programs alike follows its prior there: the model counts its density, the guide draws it from the
    prior (log w is what it is without), and it integrates to one. Observed values between those that a distribution
    made with `validate_args=False` can draw (grey ones under a Bernoulli) are answered, and every result says of what
    (`unnormalised`). A value outside a site's support has log density −∞, and so has a point at which the model raises
    a numerical error.

    Making a target runs both programs about two dozen times, because what it promises is tried and not assumed: once on
    all data (to read sites and plates), on two copies of a datum (do the programs follow when data are picked?), on
    three data sample by sample and over again (are they functions of their values?), in each layout until one gives the
    same numbers, there and at draws of the prior, on the last datum among 64 and alone, and on eight data whose
    neighbours' latents change (does a datum depend on the others?). Targets made from this one (`select`, `pinned_to`)
    run nothing.

    Args:
        model: Pyro program of p(x, z); called as `model(*args, **kwargs)`.
        guide: Pyro program of q(z | x), called with the same arguments.
        *args: the programs' arguments, data first.
        plate: name of the plate over data; None treats the whole program as one datum (B = 1). A plate without a size
            has the size of its sites. Of a sequential one (`for i in pyro.plate(...)`) each datum's program is run by
            itself, which is slower than a vectorised one.
        per_datum: which arguments hold something of each datum: positions or names of those with a row for each, or a
            mapping to the axis of each, `{"x": 1}` for time-major or feature-major data. By default every tensor whose
            leading dimension is the plate's size; if the programs do not follow when these are cut, also those of
            which a single other axis has that size, if they follow then and no term of a datum changes.
        layout: how a program is given many samples: `"plate"` (an outer plate: the program broadcasts), `"fold"`
            (samples are folded into the batch: convolutions), `"vmap"` (densities of models that know of no batch at
            all; what is drawn, and the guide, is run one by one), `"loop"` (one run a sample). By default the first of
            them that gives the same numbers as plain runs, found separately for model and guide.
        **kwargs: keyword arguments of the programs.

    Raises:
        ProgramError: the pair cannot be evaluated datum by datum; the message names the site and the remedy.
    """

    @checked
    def __init__(
        self,
        model: Program,
        guide: Program,
        *args: Any,
        plate: str | None = "data",
        per_datum: PerDatum = None,
        layout: Layout | None = None,
        **kwargs: Any,
    ) -> None:
        for name, program in (("model", model), ("guide", guide)):
            if not callable(program):
                raise TypeError(f"{name} must be a Pyro program (a callable), got {type(program).__name__}")
        if layout is not None and layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {sorted(LAYOUTS)} or None, got {layout!r}")
        super().__init__(model, guide, args, kwargs, plate, per_datum)
        if per_datum is None and (axes := other_axes(self)) is not None:
            vars(self).update(vars(self.along(axes)))
        if self.sliceable and (local := local_parameters(self)):
            self.local, self.sliceable = local, False
        self.layouts: dict[str, Layout] = (
            {"model": layout, "guide": "loop" if layout == "vmap" else layout} if layout else choose_layout(self)
        )
        if layout is None:
            self.drawing = choose_drawing(self, self.layouts)
            with torch.no_grad():
                if self.sliceable and len(self) > 1:
                    check_alone(self, self.layouts)
                check_company(self, self.layouts)
        self.no_gradient = why_no_gradient(self, self.layouts)

    @classmethod
    @checked
    def from_functions(
        cls,
        sample: Sampler,
        log_q: Density,
        log_joint: Joint,
        *data: Tensor,
        dim: int,
        num_data: int | None = None,
        sample_prior: Sampler | None = None,
        support: Any = None,
    ) -> Self:
        """A target of densities on `[S, B, D]` tensors, with no Pyro program: flows, posteriors of other libraries.

            Target.from_functions(sample, log_q, log_joint, x, dim=2)

        Everything that takes a target takes it, but for what trains or simulates data (`fit`, `calibrate`,
        `bidirectional`). The latent site is called `z`. Whether `log_q` is the normalised density of `sample` is tried
        on a few data; where it is not, `cautions` say so, and the flags of every number that uses log q. Of what begins
        at the prior, nothing is done without `sample_prior`: modes far from the guide are not looked for then.

        Args:
            sample: (S, *data) -> z ~ q(z | x), `[S, B, D]`. Its random numbers must be torch's, `[S, B, ...]`: they are
                replaced by numbers that are a function of (seed, sample, datum).
            log_q: (z, *data) -> log q(z | x), `[S, B]`, nats, at any z `[S, B, D]`.
            log_joint: (z, *data) -> log p(x, z), or log p(z) and log p(x | z), `[S, B]` each, nats; differentiable in
                z for all that follows gradients. Entry `[s, b]` depends on `z[s, b]` and datum b alone, as of `log_q`.
            *data: tensors with a row for each datum, `[B, ...]` each. Without any, the functions hold their B data
                themselves: the target cannot be cut, so some of the data cost as much as all.
            dim: D.
            num_data: B, if no data are given.
            sample_prior: (S, *data) -> z ~ p(z), as `sample`. `log_joint` must return its two parts.
            support: where z lives, a constraint of torch, of a number or of a vector (`constraints.positive`,
                `constraints.simplex`); by default all of ℝ^D.

        Raises:
            TypeError, ValueError: for arguments that do not fit together.
            ProgramError: naming the function, what it returned, and what was expected.
        """
        functions = checked_functions(
            data,
            dim,
            num_data,
            support,
            sample=sample,
            log_q=log_q,
            log_joint=log_joint,
            sample_prior=sample_prior,
        )
        target = cls(functions.model, functions.guide, *data)
        with torch.no_grad():
            check_seeded(*(target.propose(1, seed=seed)[0][SITE] for seed in (0, 1)))
        return target.replaced(structure=doubted(target.structure, functions, data))

    @checked
    def collapsed(self, *, needed: bool = True) -> "Target":
        """The same triple with the finite discrete sites that the guide draws summed out of both programs.

        Its latents are the continuous ones: log p(x, z) = log Σ_k p(x, z, k) and log q(z | x) = log Σ_k q(z, k | x),
        exactly. Its weights scatter less, its ELBO is at least as high, and log p(x) is the same. All values are given
        to the programs at once, along dims of their own; programs that do not broadcast over those (a network that
        concatenates a label with a latent) are run value by value, up to 64 combinations.

        Args:
            needed: whether the caller can do nothing with the sites themselves; draws of the guide can be weighed with
                them.

        Returns:
            This target, if there are no such sites, or more than 10^5 combinations of their values for a datum; and if
            they cannot be summed out and that is not needed.

        Raises:
            ProgramError: the programs fail where the sites are summed out, and that is needed.
        """
        return collapsed(self, needed)

    @checked
    def propose(self, num_samples: int, *, seed: int = 0, start: int = 0) -> tuple[Values, Tensor]:
        """Draw z[s, b] ~ q(z | x_b) for samples `start … start + num_samples − 1` and return log q too.

        The draws are a function of (seed, sample index, datum) alone; the global generator is not touched.

        Returns:
            z: latent site -> `[S, B, *event]`; log_q: `[S, B]`, nats.
        """
        return densities.propose(self, self.layouts, num_samples, seed, start)

    def log_guide(self, z: Mapping[str, Tensor]) -> Tensor:
        """log q(z | x) at any point, `[S, B]`, nats; z as returned by `propose`."""
        return densities.log_guide(self, self.layouts, z)

    def log_joint(self, z: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """log p(z) and log p(x | z), `[S, B]` each, nats; differentiable in z."""
        return densities.log_joint(self, self.layouts["model"], z)

    @checked
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
        return densities.latent_terms(self, self.layouts, z)

    def log_joint_unconstrained(self, u: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Values]:
        """The joint in unconstrained coordinates u, with z = T(u), T = `biject_to(support)`.

        Returns:
            log p(x, T(u)) + log |det dT/du| `[S, B]`, that log-Jacobian `[S, B]`, and z.
        """
        return densities.log_joint_unconstrained(self, self.layouts["model"], u)

    def unconstrain(self, z: Mapping[str, Tensor]) -> Values:
        """u = T⁻¹(z) with T = `biject_to(support)` of each latent site; latent site -> `[S, B, *event of u]`."""
        return densities.unconstrain(self, self.layouts["model"], z)

    @checked
    def sample_prior(self, num_samples: int, *, seed: int = 0, start: int = 0) -> Values:
        """Draws `start … start + S − 1` of the latents from the model's prior, latent site -> `[S, B, *event]`."""
        return densities.sample_prior(self, self.layouts["model"], num_samples, seed, start)

    @checked
    def simulate(self, seed: int = 0, given: Values | None = None) -> tuple[Self, Values]:
        """The programs on data drawn from the model, and exact posterior draws `[1, B, ...]` (see `simulate.py`).

        Args:
            seed: the result is a function of (seed, datum).
            given: one draw of the latents, as returned by `propose(1)`: the data are drawn given these.
        """
        return simulate(self, seed, given)

    def run(
        self, what: str, term: Term, values: Mapping[str, Tensor], num_samples: int, noise: Noise | None = None
    ) -> Result:
        """Evaluate a term of the `"model"` or the `"guide"` in its layout (see `programs/terms.py`).

        Returns:
            values by site and terms by name, all `[S, B, ...]`.
        """
        return densities.run(self, self.layouts[what], term, values, num_samples, noise)

    def as_table(self) -> Table:
        """The latents and what is done with each of them; the programs are not run."""
        structure, size = self.structure, sum(math.prod(shape) for shape in self.latents.values())
        plate = "the whole program as one datum" if self.plate is None else f"plate '{self.plate}'"
        cut = "" if self.sliceable or self.plate is None else "; they cannot be cut: all are evaluated, and some picked"
        head = (
            f"{len(self)} data ({plate}), {size} latents of each",
            f"samples run as model: {self.layouts['model']}, guide: {self.layouts['guide']}{cut}",
            f"observed: {', '.join(structure.observed) or 'nothing'}",
            *in_short(self.unnormalised),
            *flag_counts(self.cautions),
        )
        rows = [(name, str(shape), _treatment(structure.latents[name])) for name, shape in self.latents.items()]
        rows += [(name, "", "finite: summed out exactly") for name in structure.discrete]
        rows += [(name, "", "auxiliary draw of the guide") for name in structure.auxiliary]
        return Table(head, ("latent", "shape", "support"), "<<<", rows, noun="sites")

    def why_no_density(self) -> str:
        """Why log q(z | x) is unknown at points that the guide did not draw itself; empty if it is known."""
        one = self.select([0]) if self.sliceable else self
        try:
            with torch.no_grad():
                one.log_guide(one.propose(1)[0])
        except NotImplementedError as error:
            return str(error) or "a distribution of the guide has no density at a given value"
        return ""

    @property
    def has_density(self) -> bool:
        """Whether log q(z | x) is known at any point, not only at the guide's own draws."""
        return not self.why_no_density()


def _treatment(latent: Latent) -> str:
    if latent.unconstrained is None:
        return "discrete" if latent.dtype is None else "no coordinates are known: no gradients"
    return "real" if latent.real else f"constrained, {math.prod(latent.unconstrained)} coordinates"
