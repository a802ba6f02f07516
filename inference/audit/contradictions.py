"""Room that is smaller than what the modes that q misses must take: log p(x) was found without them."""

from dataclasses import replace

import torch
from torch import Tensor

from elbowroom.inference.diagnostics.agreement import Agreement
from elbowroom.inference.estimate import Estimate, reasons
from elbowroom.inference.evidence.bracket.choice import MISSED_MODES
from elbowroom.inference.gap import Decomposition
from elbowroom.inference.gap.log_p import LogPInfo, sides_of

_SIGMAS, _NEGLIGIBLE = 2.0, 0.02  # standard errors, and nats on top of them


def least_room(agreement: Agreement) -> tuple[Tensor, Tensor]:
    """−log(1 − m) nats, m the posterior mass of modes that q misses, and its standard error, `[B]` each.

    KL(q ‖ p(z|x)) ≥ log [q(S) / p(S|x)] for the modes S that hold all of q, and p(S|x) = 1 − m. NaN where m is unknown.
    """
    mass, stderr = agreement.missed_mass.double(), agreement.missed_mass_stderr.double()
    kept = (1 - mass).clamp_min(1e-9)
    return -kept.log(), stderr / kept


def contradicted(room: Decomposition, agreement: Agreement) -> Tensor:
    """Which data have less room than the modes that q misses must take, by more than chance, `[B]` bool."""
    least, error = least_room(agreement)
    found = room.room()
    half = found.info.get("half_width", torch.zeros_like(found.value)).to(least)
    own = (found.stderr.double().square() - half.square()).clamp_min(0.0)
    highest = found.value.double() + half  # the upper side of the room
    above = least - highest > _SIGMAS * (own + error.square()).sqrt() + _NEGLIGIBLE
    return above & ~room.exploded.cpu() & highest.isfinite()


def reconciled(room: Decomposition, agreement: Agreement) -> Decomposition:
    """The decomposition, flagged where missed modes contradict its room, and with the larger room where they are sound.

    There log p(x) becomes ELBO − log(1 − m), known from below only; what it rises by is part of the approximation.
    Where the chains did not pass their gates, m may be wrong: the value stays, with the flag.
    """
    marks = contradicted(room, agreement)
    if not bool(marks.any()):
        return room
    least, error = least_room(agreement)
    sound = torch.tensor([not flag for flag in agreement.flags])
    raised, elbo = marks & sound, room.elbo
    value = torch.where(raised, elbo.value + least.to(elbo.value), room.log_p.value.to(elbo.value))
    stderr = torch.where(raised, torch.hypot(elbo.stderr, error.to(elbo.stderr)), room.log_p.stderr.to(elbo.stderr))
    causes = [
        _reason(room, agreement, b, float(least[b]), bool(sound[b])) if mark else ""
        for b, mark in enumerate(marks.tolist())
    ]
    flags = tuple(reasons(*pair) for pair in zip(causes, room.log_p.flags, strict=True))
    info = _raised(room.log_p.info, raised)
    log_p = Estimate(value, stderr, room.log_p.bound, info, flags, room.log_p.unnormalised)
    rise = value - room.log_p.value.to(value)
    old = room.approximation
    wider = torch.where(raised, torch.hypot(stderr, old.stderr.to(stderr)), old.stderr.to(stderr))
    approximation = Estimate(old.value + rise, wider, old.bound, sides_of(log_p), old.flags)
    return replace(
        room,
        log_p=log_p,
        approximation=approximation,
        flags=tuple(reasons(*pair) for pair in zip(causes, room.flags, strict=True)),
    )


def raised_by_modes(room: Decomposition) -> Tensor:
    """Which data's log p(x) was raised by modes that q misses, `[B]` bool."""
    methods = room.log_p.info.get("method", ("",) * len(room))
    return torch.tensor([method == MISSED_MODES for method in methods])


def _reason(room: Decomposition, agreement: Agreement, b: int, least: float, sound: bool) -> str:
    mass, error = float(agreement.missed_mass[b]), float(agreement.missed_mass_stderr[b])
    found = room.room()
    told = (
        f"q misses modes that hold {mass:.3f} ± {error:.3f} of the posterior, which takes {least:.3f} nats of room, "
        f"and log p(x) was found without them (room {found.value[b]:.3f} ± {found.stderr[b]:.3f} nats)"
    )
    return told if sound else f"{told}; the chains that say so did not pass their gates"


def _raised(info: LogPInfo, raised: Tensor) -> LogPInfo:
    """What is known of log p(x) where missed modes have raised it: a value from below."""
    changed: LogPInfo = {**info}
    if "method" in info:
        pairs = zip(info["method"], raised.tolist(), strict=True)
        changed["method"] = tuple(MISSED_MODES if mark else method for method, mark in pairs)
    if "half_width" in info:
        changed["half_width"] = torch.where(raised, 0.0, info["half_width"].cpu())
    if "one_sided" in info:
        changed["one_sided"] = raised | info["one_sided"].cpu()
    return changed
