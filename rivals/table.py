"""The one table: rivals fitted and weighed on the same data, and which is better where."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from elbowroom.densities.reported import Mean
from elbowroom.entrances import checked
from elbowroom.inference.progress import progress_bar
from elbowroom.inference.showing.numbers import plain, with_error
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table
from elbowroom.rivals.registry import RIVALS
from elbowroom.rivals.rival import Digits
from elbowroom.rivals.row import NOTHING, Row, measure


class Behind(NamedTuple):
    """How far a row is behind the best one, paired datum by datum, nats.

    Attributes:
        difference: mean and error over data of the best row's log p(x) less this one's, both from below.
        least: the lower end of its 95 % interval, where what may be above this row's value is taken off; −∞ where
            nobody knows what may be.
    """

    difference: Mean
    least: float


@dataclass(frozen=True, repr=False)
class RivalsTable(Shown):
    """Rivals on the same test data.

    Attributes:
        rows: in the order of the registry.
        kind: `"binary"` or `"levels"`.
        num_test: data that log p(x) is the mean of.
        seed: of all trainings, estimates and draws.
        left_out: rows that were not asked for by name, and what they are made of is not installed.
    """

    rows: tuple[Row, ...]
    kind: str
    num_test: int
    seed: int
    left_out: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Row:
        """The row of that name."""
        return next(row for row in self.rows if row.name == name)

    @property
    def best(self) -> Row:
        """The row whose log p(x), or lower bound on it, is highest on average."""
        return max(self._known, key=lambda row: row.log_p.value)

    @property
    def _known(self) -> list[Row]:
        """The rows whose log p(x) is known, at least from below."""
        return [row for row in self.rows if row.reported in ("exact", "both sides", "lower bound")]

    def behind(self, row: Row) -> Behind:
        """How far a row is behind the best, and what is certain of that."""
        best = self.best
        less = best.held_out.test.value.double() - row.held_out.test.value.double()
        error = math.hypot((less.std() / len(less) ** 0.5).item(), best.raised.stderr, row.raised.stderr)
        difference = Mean(less.mean().item() + best.raised.value - row.raised.value, error)
        above = row.apart or Mean(0.0, 0.0)
        at_least = Mean(difference.value - above.value, math.hypot(error, above.stderr))
        return Behind(difference, at_least.interval[0] if row.reported in ("exact", "both sides") else -math.inf)

    def verdict(self) -> tuple[str, ...]:
        """Which is better where, in sentences."""
        best = self.best
        known = [row for row in self._known if row is not best]
        lower = [row.name for row in known if row.reported == "lower bound"]
        near = [row for row in known if row.name not in lower and self.behind(row).least <= 0]
        far = sorted((row for row in known if self.behind(row).least > 0), key=lambda row: self.behind(row).least)
        said = [f"The highest log p(x) of new data has {best.name}: {_nats(best)}, {best.reported}."]
        if near:
            said.append(f"Not told apart from it on these {self.num_test} data: {', '.join(row.name for row in near)}.")
        if far:
            told = ", ".join(f"{row.name} ({_at_least(self.behind(row).least)})" for row in far)
            said.append(f"Behind it by at least (95 %, paired, nats): {told}.")
        if doubtful := [f"{row.name} ({row.num_flagged})" for row in self.rows if row.num_flagged]:
            said.append(f"With data whose value is flagged as not to be trusted: {', '.join(doubtful)}.")
        if lower:
            said.append(f"Of {', '.join(lower)} only a lower bound is known: these may be better than they look.")
        said.append("The intervals are over data, of one training each: another seed is another model.")
        return (*said, *self._elsewhere(), *self._missing())

    def _missing(self) -> list[str]:
        """What is not in the table, and why."""
        if not self.left_out:
            return []
        needs = " and ".join(sorted({RIVALS[name].needs for name in self.left_out}))
        return [f"Left out, for {needs} is not installed (pip install 'elbowroom[flows]'): {', '.join(self.left_out)}."]

    def _elsewhere(self) -> list[str]:
        """What else there is to choose by."""
        by = {
            "Quickest to say log p(x)": min(self._known, key=lambda row: row.evaluate_ms),
            "quickest to draw": min(self.rows, key=lambda row: row.sample_ms),
            "draws most like new data in roughness": min(self.rows, key=lambda row: abs(row.roughness - 1)),
            "in distance from training data": min(self.rows, key=lambda row: abs(row.distance - 1)),
            "least overfitted": min(self._known, key=lambda row: row.overfit.value),
        }
        return ["; ".join(f"{what}: {row.name}" for what, row in by.items()) + "."]

    def as_table(self) -> Table:
        """The numbers, the highest log p(x) first."""
        head = (
            f"log p(x) of {self.num_test} test data ({self.kind}) by {len(self.rows)} models, seed {self.seed}: nats, "
            "± one standard error over data",
            *self.verdict(),
        )
        order = sorted(self.rows, key=lambda row: (row.reported == NOTHING, -row.log_p.value))
        cells = [(row.name, *(cell(self, row) for cell in _CELLS.values()), row.reported) for row in order]
        sides = "<" + ">" * len(_CELLS) + "<"
        return Table(head, ("name", *_CELLS, "log p(x) is"), sides, cells, noun="models")

    def markdown(self) -> str:
        """Both halves of the table for a page: what each is, and what was measured."""
        words = [(r.name, r.rival.label, r.rival.avoids, r.reported, r.rival.cannot) for r in self.rows]
        numbers = [(row.name, *(cell(self, row) for cell in _CELLS.values())) for row in self.rows]
        return "\n\n".join(
            (
                _markdown(("name", "model", "what it does about Z", "log p(x)", "what it cannot do"), words),
                _markdown(("name", *_CELLS), numbers),
            )
        )

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "units": "nats per datum; ± and intervals over data drawn anew",
            "kind": self.kind,
            "num_test": self.num_test,
            "seed": self.seed,
            "verdict": list(self.verdict()),
            "rows": [
                row.record()
                | {"behind_best": self.behind(row).difference.value, "behind_best_least": self.behind(row).least}
                for row in self.rows
            ],
        }


@checked
def compare_rivals(
    data: Digits, rows: Sequence[str] | None = None, *, seed: int = 0, progress: bool = False
) -> RivalsTable:
    """Fit the rivals and weigh them on the same test data.

    Args:
        data: images; `digits("binary")`, `digits("levels")`, or `Digits.of` another data set.
        rows: names in `RIVALS`, by default all that take data of this kind and whose libraries are installed.
        seed: of trainings, estimates and draws.
        progress: show a progress bar of rows.

    Raises:
        ValueError: for a name that is not in `RIVALS`, or a row that does not take data of this kind.
        ImportError: for a row asked for by name whose library is not installed, before any work.
    """
    chosen = checked_rows(data.kind, rows)
    found = []
    with progress_bar(len(chosen), "rivals", "row", progress) as tick:
        for name in chosen:
            found.append(measure(name, RIVALS[name], data, seed))
            tick(1)
    left_out = [] if rows else [n for n, r in RIVALS.items() if data.kind in r.kinds and not r.is_here]
    return RivalsTable(tuple(found), data.kind, len(data.test), seed, tuple(left_out))


def checked_rows(kind: str, rows: Sequence[str] | None) -> list[str]:
    """The names of rows that take data of this kind, in the order of the registry.

    Raises:
        ValueError: naming those that there are.
        ImportError: for one whose library is not installed.
    """
    takes = [name for name, rival in RIVALS.items() if kind in rival.kinds]
    if rows is None:
        return [name for name in takes if RIVALS[name].is_here]
    if not rows or (wrong := [name for name in rows if name not in takes]):
        said = f"got {', '.join(map(repr, wrong))}" if rows else "got none"
        raise ValueError(f"rows: {said}, expected some of {', '.join(takes)}, which are of {kind} data")
    chosen = [name for name in takes if name in rows]
    if missing := [name for name in chosen if not RIVALS[name].is_here]:
        raise ImportError(
            f"rows: {', '.join(missing)}: made of {RIVALS[missing[0]].needs}, which is not installed; try pip install "
            "'elbowroom[flows]', or leave them out"
        )
    return chosen


def _nats(row: Row) -> str:
    low, high = row.interval
    return f"{plain(row.log_p.value, 2)} nats (95 % {plain(low, 2)} … {plain(high, 2)})"


def _at_least(value: float) -> str:
    return plain(value, 2)


def _in_short(value: float) -> str:
    """Two digits."""
    return f"{value:.2g}" if value < 99.5 else f"{value:.0f}"


def _with_error(mean: Mean | None) -> str:
    return "–" if mean is None or math.isnan(mean.value) else f"{plain(mean.value, 2)} ± {plain(mean.stderr, 2)}"


_CELLS: Mapping[str, Callable[[RivalsTable, Row], str]] = {
    "log p(x)": lambda table, row: _with_error(row.log_p),
    "apart": lambda table, row: "–" if row.apart is None else with_error(row.apart.value, row.apart.stderr),
    "bits/pixel": lambda table, row: "–" if row.reported == NOTHING else plain(row.bits.value, 3),
    "behind": lambda table, row: _with_error(table.behind(row).difference) if row is not table.best else "0",
    "train−test": lambda table, row: _with_error(row.overfit),
    "ms a datum": lambda table, row: _in_short(row.evaluate_ms),
    "ms a draw": lambda table, row: _in_short(row.sample_ms),
    "parameters": lambda table, row: str(row.num_parameters),
    "rough": lambda table, row: plain(row.roughness, 2),
    "far": lambda table, row: plain(row.distance, 2),
}
"""Header -> what stands in a row: log p(x) of test data, how far its sides are apart, what the best row has more,
paired datum by datum; seconds and size; and draws, in units of new data's roughness and distance from training data."""


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
