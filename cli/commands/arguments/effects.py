"""Options that would say nothing: they are of what was not asked for."""

from dataclasses import MISSING, fields
from typing import Any

NAMING = ("vae", "encoder", "decoder")
"""Options of plain networks that name one; the others are about it."""


def check_effects(options: Any) -> None:
    """Refuse options of plain networks, or of a density, where none is named.

    Raises:
        ValueError: naming the option.
    """
    for place, holder in (("", options), *((f"{name}.", getattr(options, name, None)) for name in ("a", "b"))):
        networks = getattr(holder, "networks", None)
        if networks is not None and not any(getattr(networks, name) for name in NAMING):
            for name in _told(networks):
                raise ValueError(
                    f"--{place}networks.{name} is about plain networks, and none is named: give --{place}networks.vae, "
                    f"or --{place}networks.encoder and --{place}networks.decoder"
                )
    if hasattr(options, "density") and options.density is None:
        for name in ("density_options", "fit_options"):
            if getattr(options, name):
                raise ValueError(f"--{name} is about a density, and none is named: give --density")


def _told(group: Any) -> list[str]:
    """The fields of a group of options that are not at their defaults."""
    defaults = {f.name: f.default if f.default_factory is MISSING else f.default_factory() for f in fields(group)}
    return [name for name, default in defaults.items() if getattr(group, name) != default]
