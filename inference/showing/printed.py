"""Text that is laid out in lines, and looks like that wherever it ends up."""

import html
from typing import Self


class Printed(str):
    """A string that a notebook or a console shows as its lines, without `print`, and not as one with `\\n` in it.

    It is a `str` in every other respect.
    """

    __slots__ = ()

    @classmethod
    def of(cls, lines: list[str]) -> Self:
        """Lines one below the other."""
        return cls("\n".join(lines))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f'<pre style="white-space: pre-wrap">{html.escape(self)}</pre>'
