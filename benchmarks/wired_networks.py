"""VAEs of the digits as people write them, trained by a plain loop: what `wirings` wires rightly and wrongly."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional

from benchmarks.clock import CPU
from elbowroom.datasets import load

LATENTS, STEPS, SIGMA = 4, 1500, 0.2


class Encoder(nn.Module):
    """Mean and log standard deviation."""

    def __init__(self, body: nn.Module, latents: int) -> None:
        super().__init__()
        self.net = nn.Sequential(body, nn.Linear(64, 2 * latents))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.net(x).chunk(2, -1)
        return mean, log_std


class Trained(NamedTuple):
    """Networks, the data of the test, `[B, 64]`, and σ of a Normal likelihood."""

    encoder: Encoder
    decoder: nn.Module
    x: Tensor
    sigma: float | None


def dense(latents: int) -> tuple[Encoder, nn.Module]:
    """One hidden layer each."""
    body = nn.Sequential(nn.Linear(64, 64), nn.SiLU())
    return Encoder(body, latents), nn.Sequential(nn.Linear(latents, 64), nn.SiLU(), nn.Linear(64, 64))


def convolutional(latents: int) -> tuple[Encoder, nn.Module]:
    """Two convolutions each."""
    body = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, 2, 1), nn.SiLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.SiLU(),
        nn.Flatten(1), nn.Linear(64, 64), nn.SiLU(),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(latents, 64), nn.SiLU(), nn.Unflatten(1, (16, 2, 2)), nn.ConvTranspose2d(16, 16, 4, 2, 1), nn.SiLU(),
        nn.ConvTranspose2d(16, 1, 4, 2, 1), nn.Flatten(1),
    )  # fmt: skip
    return Encoder(body, latents), decoder


class Kind(NamedTuple):
    """A kind of network and data: what makes encoder and decoder, and σ of grey values, or None for zeros and ones."""

    make: Callable[[int], tuple[Encoder, nn.Module]]
    sigma: float | None


KINDS = {
    "zeros and ones": Kind(dense, None),
    "grey": Kind(dense, SIGMA),
    "convolutional": Kind(convolutional, None),
}
"""What VAEs are tried."""


class Setting(NamedTuple):
    """A kind, the seed of its weights and minibatches, and where its networks are."""

    kind: str
    seed: int
    device: torch.device = CPU

    def trained(self, **how: object) -> Trained:
        """As `trained`."""
        return trained(self.kind, self.seed, self.device, **how)  # type: ignore[arg-type]


@cache
def trained(
    kind: str,
    seed: int,
    device: torch.device = CPU,
    *,
    sigma: float | None = None,
    beta: float = 1.0,
    latents: int = LATENTS,
    prior: tuple[float, float] = (0.0, 1.0),
    scaled: tuple[float, float] = (0.0, 1.0),
    both_scaled: tuple[float, float] = (0.0, 1.0),
    mean_reduced: bool = False,
    grey: bool = False,
    some: tuple[int, int] = (0, 10),
    steps: int = STEPS,
) -> Trained:
    """A VAE of a kind, by a plain loop.

    Args:
        kind, seed, device: as of `Setting`.
        sigma: of grey values, if not the kind's.
        beta: weight of the KL term.
        latents, prior: their number, and mean and sd of the prior.
        scaled: (shift, scale) of what the encoder sees, (x − shift)/scale.
        both_scaled: the same of what both see.
        mean_reduced: whether the reconstruction is averaged over pixels.
        grey: whether zeros and ones are grey in training, and not in the test.
        some: digits that are trained on, from and to.
        steps: of training.
    """
    made, binary = KINDS[kind], KINDS[kind].sigma is None
    data, sigma = load("digits", binarize="threshold" if binary and not grey else "none"), sigma or made.sigma
    torch.manual_seed(seed)
    encoder, decoder = (network.to(device) for network in made.make(latents))
    train = data.train[(data.labels["train"] >= some[0]) & (data.labels["train"] < some[1])]
    train = ((train - both_scaled[0]) / both_scaled[1]).to(device)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 2e-3)
    for _ in range(steps):
        x = train[torch.randint(len(train), (128,))]
        mean, log_std = encoder((x - scaled[0]) / scaled[1])
        q = Normal(mean, log_std.exp())
        decoded = decoder(q.rsample())
        if sigma is None:
            each = functional.binary_cross_entropy_with_logits(decoded, x, reduction="none")
        else:
            each = (x - decoded).square() / (2 * sigma**2)
        rest = each.mean() if mean_reduced else each.sum(-1).mean()
        loss = rest + beta * kl_divergence(q, Normal(*torch.tensor(prior, device=device))).sum(-1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    test = load("digits", binarize="threshold" if binary else "none").test.to(device)
    return Trained(encoder.eval(), decoder.eval(), test, sigma)


def fresh(setting: Setting) -> Trained:
    """Networks of that kind that nobody trained."""
    torch.manual_seed(setting.seed + 1000)
    encoder, decoder = (network.to(setting.device) for network in KINDS[setting.kind].make(LATENTS))
    return setting.trained()._replace(encoder=encoder.eval(), decoder=decoder.eval())
