"""What evidence, audit, compare and generate are asked about: a run, one's own programs, or plain networks."""

from dataclasses import dataclass, field
from typing import Any, Literal

from elbowroom.commands.options.shared import Data, EveryCommand, Observed, OfOwnPrograms, Split


@dataclass(frozen=True, kw_only=True)
class OfRun:
    """What is asked about a trained run.

    Attributes:
        run: a run directory written by train.
        which: the last or the best checkpoint.
        trust: modules, or module:name, that the run's config.json may have imported and run, such as my_programs; not
            needed for families of elbowroom.
    """

    run: str = "runs/latest"
    which: Literal["last", "best"] = "last"
    trust: list[str] = field(default_factory=list)


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
        sigma: the sigma of normal-fixed, or optimal for the one that maximises the ELBO, of training data where there
            are some; the sigma that normal-learned has.
        likelihood_options: of the likelihood, such as '{levels: 256}', '{trials: 16}', '{exposure: total}' or '{theta:
            2.5}'.
        decoder_output: what the decoder returns: logits, probs, mean, mean_log_var, mean_std, mean_log_std, log_rate,
            rate, log_mean, mean_theta and other names of from_decoder; null for a distribution object, or names that
            say it.
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
    sigma: float | Literal["optimal"] | None = None
    likelihood_options: dict[str, Any] = field(default_factory=dict)
    decoder_output: str | None = "logits"
    encoder_output: str | None = "mean_log_var"
    image_shape: list[int] | None = None


@dataclass(frozen=True, kw_only=True)
class OfSubject(EveryCommand, OwnPrograms, OfRun):
    """What is asked about: a trained run, or in its place one's own programs, or a plain PyTorch VAE.

    Attributes:
        networks: a plain PyTorch VAE; like model and guide, trained already and in the place of run.
        data: which data, for your own programs and networks (a run knows its own).
        split: which part of the data; null for test, or for all data of a file that has no splits.
        limit: the first so many data only.
    """

    networks: Networks = field(default_factory=Networks)
    data: Data = field(default_factory=Data)
    split: Split | None = None
    limit: int | None = None


@dataclass(frozen=True, kw_only=True)
class Contestant(OwnPrograms, OfRun):
    """One of two models that are compared: a trained run, or in its place one's own programs, or a plain PyTorch VAE.

    Attributes:
        name: what it is called (null: a of the first, b of the second).
        networks: a plain PyTorch VAE; like model and guide, trained already and in the place of run.
        data: which data, for your own programs and networks (a run knows its own).
        evidence: a table of merge with importance sampling of these data by this model.
    """

    name: str | None = None
    networks: Networks = field(default_factory=Networks)
    data: Data = field(default_factory=Data)
    evidence: str | None = None


@dataclass(frozen=True, kw_only=True)
class OfManyData:
    """What is measured for every datum.

    Attributes:
        tolerance: width in nats at which a datum's bracket is settled.
        memory_mib: budget of one evaluation in MiB.
    """

    tolerance: float = 0.1
    memory_mib: int = 256
