"""Whether networks like data better that were changed: by the ELBO, and by what reconstructions leave.

    ELBO(T) = E_q(z | T_e(x))[log p(T_d(x), z) − log q(z | T_e(x))]

with T_e what the encoder reads and T_d what the decoder is to explain: T or nothing, each. The last resort is an
encoder that sees nothing: the mean of the data in place of every datum. One that was trained with its decoder beats it
by far. An order of entries has a name only if the data gain far more by it than by orders drawn at random: of data
that stand in none that is known, any may be better than theirs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elbowroom.inference.diagnostics.changed_data.changes import CHANGES, shuffled
from elbowroom.inference.diagnostics.latent_use.observation import squared_errors
from elbowroom.inference.target import Target

_SAMPLES, _MOST, _FEWEST = 4, 64, 8  # draws of q; data that are tried; data below which all may be by chance
_LEAST_GAIN, _ERRORS, _MOSTLY = 1.0, 4.0, 2 / 3  # nats; standard errors; share of data that gain
_ORDERS = 24  # drawn at random, all of which an order must surpass that is named
_REST, _MOST_LEFT = 0.5, 0.75  # of what reconstructions leave, that is left of changed data; of their variance

_READERS = {"the networks": (True, True), "the encoder": (True, False), "the decoder": (False, True)}
"""Who reads T(x): the encoder, the decoder."""

_ANY_ORDER = "in other orders, none of which stands out"


@dataclass(frozen=True)
class BetterRead:
    """A change of the data that the networks fit far better.

    Attributes:
        reader: `"the networks"`, `"the encoder"` or `"the decoder"`, of whom data are changed.
        change: what was done to them, in words; empty where nothing is left of them but the mean of all, and "in other
            orders" where the best of the usual ones is no better than some that were drawn at random.
        gain: ELBO with it less the ELBO as it is, `[R]` nats, of the data that were tried; None where T changes the
            scale of what is to be explained, so that densities cannot be compared.
        elbo: ELBO with it, `[R]` nats; None where `gain` is.
        left, left_then: share of the variance of x over data that the reconstruction of each datum leaves, `[R]`, as
            the data are and changed; None where x is no mean plus Gaussian noise.
    """

    reader: str
    change: str
    gain: Tensor | None
    elbo: Tensor | None
    left: Tensor | None
    left_then: Tensor | None


def better_read(target: Target, seed: int = 0) -> BetterRead | None:
    """The change of the data that gains most, if any gains a nat or more, for most data and beyond noise.

    Of changes that rescale what the decoder is to explain: if reconstructions leave less than half of what they
    leave of the data as they are, and less than three quarters of the variance. A few draws of q for 64 data at most
    are compared, the same noise on both sides.

    Returns:
        None also where data are not what is observed, cannot be picked, or are fewer than eight.
    """
    place = _place(target)
    if place is None or len(target) < _FEWEST or not _data(target, place).is_floating_point():
        return None
    x, rows = _data(target, place), torch.linspace(0, len(target) - 1, min(len(target), _MOST)).long().unique()
    few = target.select(rows)

    def on(changed: Tensor) -> Target:
        return few.pinned_to({place: changed[rows.to(x.device)].contiguous()}).replaced(keys=few.keys)

    with torch.no_grad():
        tried = _Tried(few, on(x.mean(0).expand_as(x)), place, seed)
        found, orders = [tried.blindness()], set()
        for change in CHANGES:
            for about, changed in change.changed(x):
                if not torch.equal(changed, x):
                    other, words = on(changed), f"{change.name}{about}"
                    found += [tried.read(other, words, reader, change.keeps_volume) for reader in _READERS]
                    orders |= {words} if change.effect == "order" else set()
        best = min((item for item in found if item is not None), key=_rank, default=None)
        if best is None or best.change not in orders or tried.stands_out(best, map(on, shuffled(x, _ORDERS))):
            return best
        return replace(best, change=_ANY_ORDER)


def _rank(found: BetterRead) -> tuple[bool, float, float]:
    """Seeing nothing is the last resort; what leaves least is best, and where that is unknown what gains most."""
    left = 0.0 if found.left_then is None else float(found.left_then.mean())
    return not found.change, left, 0.0 if found.gain is None else -float(found.gain.mean())


class _Tried:
    """The programs on their data as they are, and on the mean of them for the encoder."""

    def __init__(self, target: Target, blind: Target, place: int | str, seed: int) -> None:
        self.target, self.place, self.seed = target, place, seed
        self.elbo, self.unseen = _elbo(target, target, seed), _elbo(blind, target, seed)
        self.left = _left(target, target, place, seed)

    def blindness(self) -> BetterRead | None:
        if self.elbo is None or self.unseen is None or not gains(self.unseen - self.elbo):
            return None
        return BetterRead("the encoder", "", self.unseen - self.elbo, self.unseen, None, None)

    def read(self, other: Target, words: str, reader: str, keeps_volume: bool) -> BetterRead | None:
        """What comes of it if a reader sees the data of another target, if that is far better."""
        encoder, decoder = (other if changed else self.target for changed in _READERS[reader])
        left = _left(encoder, decoder, self.place, self.seed)
        if keeps_volume or decoder is self.target:
            elbo = _elbo(encoder, decoder, self.seed)
            if elbo is None or self.elbo is None or not gains(elbo - self.elbo):
                return None
            if self.unseen is not None and not gains(elbo - self.unseen):
                return None  # where an encoder is no use, whatever it sees less of may help
            return BetterRead(reader, words, elbo - self.elbo, elbo, self.left, left)
        if left is None or self.left is None or not (left < self.left).double().mean() >= _MOSTLY:
            return None
        if left.mean() > min(_REST * float(self.left.mean()), _MOST_LEFT):
            return None
        return BetterRead(reader, words, None, None, self.left, left)

    def stands_out(self, best: BetterRead, others: Iterable[Target]) -> bool:
        """Whether the ELBO of a change is higher than those of all others that keep volumes, by far."""
        assert best.elbo is not None
        for other in others:
            encoder, decoder = (other if changed else self.target for changed in _READERS[best.reader])
            elbo = _elbo(encoder, decoder, self.seed)
            if elbo is not None and not gains(best.elbo - elbo):
                return False
        return True


def _place(target: Target) -> int | str | None:
    """The argument that holds the observed values, if there is one and it is all that is observed."""
    structure = target.structure
    if len(structure.observed) != 1 or structure.data_dim is None or not target.sliceable or structure.separate:
        return None
    record = next(r for program, _, name, r in target.sites() if program == "model" and name == structure.observed[0])
    value, axis = record["value"], len(record["fn"].batch_shape) + structure.data_dim
    if record["mask"] is not None or value.shape[axis : axis + 1] != (len(target),):
        return None
    rows = value.movedim(axis, 0).flatten()
    same = (key for key in target.per_datum if torch.equal(_data(target, key).flatten().to(rows), rows))
    return next(same, None)


def _data(target: Target, place: int | str) -> Tensor:
    return target.data[list(target.per_datum).index(place)]


def gains(gain: Tensor) -> bool:
    """Whether data gain enough, `[R]` nats each: a nat on average, four standard errors, and most of them."""
    least = max(_LEAST_GAIN, _ERRORS * float(gain.std()) / len(gain) ** 0.5)
    return bool(gain.mean() > least) and bool((gain > 0).double().mean() >= _MOSTLY)


def _elbo(encoder: Target, decoder: Target, seed: int) -> Tensor | None:
    """The ELBO of the data of one target with q of those of another, `[B]`; None where a network refuses them."""
    try:
        z, log_q = encoder.propose(_SAMPLES, seed=seed)
        prior, likelihood = decoder.log_joint(z)
    except (ValueError, RuntimeError, ArithmeticError):
        return None
    return (prior + likelihood - log_q).double().cpu().mean(0)


def _left(encoder: Target, decoder: Target, place: int | str, seed: int) -> Tensor | None:
    """Σ (x − μ)² of each datum under q, by the mean of Σ (x − x̄)² over data, `[B]`; None if there is no such μ."""
    x = _data(decoder, place).double().cpu().reshape(len(decoder), -1)
    total = (x - x.mean(0)).square().sum(-1).mean()
    try:
        squares = squared_errors(decoder, encoder.propose(_SAMPLES, seed=seed)[0])
    except (ValueError, RuntimeError, ArithmeticError):
        return None
    return None if squares is None or not total > 0 else squares.double().cpu().mean(0) / total
