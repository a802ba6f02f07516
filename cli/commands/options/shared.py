"""What options of several commands are made of: every command's, the data, how they are observed."""

from dataclasses import dataclass
from typing import Literal

Binarize = Literal["none", "threshold", "static", "dynamic"]
Dequantize = Literal["none", "static", "dynamic"]
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
class Data:
    """Which data.

    Attributes:
        name: digits (embedded), linear-system (simulated sequences), topics-simulated (bags of words), mnist,
            fashion-mnist, omniglot, freyfaces; a .npy, .npz, .mat, .pt, .safetensors, .csv, .tsv, .parquet, .h5ad,
            .amat or IDX(.gz) file; or a folder of pictures.
        dir: directory of local data files (default: the environment variable ELBOWROOM_DATA).
        binarize: none, threshold, static (one seeded draw) or dynamic (a new draw for each minibatch); by default
            threshold, but none where a model of elbowroom, a network's likelihood, or the datum that is named for your
            own programs (real, unit, counts, levels, bag) is not of zeros and ones.
        threshold: grey values above it become 1 under binarize=threshold.
        labels_per_class: of labelled training data keep so many labels of each class (null: all).
        limit: keep the first so many data of each split; of .npy and .npz files the others are never in memory.
        dequantize: for densities of grey values add uniform noise to the stored integers; none, static (one seeded
            draw) or dynamic (a new draw for each minibatch).
    """

    name: str = "digits"
    dir: str | None = None
    binarize: Binarize | None = None
    threshold: float = 0.5
    labels_per_class: int | None = None
    limit: int | None = None
    dequantize: Dequantize = "none"


@dataclass(frozen=True, kw_only=True)
class Observed:
    """How the data are observed, given latents.

    Attributes:
        likelihood: bernoulli, normal-fixed, normal-learned, normal-heteroscedastic, beta, continuous-bernoulli,
            binomial, categorical, discretised-logistic, poisson, negative-binomial, zero-inflated-negative-binomial or
            multinomial.
    """

    likelihood: str = "bernoulli"


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
