"""Results as objects of the installed ArviZ. Nothing else knows how ArviZ 0.23 and 1.x differ."""

import warnings
from types import ModuleType
from typing import Any

import xarray as xr

from elbowroom.entrances import checked
from elbowroom.inference import Comparison, Draws
from elbowroom.report.archives.comparison_netcdf import to_datatree
from elbowroom.report.archives.draws_datatree import draws_datatree


@checked
def draws_to_arviz(draws: Draws, **options: Any) -> Any:
    """`Draws.to_arviz`, which takes the same options."""
    return arviz_object(draws_datatree(draws, **options))


@checked
def comparison_to_arviz(comparison: Comparison, **options: Any) -> Any:
    """`Comparison.to_arviz`, which takes the same options."""
    return arviz_object(to_datatree(comparison, **options))


def arviz_object(tree: xr.DataTree) -> Any:
    """A copy of a tree as ArviZ wants it: an `arviz.InferenceData` for ArviZ 0.x, from 1.0 on the tree itself.

    Raises:
        ImportError: if ArviZ cannot be imported, with what to install.
    """
    arviz = _arviz()
    own = tree.copy(deep=True)  # its arrays are those of the result: who changes an ArviZ object changes no draws
    return arviz.InferenceData.from_datatree(own) if arviz.__version__.startswith("0.") else own


def _arviz() -> ModuleType:
    """ArviZ, whose import takes seconds: not before somebody asks for it."""
    try:
        with warnings.catch_warnings():
            # At its first import of a day 0.23 says that 1.x is coming, which would be an error under `-W error`.
            warnings.filterwarnings("ignore", r"\s*ArviZ is undergoing a major refactor", FutureWarning)
            import arviz
    except (ImportError, AttributeError) as error:  # the latter: an ArviZ older than the libraries that it uses
        raise ImportError(
            f"to_arviz needs ArviZ, and importing it failed ({error}): pip install --upgrade 'arviz>=0.23'"
        ) from error
    return arviz
