"""The whole fuzz, in tests/: `python -m fuzz.whole`, or of some calls `python -m fuzz.whole fit 'Target*'`."""

import sys
from fnmatch import fnmatch

import torch
from fuzz.good_calls import good_calls
from fuzz.trials import run, table, trials_of


def main(patterns: list[str]) -> None:
    """Print the counts and every trial that was not answered well."""
    torch.set_default_dtype(torch.float64)  # as in all tests
    calls = [call for call in good_calls() if not patterns or any(fnmatch(call.name, p) for p in patterns)]
    outcomes = []
    for call in calls:
        for trial in trials_of(call):
            outcomes.append((trial, run(trial)))
        print(call.name, len(outcomes), file=sys.stderr, flush=True)
    print(table(outcomes))


if __name__ == "__main__":
    main(sys.argv[1:])
