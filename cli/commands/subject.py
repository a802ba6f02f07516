"""What is audited: a run directory, one's own programs, or a plain PyTorch VAE."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from elbowroom.commands.options import AuditOptions, Networks
from elbowroom.commands.programs import named_programs
from elbowroom.commands.runs import arguments_of, load_data, open_run, picture_shape, torch_device
from elbowroom.datasets import Dataset
from elbowroom.guides import from_encoder
from elbowroom.inference import Target
from elbowroom.models import from_decoder


@dataclass(frozen=True)
class Subject:
    """A target, where its results belong, how to draw its data, and what to call it."""

    target: Target
    place: Path
    image_shape: tuple[int, ...] | None
    title: str


def subject_of(options: AuditOptions) -> Subject:
    """Build what the options name.

    Raises:
        ValueError: if more than one subject is named, or only half of one.
    """
    pairs = {
        "model and guide": (options.model, options.guide),
        "networks.decoder and networks.encoder": (options.networks.decoder, options.networks.encoder),
    }
    for names, pair in pairs.items():
        if (pair[0] is None) != (pair[1] is None):
            raise ValueError(f"{names} go together: give both as module:name, or neither")
    given = [names for names, pair in pairs.items() if pair[0] is not None]
    if len(given) > 1:
        raise ValueError(f"give one of {' and '.join(given)}, not both")
    if options.model is not None and options.guide is not None:
        places = {"model": options.model, "guide": options.guide}
        return _of_programs(
            options, named_programs(places, options.seed), options.plate, f"{options.model}, {options.guide}"
        )
    if options.networks.decoder is not None:
        title = f"{options.networks.decoder}, {options.networks.encoder}"
        return _of_programs(options, _from_networks(options.networks, options.seed), "data", title)
    opened = open_run(options.run, options.which, options.device)
    target = opened.target(options.split, options.limit)
    shape = picture_shape(opened.data, target.data[0])
    return Subject(target, Path(options.run), shape, f"{options.run} ({opened.data.name}, {options.split})")


def _of_programs(options: AuditOptions, programs: tuple[Any, ...], plate: str, title: str) -> Subject:
    binary = options.networks.decoder is not None and options.networks.likelihood == "bernoulli"
    data: Dataset = load_data(options.data, options.seed, binary=binary)
    device = torch_device(options.device)
    arguments = [value.to(device) for value in arguments_of(data, options.datum, options.split, options.limit)]
    if options.networks.image_shape is not None:
        arguments[0] = arguments[0].reshape(len(arguments[0]), *options.networks.image_shape)
    for program in programs:
        if isinstance(program, torch.nn.Module):
            program.to(device).eval()
    target = Target(*programs, *arguments, plate=plate)
    return Subject(target, Path("."), picture_shape(data, arguments[0]), f"{title} ({data.name}, {options.split})")


def _from_networks(networks: Networks, seed: int) -> tuple[Any, Any]:
    places = {"networks.decoder": str(networks.decoder), "networks.encoder": str(networks.encoder)}
    decoder, encoder = named_programs(places, seed)
    model = from_decoder(
        decoder,
        latent_dim=networks.latent_dim,
        likelihood=networks.likelihood,
        output=networks.decoder_output,
        sigma=networks.sigma,
    )
    return model, from_encoder(encoder, output=networks.encoder_output)
