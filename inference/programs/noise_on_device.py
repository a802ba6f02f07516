"""The words that NumPy's Philox-4x64 gives, and normals of them, made where they are used: a card need not wait.

A block of four words is ten rounds of its counter (c_0, c_1, c_2, c_3) under a key (k_0, k_1),

    c ← (hi(M_1 c_2) ⊕ c_1 ⊕ k_0,  lo(M_1 c_2),  hi(M_0 c_0) ⊕ c_3 ⊕ k_1,  lo(M_0 c_0)),    k ← k + W,

with the halves of products of 128 bits. torch has no such products and no unsigned numbers, but its sums and products
of 64 bits wrap, so words are held as the signed numbers of the same bits.

Source: Salmon, Moraes, Dror & Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3", section 3.3.
"""

import math

import numpy as np
import torch
from torch import Tensor

_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10
_WORDS = 4
_LOW = 2**32 - 1
_ANGLE = 24  # bits of a word for the angle, the rest are for the radius


def normals(
    seed: int, keys: np.ndarray, site: int, operation: int, start: int, shape: tuple[int, int], device: torch.device
) -> Tensor:
    """The normals in single precision that `Noise` draws, up to rounding, `[S, B, width]` for `shape` (S, width)."""
    num_samples, width = shape
    half = -(-width // 2)
    found = words(seed, keys, (operation, site), start * half, num_samples * half, device)
    radius = _unsigned_shift(found, _ANGLE).float().add_(0.5).mul_(2.0 ** (_ANGLE - 64)).log_().mul_(-2).sqrt_()
    angle = (found & (2**_ANGLE - 1)).float().mul_(2 * math.pi / 2**_ANGLE)
    cosines, sines = (
        (radius * part).unflatten(1, (num_samples, half)) for part in (angle.cos(), angle.sin())
    )  # [B, S, half]
    return torch.cat((cosines, sines[..., : width - half]), -1).transpose(0, 1).contiguous()


def words(
    seed: int, keys: np.ndarray, stream: tuple[int, int], first: int, number: int, device: torch.device
) -> Tensor:
    """Words `first … first + number − 1` of a stream of each datum, `[B, number]`, as signed numbers.

    Args:
        seed: k_0.
        keys: k_1 of each datum, `[B]`.
        stream: c_2 and c_3.
        first, number: which words; up to 2^63 in all.
        device: where they are made.
    """
    begin, end = first // _WORDS, -(-(first + number) // _WORDS)
    data = torch.from_numpy(np.asarray(keys, np.uint64).view(np.int64)).to(device).unsqueeze(1)  # [B, 1]
    count = torch.arange(begin + 1, end + 1, device=device)  # NumPy counts before it makes a block
    c = (count, torch.zeros_like(count), torch.full_like(count, _signed(stream[0])), _signed(stream[1]) + 0 * count)
    for r in range(_ROUNDS):
        k_0, k_1 = _signed(seed + r * _WEYL[0]), data + _signed(r * _WEYL[1])
        (high_0, low_0), (high_1, low_1) = _product(_MULTIPLIERS[0], c[0]), _product(_MULTIPLIERS[1], c[2])
        c = (high_1 ^ c[1] ^ k_0, low_1, high_0 ^ c[3] ^ k_1, low_0)
    blocks = torch.stack([part.expand(len(keys), len(count)) for part in c], -1).flatten(1)
    offset = first - begin * _WORDS
    return blocks[:, offset : offset + number]


def _product(multiplier: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """The upper and the lower 64 bits of a product, from products of 32 bits each."""
    m_high, m_low = multiplier >> 32, multiplier & _LOW
    x_high, x_low = _unsigned_shift(x, 32), x & _LOW
    low, first, second = m_low * x_low, m_low * x_high, m_high * x_low
    carried = _unsigned_shift(low, 32) + (first & _LOW) + (second & _LOW)
    high = m_high * x_high + _unsigned_shift(first, 32) + _unsigned_shift(second, 32) + (carried >> 32)
    return high, _signed(multiplier) * x


def _unsigned_shift(x: Tensor, bits: int) -> Tensor:
    return (x >> bits) & (2 ** (64 - bits) - 1)


def _signed(number: int) -> int:
    """The signed number of the same 64 bits."""
    number %= 2**64
    return number - 2**64 if number >= 2**63 else number
