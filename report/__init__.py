"""Results as tables, files that ArviZ reads, and figures. Each name loads its libraries when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elbowroom.report.archive import save_netcdf, to_datatree
    from elbowroom.report.audit_archive import audit_datatree, save_audit_netcdf
    from elbowroom.report.audit_files import save_audit
    from elbowroom.report.figure_gap import gap_figure
    from elbowroom.report.figure_images import prior_samples_figure, reconstruction_figure
    from elbowroom.report.figure_latents import interpolation_figure, traversal_figure
    from elbowroom.report.figure_losses import loss_figure
    from elbowroom.report.figure_posterior import posterior_figure
    from elbowroom.report.figure_style import save_figure
    from elbowroom.report.json_audit import audit_record, save_audit_json
    from elbowroom.report.json_file import comparison_record, save_json
    from elbowroom.report.page.document import save_html
    from elbowroom.report.rounding import with_error
    from elbowroom.report.sentences import summary
    from elbowroom.report.table_audit import audit_table
    from elbowroom.report.table_bounds import bounds_table
    from elbowroom.report.table_bracket import bracket_table
    from elbowroom.report.table_comparison import comparison_table
    from elbowroom.report.table_evidence import evidence_table
    from elbowroom.report.table_training import training_table

__all__ = [
    "audit_datatree",
    "audit_record",
    "audit_table",
    "bounds_table",
    "bracket_table",
    "comparison_record",
    "comparison_table",
    "evidence_table",
    "gap_figure",
    "interpolation_figure",
    "loss_figure",
    "posterior_figure",
    "prior_samples_figure",
    "reconstruction_figure",
    "save_audit",
    "save_audit_json",
    "save_audit_netcdf",
    "save_figure",
    "save_html",
    "save_json",
    "save_netcdf",
    "summary",
    "to_datatree",
    "training_table",
    "traversal_figure",
    "with_error",
]

_FILES = {
    "archive": ("save_netcdf", "to_datatree"),
    "audit_archive": ("audit_datatree", "save_audit_netcdf"),
    "audit_files": ("save_audit",),
    "json_audit": ("audit_record", "save_audit_json"),
    "table_audit": ("audit_table",),
    "figure_gap": ("gap_figure",),
    "figure_images": ("prior_samples_figure", "reconstruction_figure"),
    "figure_latents": ("interpolation_figure", "traversal_figure"),
    "figure_losses": ("loss_figure",),
    "figure_posterior": ("posterior_figure",),
    "figure_style": ("save_figure",),
    "json_file": ("comparison_record", "save_json"),
    "page.document": ("save_html",),
    "rounding": ("with_error",),
    "sentences": ("summary",),
    "table_bounds": ("bounds_table",),
    "table_bracket": ("bracket_table",),
    "table_comparison": ("comparison_table",),
    "table_evidence": ("evidence_table",),
    "table_training": ("training_table",),
}
_HOME = {name: file for file, names in _FILES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
