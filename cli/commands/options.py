"""The options of each command: typed dataclasses, free of torch so that --help is quick.

Options of several commands are written once, in the classes that they inherit; `--help` and the files of `--config`
show one list, in this order: inherited options, the command's own, and last those of `EveryCommand`.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from elbowroom.densities.registry import DENSITIES
from elbowroom.models.registry import MODELS

if TYPE_CHECKING:
    Family = str
    DensityName = str
else:
    Family, DensityName = Literal[tuple(MODELS)], Literal[tuple(DENSITIES)]  # what the parser takes and --help lists

Binarize = Literal["none", "threshold", "static", "dynamic"]
Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, kw_only=True)
class EveryCommand:
    """The options of every command that computes something.

    Attributes:
        seed: of everything random.
        device: cpu or cuda.
        json: print the result as JSON.
    """

    seed: int = 0
    device: Literal["cpu", "cuda"] = "cpu"
    json: bool = False


@dataclass(frozen=True, kw_only=True)
class OfRun:
    """What is asked about a trained run.

    Attributes:
        run: a run directory written by train.
        which: the last or the best checkpoint.
    """

    run: str = "runs/latest"
    which: Literal["last", "best"] = "last"


@dataclass(frozen=True, kw_only=True)
class OfSplit(OfRun):
    """What is asked about a part of a run's data.

    Attributes:
        split: which part of the data.
    """

    split: Split = "test"


@dataclass(frozen=True, kw_only=True)
class OfManyData:
    """What is measured for every datum of a split.

    Attributes:
        limit: the first so many data only.
        tolerance: width in nats at which a datum's bracket is settled.
        memory_mib: budget of one evaluation in MiB.
    """

    limit: int | None = None
    tolerance: float = 0.1
    memory_mib: int = 256


@dataclass(frozen=True, kw_only=True)
class OfOwnPrograms:
    """How programs that somebody else has written meet the data.

    Attributes:
        plate: name of the data plate in your own programs.
        datum: what your own programs, or plain networks, are called with, by its name in docs/families.md, such as
            labelled or sequence.
    """

    plate: str = "data"
    datum: str = "binary"


@dataclass(frozen=True, kw_only=True)
class OwnPrograms(OfOwnPrograms):
    """A model and a guide that somebody else has written.

    Attributes:
        model: your own model as module:name, a Pyro program, or a class or function without arguments that returns one.
        guide: your own guide, likewise; give both or neither.
    """

    model: str | None = None
    guide: str | None = None


@dataclass(frozen=True, kw_only=True)
class Observed:
    """How the data are observed, given latents.

    Attributes:
        likelihood: bernoulli, normal-fixed, normal-learned, normal-heteroscedastic, beta, continuous-bernoulli,
            poisson, negative-binomial, zero-inflated-negative-binomial or multinomial.
        sigma: the sigma of normal-fixed; where normal-learned starts.
    """

    likelihood: str = "bernoulli"
    sigma: float | None = None


@dataclass(frozen=True, kw_only=True)
class Latents(Observed):
    """The latents, and how the data are observed given them.

    Attributes:
        latent_dim: number of latents.
    """

    latent_dim: int = 2


@dataclass(frozen=True, kw_only=True)
class Data:
    """Which data.

    Attributes:
        name: digits (embedded), linear-system (simulated sequences), topics-simulated (bags of words), mnist,
            fashion-mnist, omniglot, freyfaces; a .npy, .npz, .mat, .pt, .safetensors, .csv, .tsv, .parquet, .h5ad,
            .amat or IDX(.gz) file; or a folder of pictures.
        dir: directory of local data files (default: the environment variable ELBOWROOM_DATA).
        binarize: none, threshold, static (one seeded draw) or dynamic (a new draw for each minibatch); by default
            threshold, but none where a model of elbowroom, or a network's likelihood, is not of zeros and ones.
        threshold: grey values above it become 1 under binarize=threshold.
        labels_per_class: of labelled training data keep so many labels of each class (null: all).
        limit: keep the first so many data of each split; of .npy and .npz files the others are never in memory.
    """

    name: str = "digits"
    dir: str | None = None
    binarize: Binarize | None = None
    threshold: float = 0.5
    labels_per_class: int | None = None
    limit: int | None = None


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
        epochs: passes over the training data.
        batch_size: data in a minibatch.
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
    """

    epochs: int = 350
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


@dataclass(frozen=True, kw_only=True)
class TrainOptions(EveryCommand):
    """Train a model and a guide by SVI, or a density without latents, into a run directory.

    Attributes:
        output: the run directory.
        data: which data.
        programs: which model and guide.
        training: how to train.
        resume: continue the run in the directory; the result is that of an uninterrupted run.
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


@dataclass(frozen=True, kw_only=True)
class EvidenceOptions(EveryCommand, OfManyData, OfSplit):
    """log p(x) of held-out data: ELBO, importance-weighted bounds, importance sampling, and exact where possible.

    Attributes:
        method: importance (with its bounds), or bracket (from below and above by whatever it takes, within a budget).
        budget: for bracket, seconds, or a text such as '2e5 evaluations', by which two calls give the same numbers; a
            second call goes on where the first ended.
        num_samples: importance samples for each datum.
        num_particles: report the IWAE bound for these numbers of particles, such as [5,50].
        exact: integrate on a lattice; auto does so for up to three latents.
        output: where to write evidence.json (default: the run directory).
    """

    method: Literal["importance", "bracket"] = "importance"
    budget: float | str = 60.0
    num_samples: int = 5000
    num_particles: list[int] = field(default_factory=lambda: [5, 50, 500])
    exact: Literal["auto", "yes", "no"] = "auto"
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class CompareOptions(EveryCommand, OfSplit):
    """VI against MCMC against the exact posterior, for chosen data.

    Attributes:
        data: indices in that split, such as [3,141]; null for four from a typical room to the largest.
        num_samples: draws of the guide and importance samples.
        mcmc: run Pyro's NUTS (seconds for each datum, minutes where it has tens of latents).
        budget: of NUTS, seconds, or a text such as '1e6 evaluations'; data for which there is no room are left out, and
            what they would take is said (null: no limit).
        num_chains: chains for each datum.
        num_warmup: warm-up steps of each chain.
        num_draws: draws of each chain.
        output: where tables, figures and ArviZ files go (default: compare/ in the run directory).
    """

    data: list[int] | None = None
    num_samples: int = 5000
    mcmc: bool = True
    budget: float | str | None = 120.0
    num_chains: int = 4
    num_warmup: int = 300
    num_draws: int = 500
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class Networks(Observed):
    """A plain PyTorch VAE that is trained already.

    Attributes:
        decoder: the decoder network as module:name, or a class or function without arguments that returns it; or a part
            of such a thing as module:name.part.
        encoder: the encoder network, likewise; give both or neither.
        vae: in place of both an object with encode and decode, or encoder and decoder, likewise.
        latent_dim: number of latents, or the shape in which the decoder takes them, such as [4,8,8] (null: as the
            encoder says them).
        prior: p(z), if it was trained with another than N(0, I): a distribution, a module, or a function that returns
            it, as module:name.
        checkpoint: a .safetensors, .pt, .pth or .ckpt file with the weights of both; or a file of each, as '{decoder:
            FILE, encoder: FILE}'.
        checkpoint_prefix: what stands before a network's names in it, or a part of that, such as model.encoder. (null:
            what fits); for one of them '{encoder: PREFIX}'.
        decoder_output: what the decoder returns: logits, probs, mean, mean_log_var, mean_std, mean_log_std, log_rate,
            rate, log_mean, log_mean_gate, mean_log_scale or log_concentrations; null for a distribution object.
        encoder_output: what the encoder returns: mean_log_var, mean_std or mean_log_std, after stacked_ if both are one
            tensor; of distributions, and of mappings and objects by their tensors' names, it is read off.
        image_shape: shape of a datum for networks that take images, such as [1,28,28].
    """

    decoder: str | None = None
    encoder: str | None = None
    vae: str | None = None
    latent_dim: int | list[int] | None = None
    prior: str | None = None
    checkpoint: dict[str, str] | str | None = None
    checkpoint_prefix: dict[str, str] | str | None = None
    decoder_output: str | None = "logits"
    encoder_output: str | None = "mean_log_var"
    image_shape: list[int] | None = None


@dataclass(frozen=True, kw_only=True)
class AuditOptions(EveryCommand, OwnPrograms, OfManyData, OfRun):
    """May q be trusted? How much room, where from, what to do next: a verdict and an HTML report, within a budget.

    Attributes:
        networks: a plain PyTorch VAE; like model and guide, trained already and in the place of run.
        data: which data, for your own programs and networks (a run knows its own).
        split: which part of the data; null for test, or for all data of a file that has no splits.
        budget: seconds, or a text such as '1e7 evaluations', by which two calls give the same numbers; a second call
            goes on where the first ended.
        num_simulations: data sets that the guide is calibrated on.
        own_loss: the loss that training printed; it is compared with minus the ELBO, and what is usually printed in its
            place.
        fail_if: a condition on the audit's numbers, such as 'gap > 5 or missed_modes > 0'; if it holds the exit code is
            5. The names are those under numbers in audit.json.
        output: where the report, JSON, netCDF and the state go (default: audit/ in the run directory, else audit/).
    """

    networks: Networks = field(default_factory=Networks)
    data: Data = field(default_factory=Data)
    split: Split | None = None
    budget: float | str = 120.0
    num_simulations: int = 300
    own_loss: float | None = None
    fail_if: str | None = None
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class GenerateOptions(EveryCommand, OfRun):
    """Pictures of what the model has learned: samples, reconstructions, traversals, interpolations.

    Attributes:
        num_samples: samples from the model.
        output: where the figures and samples.npz go (default: generate/ in the run directory).
    """

    num_samples: int = 64
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class DemoOptions(EveryCommand):
    """The main job on the embedded digits: train, evidence, VI against MCMC, figures.

    Attributes:
        output: where everything goes; an earlier demo there is replaced.
        epochs: of training.
        num_compared: data compared with NUTS.
    """

    output: str = "demo-output"
    epochs: int = Training.epochs
    num_compared: int = 3


@dataclass(frozen=True, kw_only=True)
class RivalsOptions:
    """Which model of the digits is better where? VAEs, a mixture and models without latents in one table.

    Attributes:
        kind: the digits as binary images, or as levels 0 to 16.
        rows: the rows to make, such as [mixture,vae-10,made] (null: all).
        limit: so many test data at equal distances (null: all).
        output: where rivals.json, rivals.md and draws.png go (null: nowhere).
        seed: of everything random.
        json: print the result as JSON.
    """

    kind: Literal["binary", "levels"] = "binary"
    rows: list[str] | None = None
    limit: int | None = None
    output: str | None = None
    seed: int = 0
    json: bool = False


@dataclass(frozen=True, kw_only=True)
class FamiliesOptions:
    """The models, guides and densities that train knows by name: what each is of, and what it can be told.

    Attributes:
        json: print the table as JSON.
    """

    json: bool = False
