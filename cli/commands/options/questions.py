"""The options of evidence, compare, audit, explore and generate: each of a subject, and its own."""

from dataclasses import dataclass, field
from typing import Literal

from elbowroom.commands.options.shared import EveryCommand, Split
from elbowroom.commands.options.subjects import Contestant, OfManyData, OfSubject


@dataclass(frozen=True, kw_only=True)
class EvidenceOptions(OfManyData, OfSubject):
    """log p(x) of held-out data: ELBO, importance-weighted bounds, importance sampling, and exact where possible.

    Attributes:
        method: importance (with its bounds), or bracket (from below and above by whatever it takes, within a budget).
        budget: for bracket, seconds, or a text such as '2e5 evaluations', by which two calls give the same numbers; a
            second call goes on where the first ended.
        num_samples: importance samples for each datum.
        num_particles: report the IWAE bound for these numbers of particles, such as [5,50].
        exact: integrate on a lattice; auto does so for up to three latents.
        units: nats, or bits: say bits per dimension, of the numbers that the file holds, too.
        output: where to write evidence.json and the state (default: the run directory, else evidence/).
    """

    method: Literal["importance", "bracket"] = "importance"
    budget: float | str = 60.0
    num_samples: int = 5000
    num_particles: list[int] = field(default_factory=lambda: [5, 50, 500])
    exact: Literal["auto", "yes", "no"] = "auto"
    units: Literal["nats", "bits"] = "nats"
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class CompareOptions(OfSubject):
    """VI against MCMC against the exact posterior, for chosen data.

    Attributes:
        indices: of the data to compare, such as [3,141]; null for four from a typical room to the largest.
        num_samples: draws of the guide and importance samples.
        mcmc: true or nuts for Pyro's (seconds for each datum, minutes where it has tens of latents), hmc for all data
            at once, or false.
        num_checked: with hmc, so many of the data get two chains of NUTS, too, as an independent check.
        budget: of NUTS, seconds, or a text such as '1e6 evaluations'; data for which there is no room are left out, and
            what they would take is said (null: no limit).
        num_chains: chains for each datum.
        num_warmup: warm-up steps of each chain.
        num_draws: draws of each chain.
        units: nats, or bits: say log p(x) in bits per dimension, too.
        output: where tables, figures and ArviZ files go (default: compare/ in the run directory, else
            compare/).
    """

    indices: list[int] | None = None
    num_samples: int = 5000
    mcmc: bool | Literal["nuts", "hmc"] = True
    num_checked: int = 0
    budget: float | str | None = 120.0
    num_chains: int = 4
    num_warmup: int = 300
    num_draws: int = 500
    units: Literal["nats", "bits"] = "nats"
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class VersusOptions(EveryCommand, OfManyData):
    """Which of two models is better on these data? log p(x) of both from both sides, and what the ELBOs say.

    Attributes:
        a: the first model; --run A stands for --a.run A.
        b: the second one; a second --run B stands for --b.run B.
        split: which part of the data; null for test, or for all data of a file that has no splits.
        limit: the first so many data only.
        budget: seconds, or a text such as '2e6 evaluations', by which two calls give the same numbers; a second call
            goes on where the first ended.
        about: whether the answer is for new data like these, or for these very data.
        level: of the interval that must leave out zero before a model is called better.
        units: nats, or bits: say the differences in bits per dimension, too.
        output: where versus.json, the figure and the state go.
    """

    a: Contestant = field(default_factory=Contestant)
    b: Contestant = field(default_factory=Contestant)
    split: Split | None = None
    limit: int | None = None
    budget: float | str = 120.0
    about: Literal["new data", "these data"] = "new data"
    level: float = 0.999
    units: Literal["nats", "bits"] = "nats"
    output: str = "versus"


@dataclass(frozen=True, kw_only=True)
class AuditOptions(OfManyData, OfSubject):
    """May q be trusted? How much room, where from, what to do next: a verdict and an HTML report, within a budget.

    Attributes:
        budget: seconds, or a text such as '1e7 evaluations', by which two calls give the same numbers; a second call
            goes on where the first ended.
        num_simulations: data sets that the guide is calibrated on.
        units: nats, or bits: say ELBO, log p(x) and room in bits per dimension of the numbers in the file, too.
        evidence: a table of merge with importance sampling of these data, in the place of the audit's own.
        own_loss: the loss that training printed; it is compared with minus the ELBO, and what is usually printed in its
            place.
        fail_if: a condition on the audit's numbers, such as 'gap > 5 or missed_modes > 0'; if it holds the exit code is
            5. The names are those under numbers in audit.json.
        explore: look around the data, too, with half as much budget again, and put an explorer of latent space into the
            report (the command explore makes it by itself).
        output: where the report, JSON, netCDF and the state go (default: audit/ in the run directory, else audit/).
    """

    budget: float | str = 120.0
    num_simulations: int = 300
    units: Literal["nats", "bits"] = "nats"
    evidence: str | None = None
    own_loss: float | None = None
    fail_if: str | None = None
    explore: bool = False
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExploreOptions(OfManyData, OfSubject):
    """Walk through latent space in one page: the posterior against q around each datum, and what is decoded there.

    Attributes:
        budget: seconds, or a text such as '1e7 evaluations', by which two calls give the same numbers; what an audit of
            these data has found before is used.
        indices: of the data around which to look, in this order, such as [3,141]; null for those with the largest room
            and as many others.
        max_bytes: size of the page; what does not fit is shown more coarsely, or left out, and the page says so.
        output: where explore.html goes (default: explore/ in the run directory, else explore/).
    """

    budget: float | str = 120.0
    indices: list[int] | None = None
    max_bytes: int = 3_000_000
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class GenerateOptions(OfSubject):
    """Pictures of what the model has learned: samples, reconstructions, traversals, interpolations.

    Attributes:
        num_samples: samples from the model.
        output: where the figures and samples.npz go (default: generate/ in the run directory, else generate/).
    """

    num_samples: int = 64
    output: str | None = None
