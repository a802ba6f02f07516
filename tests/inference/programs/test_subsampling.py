"""Plates that take a subsample: all rows are answered, or it is said which are missing."""

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoNormal
from pyro.poutine.subsample_messenger import SubsampleMessenger
from torch import Tensor

from elbowroom.inference import ProgramError, Target, check_program, importance
from elbowroom.inference.programs.subsampling import Whole
from toys.programs import data, normal, normal_guide

FLIPS = torch.tensor([1.0] * 6 + [0.0] * 4)
EVIDENCE = -7.0693785  # log B(16, 14) / B(10, 10)


def coin(flips: Tensor) -> None:
    f = pyro.sample("f", dist.Beta(10.0, 10.0))
    with pyro.plate("flips", 10, subsample_size=5) as index:
        pyro.sample("obs", dist.Bernoulli(f), obs=flips.index_select(0, index))


def posterior(flips: Tensor) -> None:
    pyro.sample("f", dist.Beta(16.0, 14.0))


def test_under_a_global_latent_the_evidence_is_that_of_all_rows() -> None:
    estimate = importance(Target(coin, posterior, FLIPS, plate=None), num_samples=100)
    assert estimate.value.item() == pytest.approx(EVIDENCE, abs=1e-5)
    assert estimate.info["elbo"].item() == pytest.approx(EVIDENCE, abs=1e-5) and estimate.flags == ("",)


def test_a_sequential_plate_in_one_datum_is_run() -> None:
    def model(flips: Tensor) -> None:
        f = pyro.sample("f", dist.Beta(10.0, 10.0))
        for i in pyro.plate("loop", len(flips), subsample_size=3):
            pyro.sample(f"obs_{i}", dist.Bernoulli(f), obs=flips[i])

    weights = Target(model, posterior, FLIPS, plate=None).log_weights(5)
    torch.testing.assert_close(weights, torch.full_like(weights, EVIDENCE), rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("how", ["cut before", "picked inside"])
def test_rows_that_are_missing_under_a_global_latent_are_refused(how: str, rows: int) -> None:
    def model(flips: Tensor) -> None:
        f = pyro.sample("f", dist.Beta(10.0, 10.0))
        own: dict[str, Any] = {"subsample": torch.arange(rows)} if how == "picked inside" else {"subsample_size": rows}
        with pyro.plate("flips", 10, **own):
            pyro.sample("obs", dist.Bernoulli(f), obs=flips[:rows])

    with pytest.raises(ProgramError, match=rf"plate 'flips' .*stands for 10 rows and the program has {rows} of them"):
        Target(model, posterior, FLIPS, plate=None)


def test_another_plate_than_the_datas_is_whole_or_refused() -> None:
    """100 of 784 pixels at a time is a way to train; the evidence of a datum is that of all of its pixels."""
    x = data(4, 6)

    def program(own: bool) -> Any:
        def model(x: Tensor) -> None:
            data_plate = pyro.plate("data", len(x), dim=-2)
            pixels = (
                pyro.plate("pixels", 6, subsample=torch.tensor([0, 2]), dim=-1)
                if own
                else pyro.plate("pixels", 6, subsample_size=2, dim=-1)
            )
            with data_plate:
                z = pyro.sample("z", dist.Normal(0.0, 1.0))
                with pixels as index:
                    pyro.sample("x", dist.Normal(z, 1.0), obs=x[:, index])

        return model

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2):
            pyro.sample("z", dist.Normal(x.mean(1, keepdim=True), 0.4))

    target = Target(program(own=False), guide, x)
    z = target.propose(3)[0]
    torch.testing.assert_close(target.log_joint(z)[1], normal(z["z"].unsqueeze(-1), 1.0, x).sum(-1))
    with pytest.raises(ProgramError, match=r"plate 'pixels' .*stands for 6 rows and the program has 2"):
        Target(program(own=True), guide, x)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_minibatch_in_the_data_plate_is_answered_as_it_is(rows: int) -> None:
    """Also of one row, which would broadcast to all of the plate's."""
    x = data(rows)

    def model(x: Tensor) -> None:
        with pyro.plate("data", 40, subsample_size=len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", 40, subsample_size=len(x)):
            pyro.sample("z", dist.Normal(x / 2, 0.5**0.5))

    target = Target(model, guide, x)
    assert len(target) == rows
    torch.testing.assert_close(target.log_weights(2), normal(0.0, 2.0**0.5, x).expand(2, -1))
    notes = check_program(model, guide, x).notes
    assert any(f"stands for 40 rows, and the programs have {rows} of them" in note for note in notes)


def test_an_autoguide_of_a_subsampled_model_is_of_all_rows() -> None:
    x = data(6)

    def model(x: Tensor) -> None:
        with pyro.plate("data", 6, subsample_size=2) as index:
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[index])

    guide = AutoNormal(model, init_scale=0.7)
    guide(x)
    target = Target(model, guide, x)
    z = target.propose(3)[0]["z"]
    assert z.shape == (3, 6)
    torch.testing.assert_close(target.log_joint({"z": z})[1], normal(z, 1.0, x))
    pyro.clear_param_store()


def test_pyro_is_left_as_it_was() -> None:
    def rows() -> Tensor:
        with pyro.plate("data", 50, subsample_size=4) as index:
            return index

    before = SubsampleMessenger._subsample
    with Whole() as whole:
        assert torch.equal(rows(), torch.arange(50)) and whole.seen == {"data": (50, 4)}
        with Whole(but={"data"}):
            assert len(rows()) == 4
        assert len(rows()) == 50
    assert SubsampleMessenger._subsample is before and len(rows()) == 4
    Target(coin, posterior, FLIPS, plate=None)
    assert SubsampleMessenger._subsample is before and len(rows()) == 4
    Target(normal_guide_model, normal_guide(1.0), data(3))
    assert SubsampleMessenger._subsample is before


def normal_guide_model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def test_a_program_that_insists_on_a_subsample_is_told_what_fails_without() -> None:
    def own_model(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("flips", len(x), subsample_size=2) as index:
            if len(index) != 2:
                raise ValueError("two rows, please")
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[index])

    def own_guide(x: Tensor) -> None:
        pyro.sample("z", dist.Normal(0.0, 1.0))

    with pytest.raises(
        ProgramError, match=r"2 of them, .*insists on.*given all 5, it fails: ValueError two rows, please"
    ):
        Target(own_model, own_guide, torch.zeros(5), plate=None)
