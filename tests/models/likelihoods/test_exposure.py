"""Counts with sizes: what is conditioned on, what is simulated, and how a multinomial and a Poisson agree."""

import pytest
import torch
from scipy import stats
from torch import Tensor

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import ProgramError, Target
from elbowroom.models import VAE
from elbowroom.models.likelihoods.multinomial import MultinomialVector
from toys.likelihoods import MULTINOMIAL

B, P, D = 6, 5, 2


def counts() -> Tensor:
    return torch.poisson(torch.full((B, P), 4.0) * torch.arange(1, B + 1)[:, None])


def vae(likelihood: str, **options: str) -> tuple[VAE, AmortizedNormal]:
    return VAE(P, D, (4,), likelihood, likelihood_options=options), AmortizedNormal(P, D, (4,))


def test_multinomial_is_that_of_scipy_and_sums_to_one_over_each_total() -> None:
    logits, x = torch.randn(3, B, P), counts()
    expected = MULTINOMIAL.reference(x.numpy(), logits.numpy())
    torch.testing.assert_close(MultinomialVector(logits).log_prob(x), torch.tensor(expected), rtol=1e-10, atol=1e-10)
    for total in (0, 1, 4):
        x = torch.cartesian_prod(*[torch.arange(total + 1.0)] * 3)
        x = x[x.sum(-1) == total]
        assert MultinomialVector(torch.randn(3)).log_prob(x).exp().sum().item() == pytest.approx(1, rel=1e-12)


def test_multinomial_draws_have_the_totals_they_are_given() -> None:
    """And the means and covariances of the multinomial: draws of different words exclude each other."""
    total, logits = torch.tensor([0.0, 7.0]), torch.randn(2, P)
    vector = MultinomialVector(logits, total)
    draws = vector.sample((40_000,))
    assert torch.equal(draws.sum(-1), total.expand(40_000, 2))
    pi = torch.softmax(logits[1], -1)
    product = (draws[:, 1, 0] - 7 * pi[0]) * (draws[:, 1, 1] - 7 * pi[1])
    assert abs(product.mean() + 7 * pi[0] * pi[1]) < 5 * product.std() / 200
    with pytest.raises(ValueError, match=r"sums over a datum of another total, the first 6 \(rows \[1\]\)"):
        vector.log_prob(torch.tensor([[0.0] * P, [6.0, 0, 0, 0, 0]]))


def test_a_poisson_given_its_total_is_a_multinomial() -> None:
    """log Poisson(x | n π) = log Multinomial(x | n, π) + log Poisson(n | n), the last without z."""
    x, z = counts(), torch.randn(B, D)
    model, _ = vae("poisson", exposure="total")
    p_x, n = model.decode(z, x.sum(-1)), x.sum(-1)
    words = MultinomialVector(model.decoder(z)).log_prob(x)
    expected = words + torch.tensor(stats.poisson.logpmf(n.numpy(), n.numpy()))
    torch.testing.assert_close(p_x.log_prob(x), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(p_x.mean.sum(-1), n)
    torch.testing.assert_close(model.generate(3).mean.sum(-1), torch.ones(3))  # shares, where no size is given


@pytest.mark.parametrize("name", ["poisson", "negative-binomial", "zero-inflated-negative-binomial"])
def test_sizes_given_are_kept_when_data_are_simulated(name: str) -> None:
    model, guide = vae(name, exposure="total")
    x = counts()
    x[2] = 0  # an empty datum: p(0) = 1, whatever z
    target = Target(model, guide, x, x.sum(-1))
    z, _ = target.propose(3)
    of_totals = Target(model, guide, x)  # by default the sizes are the totals
    assert torch.equal(target.log_joint(z)[1], of_totals.log_joint(z)[1])
    torch.testing.assert_close(target.log_joint(z)[1][:, 2], torch.zeros(3), rtol=0, atol=1e-12)
    simulated, _ = target.simulate(seed=3)
    drawn, sizes = simulated.args
    assert torch.equal(sizes, x.sum(-1)) and not torch.equal(drawn.sum(-1), sizes) and (drawn[2] == 0).all()
    assert torch.equal(target.select([4]).simulate(seed=3)[0].args[0], drawn[4:5])
    with pytest.raises(ProgramError, match="as an argument of its own"):
        of_totals.simulate()


def test_sizes_are_of_the_right_shape_and_for_counts_only() -> None:
    x = counts()
    with pytest.raises(ValueError, match=r"exposure: got shape \(5,\), expected \[6\]"):
        vae("poisson", exposure="total")[0](x, x.sum(-1)[:5])
    with pytest.raises(ValueError, match="exposure: got a tensor, but the likelihood Poisson takes none"):
        vae("poisson")[0](x, x.sum(-1))
