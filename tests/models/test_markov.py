"""The deep Markov model: its density written out; padding; of one step the VAE; draws."""

import pytest
import torch
from pyro.infer import Trace_ELBO
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from elbowroom.guides import AmortizedNormal, DeepKalmanSmoother
from elbowroom.inference import Target
from elbowroom.models import VAE, DeepMarkov
from toys.failure_budget import sigmas
from toys.sequences import moved, padded, ragged

B, T, P, D, S = 4, 4, 3, 2, 3
LENGTHS = [4, 2, 1, 3]


def programs(**options: object) -> tuple[DeepMarkov, DeepKalmanSmoother]:
    model = moved(DeepMarkov(P, D, (5,), transition_hidden=(4,), **options))
    return model, moved(DeepKalmanSmoother(model, 6))


def terms(target: Target, z: dict[str, Tensor]) -> Tensor:
    """log p(z) − log q(z|x), the ELBO's term of z, and log p(x|z), `[2, S, B]`."""
    prior, likelihood = target.log_joint(z)
    return torch.stack([prior - target.log_guide(z), likelihood])


@pytest.mark.parametrize("transition", ["gated", "linear"])
def test_the_density_written_out(transition: str) -> None:
    (model, guide), (x, mask) = programs(transition=transition), ragged(T, P, LENGTHS)
    target = Target(model, guide, x, mask)
    z = target.propose(S)[0]
    assert list(z) == ["z_1", "z_2", "z_3", "z_4"] and target.layouts == {"model": "plate", "guide": "plate"}
    prior = Normal(0.0, 1.0).log_prob(z["z_1"]).sum(-1)
    for t in range(2, T + 1):
        prior = prior + Normal(*model.transition(z[f"z_{t - 1}"])).log_prob(z[f"z_{t}"]).sum(-1)
    likelihood = torch.zeros(S, B)
    for b, length in enumerate(LENGTHS):
        for t in range(length):
            logits = model.decoder(z[f"z_{t + 1}"][:, b])
            likelihood[:, b] += Bernoulli(logits=logits).log_prob(x[b, t]).sum(-1)
    torch.testing.assert_close(torch.stack(target.log_joint(z)), torch.stack([prior, likelihood]))
    paths = torch.stack(list(z.values()), -2)  # [S, B, T, D]
    found = torch.stack([model.log_joint(x, path, mask) for path in paths])
    torch.testing.assert_close(found, prior + likelihood)
    with pytest.raises(ValueError, match=r"z: got shape \(4, 2\), expected \(4, 4, 2\)"):
        model.log_joint(x, paths[0, :, 0], mask)


@pytest.mark.slow
def test_padding_and_company_change_nothing() -> None:
    (model, guide), (x, mask) = programs(), ragged(T, P, LENGTHS)
    target = Target(model, guide, x, mask)
    z = target.propose(S)[0]
    expected = terms(target, z)
    more = z | {f"z_{T + 1}": torch.randn(S, B, D), f"z_{T + 2}": torch.randn(S, B, D)}
    more |= {f"z_{t}": torch.where(mask[:, t - 1, None], z[f"z_{t}"], 5.0) for t in range(1, T + 1)}
    for value in (0.0, 7.0, torch.nan):
        longer = Target(model, guide, *padded(x, mask, 2, value))
        torch.testing.assert_close(terms(longer, more), expected, rtol=1e-12, atol=1e-12)
    for b, length in enumerate(LENGTHS):  # cut to its own length, without a mask
        alone = Target(model, guide, x[b : b + 1, :length])
        own = {f"z_{t}": z[f"z_{t}"][:, b : b + 1] for t in range(1, length + 1)}
        torch.testing.assert_close(terms(alone, own), expected[..., b : b + 1], rtol=1e-12, atol=1e-12)


def test_padding_has_no_gradient_and_every_parameter_has_one() -> None:
    """In Pyro's own ELBO, which checks values and knows nothing of NaN behind masks."""
    (model, guide), (x, mask) = programs(), ragged(T, P, LENGTHS)
    named = {**dict(model.named_parameters()), **dict(guide.named_parameters())}
    found = []
    for value in (0.0, 7.0, torch.nan):
        torch.manual_seed(1)
        loss = Trace_ELBO().differentiable_loss(model, guide, *padded(x, mask, 1, value))
        found.append(torch.autograd.grad(loss, list(named.values())))
    for name, one, *others in zip(named, *found, strict=True):
        assert one.isfinite().all() and one.abs().max() > 0, name
        for other in others:
            torch.testing.assert_close(other, one, rtol=1e-12, atol=1e-12)


def test_of_one_step_it_is_the_vae_with_its_decoder() -> None:
    model, guide = programs()
    vae = VAE(P, D, (5,))
    vae.load_state_dict({name: v for name, v in model.state_dict().items() if not name.startswith("transition.")})
    x = ragged(1, P, [1] * B)[0]
    markov, plain = Target(model, guide, x), Target(vae, AmortizedNormal(P, D), x[:, 0])
    z = torch.randn(S, B, D)
    found, expected = markov.log_joint({"z_1": z}), plain.log_joint({"z": z})
    torch.testing.assert_close(torch.stack(found), torch.stack(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_data_are_simulated_whatever_stands_behind_a_sequence() -> None:
    (model, guide), (x, mask) = programs(), ragged(T, P, LENGTHS)
    for value in (0.0, 7.0, torch.nan):
        data = padded(x, mask, 0, value)
        simulated, z = Target(model, guide, *data).simulate(seed=3)
        drawn, same_mask = simulated.args
        assert torch.equal(same_mask, mask) and set(drawn[mask].unique().tolist()) == {0, 1}
        assert torch.stack(simulated.log_joint(z)).isfinite().all()
        assert not torch.equal(simulated.simulate(seed=4)[0].args[0][mask], drawn[mask])


def test_draws_follow_the_transition() -> None:
    model = moved(DeepMarkov(P, D, (5,), transition_hidden=(4,), num_steps=3))
    state = torch.get_rng_state()
    z, mean = model.generate(4000, seed=1)
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(model.generate(4000, seed=1).z, z)
    assert z.shape == (4000, 3, D) and mean.shape == (4000, 3, P)
    torch.testing.assert_close(mean, torch.sigmoid(model.decoder(z)))
    loc, std = model.transition(z[:, :-1])
    noise = torch.cat([z[:, :1], (z[:, 1:] - loc) / std], 1).detach()
    count = noise[..., 0].numel()
    assert noise.mean().abs() < sigmas(2) / (D * count) ** 0.5
    assert (noise.square().mean() - 1).abs() < sigmas(2) * (2 / (D * count)) ** 0.5
    assert torch.corrcoef(noise.reshape(4000, -1).T).fill_diagonal_(0).abs().max() < sigmas(15) / 4000**0.5


def test_what_is_no_batch_of_sequences_is_refused() -> None:
    (model, guide), (x, mask) = programs(), ragged(T, P, LENGTHS)
    for program in (model, guide):
        with pytest.raises(ValueError, match=r"got shape \(4, 12\), expected sequences \[B, T, 3\]"):
            program(x.flatten(1), mask)
        with pytest.raises(ValueError, match=r"mask: got shape \(4, 3\), expected \(4, 4\)"):
            program(x, mask[:, 1:])
        with pytest.raises(TypeError, match=r"mask: got list, expected a torch.Tensor"):
            program(x, mask.tolist())
    with pytest.raises(ValueError, match="exposure='total' and 'multinomial' are for models of x alone"):
        DeepMarkov(P, D, likelihood="poisson", likelihood_options={"exposure": "total"})
    with pytest.raises(ValueError, match=r"transition: got 'quadratic', expected one of 'gated', 'linear'"):
        DeepMarkov(P, D, transition="quadratic")
