"""Maximum likelihood by a lattice: its value against closed forms, its end on pPCA against the known optimum."""

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor, nn
from torch.distributions.constraints import positive

from elbowroom.guides import AmortizedNormal
from elbowroom.inference.programs.structure import read_structure
from elbowroom.inference.training import fit
from elbowroom.inference.training.objectives.contract import Setting
from elbowroom.inference.training.objectives.exact import Exact
from elbowroom.inference.training.objectives.runs import Programs
from elbowroom.models import PPCA
from toys.training import Conjugate, ConjugateGuide, equal, values

X = torch.linspace(-2, 3, 7, dtype=torch.float64)


def log_p(model: Any, guide: Any, *data: Tensor, plate: str | None = "data", **options: Any) -> Tensor:
    structure = read_structure(model, guide, data, {}, plate)
    return Exact(Setting(structure, plate), **options).log_p(Programs(model, guide, data, {}))


def test_a_lattice_of_one_latent() -> None:
    torch.testing.assert_close(log_p(Conjugate(), ConjugateGuide(), X), Conjugate.log_evidence(X), rtol=0, atol=1e-4)


def test_constrained_latents_and_a_plate_inside_the_datas() -> None:
    """x ~ N(0, 1/τ) with τ ~ Gamma(2, 2) is Student's t; two of them in a plate are the product."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2), pyro.plate("pair", 2, dim=-1):
            tau = pyro.sample("tau", dist.Gamma(2.0, 2.0))
            pyro.sample("x", dist.Normal(0.0, tau.rsqrt()), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2), pyro.plate("pair", 2, dim=-1):
            pyro.sample("tau", dist.Gamma(2.0, 2.0))

    x = torch.stack([X, X.flip(0)], -1)
    exact = dist.StudentT(4.0, 0.0, 1.0).log_prob(x).sum(-1)
    torch.testing.assert_close(log_p(model, guide, x, points=60, half_width=6.0), exact, rtol=0, atol=2e-3)


def test_finite_latents_are_summed_out_whoever_draws_them() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(torch.tensor([0.3, 0.7])))
            z = pyro.sample("z", dist.Normal(torch.tensor([-2.0, 1.0])[k], 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor, draws: bool) -> None:
        with pyro.plate("data", len(x)):
            if draws:
                pyro.sample("k", dist.Categorical(torch.ones(2)))
            pyro.sample("z", dist.Normal(x, 1.0))

    exact = (
        torch.tensor([0.3, 0.7]).log() + dist.Normal(torch.tensor([-2.0, 1.0]), 2**0.5).log_prob(X[:, None])
    ).logsumexp(-1)
    for draws in (False, True):
        found = log_p(model, lambda x, draws=draws: guide(x, draws), X)
        torch.testing.assert_close(found, exact, rtol=0, atol=1e-4)


def test_a_coarse_lattice_is_unbiased_under_its_shift_and_low_in_its_logarithm() -> None:
    torch.manual_seed(0)
    num_shifts = 200
    objective = Exact(Setting(read_structure(Conjugate(), ConjugateGuide(), (X,), {}, "data"), "data"), points=4)
    programs = Programs(Conjugate(), ConjugateGuide(), (X,), {})
    found = torch.stack([objective.log_p(programs) for _ in range(num_shifts)])
    exact = Conjugate.log_evidence(X)
    ratio = (found - exact).exp()
    assert ((ratio.mean(0) - 1).abs() < 4.5 * ratio.std(0) / num_shifts**0.5 + 1e-4).all()
    bias = (found - exact).mean(1)
    assert bias.mean() < -4.5 * bias.std() / num_shifts**0.5


class Stiff(nn.Module):
    """A model that joins z with a column of the data: it needs z for each datum."""

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(1), 1.0).to_event(1))
            both = torch.cat([z, x.unsqueeze(-1).expand(*z.shape[:-1], 1)], -1)
            pyro.sample("x", dist.Normal(both[..., 0], 1.0), obs=x)


def test_a_model_that_needs_its_latents_for_each_datum() -> None:
    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x.unsqueeze(-1), 1.0).to_event(1))

    torch.testing.assert_close(log_p(Stiff(), guide, X), Conjugate.log_evidence(X), rtol=0, atol=1e-4)


def test_ppca_ends_at_its_closed_form() -> None:
    """And the guide beneath it, on request, at the best diagonal q: its room is ½ (Σ log M_ii − log |M|)."""
    torch.manual_seed(0)
    z, loadings = torch.randn(60, 2), torch.randn(4, 2)
    x = z @ loadings.T + 0.7 * torch.randn(60, 4)
    model, guide = PPCA(4, 2), AmortizedNormal(4, 2, hidden=())
    fitted = fit(
        model, guide, x, validation=x, loss="exact", loss_options={"points": 16, "guide": "elbo"}, num_epochs=100,
        batch_size=60, learning_rate=0.08, schedule="cosine", progress=False, num_validation_samples=40,
    )  # fmt: skip
    best = PPCA.fit_closed_form(x, 2).log_prob(x).mean().item()
    assert best - 2e-3 < model.log_prob(x).mean().item() <= best + 1e-9
    assert -fitted.history[-1]["train_loss"] == pytest.approx(best, abs=5e-3) and fitted.bound == "lower"
    precision = torch.linalg.inv(model.posterior(x).covariance_matrix[0])
    least = 0.5 * (precision.diagonal().log().sum() - torch.linalg.slogdet(precision)[1])  # room of a diagonal q
    room = best - fitted.history[-1]["elbo"]
    assert room == pytest.approx(least.item(), abs=0.05)


def test_the_guide_is_left_alone() -> None:
    guide, model, x = AmortizedNormal(4, 2), PPCA(4, 2), torch.randn(6, 4)
    before, of_model = values(guide), values(model)
    fit(model, guide, x, loss="exact", num_epochs=1, loss_options={"points": 8}, progress=False)
    assert equal(before, values(guide)) and not equal(of_model, values(model))


def test_the_whole_program_as_one_datum() -> None:
    """x_1 = 1, x_2 = 2 given one z ~ N(0, w²): log p is highest at w² = 1.5² − 1/2, and q = N(7/6, 7/18) there."""

    def model(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0.0, pyro.param("w", torch.tensor(1.0), constraint=positive)))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        width = pyro.param("s", torch.tensor(0.5), constraint=positive)
        pyro.sample("z", dist.Normal(pyro.param("a", torch.tensor(0.2)), width))

    fit(
        model, guide, torch.tensor([1.0, 2.0]), plate=None, loss="exact", loss_options={"guide": "elbo"},
        num_epochs=250, num_particles=8, learning_rate=0.06, schedule="cosine", progress=False,
    )  # fmt: skip
    found = [pyro.param(name).item() for name in ("w", "a", "s")]
    assert found == pytest.approx([1.75**0.5, 7 / 6, (7 / 18) ** 0.5], abs=5e-3)


def test_what_it_cannot_do_is_said() -> None:
    x = torch.randn(6, 4)
    for latent_dim, options, match in (
        (3, {}, r"up to 2 latents of a datum, and there are \{'z': 3\}"),
        (2, {"num_particles": 4}, "loss='exact' leaves that alone"),
        (2, {"loss_options": {"points": 1}}, "points must be an integer >= 2"),
        (2, {"loss_options": {"guide": "elb"}}, r"unknown guide 'elb' \(did you mean 'elbo'\?\)"),
        (2, {"beta": 2.0}, "beta weighs the KL term, which loss='exact' does not have"),
    ):
        with pytest.raises(ValueError, match=match):
            fit(PPCA(4, latent_dim), AmortizedNormal(4, latent_dim), x, loss="exact", progress=False, **options)
