"""What an audit found: numbers with intervals, and a verdict made of sentences that point to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.audit.table import HEADER, cells, largest_room, table_rows
from elbowroom.inference.diagnostics.agreement import Agreement
from elbowroom.inference.diagnostics.calibration import Calibration
from elbowroom.inference.diagnostics.latent_use import LatentUse
from elbowroom.inference.entry_points import report_function
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evidence.bracket import Bracket
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.inference.gap import Decomposition
from elbowroom.inference.mcmc.convergence import Convergence, Gates
from elbowroom.inference.showing.printed import Printed
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import LINES, Table
from elbowroom.inference.target import Target

Topic = Literal["verdict", "room", "worth", "source", "next", "worst", "use", "calibration", "latents", "caution"]
Tone = Literal["good", "note", "warning", "bad"]


@dataclass(frozen=True)
class Number:
    """A quantity that a sentence of the verdict rests on, with its 95 % interval.

    Attributes:
        value: the estimate.
        low, high: ends of the interval; for a bound one of them may be infinite.
        unit: `"nats"`, `"share"`, `"data"`, `"p"`, `"sd"`, or empty.
        about: one line that says what it is and how it was found.
        kind: what the interval is of: `"Monte Carlo"`, where the same data with other random numbers would give
            another value; `"8 data as a sample of 60"`, where others of these data would; `"data drawn anew"`, where
            other data of the kind would; empty where nothing is uncertain.
    """

    value: float
    low: float
    high: float
    unit: str
    about: str
    kind: str = ""


@dataclass(frozen=True)
class Finding:
    """One sentence of the verdict.

    Attributes:
        topic: what it answers: the whole in short, how much room, whether log p(x) is a good one, where the room comes
            from, what to do next, which data are worst, what q may be used for, calibration, the latents, or what to be
            careful about.
        tone: good, note, warning or bad.
        sentence: plain language.
        numbers: keys into `Audit.numbers` of all that the sentence says.
        data: indices of the data that it speaks of.
    """

    topic: Topic
    tone: Tone
    sentence: str
    numbers: tuple[str, ...]
    data: tuple[int, ...] = ()


@dataclass(frozen=True)
class Headline:
    """One of the three numbers of a `Brief`, in words.

    Attributes:
        key: its name in `Audit.numbers`.
        label: what it is: `ELBO`, `log p(x)` or `room`.
        value: to as many digits as are certain, nats per datum.
        interval: `−19.8 to −19.6` (95 %); empty where it is no wider than the last digit shown.
        kind: as of `Number`: what the interval is of.
    """

    key: str
    label: str
    value: str
    interval: str
    kind: str

    @property
    def told(self) -> str:
        """All of it on one line."""
        return f"{self.label} {self.value}" + (f" ({self.certainty})" if self.certainty else "")

    @property
    def certainty(self) -> str:
        """The interval and what it is of: `95 %: −19.8 to −19.6, Monte Carlo`."""
        shown = f"95 %: {self.interval}" if self.interval else "95 %: no wider than shown" if self.kind else ""
        return ", ".join(words for words in (shown, self.kind) if words)


@dataclass(frozen=True)
class Brief:
    """The verdict at a glance: what fits on the first screen, and stands last in a terminal.

    Attributes:
        sentence: may q be trusted, and for what; a doubt that must be settled before anything else takes its place.
        tone: good, note, warning or bad.
        numbers: ELBO, log p(x) and the room between them; none where the room is not known.
        whose: whether the room is the encoder's, the family's, or still to be found.
        next_step: what to do first.
        worth: what log p(x) is beside that of a model without latents.
    """

    sentence: str
    tone: Tone
    numbers: tuple[Headline, ...]
    whose: str
    next_step: str
    worth: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """Sentence, numbers (nats per datum), what they are worth, whose the room is, what next; those there are."""
        return tuple(line for line in (self.sentence, self._told(), self.worth, self.whose, self.next_step) if line)

    def _told(self) -> str:
        """The three numbers on a line; of what their intervals are is said once where they are of the same."""
        kinds = {number.kind for number in self.numbers}
        if len(kinds) > 1 or kinds == {""}:
            return f"Nats per datum: {'; '.join(number.told for number in self.numbers)}."
        numbers = (f"{n.label} {n.value}" + (f" ({n.interval})" if n.interval else "") for n in self.numbers)
        return f"Nats per datum (95 %: {kinds.pop()}): {'; '.join(numbers)}." if kinds else ""


@dataclass(frozen=True, repr=False)
class Portrait(Shown):
    """Draws of a few chosen data, for pictures.

    Attributes:
        data: indices of the P chosen data, the worst first.
        latents: names of the N scalar latents.
        guide: draws of q, `[S, P, N]`.
        posterior: draws of the posterior, `[M, P, N]`; None if chains were not run.
    """

    data: tuple[int, ...]
    latents: tuple[str, ...]
    guide: Tensor
    posterior: Tensor | None

    def as_table(self) -> Table:
        """Which data, and how many draws."""
        chains = "no chains were run" if self.posterior is None else f"{len(self.posterior)} of the posterior"
        return Table((f"draws of the data {list(self.data[:12])}, for pictures: {len(self.guide)} of q, {chains}",))


@dataclass(frozen=True, repr=False)
class Chains(Shown):
    """How the Markov chains of the examined data fared.

    Attributes:
        rows: the data that they were run on.
        convergence: R-hat, ESS and the rest for each of them.
        num_chains, num_draws, num_warmup: their sizes; of a block that ran out of time there are fewer draws.
        gates: what they had to pass.
    """

    rows: tuple[int, ...]
    convergence: Convergence
    num_chains: int
    num_draws: int
    num_warmup: int
    gates: Gates

    def as_table(self) -> Table:
        """How their draws fared; rows are counted among the examined data."""
        found = self.convergence.as_table()
        sizes = f"{self.num_chains} chains of {self.num_draws} draws after {self.num_warmup} of warm-up; {self.gates}"
        data = f"data {list(self.rows[:12])}{' …' if len(self.rows) > 12 else ''}"
        return replace(found, head=(f"{found.title}, {data}", sizes, *found.head[1:]))


@dataclass(frozen=True, repr=False)
class Audit(Shown):
    """All that `audit` found. Parts that the budget did not allow are None or of some of the data.

    Attributes:
        num_data: B, the data that were given.
        bracket: log p(x) from both sides, all data.
        decomposition: where the room comes from, of the data `rows["decomposition"]`.
        agreement: q against the posterior, of the data `rows["agreement"]`.
        chains: diagnostics of the chains behind `agreement`.
        calibration: over simulated data sets.
        latent_use: what the model does with its latents.
        portrait: draws for pictures.
        rows: part -> the data that it covers; `"random"`: the examined data that are a random sample of all.
        numbers: name -> quantity with interval, all that the verdict rests on and `--fail-if` may name.
        findings: the sentences of the verdict, in order.
        brief: the verdict at a glance, made of them.
        cost: part -> seconds.
        provenance: versions, seed, budget, shapes, when: strings and numbers only.
        x: the data, `[B, ...]`, for pictures; None if the programs take no tensor with a row for each datum.
        sampled: importance sampling of all data.
        skipped: part -> why these programs or this budget did not allow it.
        about: what was audited: part (data, model, guide, …) -> name -> what it is, with digests of the data.
        announced: sentences on what was done to the data and nobody asked for.
        target: the programs on these data, for `explore`; no file holds them.
    """

    num_data: int
    bracket: Bracket
    decomposition: Decomposition | None
    agreement: Agreement | None
    chains: Chains | None
    calibration: Calibration | None
    latent_use: LatentUse | None
    portrait: Portrait | None
    rows: dict[str, tuple[int, ...]]
    numbers: dict[str, Number]
    findings: tuple[Finding, ...]
    brief: Brief
    cost: dict[str, float]
    provenance: dict[str, Any]
    x: Tensor | None
    sampled: Estimate[ImportanceInfo] | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    about: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    announced: tuple[str, ...] = ()
    target: Target | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return self.num_data

    @property
    def verdict(self) -> str:
        """The verdict in plain language: the brief, an empty line, then every sentence, each on a line."""
        return Printed("\n".join([*self.brief.lines, "", *(finding.sentence for finding in self.findings)]).rstrip())

    def as_table(self) -> Table:
        """The brief, and the examined data with the largest room; what is left out is in `verdict` and `table()`."""
        more = f"({len(self.findings)} sentences more in `.verdict`, with what they rest on in `.numbers`)"
        head = (*self.brief.lines, more)
        if self.decomposition is None or self.agreement is None:
            return Table(head)
        examined = self.rows["decomposition"]
        chosen = [examined[i] for i in largest_room(self.decomposition)[:LINES]]
        rows = cells(self.decomposition, self.agreement, self.rows, chosen)
        return Table(head, HEADER, ">" * (len(HEADER) - 1) + "<", rows, len(examined), "examined data")

    def _title(self) -> str:
        return f"an audit of {len(self)} data: {self.brief.sentence}"

    @checked
    def table(self, data: Sequence[int] | None = None, most: int = 20) -> str:
        """The verdict, and rows of chosen examined data, or of the `most` with the largest room; nats.

        Raises:
            ValueError: for data that were not examined.
        """
        rows = table_rows(self.decomposition, self.agreement, self.rows, data, most)
        return Printed.of([self.verdict, "", *rows])

    @checked
    def save(self, directory: str | Path) -> list[Path]:
        """Write `report.html`, `audit.json` and `audit.nc` and return their paths; each is whole or not there.

        Raises:
            RuntimeError: if elbowroom was installed before it named who writes the files of an audit.
        """
        written: list[Path] = report_function("audit", "elbowroom.report.save_audit(audit, directory)")(self, directory)
        return written
