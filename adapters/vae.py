"""One object that encodes and decodes, as a model and a guide."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from elbowroom.adapters.sigma import fit_sigma, waits_for_sigma
from elbowroom.guides import from_encoder
from elbowroom.guides.adapter import EncoderGuide
from elbowroom.models import DecoderModel, from_decoder
from elbowroom.networks.functions import networks_of

_ENCODES, _DECODES = ("encode", "encoder"), ("decode", "decoder")


def from_vae(
    vae: Any,
    x: Tensor,
    *given: Tensor,
    likelihood: str,
    encoder_output: str | None = None,
    decoder_output: str | None = None,
    sigma: float | str | None = None,
    likelihood_options: Mapping[str, Any] | None = None,
    prior: Any = None,
) -> tuple[DecoderModel, EncoderGuide]:
    """The model z ~ N(0, I), x | z ~ likelihood(decode(z)) and the guide q(z|x) = N(mean(x), diag std(x)²) of a VAE.

    What encodes is its method or network `encode`, else `encoder`; what decodes `decode`, else `decoder`. A method that
    returns something else than a pair, or more, is given as a function instead, see `from_encoder`. The shape of the
    latents is read off the codes of two data, so that latents `[B, C, h, w]` are given back in that shape. Nothing is
    copied or changed; the VAE stays in the mode that it is in (`vae.eval()` for evaluation).

    Args:
        vae: the object, usually an `nn.Module`.
        x: data `[B, ...]` as the VAE takes them, one datum at least.
        *given: what else it takes of each datum, after x and after z, such as labels `[B]`; not the sizes that a
            likelihood with `exposure` multiplies means by, which only the target is given, last.
        likelihood, likelihood_options, prior: as of `from_decoder`.
        sigma: likewise; `"optimal"` is computed on x, which had better be training data: see `fit_sigma`.
        encoder_output: as `output` of `from_encoder`.
        decoder_output: as `output` of `from_decoder`.

    Returns:
        (model, guide), for `Target(model, guide, x, *given)`, `audit(model, guide, x, *given)` and the like.

    Raises:
        TypeError: if nothing encodes or decodes, or an output is not read as was said.
        ValueError: as of `from_encoder` and `from_decoder`.
    """
    decode, encode = decode_and_encode(vae)
    guide = from_encoder(encode, output=encoder_output, num_given=len(given))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        shape = guide.codes(x[:2], *(value[:2] for value in given)).shape[1:]
    model = from_decoder(
        decode,
        latent_dim=tuple(shape),
        likelihood=likelihood,
        output=decoder_output,
        sigma=sigma,
        likelihood_options=likelihood_options,
        prior=prior,
        num_given=len(given),
    )
    if waits_for_sigma(model):
        fit_sigma(model, guide, x, *given)
    return model, guide


def decode_and_encode(vae: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """What an object decodes and encodes with.

    Raises:
        TypeError: if nothing does.
    """
    return _called(vae, _DECODES), _called(vae, _ENCODES)


def _called(vae: Any, names: tuple[str, ...]) -> Callable[..., Any]:
    """What the object encodes or decodes with."""
    for name in names:
        if callable(found := getattr(vae, name, None)):
            return found
    parts = dict(vae.named_children()) if isinstance(vae, nn.Module) else getattr(vae, "__dict__", {})
    there = [name for name, part in parts.items() if networks_of(part)]
    raise TypeError(
        f"vae: got {type(vae).__name__}, which has neither {' nor '.join(names)}: give functions to from_encoder and "
        f"from_decoder instead{'; of its attributes, ' + ', '.join(there[:8]) + ' are networks' if there else ''}"
    )
