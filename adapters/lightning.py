"""A `Monitor` as a callback of Lightning."""

import sys
from importlib import import_module
from typing import Any

from elbowroom.adapters.monitor import Monitor
from elbowroom.entrances import checked

_NAMES = ("lightning.pytorch", "pytorch_lightning")
_LOGGED = ("elbo", "log_p", "room", "pareto_k", "num_heavy", "num_active")


@checked
def lightning_callback(monitor: Monitor) -> Any:
    """A callback for `Trainer(callbacks=[…])`, which asks the monitor after each optimiser step.

    Steps are the trainer's `global_step`; with several processes, the first one looks. What was seen goes to the
    module's logger too, as `elbowroom/room` and the like. Of the two names under which Lightning can be installed, the
    one that the program has imported already is taken, for their callbacks are different classes.

    Raises:
        ImportError: if neither is installed.
    """

    class MonitorCallback(_lightning().Callback):  # type: ignore[misc]
        """Asks the monitor."""

        seen = 0

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            """After each batch; several of them may make one step."""
            if trainer.global_step == self.seen or not trainer.is_global_zero:
                return
            self.seen = trainer.global_step
            if (watched := monitor(self.seen)) is not None:
                values = {f"elbowroom/{name}": float(getattr(watched, name)) for name in _LOGGED}
                pl_module.log_dict(values, rank_zero_only=True)

    return MonitorCallback()


def _lightning() -> Any:
    """Lightning, by the name that is in use."""
    for name in sorted(_NAMES, key=lambda name: name not in sys.modules):
        try:
            return import_module(name)
        except ImportError:
            continue
    raise ImportError("the callback is one of Lightning, which is not installed: pip install 'elbowroom[lightning]'")
