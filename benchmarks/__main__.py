"""`python -m benchmarks [names]`: run every benchmark, or the named ones, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = (
    "command_help",
    "svi_step",
    "enumerated",
    "importance_mnist",
    "digits",
    "ppca_mnist",
    "mnist_vae",
    "annealing_mnist",
    "bracket_mnist",
    "mcmc_digits",
    "diagnostics_arviz",
    "coverage",
    "reference_table",
    "budgets",
    "heavy_weights",
    "upper_bounds",
    "calibration",
    "decomposition_mnist",
    "refined_mnist",
    "richer_guides",
    "disentanglement",
    "vi_or_mcmc",
    "objectives",
    "two_layers_digits",
    "wirings",
    "equal_steps_mnist",
)
NEEDS_MNIST = (
    "ppca_mnist",
    "mnist_vae",
    "annealing_mnist",
    "bracket_mnist",
    "decomposition_mnist",
    "refined_mnist",
    "equal_steps_mnist",
)


def main() -> int:
    """Run them in turn; those that need MNIST are skipped with a reason where it is not found."""
    names = sys.argv[1:] or list(SCRIPTS)
    unknown = [name for name in names if name not in SCRIPTS]
    if unknown:
        print(f"unknown benchmarks {unknown}; known: {', '.join(SCRIPTS)}", file=sys.stderr)
        return 2
    environment = dict(os.environ)
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    if "ELBOWROOM_DATA" not in environment and beside.is_dir():
        environment["ELBOWROOM_DATA"] = str(beside)
    failed = []
    for name in names:
        if name in NEEDS_MNIST and "ELBOWROOM_DATA" not in environment:
            print(f"{name}: skipped, it needs MNIST (set ELBOWROOM_DATA to a directory that holds it)")
            continue
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], env=environment).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
