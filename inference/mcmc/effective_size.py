"""Effective sample size of Markov chains: Geyer's sequences on autocovariances, for all data at once."""

import math

import torch
from torch import Tensor

RESOLUTION = 1e-15
"""Draws whose range is smaller than this count as constant (ArviZ's rule: their number is their sample size)."""


def effective_sample_size(draws: Tensor) -> Tensor:
    """How many independent draws the mean of these draws is worth, each chain split in halves.

        ESS = C T / τ,  τ = −1 + 2 Σ_k P_k,  P_k = ρ_2k + ρ_2k+1

    summed over Geyer's initial positive and monotone sequence of P; never more than C T log10(C T). No ranks are taken:
    give `(z - mean) ** 2` for the sample size of a variance. Stan's estimator, as ArviZ's `ess(method="mean")`.

    Args:
        draws: `[chains, draws, ...]`.

    Returns:
        ESS, `[...]`, float64; NaN with fewer than four draws a chain, or where a draw is NaN.

    Raises:
        ValueError: on draws with fewer than two dimensions.

    Source: Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), equations 7 to 13; Geyer (1992), section 3.3.
    """
    chains, shape = by_scalar(draws)
    return geyer(split(chains)).reshape(shape)


def by_scalar(draws: Tensor) -> tuple[Tensor, torch.Size]:
    """The chains of each of R scalars, `[R, C, T]`, float64, from draws `[C, T, ...]`, and the shape `[...]`.

    Raises:
        ValueError: on draws with fewer than two dimensions.
    """
    if draws.dim() < 2:
        raise ValueError(f"draws must be [chains, draws, ...], got shape {tuple(draws.shape)}")
    flat = draws.detach().double().reshape(*draws.shape[:2], -1)
    return flat.permute(2, 0, 1).contiguous(), draws.shape[2:]


def split(chains: Tensor) -> Tensor:
    """Each chain's first and last half as chains of their own: `[R, C, T]` to `[R, 2C, T // 2]`."""
    half = chains.shape[-1] // 2
    return torch.cat([chains[..., :half], chains[..., chains.shape[-1] - half :]], 1)


def geyer(chains: Tensor) -> Tensor:
    """Effective sample size of the mean of chains `[R, C, T]` as they are, `[R]`.

    All scalars are truncated at once: the positive sequence ends at the first pair that is not positive, and the
    monotone one is a running minimum.
    """
    num_scalars, num_chains, length = chains.shape
    total = num_chains * length
    if length < 2:
        return chains.new_full((num_scalars,), torch.nan)
    rho = _autocorrelation(chains)
    # The pairs P_k = ρ_2k + ρ_2k+1, without the last lags.
    last = max((length - 1) // 2 - 1, 0)
    pairs = rho[:, : 2 * last + 2].unflatten(1, (-1, 2))  # [R, K, 2]
    sums = pairs.sum(2)
    # Initial positive sequence: all P_k before the first that is not positive.
    end = (sums > 0).cumprod(1).sum(1, keepdim=True).clamp(max=last)  # [R, 1]
    before = torch.arange(last + 1, device=chains.device) < end
    # Initial monotone sequence: no P_k is larger than one before it.
    monotone = torch.where(before, sums.cummin(1).values, 0.0).sum(1)
    # The even lag of the pair that ends the sequence counts too (as in Stan).
    even = pairs[..., 0].gather(1, end).squeeze(1)
    closing = torch.where((even > 0) | (sums.gather(1, end).squeeze(1) >= 0), even, 0.0)
    tau = (2 * monotone - 1 + closing).clamp_min(1 / math.log10(total)).masked_fill(rho.isnan().any(1), torch.nan)
    constant = chains.amax((1, 2)) - chains.amin((1, 2)) < RESOLUTION
    return torch.where(constant, float(total), total / tau)


def _autocorrelation(chains: Tensor) -> Tensor:
    """ρ_t = 1 − (W − mean over chains of the autocovariance at lag t) / var⁺, `[R, T]`."""
    length = chains.shape[2]
    mean = chains.mean(2, keepdim=True)
    # Autocovariances of all lags at once, from the power spectrum.
    padded = 1 << (2 * length - 1).bit_length()  # no wrapping around, and a length that an FFT likes
    spectrum = torch.fft.rfft(chains - mean, n=padded)
    power = (spectrum.real.square() + spectrum.imag.square()).mean(1)
    covariance = torch.fft.irfft(power, n=padded)[:, :length] / length
    # W and var⁺ = W (T − 1) / T + variance of the chains' means.
    within = covariance[:, :1] * (length / (length - 1))
    total = covariance[:, :1]
    if chains.shape[1] > 1:
        total = total + mean.var(1)
    rho = 1 - (within - covariance) / total
    rho[:, 0] = 1
    return rho
