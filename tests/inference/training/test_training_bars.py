"""What training must reach: a held-out ELBO on digits, and the exact maximum-likelihood value of pPCA on MNIST."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal, ExactPosterior
from elbowroom.inference import Target
from elbowroom.inference.training import evaluate, fit
from elbowroom.models import PPCA, VAE

TRAIN, TEST = 182.155, 186.024  # log p(x) in nats per image at the closed-form maximum, k = 10, float64 eigenvalues


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_digits_reach_a_held_out_elbo_of_minus_20(seed: int) -> None:
    """Two latents, threshold 0.5, the epoch chosen on the validation split, the number from the test split."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(seed)
    data = load("digits", binarize="threshold")
    model = VAE(64, 2, hidden=(128, 128), activation="tanh")
    guide = AmortizedNormal(64, 2, hidden=(128, 128), activation="tanh")
    fit(
        model, guide, data.train, validation=data.validation, num_epochs=200, learning_rate=5e-3, schedule="cosine",
        keep="best", seed=seed, progress=False,
    )  # fmt: skip
    held_out = evaluate(Target(model, guide, data.test), num_samples=100)
    assert held_out.elbo - 4 * held_out.elbo_stderr >= -20.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["exact", "amortized"])
def test_ppca_reaches_its_maximum_likelihood(kind: str) -> None:
    """Whether the guide is the exact posterior or a linear encoder: within 0.3 nat of the closed form."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    train, test = grey_mnist()
    model = PPCA(784, 10, sigma=0.3)
    guide = ExactPosterior(model) if kind == "exact" else AmortizedNormal(784, 10, hidden=())
    options: dict[str, Any] = {
        "exact": {"num_epochs": 20, "learning_rate": 1e-2},
        "amortized": {"num_epochs": 30, "learning_rate": 3e-2, "loss": "TraceMeanField_ELBO"},
    }[kind]
    fit(model, guide, train, batch_size=512, schedule="cosine", progress=False, **options)
    with torch.no_grad():
        assert TRAIN - 0.3 < model.log_prob(train).double().mean().item() < TRAIN + 0.01
        assert abs(model.log_prob(test).double().mean().item() - TEST) < 0.3
    held_out = evaluate(Target(model, guide, test), num_samples=8)
    assert abs(held_out.elbo - TEST) < 0.3 + 4 * held_out.elbo_stderr


def grey_mnist() -> tuple[Tensor, Tensor]:
    """Training and test images / 255 minus the training mean, or skip and say why."""
    folder = Path(os.environ.get("ELBOWROOM_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")
    path = folder / "mnist" / "mnist.npz"
    if not path.exists():
        pytest.skip(f"no {path.name} in a folder mnist/: set ELBOWROOM_DATA to the folder that holds mnist/mnist.npz")
    with np.load(path, allow_pickle=False) as arrays:
        train, test = (torch.from_numpy(arrays[n].reshape(-1, 784) / np.float32(255)) for n in ("x_train", "x_test"))
    return train - train.mean(0), test - train.mean(0)
