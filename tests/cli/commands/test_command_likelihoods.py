"""Likelihoods of plain networks on the command line: with their options, of counts and levels as the file has them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from elbowroom.datasets import load
from elbowroom.inference import Target
from toys.commands import Run

NETWORKS = """
import torch
from torch import nn

P = 5

class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.net, self.out = nn.Linear(P, 4), nn.Linear(2, 4 * P)
    def encode(self, x):
        return self.net(x.flatten(1) / 10).chunk(2, -1)
    def decode(self, z):
        return self.out(z)[..., :P]

class Shares(VAE):
    def decode(self, z):
        return super().decode(z).softmax(-1)

class Levels(VAE):
    def decode(self, z):
        return self.out(z).unflatten(-1, (P, 4)).softmax(-1)

class Counts(VAE):
    def decode(self, z):
        a, b, c, _ = self.out(z).chunk(4, -1)
        return {"px_rate": a.exp(), "px_r": b.exp(), "px_dropout": c}

class Objects(VAE):
    def decode(self, z):
        a, b, *_ = self.out(z).chunk(4, -1)
        return torch.distributions.NegativeBinomial(b.exp(), logits=a)

vaes = {kind.__name__: kind() for kind in (VAE, Shares, Levels, Counts, Objects)}
shares, levels, counts, objects, means = (vaes[name] for name in ("Shares", "Levels", "Counts", "Objects", "VAE"))
"""


@pytest.fixture
def cells(folder: Path) -> torch.Tensor:
    """Networks, and counts 0 to 3 of 40 data as integers, which are not grey values."""
    (folder / "plain_counts.py").write_text(NETWORKS)
    x = np.random.default_rng(0).integers(0, 4, (40, 5)).astype(np.uint8)
    x[0, 0] = 3
    np.save(folder / "cells.npy", x)
    return torch.tensor(x, dtype=torch.float32)


DATA = ("--data.name=cells.npy", "--data.dir=.", "--budget=300", "--num_simulations=30")


@pytest.mark.parametrize(
    ("vae", "likelihood", "output", "options"),
    [
        ("levels", "categorical", "probs", "{levels: 4}"),
        ("shares", "multinomial", "probs", "{}"),
        ("shares", "poisson", "rate", "{exposure: total}"),
        ("shares", "negative-binomial", "mean", "{exposure: total, theta: 2.5}"),
        ("counts", "negative-binomial", "null", "{}"),
        ("counts", "zero-inflated-negative-binomial", "null", "{}"),
        ("objects", "negative-binomial", "null", "{}"),
        ("means", "binomial", "logits", "{trials: 3}"),
    ],
)
def test_counts_and_levels_are_whole_numbers(
    run: Run, cells: torch.Tensor, audited: list[Target], vae: str, likelihood: str, output: str, options: str
) -> None:
    ended = run(
        "audit", f"--networks.vae=plain_counts:{vae}", f"--networks.likelihood={likelihood}", *DATA,
        f"--networks.decoder_output={output}", f"--networks.likelihood_options={options}",
    )  # fmt: skip
    assert ended.code == 0, ended
    (target,) = audited
    assert torch.equal(target.data[0], cells)
    sized = likelihood == "multinomial" or "exposure" in options
    assert len(target.data) == 1 + sized and (not sized or torch.equal(target.data[1], cells.sum(-1)))
    z, _ = target.propose(2, seed=0)
    assert target.log_joint(z)[1].isfinite().all()
    assert not any("starts from" in doubt for doubt in target.suspicions)


def test_the_sigma_that_maximises_the_elbo(run: Run, cells: torch.Tensor, audited: list[Target]) -> None:
    """Of the training data, where the file has some; told in the audit, and kept."""
    x = np.random.default_rng(1).normal(size=(60, 5)).astype(np.float32)
    np.savez("real.npz", train=x[:50], test=2 * x[50:])
    options = ("--networks.vae=plain_counts:means", "--networks.likelihood=normal-fixed", "--networks.sigma=optimal")
    data = ("--data.name=real.npz", "--data.dir=.", "--budget=300", "--num_simulations=30")
    ended = run("audit", *options, "--networks.decoder_output=mean", *data)
    assert ended.code == 0, ended
    (target,) = audited
    model, guide = target.model, target.guide
    train = load("real.npz", data_dir=".", binarize="none").train
    mean, log_var = guide.encoder(train)
    z = mean + (log_var / 2).exp() * torch.randn(2000, len(train), 2)
    expected = (train - model.decoder(z)).square().mean().sqrt().item()
    assert model.likelihood.sigma.item() == pytest.approx(expected, rel=0.02)
    assert any(f"is the one that maximises the ELBO on {len(train)} data" in note for note in target.notes)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--networks.likelihood=categorical",), ("levels: got None", "levels=17")),
        (("--networks.likelihood=poisson",), ("output: got 'logits'", "'log_rate' or 'rate' or 'mean'")),
        (
            ("--networks.likelihood=binomial", "--networks.likelihood_options={levels: 3}"),
            ("levels: got 3, but the likelihood 'binomial' has no such option",),
        ),
        (
            ("--networks.likelihood=normal-fixed", "--networks.decoder_output=mean"),
            ("sigma: got None", "--networks.sigma optimal"),
        ),
        (
            ("--networks.likelihood=negative-binomial", "--networks.decoder_output=mean",
             "--networks.likelihood_options={theta: -1}"),
            ("theta: got an inverse dispersion",),
        ),
    ],
)  # fmt: skip
def test_what_is_refused_in_one_sentence(
    run: Run, cells: torch.Tensor, options: tuple[str, ...], told: tuple[str, ...]
) -> None:
    assert run("audit", "--networks.vae=plain_counts:means", *DATA, *options).refused(*told)
