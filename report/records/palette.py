"""One colour, one meaning: on the page, by day and by night, and in every figure.

Figures take the colours by day from here (`figures/style.py`), the page all of them as variables (`css`). After Okabe
and Ito (2008), distinct with every common colour blindness; the parts of the room are three shades of one hue.
"""

from pathlib import Path
from typing import NamedTuple


class Ink(NamedTuple):
    """A colour on light and on dark paper, and what it stands for."""

    light: str
    dark: str
    meaning: str


PALETTE = {
    "exact": Ink("#000000", "#e4e1d9", "log p(x), and what is exact"),
    "posterior": Ink("#8e8d88", "#767d87", "the posterior: its regions, inner ones"),
    "posterior-outer": Ink("#bebebe", "#4a5058", "the posterior: its regions, outer ones"),
    "guide": Ink("#d55e00", "#f08c4a", "q: its draws, densities and calibration"),
    "draws": Ink("#0072b2", "#5fb0e0", "draws of Markov chains"),
    "bound": Ink("#e69f00", "#f0b73c", "the ELBO and other bounds"),
    "sampled": Ink("#009e73", "#35c79b", "log p̂(x) by importance sampling"),
    "other": Ink("#56b4e9", "#3d93c9", "anything else: what the model draws, another method"),
    "data": Ink("#8a8a8a", "#9a9da1", "data, and what is beside the point"),
    "encoder": Ink("#8a3f72", "#d48ebb", "the encoder's part of the room"),
    "family": Ink("#cc79a7", "#9a5282", "the family's part of the room"),
    "rest": Ink("#e6c3d7", "#703a5c", "what is left of the room; all of it where it is not taken apart"),
}
"""Name -> colours and meaning."""


def css() -> str:
    """The colours as variables of a page: `--guide` and so on."""
    day, night = (
        " ".join(f"--{name}: {getattr(ink, paper)};" for name, ink in PALETTE.items()) for paper in ("light", "dark")
    )
    return f":root {{ {day} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {night} }} }}\n"


def paper_css() -> str:
    """What every page looks like, whatever is on it: paper and ink by day and by night, letters, links, focus."""
    return Path(__file__).with_name("paper.css").read_text(encoding="utf-8")
