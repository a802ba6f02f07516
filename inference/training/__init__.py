"""How is q fitted? Stochastic variational inference by one of several objectives, in nats per datum, exact to resume.

With the default loss a step lowers the mean over a minibatch of

    −E_q[log p(x|z) + β (log p(z) − log q(z|x))],    β = 1 unless it was asked for another, or for a warm-up.

Order and noise are functions of (seed, epoch) and of a saved generator: a run that was killed and resumed ends at the
same last bit.

    fit.py              the call: arguments in, a Fit out
    result.py           what it returns
    settings.py         its arguments, checked: those that decide the numbers
    kl_term.py            of these, β and its warm-up, free bits
    optimisation.py       of these, optimiser and learning rate
    control.py          its other arguments: what is validated on, where the run is kept, who watches it
    argument_checks.py  numbers and names that are none
    schedule.py         learning rate and share of β of a step
    train.py            a run: workers joined, a directory opened, steps taken, the result
    assembly.py         its trainer, made of its parts
    preparation.py      before the first step: both programs are run once, and what was left open is chosen
    trainer.py          the loop: epochs of steps, saves
    validation.py         after an epoch: the held-out ELBO, the best epoch, patience
    epoch_callback.py     … and `on_epoch` is called
    epoch_state.py        what it is shown
    train_step.py       a step: a minibatch, its loss and gradients, the optimiser along them
    stepping.py           these by the programs, or by replaying a record that gives the same bits
    recorded_step.py      loss and gradients as a pure tensor program, whatever the objective
    train_state.py      where training stands: what a checkpoint holds
    generators.py         of that, the state of torch's random generators
    workers.py          processes that train together, and all that passes between them: sums
    together.py           before the first step: whether they can, and are called alike
    division.py           how a step is divided over them, and what of that is not as in one process
    parts.py              whose rows of a minibatch
    shared_noise.py       the random numbers of these
    sums.py               loss and gradients of a step, added
    objectives/         what it climbs: the ELBO, importance-weighted and Rényi's bounds, wake-sleep, …
    weighed.py          the programs as SVI sees them
    batches.py          minibatches in a seeded order
    optimiser.py        one optimiser over all parameters
    parameters.py       found, named, copied and put back
    nonfinite.py        which rows make a loss NaN
    frozen_model.py     a model whose parameters nothing can train, for training a guide beneath it
    evaluate.py         the held-out ELBO and its parts
    signals.py          SIGINT and SIGTERM: finish the step, save
    run_directory.py    config, metrics and checkpoints
    run_config.py       what config.json says of a run
    run_seal.py         what a checkpoint knows of config.json, and of the tensors that there may be
    checkpoint.py       written whole
    checkpoint_reading.py  read with checksums, shapes before numbers
    load.py             trained parameters into new programs

Read fit.py first, then train.py, trainer.py and train_step.py. Imports: target, evaluation, saving, programs, weights,
estimate; never mcmc or evidence. Beside programs/ the only wing that may use `pyro.poutine`.
"""

from elbowroom.inference.training.checkpoint import CheckpointError
from elbowroom.inference.training.epoch_state import EpochState
from elbowroom.inference.training.evaluate import Evaluation, evaluate
from elbowroom.inference.training.fit import fit
from elbowroom.inference.training.load import Loaded, load_checkpoint
from elbowroom.inference.training.nonfinite import NonFiniteError
from elbowroom.inference.training.objectives.registry import OBJECTIVES
from elbowroom.inference.training.optimiser import OPTIMIZERS
from elbowroom.inference.training.result import Fit
from elbowroom.inference.training.schedule import KL_WEIGHTS, SCHEDULES
from elbowroom.inference.training.signals import TrainingInterrupted
from elbowroom.inference.training.workers import WorkersError

__all__ = [
    "KL_WEIGHTS",
    "OBJECTIVES",
    "OPTIMIZERS",
    "SCHEDULES",
    "CheckpointError",
    "EpochState",
    "Evaluation",
    "Fit",
    "Loaded",
    "NonFiniteError",
    "TrainingInterrupted",
    "WorkersError",
    "evaluate",
    "fit",
    "load_checkpoint",
]
