"""The explorer as a page by itself, and as a part of another page."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from elbowroom.entrances import checked
from elbowroom.entrances.visible import visible
from elbowroom.inference.exploration.result import Exploration
from elbowroom.inference.saving.durable import replace_text
from elbowroom.report.explorer.drawn import drawn_as
from elbowroom.report.explorer.fitted import fitted
from elbowroom.report.explorer.joined import script
from elbowroom.report.records.palette import css, paper_css
from elbowroom.report.records.versions import versions
from elbowroom.report.records.words import count

_FOLDER = Path(__file__).parent
TITLE = "What is around each datum in latent space?"
MOST_BYTES = 3_000_000
LAYERS = (
    ("posterior", "posterior, 50 and 90 %"),
    ("guide", "q, 50 and 90 %"),
    ("prior", "prior, 50 and 90 %"),
    ("chains", "draws of chains"),
    ("draws", "draws of q"),
    ("modes", "modes"),
    ("code", "mean of q"),
)
"""What the plane shows, each of which may be switched off: name in `script/plane.js`, and in words."""


@checked
def save_explorer(
    exploration: Exploration,
    path: str | Path,
    *,
    image_shape: tuple[int, ...] | None = None,
    title: str | None = None,
    max_bytes: int = MOST_BYTES,
) -> Path:
    """Write an exploration as one HTML file to walk through, whole or not at all, and return its path.

    The file asks for nothing over the network. On a plane through the latent space of a datum it shows the posterior
    and q, and what the model makes of the point under the cursor; beside it a map of all data.

    Args:
        exploration: from `explore`.
        path: of the file.
        image_shape: of a datum, `(height, width)`, `(height, width, channels)` or `(channels, height, width)`; `()`
            says that data are no pictures. By default it is guessed: `[B, H, W]`, `[B, C, H, W]`, `[B, H, W, C]` and
            flat rows between 0 and 1 of a square length are pictures.
        title: of the page; by default a general one.
        max_bytes: of the file. What is larger is made smaller step by step, which the page says: without draws of x,
            on coarser lattices, with fewer pixels, with planes for fewer data.

    Raises:
        ValueError: if the shape does not fit the data, or if the page cannot be as small as that.
    """
    return replace_text(path, page(exploration, image_shape=image_shape, title=title, max_bytes=max_bytes))


def page(
    exploration: Exploration,
    *,
    image_shape: tuple[int, ...] | None = None,
    title: str | None = None,
    max_bytes: int = MOST_BYTES,
) -> str:
    """The page that `save_explorer` writes."""
    drawn = drawn_as(exploration.x, exploration.scale, image_shape)

    def document(data: str) -> str:
        text: str = _template("explorer.html.jinja").render(
            title=visible(title or TITLE),
            style=Markup(css() + paper_css()) + part_style(),
            part=_part(exploration, data, level=2),
            versions=", ".join(f"{name} {version}" for name, version in versions().items()),
        )
        return text

    return document(fitted(exploration, drawn, max_bytes - len(document("").encode())))


def part(exploration: Exploration, *, image_shape: tuple[int, ...] | None = None) -> Markup:
    """The explorer in a page that has `part_style`: its names of elements and rules all begin with `explorer`."""
    drawn = drawn_as(exploration.x, exploration.scale, image_shape)
    return _part(exploration, fitted(exploration, drawn, MOST_BYTES), level=3)


@cache
def part_style() -> Markup:
    """The rules of the part, beside `css()` and `paper_css()`."""
    return Markup((_FOLDER / "explorer.css").read_text(encoding="utf-8"))


def _part(exploration: Exploration, data: str, level: int) -> Markup:
    return Markup(
        _template("explorer.jinja").render(
            data=Markup(data),
            script=Markup(script()),
            level=level,
            num_data=count(exploration.num_data),
            layers=LAYERS,
            is_line=len(exploration.map.axes) == 1,
            num_moments=len(exploration.moments),
        )
    )


@cache
def _template(name: str) -> Template:
    """Compiled once for all pages."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template(name)
