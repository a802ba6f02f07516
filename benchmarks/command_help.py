"""How long `elbowroom --help` and each command's `--help` take: processor time, children alone. Bar: 1 s each.

Nothing of it runs on a card: `--device cuda` changes nothing.
"""

import resource
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.__main__ import COMMANDS

BAR = 1.0
ELBOWROOM = Path(sys.executable).with_name("elbowroom")


def seconds_of(*arguments: str) -> float:
    """Processor seconds of one call."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([ELBOWROOM, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the median for each command."""
    made = parser(__doc__)
    made.add_argument("--repeats", type=int, default=5)
    options = parsed(made, quick={"repeats": 1})
    calls = [("--help",), *((command, "--help") for command in COMMANDS)]
    rows = []
    for call in calls:
        seconds = statistics.median(seconds_of(*call) for _ in range(options.repeats))
        rows.append((" ".join(call), f"{seconds:.2f} s"))
    report("command_help", f"Processor time of the command line's help (bar: {BAR:g} s)", rows, options)


if __name__ == "__main__":
    main()
