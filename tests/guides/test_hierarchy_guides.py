"""Guides of hierarchies: exact where the posterior is in their family, centred or not; what each depends on."""

import math

import pytest
import torch
from torch.distributions import Normal

from elbowroom.guides import BottomUp, Ladder, TopDown
from elbowroom.inference import Target, attribute_sites
from elbowroom.models import VAE, HierarchicalVAE
from toys.failure_budget import sigmas
from toys.hierarchies import GUIDES, as_ppca, exact_guide, linear_hierarchy
from toys.sequences import moved

B, P, S = 4, 5, 3
DIMS = (3, 2, 1)
EXACT = [("bottom-up", True), ("top-down", True), ("top-down", False), ("ladder", True), ("ladder", False)]


def hierarchy(centred: bool) -> HierarchicalVAE:
    torch.manual_seed(0)
    return moved(HierarchicalVAE(P, DIMS, (4,), centred=centred, prior_hidden=(3,)))


@pytest.mark.parametrize(("name", "centred"), EXACT)
def test_each_is_the_posterior_where_its_family_holds_it(name: str, centred: bool) -> None:
    """Of a linear hierarchy of one latent a layer: every weight is log p(x), with no error to tune."""
    model = linear_hierarchy((1, 1), centred=centred)
    x = torch.randn(B, 3)
    log_w = Target(model, exact_guide(name, model), x).log_weights(S)
    torch.testing.assert_close(log_w, as_ppca(model).log_prob(x).expand(S, -1), rtol=1e-10, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["top-down", "ladder"])
def test_centred_or_not_it_is_the_same_guide(name: str) -> None:
    """log q(z) = log q(e) − Σ log s_l: the weights are those of the other way of writing the model."""
    centred, other, x = hierarchy(True), hierarchy(False), torch.randn(B, P).sigmoid().round()
    other.load_state_dict(centred.state_dict())
    one, two = (moved(GUIDES[name](model, (4,))) for model in (centred, other))
    two.load_state_dict(one.state_dict())
    targets = Target(centred, one, x), Target(other, two, x)
    noise = {f"e{layer}": torch.randn(S, B, size) for layer, size in enumerate(DIMS, start=1)}
    z = dict(zip(("z1", "z2", "z3"), other.layers(noise), strict=True))
    weights = [sum(t.log_joint(v)) - t.log_guide(v) for t, v in zip(targets, (z, noise), strict=True)]
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-10, atol=1e-10)


@pytest.mark.slow
def test_a_ladder_multiplies_likelihood_and_prior() -> None:
    """log q(z_l | z_(l+1), x) − log N(z_l; μ̂_l, σ̂_l²) − log p(z_l | z_(l+1)) does not depend on z_l."""
    model, x = hierarchy(True), torch.randn(B, P).sigmoid().round()
    guide = moved(Ladder(model, (4,)))
    target = Target(model, guide, x)
    drawn = {name: value.expand(S, *value.shape[1:]) for name, value in target.propose(1)[0].items()}
    for layer in (1, 2):
        z = drawn | {f"z{layer}": torch.randn(S, B, DIMS[layer - 1])}
        log_q, log_p = target.latent_terms(z)[f"z{layer}"]
        mean, std = guide.heads[layer - 1](guide.upward(x)[layer - 1])
        constant = log_q - log_p - Normal(mean, 1e-6 + std).log_prob(z[f"z{layer}"])
        torch.testing.assert_close(constant, constant[:1].expand(S, -1, -1), rtol=1e-10, atol=1e-10)


def test_a_top_down_step_of_zero_is_the_prior() -> None:
    model, x = hierarchy(False), torch.randn(B, P).sigmoid().round()
    guide = TopDown(model, (4,), floor=0.0)
    with torch.no_grad():
        for head in guide.heads:
            last = head.layers[-1]
            last.weight.zero_()
            step, spread = last.bias.chunk(2)
            step.zero_()
            spread.fill_(math.log(math.expm1(1.0)))
    target = Target(model, guide, x)
    z, log_q = target.propose(S)
    torch.testing.assert_close(log_q, target.log_joint(z)[0])


@pytest.mark.parametrize(("name", "site", "other"), [("top-down", "e2", "e1"), ("bottom-up", "z1", "z2")])
def test_the_gap_is_at_the_layer_where_it_was_put(name: str, site: str, other: str) -> None:
    """The first site's mean is moved by half a standard deviation of q: ½ · ½² nats there, none at the other."""
    model = linear_hierarchy((1, 1), centred=name == "bottom-up")
    guide, x = exact_guide(name, model), torch.randn(6, 3)
    head = guide.heads[1] if name == "top-down" else guide.encoder
    with torch.no_grad():
        head.layers[0].bias[0] += 0.5 * (1e-6 + torch.nn.functional.softplus(head.layers[0].bias[1]))
    found = attribute_sites(Target(model, guide, x), num_outer=256, num_inner=8, seed=1)
    assert found.sites == (site, other)
    assert ((found.terms[site].value - 0.125).abs() < sigmas(len(x)) * found.terms[site].stderr).all()
    torch.testing.assert_close(found.terms[other].value, torch.zeros(len(x)), rtol=0, atol=1e-6)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model: got a hierarchy whose sites are the noise .* centred=True"):
        BottomUp(hierarchy(False))
    for guide in GUIDES.values():
        with pytest.raises(TypeError, match=r"model.* got VAE, which has no method layer_prior"):
            guide(VAE(P, 2))
    model = hierarchy(True)
    guide = TopDown(model)
    assert guide.model is model and not {id(p) for p in model.parameters()} & {id(p) for p in guide.parameters()}
