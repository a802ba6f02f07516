"""How is a result shown? As text, as a figure, as a file for machines, as a page for people.

    records/    what is said of a result: flat records, groups of named arrays, sentences, numbers as text
    tables/     text for the terminal and for logs
    figures/    matplotlib
    archives/   JSON and netCDF, for ArviZ, xarray and other programs
    page/       the HTML page of an audit, one file that asks for nothing over the network
    explorer/   the page to walk through an exploration, alone and as a part of that of an audit
    audit_files.py   all files of an audit: `Audit.save` finds it as the entry point `elbowroom.reports`

The rooms that draw know `records/` and `inference/`, and not each other (but `page/` holds the explorer): whatever two
of them say is said in `records/`, once. Read `records/audit_variables.py` first: the JSON, the netCDF and the page of
an audit are made of it.

Each name loads its file, and its libraries, when it is first used.
"""

import random
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elbowroom.report.archives.arviz_objects import comparison_to_arviz, draws_to_arviz
    from elbowroom.report.archives.audit_json import audit_record, save_audit_json
    from elbowroom.report.archives.audit_netcdf import audit_datatree, save_audit_netcdf
    from elbowroom.report.archives.comparison_json import comparison_record, save_json
    from elbowroom.report.archives.comparison_netcdf import save_netcdf, to_datatree
    from elbowroom.report.archives.draws_datatree import draws_datatree
    from elbowroom.report.audit_files import save_audit
    from elbowroom.report.explorer.document import save_explorer
    from elbowroom.report.figures.bags import bags_figure, topics_figure
    from elbowroom.report.figures.codes import usage_figure
    from elbowroom.report.figures.datum import Drawn, drawn_figure, is_picture, redrawn_figure
    from elbowroom.report.figures.gap import gap_figure
    from elbowroom.report.figures.images import image_rows_figure, prior_samples_figure, reconstruction_figure
    from elbowroom.report.figures.latents import interpolation_figure, traversal_figure
    from elbowroom.report.figures.looks import look
    from elbowroom.report.figures.losses import loss_figure
    from elbowroom.report.figures.posterior import posterior_figure
    from elbowroom.report.figures.sequences import sequences_figure
    from elbowroom.report.figures.style import save_figure
    from elbowroom.report.figures.two_models import versus_figure
    from elbowroom.report.page.document import save_html
    from elbowroom.report.records.number_format import with_error
    from elbowroom.report.records.sentences import summary
    from elbowroom.report.tables.audit import audit_table
    from elbowroom.report.tables.bounds import bounds_table
    from elbowroom.report.tables.bracket import bracket_table
    from elbowroom.report.tables.comparison import comparison_table
    from elbowroom.report.tables.evidence import evidence_table
    from elbowroom.report.tables.training import training_table

__all__ = [
    "Drawn",
    "audit_datatree",
    "audit_record",
    "audit_table",
    "bags_figure",
    "bounds_table",
    "bracket_table",
    "comparison_record",
    "comparison_table",
    "comparison_to_arviz",
    "drawn_figure",
    "draws_datatree",
    "draws_to_arviz",
    "evidence_table",
    "gap_figure",
    "image_rows_figure",
    "interpolation_figure",
    "is_picture",
    "look",
    "loss_figure",
    "posterior_figure",
    "prior_samples_figure",
    "reconstruction_figure",
    "redrawn_figure",
    "save_audit",
    "save_audit_json",
    "save_audit_netcdf",
    "save_explorer",
    "save_figure",
    "save_html",
    "save_json",
    "save_netcdf",
    "sequences_figure",
    "summary",
    "to_datatree",
    "topics_figure",
    "training_table",
    "traversal_figure",
    "usage_figure",
    "versus_figure",
    "with_error",
]

_FILES = {
    "archives.arviz_objects": ("comparison_to_arviz", "draws_to_arviz"),
    "archives.audit_json": ("audit_record", "save_audit_json"),
    "archives.audit_netcdf": ("audit_datatree", "save_audit_netcdf"),
    "archives.comparison_json": ("comparison_record", "save_json"),
    "archives.comparison_netcdf": ("save_netcdf", "to_datatree"),
    "archives.draws_datatree": ("draws_datatree",),
    "audit_files": ("save_audit",),
    "explorer.document": ("save_explorer",),
    "figures.bags": ("bags_figure", "topics_figure"),
    "figures.codes": ("usage_figure",),
    "figures.datum": ("Drawn", "drawn_figure", "is_picture", "redrawn_figure"),
    "figures.gap": ("gap_figure",),
    "figures.images": ("image_rows_figure", "prior_samples_figure", "reconstruction_figure"),
    "figures.latents": ("interpolation_figure", "traversal_figure"),
    "figures.looks": ("look",),
    "figures.losses": ("loss_figure",),
    "figures.posterior": ("posterior_figure",),
    "figures.sequences": ("sequences_figure",),
    "figures.style": ("save_figure",),
    "figures.two_models": ("versus_figure",),
    "page.document": ("save_html",),
    "records.number_format": ("with_error",),
    "records.sentences": ("summary",),
    "tables.audit": ("audit_table",),
    "tables.bounds": ("bounds_table",),
    "tables.bracket": ("bracket_table",),
    "tables.comparison": ("comparison_table",),
    "tables.evidence": ("evidence_table",),
    "tables.training": ("training_table",),
}
_HOME = {name: file for file, names in _FILES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    state = random.getstate()  # rich draws from Python's generator when it is imported
    try:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    finally:
        random.setstate(state)


def __dir__() -> list[str]:
    return sorted(__all__)
