"""What a pair of programs says of itself: its sites, what its numbers are of, and what casts doubt on them."""

from functools import cached_property
from typing import Any

import torch

from elbowroom.inference.programs import densities
from elbowroom.inference.programs.global_state import quiet_globals
from elbowroom.inference.programs.handlers import Set
from elbowroom.inference.programs.layouts import Layout
from elbowroom.inference.programs.masks import is_deterministic
from elbowroom.inference.programs.notes import notes_of
from elbowroom.inference.programs.remarks import by_datum
from elbowroom.inference.programs.structure import ProgramError, Structure
from elbowroom.inference.programs.terms import place
from elbowroom.inference.programs.triple import Triple
from elbowroom.inference.programs.untrained import suspicions
from elbowroom.inference.programs.wiring import misread


class Described(Triple):
    """A triple that is run in known layouts, and says what is worth saying before anything is estimated.

    Attributes:
        layouts: `"model"` and `"guide"` -> how each is given many samples.
    """

    layouts: dict[str, Layout]

    def sites(self) -> list[tuple[str, str, str, Any]]:
        """(program, kind, name, Pyro's site record) of every sample site of a plain run, for reports."""
        sites: list[tuple[str, str, str, Any]] = []
        every = self.whole or self
        every = every.at(torch.tensor([0])) if every.structure.separate else every
        z, _ = densities.propose(every, every.layouts, 1)
        for what in ("model", "guide"):
            with quiet_globals(self.args), torch.no_grad():
                trace = every.trace(what, None, Set(place(every.structure, z, None)))
            for name, site in trace.nodes.items():
                if site["type"] != "sample" or type(site["fn"]).__name__ == "_Subsample":
                    continue
                if what == "guide" and every.structure.observes(name, site):
                    continue
                sites.append((what, _kind(name, site, self.structure), name, site))
        return sites

    def check_proper(self) -> None:
        """Refuse programs that have no evidence p(x): every estimator of it asks this first.

        Raises:
            ProgramError: naming a latent whose prior is not normalised.
        """
        if self.structure.improper:
            raise ProgramError(
                f"the prior of site '{self.structure.improper[0]}' is improper (ImproperUniform): p(x) is defined up "
                "to an arbitrary factor, so there is no evidence to estimate. Give the site a proper prior; hmc and "
                "nuts sample the posterior, if that is proper"
            )

    @property
    def cautions(self) -> tuple[str, ...]:
        """For each datum the reasons to doubt every number that rests on log q, known before sampling; or empty.

        They are part of the flags of whatever uses log q: a factor in the guide that is no density, a guide that cannot
        reach all of the model's support, auxiliary draws that no latent follows from. What does not use log q (chains,
        log p(x) by quadrature, annealing from the prior) is free of them.
        """
        return by_datum(self.structure.cautions, len(self))

    @property
    def unnormalised(self) -> tuple[str, ...]:
        """For each datum why its log p(x) and ELBO are no log-likelihoods, and what would be; or empty.

        The data lie between the values that an observed site can draw (grey ones under a Bernoulli), and the user has
        switched its validation off: log p(x) is log ∫ p(z) p~(x|z) dz of an unnormalised p~. Its room and KL(q ‖
        p~(z|x)) are right. Or the model masks the prior of a latent away on a bounded interval, where it then counts as
        one. Every estimate of log p(x) says so in `Estimate.unnormalised`; nothing is flagged by it.
        """
        return by_datum(self.structure.unnormalised, len(self))

    @cached_property
    def suspicions(self) -> tuple[str, ...]:
        """Why these may not be the programs that were meant, as sentences.

        They were never trained, their weights not loaded, their outputs read as something else. These are the last of
        the notes, and a verdict begins with them. The programs are run a few times for it.
        """
        return suspicions(self if self.whole is None else self.whole) + misread(self.sites())

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing of the programs though every number stands, as sentences.

        Fixed globals that all numbers are given, a `poutine.scale` that was undone, and the suspicions.
        """
        return (*notes_of(self), *self.suspicions)


def _kind(name: str, site: Any, structure: Structure) -> str:
    if is_deterministic(site):
        return "deterministic"
    if site["is_observed"]:
        return "fixed" if name in structure.given else "observed"
    return "summed out" if name in structure.discrete else "auxiliary" if name in structure.auxiliary else "latent"
