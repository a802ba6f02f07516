"""Topic models: densities written out, closed forms, the integral by another way, the prior; topics that are known."""

import math
import re

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from elbowroom.datasets import KINDS, load
from elbowroom.datasets.topics import CONCENTRATION, VOCABULARY, simulate_topics
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, bracket, fit, importance, quadrature
from elbowroom.models import ProdLDA
from toys.failure_budget import sigmas

V, K = 6, 3
BAGS = torch.tensor([[3, 0, 1, 0, 2, 0], [0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0]], dtype=torch.float64)

both = pytest.mark.parametrize("topics", ["product", "mixture"])


def shares(model: ProdLDA, theta: Tensor) -> Tensor:
    """π, written out topic by topic, `[*batch, V]`."""
    of_topics = model.topics()
    if model.combination == "mixture":
        return sum(theta[..., k, None] * of_topics[k] for k in range(len(of_topics)))
    unnormalised = math.prod(of_topics[k] ** theta[..., k, None] for k in range(len(of_topics)))
    return unnormalised / unnormalised.sum(-1, keepdim=True)


def target_of(model: ProdLDA, x: Tensor) -> Target:
    return Target(model, AmortizedNormal(x.shape[1], model.latent_dim, (4,), inputs="log1p"), x)


@both
def test_the_density_written_out(topics: str) -> None:
    model = ProdLDA(V, K, topics=topics, concentration=(0.3, 1.0, 2.0))
    z = torch.randn(2, len(BAGS), K)
    theta = torch.softmax(model.loc + model.scale * z, -1)
    found = model.decode(z).log_prob(BAGS)
    pi = shares(model, theta).detach().numpy()
    for s in range(2):
        expected = [stats.multinomial.logpmf(x, x.sum(), p) for x, p in zip(BAGS.numpy(), pi[s], strict=True)]
        np.testing.assert_allclose(found[s].detach(), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.decode(z).mean, shares(model, theta))


@both
def test_a_bag_of_one_topic_is_a_multinomial(topics: str) -> None:
    model = ProdLDA(V, K, topics=topics)
    for k, probs in enumerate(model.topics()):
        z = 1e4 * torch.eye(K)[k].expand(len(BAGS), K)
        expected = [stats.multinomial.logpmf(x, x.sum(), probs.numpy()) for x in BAGS.numpy()]
        np.testing.assert_allclose(model.decode(z).log_prob(BAGS).detach(), expected, rtol=1e-10, atol=1e-10)


def test_rare_words_of_a_mixture_keep_their_digits() -> None:
    """A word that every topic gives e^−400, far below the smallest number of 32 bits, has its density and gradient."""
    model = ProdLDA(V, K, topics="mixture").float()
    with torch.no_grad():
        model.beta[:, 0] -= 400
    log_p = model.decode(torch.zeros(1, K, dtype=torch.float32)).log_prob(BAGS[:1].float())
    log_p.sum().backward()
    assert log_p.item() == pytest.approx(-1200, rel=0.02) and model.beta.grad.isfinite().all()


@both
@pytest.mark.parametrize("total", [0, 40, 100_000])
def test_the_integral_over_two_topics_is_one_over_the_difference_of_their_latents(topics: str, total: int) -> None:
    """θ depends on u = z_1 − z_2 ~ N(0, 2) alone: log p(x) from a fine lattice of u around the largest integrand."""
    model = ProdLDA(V, 2, topics=topics)
    x = model.decode(torch.tensor([[0.7, 0.3]]).log(), torch.tensor([float(total)])).sample()
    found = quadrature(target_of(model, x))
    low, high = (-9.0, 9.0) if total <= 40 else (math.log(0.7 / 0.3) - 0.8, math.log(0.7 / 0.3) + 0.8)
    u = torch.linspace(low, high, 20_001)
    theta = torch.stack((torch.sigmoid(u), torch.sigmoid(-u)), -1)
    log_p = torch.tensor(stats.multinomial.logpmf(x.numpy(), total, shares(model, theta).detach().numpy()))
    joint = log_p - u**2 / 4 - 0.5 * math.log(4 * math.pi)
    expected = torch.logsumexp(joint, 0) + math.log((high - low) / 20_000)
    assert found.value.item() == pytest.approx(expected.item(), abs=1e-6)
    assert not found.flags[0]


@pytest.mark.parametrize("concentration", [0.2, (0.3, 1.0, 2.5)])
def test_the_prior_is_the_laplace_approximation_of_a_dirichlet(concentration: object) -> None:
    """In the softmax basis: its mode, and the pseudo-inverse of minus the Hessian there, by automatic derivatives."""
    model = ProdLDA(V, K, concentration=concentration)
    alpha = torch.tensor(concentration).expand(K).clone()

    def log_density(h: Tensor) -> Tensor:  # of softmax basis coordinates, along which Dirichlet(α) is ∏ θ_k^α_k
        return (alpha * torch.log_softmax(h, -1)).sum()

    torch.testing.assert_close(torch.softmax(model.loc, -1), alpha / alpha.sum())
    gradient = torch.autograd.functional.jacobian(log_density, model.loc)
    torch.testing.assert_close(gradient, torch.zeros(K), rtol=0, atol=1e-12)
    hessian = torch.autograd.functional.hessian(log_density, model.loc)
    # MacKay's projection of diag(1/α); for equal α it is the pseudo-inverse itself.
    project = torch.eye(K) - 1 / K
    covariance = project @ torch.diag(1 / alpha) @ project
    torch.testing.assert_close(-hessian @ covariance @ -hessian, -hessian)
    torch.testing.assert_close(model.scale.square(), covariance.diagonal())


@both
def test_the_order_of_the_vocabulary_means_nothing(topics: str) -> None:
    model, moved, order = ProdLDA(V, 2, topics=topics), ProdLDA(V, 2, topics=topics), torch.randperm(V)
    moved.beta.data = model.beta.data[:, order]
    one, other = (quadrature(target_of(m, x)) for m, x in ((model, BAGS), (moved, BAGS[:, order])))
    torch.testing.assert_close(one.value, other.value, rtol=1e-9, atol=1e-7)


def test_simulated_bags_have_the_totals_of_the_data() -> None:
    target = target_of(ProdLDA(V, K), BAGS)
    (simulated,) = target.simulate(seed=1)[0].args
    assert torch.equal(simulated.sum(1), BAGS.sum(1)) and not torch.equal(simulated, BAGS)


def test_what_the_model_says_of_its_topics() -> None:
    model = ProdLDA(V, K)
    model.beta.data = torch.eye(K).repeat(1, 2) + torch.arange(V) / 100
    torch.testing.assert_close(model.topics().sum(-1), torch.ones(K))
    assert model.top_words("abcdef", 3) == [["d", "a", "f"], ["e", "b", "f"], ["f", "c", "e"]]
    torch.testing.assert_close(model.proportions(torch.randn(4, K)).sum(-1), torch.ones(4))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: ProdLDA(V, 1), "num_topics: got 1"),
        (lambda: ProdLDA(V, K, topics="sum"), "topics: got 'sum', expected one of 'product', 'mixture'"),
        (lambda: ProdLDA(V, K, concentration=(1.0, 2.0)), "concentration: got 2 numbers, expected one, or 3"),
        (lambda: ProdLDA(V, K, concentration=0.0), "concentration must be a number from"),
        (lambda: ProdLDA(V, K).top_words(["a"]), "vocabulary: got 1 words, expected 6"),
        (lambda: ProdLDA(V, K).top_words("abcdef", 7), "num_words: got 7, expected at most 6"),
        (lambda: ProdLDA(V, K)(torch.zeros(2, V + 1)), "got 7 values per datum"),
        (lambda: target_of(ProdLDA(V, K), BAGS + 0.5), "values outside the support"),
    ],
)
def test_refusals(wrong, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        wrong()


@pytest.mark.slow
def test_with_the_generators_own_topics_all_ways_agree() -> None:
    """log p(x) of what the data were drawn from, by quadrature over three latents, and by what needs no lattice."""
    bags = simulate_topics(2, seed=3)
    model = ProdLDA(len(VOCABULARY), K, topics="mixture", concentration=CONCENTRATION)
    model.beta.data = torch.tensor(bags.topics).log()
    target = target_of(model, torch.tensor(bags.counts))
    exact = quadrature(target)
    assert not any(exact.flags)
    sampled = importance(target, num_samples=4000, seed=0, search=False)
    between = bracket(target, budget="3e4 evaluations", seed=0)
    num = sigmas(3 * len(bags.counts))
    for estimate in (sampled, between.lower, between.upper):
        off = (estimate.value - exact.value).abs() > num * estimate.stderr + 1e-4
        trusted = torch.tensor([not flag for flag in (sampled.flags if estimate is sampled else between.flags)])
        assert not bool((off & trusted).any())
    assert bool((between.lower.value <= exact.value + num * between.lower.stderr + 1e-4).all())


@both
@pytest.mark.slow
def test_topics_are_found_again(topics: str) -> None:
    """Total variation of each topic from the true one that it is matched with; of unlike true topics it is .7."""
    torch.set_default_dtype(torch.float32)
    (train,) = KINDS["bag"].arguments(load("topics-simulated"), "train")
    truth = torch.tensor(simulate_topics(1).topics).float()
    model, guide = ProdLDA(50, K, topics=topics), AmortizedNormal(50, K, inputs="log1p")
    fit(model, guide, train, num_epochs=300, batch_size=40, learning_rate=1e-2, warmup_epochs=100, progress=False)
    distance = (model.topics()[:, None] - truth).abs().sum(-1).numpy() / 2  # [K, K]
    found, true = linear_sum_assignment(distance)
    assert distance[found, true].max() < 0.15
    apart = (truth[:, None] - truth).abs().sum(-1) / 2
    assert apart[~torch.eye(K, dtype=torch.bool)].min() > 0.5
