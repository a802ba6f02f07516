"""`AutoencoderKL` of diffusers: images to maps of latents and back, with the σ that its checkpoint does not have."""

from typing import Any

from torch import Tensor

from elbowroom.adapters.vae import from_vae
from elbowroom.entrances import checked
from elbowroom.guides.adapter import EncoderGuide
from elbowroom.models import DecoderModel


@checked
def from_autoencoder_kl(vae: Any, x: Tensor, *, sigma: float | str) -> tuple[DecoderModel, EncoderGuide]:
    """The model z ~ N(0, I), x | z ~ N(decode(z).sample, σ² I) and the guide N(mean, std) of `encode(x).latent_dist`.

    Latents are maps `[C, h, w]`, in the units of the encoder: `scaling_factor`, by which diffusion models multiply
    them, has no part in it. A checkpoint says no likelihood: it was trained on absolute and perceptual errors and a
    discriminator, with a weight of the KL term near 1e-6. So log p(x) is that of a model which takes its decoder, the
    prior and the σ given here, and q(z|x) is far too narrow for it: a large gap is what to expect, not a mistake.
    σ is in units of the pixels, which run from −1 to 1; `latent_use(target).sigma` says which one the residuals have.

    Nothing is copied or changed, and nothing of diffusers imported. Tried with diffusers 0.42.1.

    Args:
        vae: an `AutoencoderKL`, in evaluation mode, in 32 or 64 bits.
        x: images `[B, channels, height, width]` in [−1, 1], one at least.
        sigma: σ of the pixels; `"optimal"` for the one that maximises the ELBO on x, see `fit_sigma`.

    Returns:
        (model, guide), for `Target(model, guide, x)`.

    Raises:
        TypeError: if the object does not encode and decode as `AutoencoderKL` does.
        ValueError: if x are no images of the VAE's channels within [−1, 1], the VAE blends tiles, or σ is out of range.
    """
    _check_images(vae, x)
    if getattr(vae, "use_tiling", False):
        raise ValueError("vae: got one that encodes and blends tiles, which is another function; vae.disable_tiling()")
    return from_vae(vae, x, likelihood="normal-fixed", sigma=sigma, decoder_output="mean")


def _check_images(vae: Any, x: Tensor) -> None:
    channels = getattr(getattr(vae, "config", None), "in_channels", None)
    if x.ndim != 4 or (channels is not None and x.shape[1] != channels):
        raise ValueError(
            f"x: got shape {tuple(x.shape)}, expected images [B, {channels or 'channels'}, height, width]; of images "
            "[B, height, width, channels], x.permute(0, 3, 1, 2)"
        )
    low, high = float(x.min()), float(x.max())
    if low < -1 or high > 1:
        raise ValueError(f"x: got values from {low:.3g} to {high:.3g}, expected [−1, 1]; of bytes, x / 127.5 − 1")
