"""`fit`: train a model and a guide by stochastic variational inference."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from elbowroom.entrances import checked
from elbowroom.inference.programs.structure import Program
from elbowroom.inference.training.batches import Data, Prepare
from elbowroom.inference.training.control import Control
from elbowroom.inference.training.epoch_state import OnEpoch
from elbowroom.inference.training.objectives.own import OwnLoss, own_bound
from elbowroom.inference.training.parameters import name_of
from elbowroom.inference.training.result import Fit
from elbowroom.inference.training.settings import Settings
from elbowroom.inference.training.train import train
from elbowroom.inference.training.workers import own_device


@checked
def fit(
    model: Program,
    guide: Program,
    data: Data,
    *,
    validation: Data = None,
    plate: str | None = "data",
    num_epochs: int = 100,
    batch_size: int | None = None,
    learning_rate: float = 1e-3,
    schedule: str = "constant",
    final_learning_rate: float | None = None,
    optimizer: str = "Adam",
    weight_decay: float | None = None,
    clip_norm: float | None = None,
    beta: float = 1.0,
    kl_weight: str = "linear",
    warmup_epochs: float = 0,
    num_cycles: int = 4,
    free_bits: float = 0.0,
    loss: str | OwnLoss = "Trace_ELBO",
    loss_options: Mapping[str, Any] | None = None,
    num_particles: int = 1,
    alpha: float | None = None,
    seed: int = 0,
    prepare: Prepare | None = None,
    validate_every: int | None = None,
    num_validation_samples: int = 4,
    patience: int | None = None,
    on_epoch: OnEpoch | None = None,
    keep: str = "last",
    run_dir: str | Path | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 60.0,
    compile: bool | str = "auto",
    device: str | torch.device = "cpu",
    progress: bool = True,
    config: Any = None,
) -> Fit:
    """Train both programs by SVI: an optimiser on minus the ELBO of minibatches, in nats per datum.

    The programs' parameters are changed in place; afterwards they hold those of the last step (`keep="last"`) or of
    the epoch with the highest validation ELBO (`keep="best"`). Parameters of modules stay in their modules; those
    that plain functions ask for by `pyro.param` stay in the user's parameter store. The random generator, validation
    flags, signal handlers and module modes are put back, on errors too. Where the first minibatch holds data whose
    density is not normalised (`Target.unnormalised`), the log says so once.

    With a run directory, training can be killed at any moment and resumed: the result is the same to the last bit on
    the same machine, thread count and library versions (other ones are noted in the metrics and logged). The minibatch
    order is a function of (seed, epoch); all other randomness is torch's global generator, seeded here, whose state
    is saved.

    Finite discrete latents that the guide leaves to the model are summed out of it, as `Target` does, in each step and
    in the validation ELBO; the programs need no marks for it. Then the loss is the default one, its KL term unweighed.
    Those that the guide draws are summed over in the expectation of the default loss if the guide marks them for
    enumeration (`infer={"enumerate": "parallel"}`, `config_enumerate`), and drawn otherwise.

    In a script that `torchrun` has started in W processes, `fit` trains over these workers: each takes its rows of a
    minibatch, with the noise that they have in one process, and gradients are added, so that W workers take the steps
    of one up to rounding. Where that cannot be (batch normalisation, gamma draws, a loss that is no sum over rows), a
    note says so; objectives that couple the rows of a minibatch are refused. All must be called alike; the first one
    writes, logs and shows progress. A run is resumed to the same bits by as many workers. A process group of
    `torch.distributed` that the caller has begun is used as it is.

    Args:
        model, guide: Pyro programs, called with the data. Modules are trained in the mode (train or eval) that they
            are in, and validated in eval mode.
        data: observations `[N, ...]`, floating point; or several tensors with a row for each datum, observations
            first; None for programs without arguments (`plate=None`).
        validation: held-out data of the same form, as the programs are to see them (`prepare` is not applied).
        plate: the name of the plate over data. Its scale and any `poutine.scale` are replaced by β and 1, and the loss
            is the mean over the minibatch. None: the whole program is one datum; its own scales are kept, multiplied
            by β on latent sites.
        num_epochs: passes over the data.
        batch_size: data in a minibatch; None means 128. With `plate=None` it means the data as they are: in their
            order, of any shapes; a number then cuts and shuffles their rows, and scaling is the programs' business.
        learning_rate: the optimiser's, at the first step.
        seed: of everything.
        run_dir: where config.json, metrics.jsonl and checkpoints go.
        resume: continue the run in `run_dir`; a new or empty directory is begun, a finished run returns at once, unless
            num_epochs is larger now: then it is trained for longer, and the metrics say from where on.

    The step:
        optimizer: "Adam", "AdamW" or "SGD", torch's, over all parameters jointly.
        schedule: of the learning rate: "constant", "cosine", or "exponential", the same factor at each step (Pyro's
            `ClippedAdam` with lrd = r^(1/steps) is `final_learning_rate=r * learning_rate`).
        final_learning_rate: where the schedule ends; by default 0 of cosine and a tenth of exponential.
        weight_decay: the optimiser's argument (AdamW's acts on parameters, that of the others on gradients); by default
            its own, .01 of AdamW and 0 of the others. All parameters decay, unconstrained ones of scales too.
        clip_norm: longest gradient (of the mean loss, all parameters together) that is used as it is.

    The KL term: the objective is E_q[log p(x|z)] − β Σ_j max(λ, KL_j). Wherever β ≠ 1 or λ > 0 it is not the ELBO, and
    `history`, `Fit.bound` and the checkpoints say so. Validation is the ELBO always, β = 1 and λ = 0. None of these for
    objectives without a KL term (importance-weighted ones), nor where discrete latents are summed out.
        beta: β after the warm-up (Higgins et al. 2017). The best q is then ∝ p(z) p(x|z)^(1/β), not the posterior.
        kl_weight: how β gets there: "linear" from 0 during the warm-up (Bowman et al. 2016), "cyclical" (in each cycle
            it rises from 0 for half of the time, then stays; Fu et al. 2019), or "constant".
        warmup_epochs: length of the warm-up; of the cyclical weight 0 means all of training.
        num_cycles: in the warm-up of the cyclical weight.
        free_bits: λ in nats, the KL that a latent may have on the average of a minibatch before it is charged (Kingma
            et al. 2016): each dimension of a site where guide and prior factorise, else the site. The KL is that of
            the draws, or with "TraceMeanField_ELBO" in closed form where there is one.

    Other arguments:
        loss: the objective, a name in `OBJECTIVES`, which says of each what it climbs and what it bounds; or your own
            f(model, guide, *batch), a scalar tensor summed over the minibatch, which is minimised. Its name is kept,
            and `bound` is "none" unless the function has an attribute `bound` that says "lower".
        loss_options: options of an objective by name, as its constructor has them.
        num_particles: K, draws of the guide for each datum in a step.
        alpha: short for `loss_options={"alpha": …}`, of those that have one; of RenyiELBO None is 0, the
            importance-weighted bound.
        prepare: function of a minibatch (of each of its tensors) that returns what the programs are to see, for
            example a new binarisation each time; its noise must come from torch's global generator.
        validate_every: epochs between validations; by default a number that makes them a twentieth of the work. The
            first and the last epoch are always validated.
        num_validation_samples: draws of the guide for each held-out datum, at least 2.
        patience: training ends at a validation this many epochs after the best one, counted from the end of the warm-up
            at the earliest; None never.
        on_epoch: called with an `EpochState` after each epoch (in every worker); training ends if it returns True. The
            programs are in eval mode meanwhile, and the random generator and gradients are put back. If it raises, the
            run is saved first and can be resumed; it is then not called again for that epoch.
        keep: "last" or "best".
        checkpoint_seconds: time between checkpoints; there also is one at the start and one at the end.
        compile: whether a step replays what Pyro was once seen to do, to the same bits, where that can be had (no
            branches on values, nothing outside of torch); it is held against a run again and again. "auto": in runs of
            300 steps or more, compiled by torch from 20 000 on, where a compiler is found; True: compiled at once (half
            a minute; results differ from the others in their last digits); False: the programs are run at each step.
            `Fit.steps` says what was done.
        device: where the data are put, and the modules with them; of "cuda" each of several workers takes its own.
        progress: show a bar on stderr if training takes longer than two seconds.
        config: anything JSON-able to be kept in config.json, for example which data these are.

    Returns:
        Fit.

    Raises:
        ValueError, TypeError: an argument is wrong; it is named.
        ProgramError: the programs and data do not fit together; the site is named.
        FileExistsError: `run_dir` is not empty and `resume` is False.
        InUseError: another process or thread trains in `run_dir`.
        CheckpointError: a damaged checkpoint, a run of another configuration, a full disk.
        NonFiniteError: a NaN or infinite loss or gradient; the rows of the data are named.
        TrainingInterrupted: SIGINT or SIGTERM came (to any worker); the step was finished and saved.
        WorkersError: another worker has ended or hangs, or they no longer hold the same parameters.
        Whatever `on_epoch` raises.
    """
    settings = Settings(
        plate=plate,
        num_epochs=num_epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=schedule,
        final_learning_rate=final_learning_rate,
        optimizer=optimizer,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        beta=beta,
        kl_weight=kl_weight,
        warmup_epochs=warmup_epochs,
        num_cycles=num_cycles,
        free_bits=free_bits,
        loss=loss if isinstance(loss, str) else name_of(loss),
        loss_options=loss_options or None,
        own_bound=None if isinstance(loss, str) else own_bound(loss),
        num_particles=num_particles,
        alpha=alpha,
        seed=seed,
        validate_every=validate_every,
        num_validation_samples=num_validation_samples,
        patience=patience,
        prepare=None if prepare is None else name_of(prepare),
    )
    control = Control(
        validation=validation,
        prepare=prepare,
        own_loss=None if isinstance(loss, str) else loss,
        on_epoch=on_epoch,
        keep=keep,
        run_dir=None if run_dir is None else Path(run_dir),
        resume=resume,
        checkpoint_seconds=checkpoint_seconds,
        compile=compile,
        device=own_device(_device(device)),
        progress=progress,
        config=config,
    )
    control.check_with(settings, data)
    return train(model, guide, data, settings, control)


def _device(device: str | torch.device) -> torch.device:
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device must be one that torch knows, such as 'cpu' or 'cuda:0', got {device!r}") from error
