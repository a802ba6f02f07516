"""Counts with sizes on the command line: they are what is conditioned on, where data are drawn from the model, too."""

from pathlib import Path

import numpy as np
import pytest
import torch

from elbowroom.commands.runs import open_run
from toys.commands import SMALL, Run

OPTIONS = "--programs.options={likelihood: negative-binomial, likelihood_options: {exposure: total}}"
DATA = ("--data.name=cells.npy", "--data.binarize=none")


@pytest.fixture
def cells(folder: Path) -> None:
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.ones(5), 80)
    counts = [random.multinomial(n, p) for n, p in zip(random.integers(9, 200, 80), shares, strict=True)]
    np.save(folder / "cells.npy", np.stack(counts))


@pytest.mark.slow
def test_sizes_are_given_to_the_programs_and_kept_where_data_are_simulated(run: Run, cells: None) -> None:
    assert run("train", *DATA, OPTIONS, *SMALL, "--output=run").code == 0
    target = open_run("run", "last", "cpu").target("test", 4)
    x, sizes = target.args
    assert torch.equal(sizes, x.sum(-1))
    drawn, kept = target.simulate(seed=1)[0].args
    assert torch.equal(kept, sizes) and not torch.equal(drawn.sum(-1), sizes)
    told = run("evidence", "--run=run", "--num_samples=50", "--num_particles=[]", "--json").json()
    assert len(told["data"]) == 8
    assert run("generate", "--run=run", "--num_samples=3", "--json").json()["left_out"] == {}


def test_models_that_read_no_sizes_refuse_them(run: Run, cells: None) -> None:
    options = OPTIONS.replace("{likelihood:", "{num_components: 2, likelihood:", 1)
    refused = run("train", *DATA, options, "--programs.model=mixture", "--output=run")
    assert refused.refused("exposure='total' and 'multinomial' are for models of x alone", "leave exposure out")
