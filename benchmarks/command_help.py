"""How long `elbowroom --help` and each command's `--help` take: processor time, children alone. Bar: 1 s each."""

import resource
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.results import report
from elbowroom.__main__ import COMMANDS

BAR, REPEATS = 1.0, 5
ELBOWROOM = Path(sys.executable).with_name("elbowroom")


def seconds_of(*arguments: str) -> float:
    """Processor seconds of one call."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([ELBOWROOM, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the median for each command."""
    calls = [("--help",), *((command, "--help") for command in COMMANDS)]
    rows = [(" ".join(call), f"{statistics.median(seconds_of(*call) for _ in range(REPEATS)):.2f} s") for call in calls]
    report("command_help", f"Processor time of the command line's help (bar: {BAR:g} s)", rows)


if __name__ == "__main__":
    main()
