"""An audit as one HTML file that opens anywhere, with no network."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from elbowroom.entrances import checked
from elbowroom.entrances.visible import visible
from elbowroom.inference.audit import Audit
from elbowroom.inference.exploration.result import Exploration
from elbowroom.inference.saving.durable import replace_text
from elbowroom.report.explorer.document import part, part_style
from elbowroom.report.page.chart_posterior import MOST_DATA, portraits
from elbowroom.report.page.findings import brief_section, finding_groups
from elbowroom.report.page.origins import origins
from elbowroom.report.page.pictures import Pictures
from elbowroom.report.page.sections import (
    calibration_section,
    chains_section,
    cost_section,
    latents_section,
    room_section,
    uses_section,
)
from elbowroom.report.page.terms import TERMS
from elbowroom.report.records.data_rows import MOST_ROWS, DataRows
from elbowroom.report.records.palette import css, paper_css
from elbowroom.report.records.versions import versions
from elbowroom.report.records.words import count, interval_text, value_text

_EXPLAINED = {"room": "room", "encoder": "encoder’s part", "family": "family’s part", "k": "k̂", "rhat": "R-hat"}
"""Column of the table -> its word among the terms."""

_FOLDER = Path(__file__).parent
MOST_PICTURES = 80
"""So many of the worst data have a picture in the table."""
SHORT_NOTES = 48
"""Characters of the notes on a datum; longer ones unfold."""


@checked
def save_html(
    audit: Audit,
    path: str | Path,
    *,
    image_shape: tuple[int, ...] | None = None,
    title: str | None = None,
    exploration: Exploration | None = None,
) -> Path:
    """Write the report of an audit as one self-contained HTML file, whole or not at all, and return its path.

    The file asks for nothing over the network, is readable on a phone, in the dark and on paper, and stays below 8 MB
    whatever the number of data: it lists the 3000 worst data, the 80 worst of them with a picture, and portrays 8. An
    exploration adds 3 MB at most.

    Args:
        audit: from `audit`.
        path: of the file.
        image_shape: of a datum, `(height, width)`, `(height, width, channels)` or `(channels, height, width)`; `()`
            says that data are no pictures. By default it is guessed: see `image_shape_of`. One that does not fit costs
            the pictures, not the page, which says so.
        title: what was audited, for the title and the first line; by default a general one.
        exploration: from `explore`, to be walked through in a section of its own.
    """
    return replace_text(path, page(audit, image_shape=image_shape, title=title, exploration=exploration))


def page(
    audit: Audit,
    *,
    image_shape: tuple[int, ...] | None = None,
    title: str | None = None,
    exploration: Exploration | None = None,
) -> str:
    """The page that `save_html` writes."""
    shown_as = Pictures(audit.x, image_shape)
    columns, rows = DataRows(audit).filled()
    pictures = [shown_as.picture(row.datum) for row in rows[:MOST_PICTURES]] + [""] * len(rows[MOST_PICTURES:])
    values = [shown_as.values(row.datum) for row in rows]
    shown = {row.datum for row in rows}
    drawn = [] if audit.portrait is None else portraits(audit.portrait)
    text: str = _template().render(
        title=title or "How much room is above the ELBO, and can q be trusted?",
        subject=title or "",
        terms=TERMS,
        style=Markup(css()) + Markup(paper_css()) + _file("page.css") + ("" if exploration is None else part_style()),
        explorer=exploration and part(exploration, image_shape=() if shown_as.why_not else image_shape),
        script=_file("page.js"),
        num_data=count(audit.num_data),
        brief=brief_section(audit),
        groups=finding_groups(audit, shown),
        numbers=[(name, value_text(n), interval_text(n), n.kind, n.about) for name, n in audit.numbers.items()],
        room=room_section(audit),
        table={
            "rows": list(zip(rows, pictures, values, strict=True)), "columns": columns,
            "shown": len(rows), "all": audit.num_data,
            "uses": next((list(row.uses) for row in rows if row.uses), []), "short": SHORT_NOTES,
            "terms": [_EXPLAINED[key] for key, _, _ in columns if key in _EXPLAINED], "why": shown_as.why_not,
            "pictures": MOST_PICTURES if any(pictures) else 0,
            "inputs": any(pictures) or any(values), "most": MOST_ROWS,
        },
        portraits=[(each, shown_as.picture(each.datum), shown_as.values(each.datum)) for each in drawn],
        portrait_truth=audit.portrait is not None and audit.portrait.posterior is not None,
        portrait_latents=0 if audit.portrait is None else len(audit.portrait.latents),
        portrait_note="" if audit.portrait is None or len(audit.portrait.data) <= MOST_DATA else f"first {MOST_DATA}",
        uses=None if audit.agreement is None else uses_section(audit, audit.agreement),
        calibration=None if audit.calibration is None else calibration_section(audit.calibration),
        latents=None if audit.latent_use is None else latents_section(audit.latent_use),
        chains=None if audit.chains is None else chains_section(audit.chains),
        skipped=audit.skipped,
        cost=cost_section(audit.cost),
        announced=audit.announced,
        origins=origins(audit),
        versions=list(versions().items()),
    )  # fmt: skip
    return visible(text)  # names of any kind may hide in it


@cache
def _template() -> Template:
    """Compiled once for all pages."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html.jinja")


def _file(name: str) -> Markup:
    """A file of this folder, which needs no escaping."""
    return Markup((_FOLDER / name).read_text(encoding="utf-8"))
