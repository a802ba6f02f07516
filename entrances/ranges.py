"""What values must be to mean what their name says: one name means one thing in every public function.

A range speaks of the numbers in an argument, of 1 and of 50 in `num_particles=[1, 50]`, of how many these are, and of
tensors. What else an argument may be is told by its annotation (`kinds.py`). What only one function knows, such as how
many latents a lattice takes, it says itself.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = Any  # the command line reads ranges before torch is imported


class Range(NamedTuple):
    """What an argument takes, beside its type.

    Attributes:
        words: of its numbers, "from 1 to 10": put behind "an integer" or "a number".
        holds: whether a finite number is one of them.
        remedy: what to give instead.
        least: entries of a sequence.
        tensor: of its tensors, as `words`.
        fits: whether a real tensor is one of them.
    """

    words: str = ""
    holds: Callable[[float], bool] = lambda value: True
    remedy: str = ""
    least: int = 0
    tensor: str = ""
    fits: Callable[[Tensor], bool] = lambda value: True


EVERY = Range()
"""Admits even NaN: whether a value is of the right type at all."""

ANY = Range("")
"""Every finite number."""


def is_in(value: float, within: Range) -> bool:
    """Whether a number is finite and in the range."""
    return within is EVERY or ((isinstance(value, int) or math.isfinite(value)) and within.holds(value))


def range_of(name: str) -> Range:
    """The range of an argument; of names that nothing is said of, every finite number."""
    return RANGES.get(name, ANY)


def _integers(low: int, high: int, called: str, remedy: str) -> Range:
    return Range(f"from {low} to {called}", lambda value: low <= value <= high, remedy)


def _has_rows(value: Tensor) -> bool:
    return value.dim() > 0 and value.numel() > 0


def _has_finite_rows(value: Tensor) -> bool:
    return _has_rows(value) and bool(value.isfinite().all())


def _are_shares(value: Tensor) -> bool:
    return value.dim() == 1 and len(value) > 0 and bool(((value >= 0) & (value <= 1)).all())


MOST = 10**9
"""The largest count: a billion samples of one datum take a day; a billion times as many would never end."""

LARGEST = 2**24
"""The largest size of a datum, a layer or a latent space: a matrix has so many columns at most."""

COUNT = _integers(1, MOST, "10^9", "give a count in that range")
COUNT_OR_NONE = _integers(0, MOST, "10^9", "give a count in that range, 0 for none")
SIZE = _integers(1, LARGEST, "2^24", "give a size in that range")
SIZES = SIZE._replace(least=1)
SEED = _integers(0, 2**63 - 1, "2^63 - 1", "any of them will do, such as 0")
FIRST = _integers(0, 2**63 - 1, "2^63 - 1", "it is the number of the first sample")
BYTES = _integers(1, 2**63 - 1, "2^63 - 1", "leave it out, or give None, for the default of 256 MiB")
PAGE_BYTES = _integers(1, MOST, "10^9", "such as 3_000_000, a page that a phone loads at once")
POSITIVE = Range("> 0 and finite", lambda value: value > 0)
# Squares of scales are numbers of single precision, too.
SCALE = Range("from 10^-18 to 10^18", lambda value: 1e-18 <= value <= 1e18, "give a number in that range")
NOT_NEGATIVE = Range("from 0 to 10^18", lambda value: 0 <= value <= 1e18, "give a number in that range")
SHARE = Range("between 0 and 1, both excluded", lambda value: 0 < value < 1, "such as 0.05, 0.5 or 0.95")
SHARE_OR_NONE = Range("from 0 to below 1", lambda value: 0 <= value < 1, "such as 0 or 0.5")
NATS = Range("> 0 and at most 10^6", lambda value: 0 < value <= 1e6, "in nats, such as 0.1")
SECONDS = Range("> 0 and at most 10^7", lambda value: 0 < value <= 1e7, "in seconds, such as 60")
EVALUATIONS = Range("> 0 and at most 10^15", lambda value: 0 < value <= 1e15, "such as 2e5")
POWERS = Range("from -1000 to 1000", lambda value: abs(value) <= 1000, "beyond them the largest weight is all")
ORDERS = Range("from 1 to 1000", lambda value: 1 <= value <= 1000, "E[w^n]^(1/n) is an upper bound from n = 1 on")
SOME_DATA = Range(least=1)
ROWS = Range(tensor="with a row for each datum", fits=_has_rows)
FINITE = Range(tensor="with a row for each datum and without NaN and infinite values", fits=_has_finite_rows)
LEVELS = SIZE._replace(tensor="of one axis with values from 0 to 1", fits=_are_shares)

_COUNTS = """num_samples num_chains num_steps num_draws num_runs num_pilot num_leapfrog max_steps max_points num_epochs
    batch_size num_particles num_outer num_inner num_validation_samples validate_every patience num_cycles
    num_components num_transforms num_layers num_orders per_class limit num_data num_rows width num_words every
    num_values chunk batch"""
_COUNTS_OR_NONE = "num_warmup num_exchanges num_checked num_refresh num_given num_simulations max_decimals most"
_SIZE = """data_dim hidden prior_hidden transition_hidden transform_hidden context_dim num_classes num_topics num_codes
    num_positions code_dim num_features num_hidden num_inputs num_outputs per_value dim trials image_shape"""

RANGES: dict[str, Range] = {
    **dict.fromkeys(_COUNTS.split(), COUNT),
    **dict.fromkeys(_COUNTS_OR_NONE.split(), COUNT_OR_NONE),
    **dict.fromkeys(_SIZE.split(), SIZE),
    **dict.fromkeys(("latent_dim", "latent_dims", "latent_shape"), SIZES),
    **dict.fromkeys(("learning_rate", "sigma", "scale", "beta", "clip_norm", "concentration"), SCALE),
    **dict.fromkeys(("ess_per_chain", "rhat"), POSITIVE),
    **dict.fromkeys(
        ("floor", "temperature", "weight_decay", "final_learning_rate", "warmup_epochs", "free_bits"), NOT_NEGATIVE
    ),
    **dict.fromkeys(("checkpoint_seconds", "divergences", "ebfmi", "z"), NOT_NEGATIVE),
    **dict.fromkeys(("level", "target_accept", "target_accept_prob", "quantiles", "tail"), SHARE),
    **dict.fromkeys(("seed", "order_seed"), SEED),
    **dict.fromkeys(("data", "rows"), SOME_DATA),
    **dict.fromkeys(("samples", "originals", "reconstructions", "images", "again", "topics"), FINITE),
    **dict.fromkeys(("test", "train", "pseudo_inputs", "codes"), FINITE),
    **dict.fromkeys(("value", "error"), EVERY),  # what is shown may be NaN
    "alpha": POWERS,
    "alphas": POWERS,
    "budget": SECONDS,
    "dropout": SHARE_OR_NONE,
    "levels": LEVELS,
    "max_bytes": PAGE_BYTES,
    "memory_bytes": BYTES,
    "number": EVALUATIONS,
    "observed": ROWS,
    "orders": ORDERS,
    "start": FIRST,
    "threshold": SHARE_OR_NONE,
    "tolerance": NATS,
    "x": COUNT._replace(tensor=ROWS.tensor, fits=ROWS.fits),
}
"""Name of an argument -> its range."""
