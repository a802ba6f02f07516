"""`python docs/checks`: all faults of the pages, a line each."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checks.every import faults

if __name__ == "__main__":
    found = faults()
    print(*found, sep="\n")
    sys.exit(bool(found))
