"""A plain PyTorch VAE as options name it: its networks, their weights, and a doubt where nobody loaded any."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from elbowroom.commands.options import Networks
from elbowroom.commands.programs import named_programs
from elbowroom.guides import from_encoder
from elbowroom.models import from_decoder
from elbowroom.networks import load_weights

_NAMED = 4  # random tensors that a doubt names


class Plain(NamedTuple):
    """The programs around two networks, and for each of these the weights that were loaded into it."""

    model: Any
    guide: Any
    weights: dict[str, dict[str, Any]]


def plain_programs(networks: Networks, seed: int) -> Plain:
    """Model and guide of the networks that options name, with the weights of their checkpoint.

    Raises:
        FileNotFoundError, ValueError: if a name leads to no network, or the file has no weights of it.
    """
    places = {"networks.decoder": str(networks.decoder), "networks.encoder": str(networks.encoder)}
    made = dict(zip(places, named_programs(places, seed), strict=True))
    weights = _loaded(networks, made)
    doubts = {} if networks.checkpoint is not None else _random_weights(places, made, seed)
    model = from_decoder(
        made["networks.decoder"],
        latent_dim=networks.latent_dim,
        likelihood=networks.likelihood,
        output=networks.decoder_output,
        sigma=networks.sigma,
    )
    guide = from_encoder(made["networks.encoder"], output=networks.encoder_output)
    for program, option in ((model, "networks.decoder"), (guide, "networks.encoder")):
        program.doubts = doubts.get(option, ())
    return Plain(model, guide, weights)


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


def _random_weights(places: dict[str, str], made: dict[str, Any], seed: int) -> dict[str, tuple[str, ...]]:
    """For each network that was built here, by a class or a function, what it says if its weights follow the seed.

    It is built once more from another seed: weights that were loaded, by whatever code, are the same again.
    """
    with torch.random.fork_rng(devices=[]):
        again = dict(zip(places, named_programs(places, seed + 1), strict=True))
    new, partly = [], {}
    for option, network in made.items():
        one, other = _module(network), _module(again[option])
        if one is None or other is None:
            continue
        own, others = one.state_dict(), other.state_dict()
        random = [name for name, value in own.items() if name in others and not _same(value, others[name])]
        held = [name for name, value in own.items() if name not in random and not _same(value, value.flatten()[:1])]
        if random and held:  # more than constants: some were loaded
            partly[option] = (
                f"{len(random)} of the {len(own)} tensors of {option} ({places[option]}) hold random weights"
            )
            partly[option] += f" ({', '.join(random[:_NAMED])}{' …' if len(random) > _NAMED else ''})"
        elif random:
            new.append(option)
    if new:
        were = "was" if len(new) == 1 else "were"
        who = " and ".join(f"{option} ({places[option]})" for option in new)
        partly |= dict.fromkeys(new, f"{who} {were} built here with random weights, never loaded")
    way_out = "give the trained ones with --networks.checkpoint FILE, or name an object that holds them"
    return {option: (f"{doubt}: {way_out}",) for option, doubt in partly.items()}


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool((one == other).all()) if other.numel() == 1 or one.shape == other.shape else False


def _module(network: Any) -> nn.Module | None:
    """The module whose weights a network uses: itself, or the one that it is a method of."""
    owner = network if isinstance(network, nn.Module) else getattr(network, "__self__", None)
    return owner if isinstance(owner, nn.Module) else None


def _owner(option: str, network: Any) -> nn.Module:
    owner = _module(network)
    if owner is None:
        raise ValueError(f"{option} is no torch.nn.Module nor a method of one, so networks.checkpoint cannot fill it")
    return owner
