"""What pages take for granted: a trained pair, data and a plain network, as small as they can be."""

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from elbowroom import inference
from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, importance
from elbowroom.models import VAE

FEWER = {
    r"\bbudget=\d+": 'budget="2e3 evaluations"',
    r"\bnum_samples=\d{3,}": "num_samples=100",
    r"\bnum_epochs=\d+": "num_epochs=1",
    r"\bhmc\((\w+)\)": r"hmc(\1, num_warmup=100, num_draws=50)",
}
"""What takes long on a page -> what a test asks for in its place."""


class PlainVAE(nn.Module):
    """Somebody's VAE of P values and two latents; `decoded` is what its decoder makes of P numbers."""

    def __init__(self, data_dim: int, decoded: Any = torch.sigmoid) -> None:
        super().__init__()
        self.to_latents, self.to_data, self.decoded = nn.Linear(data_dim, 4), nn.Linear(2, data_dim), decoded

    def encode(self, x: Tensor) -> Any:
        return self.to_latents(x).chunk(2, -1)

    def decode(self, z: Tensor) -> Any:
        return self.decoded(self.to_data(z))


class SaysItsNormal(PlainVAE):
    """The same with an encoder that returns a distribution."""

    def encode(self, x: Tensor) -> Any:
        mean, log_var = self.to_latents(x).chunk(2, -1)
        return Normal(mean, (log_var / 2).exp())


def mean_and_theta(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """What a decoder of counts returns: means, and inverse dispersions."""
    return outputs.exp(), torch.ones(outputs.shape[-1])


def given() -> dict[str, Any]:
    """Name -> what a page means by it. In single precision, as pages are."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    data = load("digits", binarize="threshold", limit=40)
    x = data.test[:6]
    model, guide = VAE(64, 2, (8,)).eval(), AmortizedNormal(64, 2, (8,)).eval()
    target = Target(model, guide, x)
    return {name: getattr(inference, name) for name in inference.__all__} | {
        "data": data, "guide": guide, "model": model, "target": target, "torch": torch, "vae": PlainVAE(64),
        "x": x, "x_train": data.train, "x_validation": data.validation,
        "estimate": importance(target, num_samples=50, search=False),
        "model_a": model, "guide_a": guide, "model_b": VAE(64, 2, (8,)).eval(), "guide_b": guide,
    }  # fmt: skip


def fewer(code: str) -> str:
    """The code of a page, at the size of a test."""
    for found, put in FEWER.items():
        code = re.sub(found, put, code)
    return code
