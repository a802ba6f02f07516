"""HMC on all data at once, NUTS on one of them as an independent check: they agree, or it is said."""

from dataclasses import replace

import pytest
import torch

from elbowroom.inference import Comparison, Gates, Target, compare, hmc
from elbowroom.inference.diagnostics.second_sampler import second_sampler
from elbowroom.report import comparison_table, posterior_figure, summary
from toys.programs import Ppca
from toys.shown import check_shown


def target() -> Target:
    problem = Ppca.make(6, 2, 0.7)
    return Target(problem.model, problem.guide, problem.sample(3))


@pytest.fixture(scope="module")
def found() -> Comparison:
    torch.set_default_dtype(torch.float64)
    sizes = {"num_warmup": 60, "num_draws": 80, "gates": Gates(rhat=1.2, ess_per_chain=5.0)}
    return compare(target(), [2, 0], mcmc="hmc", num_checked=1, num_samples=500, **sizes)  # type: ignore[arg-type]


@pytest.mark.slow
def test_hmc_has_the_exact_means_and_nuts_agrees(found: Comparison) -> None:
    exact, draws = found.posteriors["quadrature"], found.posteriors["hmc"]
    assert list(found.posteriors) == ["guide", "importance", "hmc", "quadrature"]
    assert ((draws.mean - exact.mean).abs() <= 5 * draws.mean_stderr).all()
    assert found.check is not None and found.check.data == [2] and found.check.agrees
    assert "NUTS, run on datum 2 as an independent check, agrees with HMC" in " ".join(summary(found))
    assert found.record()["check"]["agrees"] is True
    check_shown(found.check)
    assert "HMC" in comparison_table(found)
    posterior_figure(target(), found)


def test_a_sampler_that_is_off_is_contradicted() -> None:
    draws = hmc(target(), num_warmup=60, num_draws=200, gates=Gates(rhat=2.0, ess_per_chain=1.0))
    same = second_sampler([0, 1, 2], draws, replace(draws))
    assert same.agrees and float(same.distance.abs().max()) == 0
    moved = replace(draws, z={"z": draws.z["z"] + 0.5})
    check = second_sampler([0, 1, 2], draws, moved)
    assert not check.agrees and "CONTRADICTS HMC" in check.sentence()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mcmc": "gibbs"}, "mcmc must be True or False, or one of 'nuts', 'hmc', got 'gibbs'"),
        ({"num_checked": 2}, "num_checked"),
    ],
)
def test_refusals(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compare(target(), **options)
