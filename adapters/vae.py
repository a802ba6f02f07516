"""One object that encodes and decodes, as a model and a guide."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from elbowroom.adapters.sigma import fit_sigma, waits_for_sigma
from elbowroom.entrances import checked
from elbowroom.guides import from_encoder
from elbowroom.guides.adapter import EncoderGuide
from elbowroom.models import DecoderModel, from_decoder
from elbowroom.networks.functions import in_evaluation, networks_of

_ENCODES, _DECODES = ("encode", "encoder", "Encoder"), ("decode", "decoder", "Decoder")
_NAMED = 8  # attributes that an error names
_OURS = ("encoder: ", "decoder: ", "argument ", "x: ")


@checked
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
    encode: Callable[..., Any] | None = None,
    decode: Callable[..., Any] | None = None,
) -> tuple[DecoderModel, EncoderGuide]:
    """The model z ~ N(0, I), x | z ~ likelihood(decode(z)) and the guide q(z|x) = N(mean(x), diag std(x)²) of a VAE.

    What encodes is its method or network `encode`, else `encoder` or `Encoder`; what decodes `decode`, else `decoder`
    or `Decoder`. Where these are a part of the way only (an encoder that stops before `fc_mu` and `fc_var`), or return
    more than a pair, say what is meant as functions:

        from_vae(
            vae, x, …, encode=lambda x: vae.bottleneck(vae.encoder(x))[1:], decode=lambda z: vae.decoder(vae.fc3(z))
        )

    The shape of the latents is read off the codes of two data, so that latents `[B, C, h, w]` are given back in that
    shape, and these codes are decoded once to see that both fit. Nothing is copied or changed; the VAE stays in the
    mode that it is in (`vae.eval()` for evaluation).

    Args:
        vae: the object, usually an `nn.Module`.
        x: data `[B, ...]` as the VAE takes them, one datum at least.
        *given: what else it takes of each datum, after x and after z, such as labels `[B]`; not the sizes that a
            likelihood with `exposure` multiplies means by, which only the target is given, last.
        likelihood, likelihood_options, prior: as of `from_decoder`.
        sigma: likewise; `"optimal"` is computed on x, which had better be training data: see `fit_sigma`.
        encoder_output: as `output` of `from_encoder`.
        decoder_output: as `output` of `from_decoder`.
        encode: from (x, *given) to what `encoder_output` says, instead of what the object has by these names.
        decode: from (z, *given) to what `decoder_output` says, likewise.

    Returns:
        (model, guide), for `Target(model, guide, x, *given)`, `audit(model, guide, x, *given)` and the like.

    Raises:
        TypeError: if nothing encodes or decodes, or an output is not read as was said.
        ValueError: as of `from_encoder` and `from_decoder`; if one of the networks fails on x or on the codes.
    """
    encode = _called(vae, _ENCODES) if encode is None else encode
    decode = _called(vae, _DECODES) if decode is None else decode
    guide = from_encoder(encode, output=encoder_output, num_given=len(given))
    few = [value[:2] for value in given]
    with in_evaluation(encode, decode), torch.no_grad(), torch.random.fork_rng(devices=[]):
        with _explained(vae, "encode", given, f"x of shape {tuple(x[:2].shape)}"):
            codes = guide.codes(x[:2], *few)
        shape = tuple(codes.shape[1:])
        model = from_decoder(
            decode,
            latent_dim=shape,
            likelihood=likelihood,
            output=decoder_output,
            sigma=sigma,
            likelihood_options=likelihood_options,
            prior=prior,
            num_given=len(given),
        )
        with _explained(vae, "decode", given, f"codes of shape {tuple(codes.shape)}"):
            if waits_for_sigma(model):
                fit_sigma(model, guide, x, *given)
            model.decode(codes.flatten(1), *few)
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
    networks = _networks(vae)
    raise TypeError(
        f"vae: got {type(vae).__name__}, which has neither {' nor '.join(names[:2])}: give functions instead, as "
        "encode= and decode= of from_vae or as networks.encoder and networks.decoder"
        + (f"; of its attributes, {networks} are networks" if networks else "")
    )


@contextmanager
def _explained(vae: Any, what: str, given: tuple[Tensor, ...], first: str) -> Iterator[None]:
    """Errors on the way through somebody's networks, with what else the object may have to go through."""
    try:
        yield
    except Exception as error:  # a foreign network raises anything
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if text.startswith(_OURS):
            if ": failed on " not in text and not (isinstance(error, TypeError) and text.startswith(_OURS[:2])):
                raise
        else:
            text = f"vae: to {what} {first} fails: {text}"
        networks = _networks(vae)
        takes = ", ".join(["z" if what == "decode" else "x", *(f"c{i}" for i in range(1, len(given) + 1))])
        raise (TypeError if isinstance(error, TypeError) else ValueError)(
            f"{text.rstrip('.')}. If that is not the whole way, say it: {what}=lambda {takes}: …"
            + (f"; of the vae's attributes, {networks} are networks" if networks else "")
            + (
                "; codes, levels and whatever is not one diagonal Normal need a Pyro program"
                if what == "encode"
                else ""
            )
        ) from error


def _networks(vae: Any) -> str:
    """Names of the attributes that are or hold networks, the first few."""
    parts = dict(vae.named_children()) if isinstance(vae, nn.Module) else getattr(vae, "__dict__", {})
    there = [name for name, part in parts.items() if networks_of(part)]
    return ", ".join(there[:_NAMED]) + (", …" if len(there) > _NAMED else "")
