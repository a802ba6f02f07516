"""Where a command writes, and whether it can: found out before the work."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elbowroom.commands.arguments.places import is_other

OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "demo": ("demo.json", "training.png", "evidence.json", "room.png"),
    "train": ("config.json", "metrics.jsonl", "last.json", "result.json"),
    "evidence": ("evidence.json",),
    "audit": ("report.html", "audit.json", "audit.nc"),
    "explore": ("explore.html", "explore.json"),
    "shard": ("plan.json",),
    "versus": ("versus.json", "versus.png"),
    "compare": ("comparison.json", "comparison.nc", "posteriors.png"),
    "generate": ("generate.json", "prior-samples.png", "samples.npz", "samples.png"),
    "rivals": ("rivals.json", "rivals.md", "draws.png"),
}
"""Command -> files that it writes into its folder; `families` writes none."""


def check_outputs(command: str, options: Any) -> None:
    """Refuse what could not be written when it is there.

    Raises:
        WriteError: naming the file, what is in its way, and what to do.
    """
    if command in OUTPUTS and (folder := folder_of(command, options)) is not None:
        from elbowroom.inference.saving.disk import try_writing

        try_writing(folder, OUTPUTS[command])


def folder_of(command: str, options: Any) -> Path | None:
    """As it was told, else a folder of the command's name, in the run's directory or beside the user; None is nowhere.

    Of a run `evidence` writes beside what `train` wrote.
    """
    if command == "shard" and (options.status is not None or options.dry_run or "://" in options.output):
        return None  # nothing is written, or not on this machine
    if options.output is not None or command == "rivals":
        return None if options.output is None else Path(options.output)
    return default_folder(command, None if is_other(options) else Path(options.run))


def default_folder(command: str, run: Path | None) -> Path:
    """Where a command writes if it is not told, what it says of a run or of anything else.

    Raises:
        OSError: the place in a run directory is a link to another.
    """
    if run is None:
        return Path(command)
    from elbowroom.inference.saving.links import own_folder

    return run if command == "evidence" else own_folder(run, command)
