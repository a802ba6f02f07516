"""Families as models/ and guides/ would hold them, each known by one line of a registry: all kinds of structure.

Periodic    one latent vector, called "z"
Patterns    a discrete latent and no other: summed out, with the guide "none"
Switched    two latents of other names beside a discrete one that is summed out; labels beside x
Chain       a latent for each step of sequences of different lengths
"""

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.guides import registry as guides
from elbowroom.models import registry as models
from elbowroom.models.latent_model import Generated, LatentModel
from elbowroom.models.likelihoods.bernoulli import BernoulliVector
from elbowroom.networks.program import Program


class Periodic(LatentModel):
    """x_p = 1 with log odds a sin(⟨w_p, z⟩): a decoder of one sine for each value."""

    def __init__(self, data_dim: int, latent_dim: int, *, amplitude: float = 3.0) -> None:
        super().__init__(latent_dim)
        self.amplitude = amplitude
        self.weight = nn.Parameter(torch.randn(data_dim, latent_dim))

    def decode(self, z: Tensor) -> BernoulliVector:
        return BernoulliVector(self.amplitude * torch.sin(z @ self.weight.T))


class Patterns(Program):
    """x is one of K patterns, each pixel of it wrong by chance: k ~ Cat(π), x_p | k ~ Bernoulli(sigmoid(l_kp))."""

    def __init__(self, data_dim: int, num_patterns: int = 3) -> None:
        super().__init__()
        self.log_odds = nn.Parameter(torch.randn(num_patterns, data_dim))
        self.shares = nn.Parameter(0.1 * torch.randn(num_patterns))

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-1):
            k = pyro.sample("k", dist.Categorical(logits=self.shares))
            pyro.sample("x", BernoulliVector(self.log_odds[k]), obs=x)

    def log_prob(self, x: Tensor) -> Tensor:
        return (self.shares.log_softmax(0) + BernoulliVector(self.log_odds).log_prob(x.unsqueeze(1))).logsumexp(-1)

    @torch.no_grad()
    def generate(self, num_samples: int, *, seed: int = 0) -> Generated:
        k = torch.multinomial(self.shares.softmax(0), num_samples, True, generator=torch.Generator().manual_seed(seed))
        return Generated(k, self.log_odds[k].sigmoid())


class Switched(Program):
    """The label says where, `level` and `tilt` say how much, and a hidden switch turns the picture to its negative."""

    def __init__(self, data_dim: int, num_classes: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(num_classes, data_dim))
        self.slope = nn.Parameter(torch.randn(data_dim))
        self.odds = nn.Parameter(torch.tensor(0.3))

    def forward(self, x: Tensor, y: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-1):
            switch = pyro.sample("switch", dist.Bernoulli(logits=self.odds))
            level = pyro.sample("level", dist.Normal(x.new_tensor(0.5), 1.0))
            tilt = pyro.sample("tilt", dist.Normal(torch.zeros_like(level), 1.0))
            logits = self.place[y] * level.unsqueeze(-1) + self.slope * tilt.unsqueeze(-1)
            pyro.sample("x", BernoulliVector((2 * switch.unsqueeze(-1) - 1) * logits), obs=x)


class SwitchedGuide(Program):
    """q(level, tilt | x, y), two independent Normals; the switch is left to the model."""

    def __init__(self, data_dim: int, num_classes: int) -> None:
        super().__init__()
        self.mean = nn.Linear(data_dim + num_classes, 2)
        self.log_sd = nn.Parameter(torch.zeros(2))
        self.num_classes = num_classes

    def forward(self, x: Tensor, y: Tensor) -> None:
        mean = self.mean(torch.cat([x, nn.functional.one_hot(y, self.num_classes).to(x)], -1))
        with pyro.plate("data", len(x), dim=-1):
            pyro.sample("level", dist.Normal(mean[:, 0], self.log_sd[0].exp()))
            pyro.sample("tilt", dist.Normal(mean[:, 1], self.log_sd[1].exp()))


class Chain(Program):
    """z_t = a z_(t−1) + N(0, 1), x_t = w z_t + N(0, 1) where there is a step."""

    def __init__(self, data_dim: int, num_steps: int) -> None:
        super().__init__()
        self.num_steps = num_steps
        self.decay, self.weight = nn.Parameter(torch.tensor(0.7)), nn.Parameter(torch.randn(data_dim))

    def forward(self, x: Tensor, mask: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-1):
            z = [x.new_zeros(())]
            for t in range(self.num_steps):
                z.append(pyro.sample(f"z{t}", dist.Normal(self.decay * z[-1], x.new_ones(()))))
            mean = torch.stack(torch.broadcast_tensors(*z[1:]), -1).unsqueeze(-1) * self.weight  # [..., B, T, P]
            p_x = dist.Normal(mean, 1.0).to_event(1).mask(mask).to_event(1)
            pyro.sample("x", p_x, obs=x)


class ChainGuide(Program):
    """q(z_t | x_t): a Normal for each step by itself, the prior of the first where there is none."""

    def __init__(self, data_dim: int, num_steps: int) -> None:
        super().__init__()
        self.num_steps = num_steps
        self.mean, self.log_sd = nn.Linear(data_dim, 1), nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, mask: Tensor) -> None:
        mean = self.mean(x * mask.unsqueeze(-1)).squeeze(-1) * mask
        with pyro.plate("data", len(x), dim=-1):
            for t in range(self.num_steps):
                sd = torch.where(mask[:, t], self.log_sd.exp(), x.new_tensor(1.5))
                pyro.sample(f"z{t}", dist.Normal(mean[:, t], sd))


_HERE = "family_of_mine:"
FAMILIES = {
    "periodic": models.Entry(_HERE + "Periodic", ("normal",), tiny={"data_dim": 6, "latent_dim": 2}),
    "patterns": models.Entry(_HERE + "Patterns", ("none",), tiny={"data_dim": 6}, exact="sum"),
    "switched": models.Entry(
        _HERE + "Switched", ("switched",), "labelled", {"data_dim": 6, "num_classes": 2}, "quadrature"
    ),
    "chain": models.Entry(_HERE + "Chain", ("chain",), "sequence", {"data_dim": 2, "num_steps": 2}, "quadrature"),
}
GUIDES = {"switched": guides.Entry(_HERE + "SwitchedGuide"), "chain": guides.Entry(_HERE + "ChainGuide")}
