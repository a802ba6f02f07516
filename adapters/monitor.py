"""While a guide is trained: room, tail of the weights and latents in use, on a handful of data that stay the same."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference import Target, importance
from elbowroom.inference.diagnostics.latent_use.use import ACTIVE
from elbowroom.networks.functions import in_evaluation


class Watched(NamedTuple):
    """What was seen at one step, nats per datum.

    Attributes:
        step: as it was said.
        elbo: mean over the data of the ELBO.
        log_p: mean over the data of log p̂(x), a lower bound in expectation.
        room: log_p − elbo, which is too small rather than too large.
        room_stderr: of the draws, not of the choice of data; that of two independent estimates, and an overstatement,
            for both are of the same draws.
        pareto_k: median over the data of the weights' tail index k̂.
        num_heavy: data whose weights have too heavy a tail for log p̂(x), see `weights.heavy_tail`.
        num_data: B.
        num_active: latents whose mean varies over the data.
        num_latents: N.
    """

    step: int
    elbo: float
    log_p: float
    room: float
    room_stderr: float
    pareto_k: float
    num_heavy: int
    num_data: int
    num_active: int
    num_latents: int

    def __str__(self) -> str:
        return (
            f"step {self.step}: ELBO {self.elbo:.2f}, log p̂(x) {self.log_p:.2f}, room {self.room:.2f} ± "
            f"{self.room_stderr:.2f} nats; k̂ {self.pareto_k:.2f}, heavy for {self.num_heavy} of {self.num_data} data; "
            f"{self.num_active} of {self.num_latents} latents active"
        )


class Monitor:
    """A hook for any training loop, which looks every so many steps and says a line.

        monitor = Monitor(model, guide, x[:16], every=500)
        for step, batch in enumerate(batches):
            ...
            monitor(step)

    In `fit`, give `on_epoch=lambda state: monitor(state.epoch)` and count epochs. Each look is at the same data with
    the same random numbers, so what changes from line to line is the training; a look costs `num_samples` evaluations
    of the model for each of the data. Training goes on as if there had been no look: modules are put in evaluation mode
    for its time and each back in its own, random numbers, gradients, running statistics and the parameter store stay.

    The room of few data by few draws is a sign, not a result: `bracket` at the end has both sides.

    Args:
        model, guide, *data: as of `Target`; the data few, and none that are trained on.
        every: steps between looks, that at step 0 included.
        num_samples: S.
        seed: of the draws.
        say: what takes the line; None for silence.

    Attributes:
        history: one `Watched` for each look, the first one first.

    Raises:
        TypeError, ValueError: naming the argument that is wrong.
    """

    @checked
    def __init__(
        self,
        model: Callable[..., Any],
        guide: Callable[..., Any],
        *data: Tensor,
        every: int = 100,
        num_samples: int = 100,
        seed: int = 0,
        say: Callable[[str], object] | None = print,
    ) -> None:
        if num_samples < 2:
            raise ValueError(f"num_samples: got {num_samples}, expected at least 2: one has no error")
        self.every, self.num_samples, self.seed, self.say = every, num_samples, seed, say
        self._triple = (model, guide, data)
        self._history: list[Watched] = []

    @property
    def history(self) -> tuple[Watched, ...]:
        """One for each look."""
        return tuple(self._history)

    def __call__(self, step: int) -> Watched | None:
        """Looks, if it is time to; else None. `step` counts from 0 or 1, as the loop does."""
        return self.look(step) if step % self.every == 0 else None

    def look(self, step: int) -> Watched:
        """Looks now.

        Raises:
            ProgramError: if the programs cannot be evaluated, see `Target`.
        """
        model, guide, data = self._triple
        with in_evaluation(model, guide), torch.no_grad():  # a target leaves the rest alone
            target = Target(model, guide, *data).collapsed(needed=False)
            estimate = importance(target, num_samples=self.num_samples, seed=self.seed, search=False)
            active, num_latents = _active(target, self.num_samples, self.seed)
        info, num_data = estimate.info, len(estimate.value)
        variance = estimate.stderr.square() + info["elbo_stderr"].square()
        watched = Watched(
            step=step,
            elbo=float(info["elbo"].mean()),
            log_p=float(estimate.value.mean()),
            room=float((estimate.value - info["elbo"]).mean()),
            room_stderr=float(variance.sum().sqrt()) / num_data,
            pareto_k=float(info["pareto_k"].median()),
            num_heavy=int(info["heavy_tail"].sum()),
            num_data=num_data,
            num_active=active,
            num_latents=num_latents,
        )
        self._history.append(watched)
        if self.say is not None:
            self.say(str(watched))
        return watched


def _active(target: Target, num_samples: int, seed: int) -> tuple[int, int]:
    """How many scalar latents are active, and how many there are."""
    z, _ = target.propose(num_samples, seed=seed)
    values = torch.cat([value.double().reshape(*value.shape[:2], -1) for value in z.values()], -1)  # [S, B, N]
    if values.shape[1] < 2:
        return 0, values.shape[2]
    # The mean of S draws varies by var/S more than the mean itself.
    moved = values.mean(0).var(0) - values.var(0).mean(0) / num_samples
    return int((moved > ACTIVE).sum()), values.shape[2]
