"""A plain PyTorch VAE as options name it: its networks, their weights, and a doubt where nobody loaded any."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from elbowroom.adapters.sigma import fit_sigma
from elbowroom.adapters.vae import decode_and_encode
from elbowroom.commands.options import Networks
from elbowroom.commands.options.shared import OfOwnPrograms
from elbowroom.commands.programs import named_programs
from elbowroom.commands.random_weights import module_of, random_weights, training_watched
from elbowroom.commands.runs import arguments_of
from elbowroom.datasets import Dataset
from elbowroom.guides import from_encoder
from elbowroom.models import from_decoder
from elbowroom.models.likelihoods import LIKELIHOODS
from elbowroom.networks import load_weights

DECODER, ENCODER = "networks.decoder", "networks.encoder"

_FITTED = 2000  # training data at most that σ is fitted on


@dataclass(frozen=True)
class Plain:
    """Two networks, the weights that were loaded into each of them, and why either may not be what was meant.

    Attributes:
        networks: option -> network, decoder and encoder.
        weights: option -> file, prefix and digest of its weights.
        doubts: option -> reasons.
        prior: p(z), if it was given.
    """

    networks: dict[str, Any]
    weights: dict[str, dict[str, Any]]
    doubts: dict[str, tuple[str, ...]]
    prior: Any

    def programs(self, options: Networks, x: Tensor, *given: Tensor) -> tuple[Any, Any]:
        """Model and guide around them; the latents have the shape that the encoder says of data, if none was said.

        Raises:
            TypeError, ValueError: as of `from_encoder` and `from_decoder`.
        """
        decoder, encoder = self.networks[DECODER], self.networks[ENCODER]
        for network in (decoder, encoder):
            if (module := module_of(network)) is not None:
                module.to(x.device).eval()
        guide = from_encoder(encoder, output=options.encoder_output, num_given=len(given))
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            shape = options.latent_dim or list(guide.codes(x[:2], *(value[:2] for value in given)).shape[1:])
        model = from_decoder(
            decoder,
            latent_dim=shape,
            likelihood=options.likelihood,
            output=options.decoder_output,
            sigma=options.sigma,
            likelihood_options=options.likelihood_options,
            prior=self.prior,
            num_given=len(given),
        )
        model.doubts, guide.doubts = (self.doubts.get(option, ()) for option in (DECODER, ENCODER))
        return model, guide


def datum_of(options: Networks, datum: str) -> str:
    """What a datum is to networks, a name in `KINDS`: as told, but whole numbers where the likelihood is of these."""
    likelihood = LIKELIHOODS.get(options.likelihood)
    whole = likelihood is not None and likelihood.data in ("counts", "levels")
    return likelihood.data if whole and likelihood is not None and datum == OfOwnPrograms.datum else datum


def as_images(x: Tensor, shape: tuple[int, ...], stored: tuple[int, ...] | None) -> Tensor:
    """Data in the shape that networks take; colours that are stored last are put first, if it is so.

    Raises:
        ValueError: if a datum has another number of values.
    """
    if (
        x.ndim == 2
        and stored is not None
        and len(stored) == 3
        and stored[2] in (1, 3)
        and shape == (stored[2], *stored[:2])
    ):
        return x.reshape(len(x), *stored).movedim(-1, 1).contiguous()
    if x[0].numel() != torch.Size(shape).numel():
        raise ValueError(
            f"networks.image_shape: got {list(shape)}, but a datum has {x[0].numel()} values"
            + (f" (it is stored as {list(stored)})" if stored else "")
        )
    return x.reshape(len(x), *shape)


def fit_sigma_of(programs: tuple[Any, Any], data: Dataset, datum: str, asked: list[Tensor], options: Networks) -> None:
    """Put the σ that maximises the ELBO of the training data in its place, or of the data asked about, without any."""
    x = list(arguments_of(data, datum, "train", _FITTED)) if len(data.train) else asked
    if x is not asked and options.image_shape is not None:
        x[0] = as_images(x[0], tuple(options.image_shape), data.image_shape)
    fit_sigma(*programs, *(value.to(asked[0].device) for value in x))


def plain_networks(options: Networks, seed: int) -> Plain:
    """The networks that options name, with the weights of their checkpoint.

    Raises:
        FileNotFoundError, ValueError: if a name leads to no network, or the file has no weights of it.
    """
    if options.vae is None:
        places = {DECODER: str(options.decoder), ENCODER: str(options.encoder)}
    else:
        places = dict.fromkeys((DECODER, ENCODER), options.vae)
    with training_watched() as trained:
        made = _made(options, places, seed)
    prior = None
    if options.prior is not None:
        (prior,) = named_programs({"networks.prior": options.prior}, seed)
    weights = _loaded(options, made)
    doubts = {}
    if options.checkpoint is None:
        doubts = random_weights(places, made, lambda: _made(options, places, seed + 1), bool(trained))
    return Plain(made, weights, doubts, prior)


def _made(options: Networks, places: dict[str, str], seed: int) -> dict[str, Any]:
    """Option -> network, made from the seed where it is made here."""
    if options.vae is None:
        return dict(zip(places, named_programs(places, seed), strict=True))
    return dict(zip(places, decode_and_encode(*named_programs({"networks.vae": options.vae}, seed)), strict=True))


def _loaded(networks: Networks, made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Load what the checkpoint says into each network, and tell what was."""
    if networks.checkpoint is None:
        if networks.checkpoint_prefix is not None:
            raise ValueError("networks.checkpoint_prefix is given without networks.checkpoint, the file of weights")
        return {}
    owners = {option: _owner(option, network) for option, network in made.items()}
    shared = len({id(owner) for owner in owners.values()}) == 1  # methods of one module, loaded as a whole
    weights: dict[str, dict[str, Any]] = {}
    for option, owner in owners.items():
        part = option.removeprefix("networks.")
        path, prefix = _of(networks.checkpoint, part), _of(networks.checkpoint_prefix, part)
        if path is None:
            raise ValueError(f"networks.checkpoint names no file for the {part}: {{decoder: FILE, encoder: FILE}}")
        try:
            found = load_weights(owner, path, prefix, hint=None if shared else part[:3])
        except ValueError as error:
            told = str(error).replace("(prefix)", "with --networks.checkpoint_prefix, for both networks or for one: ")
            raise ValueError(f"{option}: {told}{_how(told, part)}") from error
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        weights[option] = {"file": path, "prefix": found.prefix, "tensors": found.num_tensors, "sha256": digest}
    return weights


def _how(told: str, part: str) -> str:
    return f"'{{{part}: PREFIX}}'" if told.endswith(": ") else ""


def _of(option: dict[str, str] | str | None, part: str) -> str | None:
    """What an option says of one network, which is said of both unless they are told apart."""
    if isinstance(option, dict):
        if other := set(option) - {"decoder", "encoder"}:
            raise ValueError(f"networks.checkpoint and its prefix are of decoder and encoder, got {sorted(other)}")
        return option.get(part)
    return option


def _owner(option: str, network: Any) -> nn.Module:
    owner = module_of(network)
    if owner is None:
        raise ValueError(f"{option} is no torch.nn.Module nor a method of one, so networks.checkpoint cannot fill it")
    return owner
