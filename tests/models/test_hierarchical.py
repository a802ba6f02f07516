"""Hierarchies: the density written out, centred and not; linear ones are PPCA; draws; the script of the page."""

import re
from contextlib import redirect_stdout
from io import StringIO
from textwrap import dedent

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from elbowroom.guides import BottomUp, TopDown
from elbowroom.inference import Target, quadrature
from elbowroom.models import HierarchicalVAE
from toys.failure_budget import sigmas
from toys.hierarchies import as_ppca, linear_hierarchy
from toys.sequences import moved

B, P, S = 4, 5, 3
DIMS = (3, 2, 1)


def hierarchy(centred: bool) -> HierarchicalVAE:
    torch.manual_seed(0)
    return moved(HierarchicalVAE(P, DIMS, (4,), centred=centred, prior_hidden=(3,)))


def binary(num_data: int) -> Tensor:
    return (torch.randn(num_data, P) > 0).to(torch.get_default_dtype())


def test_the_density_written_out() -> None:
    model, x = hierarchy(centred=True), binary(B)
    target = Target(model, BottomUp(model, (4,)), x)
    z = target.propose(S)[0]
    assert {name: value.shape[2:] for name, value in z.items()} == {"z1": (3,), "z2": (2,), "z3": (1,)}
    prior = Normal(0.0, 1.0).log_prob(z["z3"]).sum(-1)
    for layer in (2, 1):
        mean, std = model.priors[layer - 1].network(z[f"z{layer + 1}"])
        prior = prior + Normal(mean, 1e-6 + std).log_prob(z[f"z{layer}"]).sum(-1)
    likelihood = Bernoulli(logits=model.decoder(z["z1"])).log_prob(x).sum(-1)
    torch.testing.assert_close(torch.stack(target.log_joint(z)), torch.stack([prior, likelihood]))


@pytest.mark.slow
def test_the_two_ways_of_writing_it_are_one_density() -> None:
    """log p(z) = log p(e) − Σ log s_l(z_(l+1)), and x sees the same z_1."""
    centred, other, x = hierarchy(True), hierarchy(False), binary(B)
    other.load_state_dict(centred.state_dict())
    noise = {f"e{layer}": torch.randn(S, B, size) for layer, size in enumerate(DIMS, start=1)}
    z = dict(zip(("z1", "z2", "z3"), other.layers(noise), strict=True))
    scales = [centred.layer_prior(layer, z[f"z{layer + 1}"]).base_dist.scale.log().sum(-1) for layer in (1, 2)]
    prior, likelihood = Target(other, TopDown(other, (4,)), x).log_joint(noise)
    expected = torch.stack([prior - sum(scales), likelihood])
    found = Target(centred, TopDown(centred, (4,)), x).log_joint(z)
    torch.testing.assert_close(torch.stack(found), expected, rtol=1e-12, atol=1e-12)
    for one, same in zip(centred.layers(z), z.values(), strict=True):
        assert torch.equal(one, same)


@pytest.mark.parametrize("dims", [(2, 1), (2, 3, 1)])
def test_a_linear_hierarchy_is_ppca(dims: tuple[int, ...]) -> None:
    """Its noise side by side is PPCA's z, with the loadings of all layers composed: equal joint densities."""
    model = linear_hierarchy(dims, centred=False)
    ppca, x = as_ppca(model), torch.randn(B, 3)
    noise = {f"e{layer}": torch.randn(S, B, size) for layer, size in enumerate(dims, start=1)}
    found = sum(Target(model, TopDown(model, ()), x).log_joint(noise))
    z = torch.cat(list(noise.values()), -1)
    expected = Normal(0.0, 1.0).log_prob(z).sum(-1) + ppca.decode(z).log_prob(x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_log_p_of_a_centred_linear_hierarchy() -> None:
    model, x = linear_hierarchy((2, 1), centred=True), torch.randn(2, 3)
    found = quadrature(Target(model, BottomUp(model, ()), x)).value
    torch.testing.assert_close(found, as_ppca(model).log_prob(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("centred", [True, False])
def test_draws_have_the_moments_of_the_prior(centred: bool) -> None:
    model, num_draws = linear_hierarchy((2, 1), centred=centred), 4000
    state = torch.get_rng_state()
    z, mean = model.generate(num_draws, seed=1)
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(model.generate(num_draws, seed=1).z, z)
    assert not torch.equal(model.generate(num_draws, seed=2).z, z)
    torch.testing.assert_close(mean, model.decoder(z))
    ppca = as_ppca(model)
    covariance = ppca.loadings @ ppca.loadings.T  # of E[x|z]
    variance = covariance.diagonal()
    assert ((mean.mean(0) - ppca.mean).abs() < sigmas(9) * (variance / num_draws).sqrt()).all()
    error = ((variance[:, None] * variance + covariance.square()) / num_draws).sqrt()
    assert ((mean.T.cov() - covariance).abs() < sigmas(9) * error).all()


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"latent_dims: got \(3,\), expected a size for each of two layers"):
        HierarchicalVAE(P, (3,))
    with pytest.raises(TypeError, match=r"latent_dims.* got 3"):
        HierarchicalVAE(P, 3)
    with pytest.raises(ValueError, match=r"latent_dims.* got 0"):
        HierarchicalVAE(P, (3, 0))
    with pytest.raises(ValueError, match=r"x.* got 4 values per datum .* expected 5"):
        hierarchy(False)(binary(B)[:, 1:])


def test_the_script_of_the_page_runs() -> None:
    script = re.search(r"fifteen lines:\n\n(.*?)\n\n    Args:", HierarchicalVAE.__doc__ or "", re.DOTALL).group(1)
    assert len(script.splitlines()) <= 15
    torch.set_default_dtype(torch.float32)
    quick = dedent(script).replace("epochs=150", "epochs=1").replace("warmup_epochs=50", "progress=False")
    quick = quick.replace("num_samples=1000", "num_samples=20, search=False").replace("data.test", "data.test[:9]")
    quick = quick.replace("log_p=result", "log_p=result, num_outer=8, num_inner=4")
    assert "epochs=1," in quick and "progress=False" in quick and "num_inner=4" in quick
    with redirect_stdout(StringIO()) as printed:
        exec(compile(quick, "script", "exec"), {})
    assert "9 data" in printed.getvalue() and "z2" in printed.getvalue()


def test_no_density_of_one_vector_is_claimed() -> None:
    model = HierarchicalVAE(6, (2, 2), (3,))
    with pytest.raises(NotImplementedError, match="several layers of latents"):
        model.log_joint(torch.zeros(1, 6), torch.zeros(1, 2))
