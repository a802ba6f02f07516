"""Made-up explorations whose every number is known: closed forms on small lattices, pictures drawn by a formula."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from elbowroom.inference.exploration.frame import Frame
from elbowroom.inference.exploration.result import Column, Decoded, Exploration, Moment, Rung, Scale, View

M, G, SIDE = 33, 17, 8
UNIT = Scale(0.0, 1.0)


def plane(low: tuple[float, ...], high: tuple[float, ...], says: str = "The two latents.") -> Frame:
    """The latents themselves."""
    eye = torch.eye(len(low))
    return Frame(torch.zeros(len(low)), eye, eye, torch.tensor([low, high]).T, ("z[0]", "z[1]")[: len(low)], says)


def normal(u: Tensor, mean: Tensor, sd: Tensor | float) -> Tensor:
    """log density of independent normals, summed over the last axis."""
    sd = torch.as_tensor(sd)
    return (-0.5 * ((u - mean) / sd) ** 2 - sd.log().expand_as(u) - 0.5 * math.log(2 * math.pi)).sum(-1)


def blob(u: Tensor, side: int = SIDE) -> Tensor:
    """A picture `[…, side · side]` between 0 and 1 of a spot whose place and width are the first latents."""
    steps = torch.linspace(-3.5, 3.5, side)
    across, down = torch.meshgrid(steps, steps, indexing="xy")
    a, b = u[..., :1], u[..., 1:2] if u.shape[-1] > 1 else torch.zeros_like(u[..., :1])
    return torch.exp(
        -0.5 * ((across.flatten() - a) ** 2 + (down.flatten() + b) ** 2) / (0.6 + 0.2 * torch.tanh(a) ** 2)
    )


def decoded(
    frame: Frame, make: Callable[[Tensor], Tensor], scale: Scale, size: int = G, sample: bool = True
) -> Decoded:
    """What `make` says on a lattice of the frame."""
    mean = make(frame.points(frame.lattice(size)))
    drawn = scale.bytes_of((torch.rand(mean.shape) < mean) * scale.high) if sample else None
    return Decoded(frame.window, scale.bytes_of(mean), drawn)


def rungs(elbo: float, refined: float, log_p: float) -> tuple[Rung, ...]:
    return (
        Rung("ELBO", elbo, 0.02, "lower"),
        Rung("refined ELBO", refined, 0.03, "lower"),
        Rung("log p(x)", log_p, 0.0, "exact"),
    )


def view(datum: int, frame: Frame, mean: Tensor, sd: float, *, other: Tensor | None = None, size: int = M) -> View:
    """A datum whose posterior is a normal (or two of them, a third of it around `other`); q is narrower, and aside."""
    u = frame.points(frame.lattice(size))
    first = normal(u, mean, sd)
    two = other is not None
    joint = torch.logaddexp(first + math.log(2 / 3), normal(u, other, sd) - math.log(3)) if two else first
    aside = mean + 0.3 * sd
    points = [mean, other] if other is not None else [mean]
    truth = torch.cat([m + sd * torch.randn(120 // len(points), len(mean)) for m in points])
    return View(
        datum, frame, joint - 50.0 - datum / 7, normal(u, torch.zeros(len(mean)), 1.0), normal(u, aside, 0.7 * sd),
        frame.places(truth), frame.places(aside + 0.7 * sd * torch.randn(100, len(mean))),
        torch.stack([frame.places(m) for m in points]), frame.places(aside), None, None,
        rungs(-51.5 - datum / 7, -50.6 - datum / 7, -50.0 - datum / 7),
        ("The posterior has two modes; q sits in one of them.",) if two else (),
    )  # fmt: skip


def columns(count: int) -> dict[str, Column]:
    """Of which some values are not known."""
    room = torch.rand(count) ** 2 * 3
    k = torch.rand(count)
    k[:: max(count // 8, 2)] = float("nan")
    return {
        "room": Column(room, "log p(x) − ELBO", "nats", "high"),
        "log p(x)": Column(-50 - torch.arange(count) / 7, "by quadrature", "nats", "low"),
        "amortization": Column(torch.full((count,), 0.9), "the encoder's part", "nats", "high"),
        "k̂": Column(k, "how heavy the tail of the weights is", "", "high"),
        "label": Column(torch.arange(count) % 10.0, "the digit", "", None, is_label=True),
    }


def moments(codes: Tensor, count: int) -> tuple[Moment, ...]:
    """Codes that spread out from the middle."""
    room = torch.rand(len(codes)) * 3
    return tuple(Moment(f"epoch {10 * n}", codes * n / count, {"room": room * (2 - n / count)}) for n in range(count))


@cache
def digits(count: int = 360, views: int | None = None) -> Exploration:
    """Two latents, pictures of 8 × 8, one lattice of decoded points for all; every third posterior has two modes."""
    torch.manual_seed(0)
    frame = plane((-3.5, -3.5), (3.5, 3.5))
    z = torch.randn(count, 2).clamp(-2.8, 2.8)
    planes = []
    for b in range(count if views is None else views):
        sd = 0.12 + 0.25 * float(torch.rand(()))
        other = z[b] + torch.tensor([3.0, -1.5]) * sd if b % 3 == 0 else None
        low, high = z[b] - 4.0 * sd, z[b] + (6.5 if other is not None else 4.0) * sd
        around = plane(tuple(low.tolist()), tuple(high.tolist()))
        planes.append(replace(view(b, around, z[b], sd, other=other), again=UNIT.bytes_of(blob(z[b]))))
    x = (blob(z) + 0.1 * torch.rand(count, SIDE * SIDE)).clamp(0, 1)
    doubted = tuple("too few draws of the tail" if b % 50 == 4 else "" for b in range(count))
    about = {"model": {"class": "toys.Blob", "latents": 2}}
    return replace(
        whole("z", 2, UNIT.bytes_of(x), UNIT, frame, z, planes),
        flags=doubted,
        decoded=decoded(frame, blob, UNIT, 25),
        moments=moments(z, 5),
        notices=("Made up: no model was asked.",),
        about=about,
    )


def whole(name: str, size: int, x: Tensor, scale: Scale, frame: Frame, means: Tensor, views: list[View]) -> Exploration:
    """What all of them have."""
    count, prior = len(x), normal(frame.points(frame.lattice(M)), torch.zeros(size), 1.0)
    latents = tuple(f"{name}[{d}]" for d in range(size))
    return Exploration(
        count, latents, False, "x", x, scale, columns(count), ("",) * count, frame, frame.places(means), prior, None,
        tuple(views),
    )  # fmt: skip


def cut(means: Tensor, axes: Tensor, half: float, says: str) -> Frame:
    """A plane through a point, along two directions `[2, D]` of length 1."""
    return Frame(means, axes, axes, torch.tensor([[-half, half], [-half, 1.1 * half]]), ("first", "second"), says)


@cache
def eight_latents(count: int = 40, views: int = 12, side: int = SIDE) -> Exploration:
    """Eight latents: each view has a plane and decoded points of its own; data are `[side, side]`."""
    torch.manual_seed(1)
    means = torch.randn(count, 8)

    def pictures(u: Tensor) -> Tensor:
        return blob(u, side).unflatten(-1, (side, side))

    def directions() -> Tensor:
        return torch.linalg.qr(torch.randn(8, 2))[0].T

    planes = []
    for b in range(views):
        frame = cut(means[b], directions(), 1.2, "The two directions in which posterior and q differ most.")
        again = UNIT.bytes_of(pictures(means[b]))
        planes.append(replace(view(b, frame, means[b], 0.3), again=again, decoded=decoded(frame, pictures, UNIT)))
    frame = cut(torch.zeros(8), directions(), 3.0, "All codes, along the two directions in which they differ most.")
    return replace(whole("z", 8, UNIT.bytes_of(pictures(means)), UNIT, frame, means, planes), is_constrained=True)


@cache
def one_latent(count: int = 30) -> Exploration:
    """One latent: lines; counts of 12 words as bars, on a scale that is not 0 to 1."""
    torch.manual_seed(2)
    scale = Scale(0.0, 20.0)
    frame = plane((-3.5,), (3.5,), "The latent.")
    z = torch.randn(count, 1)

    def counts(u: Tensor) -> Tensor:
        return 20 * torch.exp(-0.5 * (torch.linspace(-3, 3, 12) - u) ** 2)

    planes = []
    for b in range(count):
        around = plane((float(z[b]) - 2,), (float(z[b]) + 2,), "The latent.")
        one = view(b, around, z[b], 0.4, other=z[b] + 1.2 if b % 2 else None)
        planes.append(replace(one, again=scale.bytes_of(counts(z[b]))))
    exploration = whole("z", 1, scale.bytes_of(counts(z)), scale, frame, z, planes)
    return replace(exploration, decoded=decoded(frame, counts, scale, 41, sample=False))


@cache
def sequences(count: int = 20) -> Exploration:
    """Three latents, `[T, P]` sequences below and above zero; parts of them are not there; q's density is unknown."""
    torch.manual_seed(3)
    scale = Scale(-2.0, 2.0)
    time = torch.linspace(0, 6, 24)

    def waves(u: Tensor) -> Tensor:
        return torch.stack([torch.sin(time + u[..., :1]), 0.5 * u[..., 1:2] * torch.cos(2 * time)], -1).clamp(-2, 2)

    means, axes = torch.randn(count, 3), torch.eye(3)[:2]
    x = waves(means)
    x[0, 10:, 1] = float("nan")
    planes = []
    for b in range(6):
        frame = cut(means[b], axes, 1.5, "The first two latents.")
        again, lattice = scale.bytes_of(waves(means[b])), decoded(frame, waves, scale, 13, sample=False)
        one = view(b, frame, means[b], 0.4)
        planes.append(replace(one, log_q=None, posterior=None, again=again, decoded=lattice))
    frame = cut(torch.zeros(3), axes, 3.0, "The first two latents.")
    return whole("z", 3, scale.bytes_of(x), scale, frame, means, planes)


HOSTILE = "</script><script>alert(1)</script>\u202e<img src=x onerror=alert(2)>&amp;"


@cache
def hostile() -> Exploration:
    """One datum, no decoder, no value known, nothing of finite density somewhere, names that would be code."""
    torch.manual_seed(4)
    frame = Frame(
        torch.zeros(2), torch.eye(2), torch.eye(2), torch.tensor([[-1.0, 1.0], [-1.0, 1.0]]), (HOSTILE, "b"), HOSTILE
    )
    one = view(0, frame, torch.zeros(2), 0.2)
    joint = one.log_joint.clone()
    joint[:10] = -math.inf
    nowhere, ladder = torch.zeros(0, 2), (Rung(HOSTILE, -math.inf, math.nan, "lower"),)
    bare = replace(one, log_joint=joint, modes=nowhere, posterior=nowhere, says=(HOSTILE,), ladder=ladder)
    return Exploration(
        1, (HOSTILE, "z[1]"), False, HOSTILE, torch.full((1, 5), 9, dtype=torch.uint8), UNIT,
        {HOSTILE: Column(torch.tensor([math.nan]), HOSTILE, "nats", "high")}, (HOSTILE,), frame, torch.zeros(1, 2),
        one.log_prior, None, (bare,), (), (HOSTILE,), {HOSTILE: {HOSTILE: HOSTILE}},
    )  # fmt: skip


EXPLORATIONS: dict[str, Callable[[], Exploration]] = {
    "digits": digits,
    "eight latents": eight_latents,
    "one latent": one_latent,
    "sequences": sequences,
    "hostile": hostile,
}
