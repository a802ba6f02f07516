"""What a comparison of two models found, as it is shown: sentences, a table, a record."""

from dataclasses import dataclass
from typing import Any

from elbowroom.inference.showing.numbers import plain
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table
from elbowroom.inference.two_models.compared import Compared
from elbowroom.inference.two_models.difference import ends, error
from elbowroom.inference.two_models.paired import Paired
from elbowroom.inference.two_models.sentences import sentences


@dataclass(frozen=True, repr=False)
class Versus(Compared, Shown):
    """Two models on the same data, see `Compared`: numbers, and what they say."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """The answer in words, the verdict first."""
        return sentences(self)

    def as_table(self) -> Table:
        """The answer, the three differences, and the data on which the models differ most."""
        low, high = ends(self.brackets)
        middle = ((low + high) / 2).nan_to_num(0.0, 0.0, 0.0)
        rows = []
        for place in middle.abs().argsort(descending=True, stable=True).tolist():
            flags = [
                f"{name}: {bracket.flags[place]}"
                for name, bracket in zip(self.names, self.brackets, strict=True)
                if not bool(self.known[place]) and bracket.flags[place]
            ]
            less = float(self.elbos[0].value[place] - self.elbos[1].value[place])
            between = (plain(float(low[place])), plain(float(high[place])))
            rows.append((str(int(self.data[place])), *between, plain(less), "; ".join(flags)))
        columns = ("datum", "log p: from", "to", "ELBO", "flag")
        return Table(self.sentences, columns, ">>>><", rows, len(rows))

    def record(self) -> dict[str, Any]:
        """As JSON."""
        a, b = self.rooms() if len(self.log_p) else (None, None)
        means = {"log_p": self.log_p, "elbo": self.elbo, "room": self.room, "room_a": a, "room_b": b}
        low, high = ends(self.brackets)
        return {
            "units": "nats per datum, a less b",
            "a": self.names[0],
            "b": self.names[1],
            "better": self.better,
            "elbo_reversed": self.is_reversed,
            "about": "new data" if self.anew else "these data",
            "level": self.level,
            "verdict": list(self.sentences),
            "means": {name: None if p is None or not len(p) else _mean(p, self.level) for name, p in means.items()},
            "num_data": self.num_data,
            "num_used": len(self),
            "num_known": int(self.known.sum()),
            "more": self.more,
            "unit": self.unit,
            "spent": self.spent,
            "data": [
                {
                    "datum": int(self.data[place]),
                    "log_p": [float(low[place]), float(high[place])],
                    "stderr": float(error(self.brackets)[place]),
                    "elbo": [float(e.value[place]) for e in self.elbos],
                    "known": bool(self.known[place]),
                    "flags": [bracket.flags[place] for bracket in self.brackets],
                }
                for place in range(len(self))
            ],
        }


def _mean(paired: Paired, level: float) -> dict[str, Any]:
    return {"value": paired.value, "interval": list(paired.interval()), "at_level": list(paired.interval(level))}
