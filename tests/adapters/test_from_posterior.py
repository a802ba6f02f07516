"""Posteriors of flows and of sbi: draws and densities are the library's, log p(x) is the model's."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal

from elbowroom.adapters import from_posterior
from elbowroom.adapters.posteriors import _functions
from elbowroom.inference import Target, importance
from elbowroom.networks.zuko_library import import_zuko
from toys.foreign import library
from toys.programs import data

B, D, S = 5, 2, 400
X = data(B, D) * 1.4
TRUTH = Normal(0.0, 2**0.5).log_prob(X).sum(-1)


def log_joint(z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """z ~ N(0, I), x | z ~ N(z, I): log p(x) = log N(x; 0, 2 I)."""
    return Normal(torch.zeros_like(z), 1.0).log_prob(z).sum(-1), Normal(z, 1.0).log_prob(x).sum(-1)


def is_right(target: Target) -> None:
    """log p(x) within four standard errors, and no doubt that log q is the density of the draws."""
    estimate = importance(target, num_samples=S, search=False)
    assert target.cautions == ("",) * B and estimate.flags == ("",) * B
    assert ((estimate.value - TRUTH).abs() < 4 * estimate.stderr).all() and float(estimate.stderr.max()) < 0.2


def test_a_function_that_returns_the_exact_posterior_has_no_noise() -> None:
    exact = from_posterior(lambda x: Independent(Normal(x / 2, 0.5**0.5), 1), log_joint, X)
    torch.testing.assert_close(importance(exact, num_samples=20, search=False).value, TRUTH)


def test_a_conditional_flow_of_zuko() -> None:
    zuko = import_zuko()
    torch.manual_seed(0)
    flow = zuko.flows.MAF(D, D, transforms=1, hidden_features=(8,))
    target = from_posterior(flow, log_joint, X, sample_prior=lambda S, x: torch.randn(S, len(x), D))
    z, log_q = target.propose(3, seed=1)
    torch.testing.assert_close(log_q, flow(X).log_prob(z["z"]))
    assert target.cautions == ("",) * B
    estimate = importance(target, num_samples=S, search=False)  # of a flow as it was initialised: too wide for some
    assert ((estimate.value - TRUTH).abs() < 4 * estimate.stderr).all()


class Shift(nn.Module):
    """A transform of nflows as far as it is used: z = c / 2 + scale · noise, rows beside rows."""

    def inverse(self, noise: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        return context / 2 + 0.8 * noise, torch.zeros(len(noise))


class OfNflows(nn.Module):
    """sbi's estimator around a flow of nflows."""

    input_shape, condition_shape = torch.Size((D,)), torch.Size((D,))
    embedding_net = nn.Identity()

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Module()
        self.net._transform = Shift()

    def log_prob(self, z: Tensor, condition: Tensor) -> Tensor:
        return Normal(condition / 2, 0.8).log_prob(z).sum(-1)


class WithSample(OfNflows):
    """sbi's estimator around anything else."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def sample(self, shape: torch.Size, condition: Tensor) -> Tensor:
        return condition / 2 + 0.8 * torch.randn(*shape, len(condition), D)


@pytest.mark.parametrize("kind", [OfNflows, WithSample])
def test_estimators_of_sbi(kind: type[OfNflows]) -> None:
    posterior = SimpleNamespace(posterior_estimator=kind(), potential_fn=None)
    target = from_posterior(posterior, log_joint, X)
    is_right(target)
    whole, part = (t.propose(3, seed=1)[0]["z"] for t in (target, from_posterior(posterior, log_joint, X[2:4])))
    torch.testing.assert_close(part, whole[:, 2:4])  # a datum's draws are its own
    torch.testing.assert_close(from_posterior(kind(), log_joint, X).propose(3, seed=1)[0]["z"], whole)


def test_noise_goes_to_the_datum_that_it_is_drawn_for() -> None:
    sample, _ = _functions(OfNflows())
    with torch.random.fork_rng():
        torch.manual_seed(3)
        z = sample(3, X)
        torch.manual_seed(3)
        noise = torch.randn(3, B, D)
    torch.testing.assert_close(z, X / 2 + 0.8 * noise)


def test_networks_in_32_bits() -> None:
    flow = import_zuko().flows.MAF(D, D, transforms=1, hidden_features=(4,)).float()
    x = X.float()
    target = from_posterior(flow, log_joint, x)
    assert target.dtype == torch.float32 and target.propose(2)[1].shape == (2, B)


@pytest.mark.parametrize(
    ("posterior", "error", "words"),
    [
        (SimpleNamespace(potential_fn=None), TypeError, "got SimpleNamespace, expected a DirectPosterior"),
        (nn.Linear, TypeError, "got type, expected a DirectPosterior"),
        (lambda x: x, TypeError, "returned a Tensor, expected a distribution"),
        (lambda x: Normal(x, 1.0), ValueError, r"returned a Normal of batch shape \(5, 2\) and event shape \(\)"),
    ],
)
def test_what_has_no_density_is_refused(posterior: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        from_posterior(posterior, log_joint, X)


def test_data_are_needed() -> None:
    with pytest.raises(TypeError, match="data: got none"):
        from_posterior(lambda: None, log_joint)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["nsf", "mdn", "zuko_nsf"])
def test_sbi_itself(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where it keeps its logs
    with library("sbi.inference", "sbi") as inference:
        torch.manual_seed(0)
        prior = MultivariateNormal(torch.zeros(D), torch.eye(D))
        theta = prior.sample((2000,))
        method = inference.NPE(prior=prior, density_estimator=name, show_progress_bars=False)
        method.append_simulations(theta, theta + torch.randn_like(theta)).train(max_num_epochs=8)
        posterior = method.build_posterior()
        x = X.float()
        target = from_posterior(posterior, log_joint, x)
        z, log_q = target.propose(4, seed=1)
        theirs = torch.stack([posterior.log_prob(z["z"][:, b], x=x[b : b + 1]) for b in range(B)], 1)
        torch.testing.assert_close(log_q, theirs, rtol=0, atol=1e-4)
        estimate = importance(target, num_samples=4000, search=False)
        assert ((estimate.value - TRUTH).abs() < 4 * estimate.stderr + 1e-3).all()
