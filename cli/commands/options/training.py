"""The options of train: which model and guide, or which density, and how it is fitted."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from elbowroom.commands.options.shared import Data, EveryCommand, Observed, OfOwnPrograms
from elbowroom.densities.registry import DENSITIES
from elbowroom.models.registry import MODELS

if TYPE_CHECKING:
    Family = str
    DensityName = str
else:
    Family, DensityName = Literal[tuple(MODELS)], Literal[tuple(DENSITIES)]  # what the parser takes and --help lists


@dataclass(frozen=True, kw_only=True)
class Latents(Observed):
    """The latents, and how the data are observed given them.

    Attributes:
        sigma: the sigma of normal-fixed; where normal-learned starts.
        latent_dim: number of latents.
    """

    sigma: float | None = None
    latent_dim: int = 2


@dataclass(frozen=True, kw_only=True)
class Programs(Latents, OfOwnPrograms):
    """Which model and guide.

    Attributes:
        model: a model by its name in `elbowroom families`, or your own as module:name, a Pyro program, or a class or
            function without arguments that returns one.
        guide: a guide by its name, by default the model's first; or your own, likewise.
        options: arguments of a named model, such as '{latent_dim: 10}'; they win over the shorthands below.
        guide_options: arguments of a named guide, likewise.
        family: shorthand for model, for a model with the guide that comes with it.
        hidden: widths of the decoder's hidden layers, from z to x, such as [64,64].
        encoder_hidden: widths of the encoder's hidden layers, from x to z.
        activation: tanh, silu, softplus, gelu, elu or relu.
    """

    model: str | None = None
    guide: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    guide_options: dict[str, Any] = field(default_factory=dict)
    family: Family = "vae"
    hidden: list[int] = field(default_factory=lambda: [64, 64])
    encoder_hidden: list[int] = field(default_factory=lambda: [128, 128])
    activation: str = "softplus"  # not the library's: what the command's published figures were measured with


@dataclass(frozen=True, kw_only=True)
class Training:
    """How to train.

    Attributes:
        epochs: passes over the training data (null: as many as make 3500 steps, at most 350; of the digits 350).
        batch_size: data in a minibatch; of several workers (torchrun -m elbowroom -- train …) that of all together.
        optimizer: Adam, AdamW or SGD.
        learning_rate: the optimiser's step size at the start.
        schedule: of the learning rate; constant, cosine or exponential.
        final_learning_rate: where the schedule ends (null: 0 of cosine, a tenth of exponential).
        weight_decay: the optimiser's argument (null: its own, 0.01 of AdamW and 0 of the others).
        clip_norm: largest gradient norm (null: no clipping).
        beta: weight of the KL term; other than 1 the objective is no bound (validation is at 1 always).
        kl_weight: how it gets there in the warm-up; linear, cyclical or constant.
        warmup_epochs: epochs over which the KL weight rises from 0 to beta (0 of the cyclical weight: all of training).
        num_cycles: of the cyclical weight.
        free_bits: nats of KL that each latent has free of charge on average.
        loss: what training climbs; Trace_ELBO, TraceMeanField_ELBO, TraceEnum_ELBO, RenyiELBO, IWAE, Renyi, STL, DReG,
            score-function, reweighted-wake-sleep, semi-supervised, exact or quantized (see docs/training.md;
            null: what the family is trained by, Trace_ELBO but for vector-quantized).
        loss_options: of a loss that has some, such as '{phi: sleep}' (null: none).
        num_particles: draws of the guide for each datum and step.
        patience: stop at a validation so many epochs after the best one (null: never).
        compile: replay each step from a record of the programs, to the same bits (auto: from 300 steps on, and compiled
            from 20000 on), compile it at once (true), or run the programs (false).
    """

    epochs: int | None = None
    batch_size: int = 128
    optimizer: str = "Adam"
    learning_rate: float = 3e-3
    schedule: str = "cosine"
    final_learning_rate: float | None = None
    weight_decay: float | None = None
    clip_norm: float | None = None
    beta: float = 1.0
    kl_weight: str = "linear"
    warmup_epochs: int = 0
    num_cycles: int = 4
    free_bits: float = 0.0
    loss: str | None = None
    loss_options: dict[str, Any] | None = None
    num_particles: int = 1
    patience: int | None = None
    compile: bool | Literal["auto"] = "auto"


@dataclass(frozen=True, kw_only=True)
class TrainOptions(EveryCommand):
    """Train a model and a guide by SVI, or a density without latents, into a run directory.

    Attributes:
        output: the run directory.
        data: which data.
        programs: which model and guide.
        training: how to train.
        resume: continue the run in the directory; the result is that of an uninterrupted run (of another number of
            workers up to rounding). More epochs than it was begun with train it for longer.
        density: a density in the place of model and guide, by its name in `elbowroom families`.
        density_options: arguments of the density, such as '{num_hidden: 10}'.
        fit_options: how the density is fitted, such as '{num_epochs: 50}'.
    """

    output: str = "runs/latest"
    data: Data = field(default_factory=Data)
    programs: Programs = field(default_factory=Programs)
    training: Training = field(default_factory=Training)
    resume: bool = False
    density: DensityName | None = None
    density_options: dict[str, Any] = field(default_factory=dict)
    fit_options: dict[str, Any] = field(default_factory=dict)
