"""Counts with sizes: what is conditioned on, what is simulated, and how a multinomial and a Poisson agree."""

import pytest
import torch
from scipy import stats
from torch import Tensor

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import ProgramError, Target
from elbowroom.models import VAE, from_decoder
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


def shares_of(z: Tensor) -> Tensor:
    return (z @ torch.linspace(-1, 1, D * P).view(D, P)).softmax(-1)


def guide() -> AmortizedNormal:
    return AmortizedNormal(P, D, (4,))


@pytest.mark.parametrize("exposure", ["total", "given"])
def test_a_decoder_of_shares_times_a_library_size(exposure: str) -> None:
    """Its mean is the size's share; the decoder that multiplies by the size itself is the same model."""
    x, library = counts(), torch.linspace(3.0, 40.0, B)
    options = {"latent_dim": D, "likelihood": "negative-binomial", "output": "mean"}
    theta = {"theta": 2.0}
    model = from_decoder(shares_of, **options, likelihood_options={"exposure": exposure, **theta})
    target = Target(model, guide(), x, library)
    z, _ = target.propose(3, seed=1)
    mean = library.unsqueeze(-1) * shares_of(z["z"])
    by_hand = torch.distributions.NegativeBinomial(torch.tensor(2.0), probs=mean / (mean + 2)).log_prob(x).sum(-1)
    torch.testing.assert_close(target.log_joint(z)[1], by_hand, rtol=1e-10, atol=1e-10)
    column = Target(model, guide(), x, library.unsqueeze(-1))  # as scvi has it
    torch.testing.assert_close(column.log_joint(z)[1], by_hand, rtol=1e-10, atol=1e-10)
    itself = from_decoder(
        lambda z, size: size.unsqueeze(-1) * shares_of(z), **options, num_given=1, likelihood_options=theta
    )
    torch.testing.assert_close(Target(itself, guide(), x, library).log_joint(z)[1], by_hand, rtol=1e-10, atol=1e-10)
    drawn, kept = target.simulate(seed=3)[0].args
    assert torch.equal(kept, library) and not torch.equal(drawn, x)
    torch.testing.assert_close(model.log_joint(x, z["z"][0], library), sum(target.log_joint(z))[0])
    torch.testing.assert_close(model.generate(3).mean.sum(-1), torch.ones(3))


def test_rates_of_a_unit_keep_their_scale() -> None:
    """A Poisson's offset: log mean = log size + what the decoder says, with no softmax."""
    x, sizes = counts(), torch.linspace(3.0, 40.0, B)
    model = from_decoder(
        lambda z: 2.5 * shares_of(z), latent_dim=D, likelihood="poisson", output="rate",
        likelihood_options={"exposure": "given"},
    )  # fmt: skip
    z = torch.randn(B, D)
    expected = torch.distributions.Poisson(2.5 * sizes[:, None] * shares_of(z)).log_prob(x).sum(-1)
    torch.testing.assert_close(model.decode(z, sizes).log_prob(x), expected)
    for wrong, message in (((), r"exposure: got none, but under exposure='given'"), ((sizes.neg(),), r"of 0 or more")):
        with pytest.raises(ValueError, match=message):
            model(x, *wrong)
    total = from_decoder(
        lambda z: 2.5 * shares_of(z), latent_dim=D, likelihood="poisson", output="rate",
        likelihood_options={"exposure": "total"},
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"sum to between 2.5 and 2.5, .* say exposure='given'"):
        total(x)


@pytest.mark.parametrize("likelihood", ["poisson", "multinomial"])
def test_a_decoder_that_reads_a_batch_and_is_given_a_size(likelihood: str) -> None:
    """Sizes come last; totals are read off x where they are left out."""
    x, batch = counts(), torch.arange(B) % 2

    def decode(z: Tensor, batch: Tensor) -> Tensor:
        return shares_of(z * (1 + batch).unsqueeze(-1))

    told = {"poisson": ("rate", {"exposure": "total"}), "multinomial": ("probs", {})}[likelihood]
    model = from_decoder(
        decode, latent_dim=D, likelihood=likelihood, output=told[0], likelihood_options=told[1], num_given=1
    )
    target = Target(model, guide(), x, batch, x.sum(-1))
    z = {"z": target.propose(3, seed=1)[0]["z"].detach()}
    shares = decode(z["z"], batch.expand(3, B))
    by_hand = torch.distributions.Poisson(x.sum(-1, keepdim=True) * shares).log_prob(x).sum(-1)
    if likelihood == "multinomial":
        by_hand = torch.tensor(MULTINOMIAL.reference(x.expand(3, B, P).numpy(), shares.log().numpy()))
    torch.testing.assert_close(target.log_joint(z)[1], by_hand, rtol=1e-10, atol=1e-10)
    without = Target(model, guide(), x, batch)
    torch.testing.assert_close(without.log_joint(z)[1], by_hand, rtol=1e-10, atol=1e-10)
    picked = target.select(torch.tensor([4, 1]))
    torch.testing.assert_close(picked.log_joint({"z": z["z"][:, [4, 1]]})[1], by_hand[:, [4, 1]])
    with pytest.raises(TypeError, match="takes 1 arguments of each datum beside z, got 0"):
        model(x)
