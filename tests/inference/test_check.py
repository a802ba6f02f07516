"""check_program: what it reports of good programs, and what it finds by running data alone and in another order."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor

from elbowroom.inference import ProgramError, check_program
from toys.programs import TRIPLES, Ppca, conjugate, data, normal_guide, normal_model

PROBLEM = Ppca.make(4, 2, 0.7)
X = PROBLEM.sample(5)


@pytest.mark.parametrize("name", sorted(TRIPLES))
def test_good_programs_pass(name: str) -> None:
    triple = TRIPLES[name]()
    report = check_program(triple.model, triple.guide, *triple.args, plate=triple.plate, **triple.kwargs)
    target = triple.target()
    assert report.num_data == len(target) and report.latents == target.latents
    assert report.layouts == target.layouts
    for latent in target.latents:
        assert {("model", "latent", latent), ("guide", "latent", latent)} <= {row[:3] for row in report.sites}


def test_the_report_is_a_table_of_sites() -> None:
    lines = str(check_program(PROBLEM.model, PROBLEM.guide, X)).splitlines()
    assert "5 data" in lines[0] and "plate" in lines[0]
    assert lines[1].split() == ["program", "kind", "site", "plates", "(dim,", "size)", "batch", "event"]
    assert "data (-1, 5)" in lines[2] and "(5,)" in lines[2] and "(2,)" in lines[2]
    assert len(lines) == 5, "a note on programs that have nothing to note"


def test_data_that_see_each_other() -> None:
    """Centring by the batch mean: no layer to refuse by name, found by running one datum alone."""

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal((x - x.mean(0))[..., :2], 0.7).to_event(1))

    with pytest.raises(ProgramError, match=r"of datum 4 is .* among 5 data but .* by itself"):
        check_program(PROBLEM.model, guide, X)


def test_sum_over_the_batch_in_the_model() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            loc = z @ PROBLEM.weight.T
            pyro.sample("x", dist.Normal(loc + loc.mean(-2, keepdim=True), 0.7).to_event(1), obs=x)

    with pytest.raises(ProgramError, match=r"log p\(x\|z\) of datum 4 is .* depends on the other data"):
        check_program(model, PROBLEM.guide, X)


def test_programs_that_fail_on_one_datum() -> None:
    def guide(x: Tensor) -> None:
        if len(x) == 1:
            raise RuntimeError("no batch of one, please")
        PROBLEM.guide(x)

    with pytest.raises(ProgramError, match=r"run on 5 data but not on datum 4 by itself: .*no batch of one"):
        check_program(PROBLEM.model, guide, X)


def test_an_argument_that_is_not_permuted_with_the_data() -> None:
    """Labels in a list have no row that Target could pick; reading them by position is found out."""
    labels = [0.0, 1.0, 2.0, 3.0, 4.0]

    def model(x: Tensor, labels: list[float]) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.tensor(labels[: len(x)]), 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor, labels: list[float]) -> None:
        normal_guide(0.9)(x)

    with pytest.raises(ProgramError, match=r"log p\(z\) of datum 4 is .* by itself: .*its place among them.*per_datum"):
        check_program(model, guide, data(5), labels)


def test_places_that_only_a_permutation_shows() -> None:
    """The last datum is right by itself: the other labels are zero."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal((torch.arange(len(x)) == 1) * 1.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    with pytest.raises(ProgramError, match=r"log p\(z\) changes when the data are permuted \(datum [13] most\)"):
        check_program(model, normal_guide(0.9), data(5))


def test_a_matrix_that_only_looks_per_datum() -> None:
    """Five by five weights: programs that cannot be cut are left whole, and the report says so."""
    x, weight = data(5, 5), data(5, 5, seed=2)

    def model(x: Tensor, weight: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(5), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ weight, 1.0).to_event(1), obs=x)

    def guide(x: Tensor, weight: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, 0.7).to_event(1))

    report = check_program(model, guide, x, weight)
    assert any("cannot be given part of their data" in note for note in report.notes)
    assert not check_program(model, guide, x, weight, per_datum=[0]).notes


def test_notes() -> None:
    x = data(5)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.HalfNormal(1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    report = check_program(model, normal_guide(1.0), x)
    assert any("outside the prior's support" in note for note in report.notes)

    def fixed(x: Tensor) -> None:
        with pyro.plate("data", 5):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    report = check_program(fixed, normal_guide(1.0), x)
    assert any("cannot be given part of their data" in note for note in report.notes)


def test_notes_on_subsampling() -> None:
    x = data(20)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x), subsample_size=5) as rows:
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[rows])

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x), subsample_size=5) as rows:
            pyro.sample("z", dist.Normal(x[rows] / 2, 1.0))

    report = check_program(model, guide, x)
    assert report.num_data == 20
    assert any("are given all their rows: data" in note for note in report.notes)


def test_nan_parameters_for_some_data_are_noted() -> None:
    x = data(5)
    bad = x[3].item()

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, torch.where(x == bad, torch.nan, 0.8)))

    report = check_program(normal_model, guide, x)
    assert any("NaN or infinite terms for data [3]" in note for note in report.notes)


def test_one_datum() -> None:
    report = check_program(normal_model, normal_guide(0.9), data(1))
    assert report.num_data == 1 and "1 data" in str(report)
    assert check_program(*(conjugate().model, conjugate().guide), data(2)).num_data == 2


def test_a_scale_that_is_undone_is_named() -> None:
    """KL warm-up in both programs, and a scale of its own in the model; a plate's own scale is none."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", 10, subsample_size=len(x)):
            with poutine.scale(scale=0.1):
                z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", 10, subsample_size=len(x)), poutine.scale(scale=torch.linspace(0.5, 1.0, len(x))):
            pyro.sample("z", dist.Normal(x / 2, 0.9))

    (note,) = (n for n in check_program(model, guide, data(5)).notes if "poutine.scale" in n)
    assert "guide's 'z' (0.5 to 1), the model's 'z' (0.1)" in note and "'x'" not in note
    (note,) = (n for n in check_program(normal_model, guide_scaled, data(5)).notes if "poutine.scale" in n)
    assert "'z' (0.5 to 1)" in note


def guide_scaled(x: Tensor) -> None:
    with pyro.plate("data", len(x)), poutine.scale(scale=torch.linspace(0.5, 1.0, len(x))):
        pyro.sample("z", dist.Normal(x / 2, 0.9))
