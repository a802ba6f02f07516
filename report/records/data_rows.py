"""All data of an audit, the worst first, with all results of each."""

import math
from dataclasses import dataclass, replace

import numpy as np

from elbowroom.inference.audit import Audit
from elbowroom.inference.weights import K_LIMIT
from elbowroom.report.records.audit_variables import audit_groups
from elbowroom.report.records.groups import Group
from elbowroom.report.records.words import amount, short

MOST_ROWS = 3000
"""So many data are listed, the worst ones."""
COLUMNS = (
    ("room", "Room", "log p(x) − ELBO ± standard error, nats"),
    ("encoder", "Encoder", "amortization gap, nats"),
    ("family", "Family", "approximation gap, nats"),
    ("log_p", "log p(x)", "from below ± standard error, nats"),
    ("k", "k̂", f"tail index of the importance weights; above {K_LIMIT} is bad"),
    ("rhat", "R-hat", "agreement of the Markov chains, the worst latent; it should be near 1"),
)


@dataclass(frozen=True)
class Cell:
    """What is shown, and what the table is sorted by (empty: always last)."""

    text: str
    key: str


@dataclass(frozen=True)
class Row:
    """One datum: its cells, whether q is good enough for each use (none if that was not looked at), and notes."""

    datum: int
    cells: list[Cell]
    uses: dict[str, bool]
    notes: str

    @property
    def good_for(self) -> list[tuple[str, str]]:
        """The uses in words, and `fit`, `part` or `unfit`: `✓ all`, those that q is good for, or `✗ nothing`."""
        fit = [use for use, ok in self.uses.items() if ok]
        if not self.uses:
            return []
        if len(fit) in (0, len(self.uses)):
            return [("✓ all", "fit") if fit else ("✗ nothing", "unfit")]
        return [(", ".join(use.removeprefix("model ") for use in fit), "part")]


class DataRows:
    """Rows in order of badness; `room` is that of each datum in the order of the data, NaN where it is not known."""

    def __init__(self, audit: Audit) -> None:
        self.audit, self._groups = audit, audit_groups(audit)
        decomposed = self._column("decomposition", "room")
        # Where the room was not taken apart it is what the bracket leaves above the ELBO.
        left = self._column("log_evidence", "lower") - self._column("importance", "elbo")
        self._left = np.where(np.isnan(decomposed), left, np.nan)
        self.room = np.where(np.isnan(decomposed), left, decomposed)
        exploded = self._column("decomposition", "exploded") == 1
        self._key = np.where(exploded & np.isnan(self.room), np.inf, self.room)
        self.order = worst_first(self._key, self._column("log_evidence", "width"))

    def filled(self) -> tuple[list[tuple[str, str, str]], list[Row]]:
        """Return those of `COLUMNS` that say anything, and at most `MOST_ROWS` rows of them."""
        rhat = self._worst_rhat()
        rows = [self._row(b, rhat[b]) for b in self.order[:MOST_ROWS]]
        filled = [i for i in range(len(COLUMNS)) if any(row.cells[i].key for row in rows)]
        return [COLUMNS[i] for i in filled], [replace(row, cells=[row.cells[i] for i in filled]) for row in rows]

    def _row(self, b: int, rhat: float) -> Row:
        def column(group: str, name: str) -> float:
            arrays = self._groups.get(group)
            return float("nan") if arrays is None else float(arrays.variables[name].values[b])

        def estimate(group: str, name: str, key: float | None = None) -> Cell:
            value, error = column(group, name), column(group, f"{name}_stderr")
            return Cell(amount(value, error), _key(value if key is None else key))

        k = column("agreement", "pareto_k")
        k = column("importance", "pareto_k") if math.isnan(k) else k
        left = float(self._left[b])
        error = math.hypot(column("log_evidence", "lower_stderr"), column("importance", "elbo_stderr"))
        cells = [
            estimate("decomposition", "room", self._key[b])
            if math.isnan(left)
            else Cell(amount(left, error), _key(self._key[b])),
            estimate("decomposition", "amortization"),
            estimate("decomposition", "approximation"),
            estimate("log_evidence", "lower"),
            Cell(short(k, 2), _key(k)),
            Cell("–" if math.isnan(rhat) else f"{rhat:.3f}", _key(rhat)),
        ]
        return Row(b, cells, self._uses(b), self._notes(b))

    def _uses(self, b: int) -> dict[str, bool]:
        group = self._groups.get("agreement")
        if group is None or not group.variables["examined"].values[b]:
            return {}
        fit = group.variables["fit_for"].values[b]
        return {str(use): bool(ok) for use, ok in zip(group.coords["use"], fit, strict=True)}

    def _notes(self, b: int) -> str:
        """Every flag and every reason not to use q, each once."""
        reasons: dict[str, None] = {}
        for name in ("decomposition", "log_evidence", "agreement", "convergence"):
            if name in self._groups:
                reasons[str(self._groups[name].variables["flag"].values[b])] = None
        reasons |= dict.fromkeys(_reasons(self._groups.get("agreement"), b))
        for name in ("decomposition", "log_evidence"):
            if name in self._groups:
                reasons[str(self._groups[name].variables["note"].values[b])] = None
        return "; ".join(reason for reason in reasons if reason)

    def _column(self, group: str, name: str) -> np.ndarray:
        if group not in self._groups:
            return np.full(self.audit.num_data, np.nan)
        return self._groups[group].variables[name].values.astype(float)

    def _worst_rhat(self) -> np.ndarray:
        if "convergence" not in self._groups:
            return np.full(self.audit.num_data, np.nan)
        return self._groups["convergence"].variables["rhat"].values.max(1)  # NaN of a latent stays NaN


def worst_first(room: np.ndarray, width: np.ndarray) -> list[int]:
    """Data in order of falling room; those without one last, the least certain log p(x) of them first."""
    has_room = ~np.isnan(room)
    primary = np.where(has_room, -np.nan_to_num(room, nan=0.0, posinf=np.inf), np.inf)
    return np.lexsort((-np.nan_to_num(width, nan=0.0), primary)).tolist()


def _reasons(group: Group | None, b: int) -> list[str]:
    """`not for means, tails: because …`, for each reason why q does not do for a use."""
    if group is None:
        return []
    uses_by_reason: dict[str, list[str]] = {}
    for use, reason in zip(group.coords["use"], group.variables["why_not"].values[b], strict=True):
        if reason:
            uses_by_reason.setdefault(str(reason), []).append(str(use))
    return [f"not for {', '.join(uses)}: {reason}" for reason, uses in uses_by_reason.items()]


def _key(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"
