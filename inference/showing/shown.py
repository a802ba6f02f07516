"""What every result looks like when it is printed, and in a notebook."""

from abc import abstractmethod

from elbowroom.inference.showing.table import Table


class Shown:
    """A result that describes itself as a `Table`.

    `str` is that table, at most 40 lines for any number of data; `repr`, which stands in tracebacks, in containers and
    in what pytest says, is its title on one line; a notebook shows the table as HTML. Dataclasses are declared with
    `repr=False`, or theirs would come before these.
    """

    __slots__ = ()

    @abstractmethod
    def as_table(self) -> Table:
        """What it is, its means, and the data that most need a look."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.as_table().text()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._title()}>"

    def _repr_html_(self) -> str:
        return self.as_table().html()

    def _title(self) -> str:
        """The table's title; where that is much cheaper than the table, a class says it by itself."""
        return self.as_table().title
