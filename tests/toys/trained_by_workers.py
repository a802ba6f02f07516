"""A training run for `torchrun -m toys.trained_by_workers RUN_DIR [SIGNAL STEP WORKER]`.

A worker sends itself a signal while it prepares a minibatch; started again by torchrun it does not. What each found is
printed in one line of JSON.
"""

import json
import os
import sys
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference import TrainingInterrupted, WorkersError, fit
from toys.training import make_data, make_pair, values


def main(run_dir: str, signum: str = "0", step: str = "-1", worker: str = "-1") -> int:
    """Train; the exit code is the one that is stated of signals, 3 where another worker has ended."""
    torch.set_default_dtype(torch.float64)
    seen = 0

    def prepare(x: Tensor) -> Tensor:
        nonlocal seen
        first = os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0"
        if seen == int(step) and os.environ.get("RANK") == worker and first:
            os.kill(os.getpid(), int(signum))
        seen += 1
        return x + 0.01 * torch.randn_like(x)

    prepare.__qualname__ = "prepare"
    pair = make_pair()
    options: dict[str, Any] = {"num_epochs": 17, "batch_size": 16, "validation": make_data(7, seed=2), "seed": 3}
    try:
        fitted = fit(
            *pair, make_data(40), prepare=prepare, run_dir=run_dir, resume=True, checkpoint_seconds=0, progress=False,
            **options,
        )  # fmt: skip
    except TrainingInterrupted as stopped:
        return stopped.exit_code
    except WorkersError as error:
        print(json.dumps({"ended": str(error)}), flush=True)
        return 3
    found = [t.flatten().tolist() for t in values(*pair)]
    print(json.dumps({"values": found, "steps": fitted.num_steps, "workers": fitted.workers}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
