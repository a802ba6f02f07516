"""The vector distributions against torch's own, value and gradient, and their checks."""

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor
from torch.func import hessian, vmap

from elbowroom.models.likelihoods.bernoulli import BernoulliVector
from elbowroom.models.likelihoods.normal import NormalVector

S, B, P = 5, 4, 7


def bits() -> Tensor:
    return torch.randint(0, 2, (B, P)).to(torch.get_default_dtype())


@pytest.mark.parametrize(
    ("shape", "value_shape"),
    [((S, B, P), (B, P)), ((P,), (P,)), ((300, B, P), (B, P)), ((1, P), (700, P)), ((2, 700, P), (700, P))],
)
@pytest.mark.parametrize("gradients", [True, False])  # without them in blocks
def test_bernoulli_equals_torch(shape: tuple[int, ...], value_shape: tuple[int, ...], gradients: bool) -> None:
    for scale in (1.0, 30.0, 500.0):
        logits, x = scale * torch.randn(shape), torch.randint(0, 2, value_shape).to(torch.get_default_dtype())
        with torch.set_grad_enabled(gradients):
            found = BernoulliVector(logits).log_prob(x)
        expected = dist.Bernoulli(logits=logits).to_event(1).log_prob(x)
        torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-14)


def test_bernoulli_in_blocks_takes_vmap_and_lets_nan_through() -> None:
    logits, x = torch.randn(300, B, P), bits()
    with torch.no_grad():
        expected = BernoulliVector(logits).log_prob(x)
        batched = vmap(lambda a, v: BernoulliVector(a, validate_args=False).log_prob(v), in_dims=(1, 0), out_dims=1)(
            logits, x
        )
        torch.testing.assert_close(batched, expected)
        logits[299, 1, 2] = torch.nan
        found = BernoulliVector(logits, validate_args=False).log_prob(x)
    assert found.isnan().nonzero().tolist() == [[299, 1]]


@pytest.mark.parametrize("num_pixels", [784, 785, 100])  # eight factors a logarithm, one, five
def test_bernoulli_of_many_pixels_rounds_no_more_than_torch(num_pixels: int) -> None:
    for scale in (0.1, 1.0, 10.0, 1000.0):
        logits = (scale * torch.randn(400, num_pixels, dtype=torch.float64)).float()
        x = torch.bernoulli(logits.sigmoid())
        exact = dist.Bernoulli(logits=logits.double()).to_event(1).log_prob(x.double())
        with torch.no_grad():
            ours = BernoulliVector(logits).log_prob(x)
            precise = BernoulliVector(logits.double()).log_prob(x.double())
        theirs = dist.Bernoulli(logits=logits).to_event(1).log_prob(x)
        ours_off, theirs_off = ((p.double() - exact).square().mean().sqrt() for p in (ours, theirs))
        assert ours_off <= 1.3 * theirs_off
        torch.testing.assert_close(precise, exact, rtol=1e-15, atol=1e-13)


def test_bernoulli_of_many_pixels_at_infinite_logits() -> None:
    logits, x = torch.randn(6, 784), torch.randint(0, 2, (6, 784)).to(torch.get_default_dtype())
    x[:, :2] = torch.tensor([0.0, 1.0])
    expected = BernoulliVector(logits[:, 2:]).log_prob(x[:, 2:])
    logits[0, :2] = torch.tensor([-torch.inf, torch.inf])  # sure, and right
    logits[1, 0] = torch.inf  # sure, and wrong
    logits[2, 1] = -torch.inf
    logits[3, 0] = torch.nan
    with torch.no_grad():
        found = BernoulliVector(logits, validate_args=False).log_prob(x)
    torch.testing.assert_close(found[0], expected[0])
    assert found[1:3].tolist() == [-torch.inf] * 2
    assert found[3].isnan() and found[4:].isfinite().all()


@pytest.mark.parametrize("scale_shape", [(), (P,), (B, P), (S, B, P)])
def test_normal_equals_torch(scale_shape: tuple[int, ...]) -> None:
    loc, scale, x = torch.randn(S, B, P), 0.1 + torch.rand(scale_shape), torch.randn(B, P)
    expected = dist.Normal(loc, scale).to_event(1).log_prob(x)
    if scale_shape == (B, P):  # as the model would see it: the leading dimension comes from expand
        vector = NormalVector(loc[0], scale).expand((S, B))
        expected = dist.Normal(loc[0], scale).to_event(1).log_prob(x).expand(S, B)
    else:
        vector = NormalVector(loc, scale)
    torch.testing.assert_close(vector.log_prob(x), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("scale_shape", [(), (P,), (S, B, P)])
def test_gradients_equal_torch(scale_shape: tuple[int, ...]) -> None:
    x, scale = torch.randn(B, P), (0.1 + torch.rand(scale_shape)).requires_grad_()
    loc = torch.randn(S, B, P, requires_grad=True)
    ours = torch.autograd.grad(NormalVector(loc, scale).log_prob(x).sum(), (loc, scale))
    theirs = torch.autograd.grad(dist.Normal(loc, scale).log_prob(x).sum(), (loc, scale))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)

    x = bits()
    ours = torch.autograd.grad(BernoulliVector(loc).log_prob(x).sum(), loc)
    theirs = torch.autograd.grad(dist.Bernoulli(logits=loc).log_prob(x).sum(), loc)
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)


def test_hessians_per_datum() -> None:
    """What a Laplace approximation needs, batched by vmap: H = −diag(p (1 − p))."""
    logits, x = torch.randn(B, P), bits()
    got = vmap(hessian(lambda a, x: BernoulliVector(a, validate_args=False).log_prob(x)))(logits, x)
    p = torch.sigmoid(logits)
    torch.testing.assert_close(got, -torch.diag_embed(p * (1 - p)))


@pytest.mark.parametrize("logit", [-1e4, -50.0, 50.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gradients", [True, False])
def test_bernoulli_is_exact_for_large_logits(logit: float, dtype: torch.dtype, gradients: bool) -> None:
    vector = BernoulliVector(torch.full((1, 1), logit, dtype=dtype))
    likely, unlikely = (torch.full((1, 1), float(x), dtype=dtype) for x in (logit > 0, logit < 0))
    with torch.set_grad_enabled(gradients):
        assert vector.log_prob(unlikely).item() == -abs(logit)
        small = vector.log_prob(likely).item()
    assert small == pytest.approx(-torch.tensor(-abs(logit)).double().exp().item(), rel=1e-6, abs=1e-30)


every_vector = pytest.mark.parametrize("make", [BernoulliVector, lambda loc: NormalVector(loc, torch.tensor(0.7))])


@every_vector
def test_moments_of_draws(make) -> None:
    """The draws' mean and second moment lie within 5 standard errors of `mean` and `variance`."""
    vector = make(torch.randn(P))
    draws = vector.sample((40_000,))
    for values, expected in ((draws, vector.mean), ((draws - vector.mean).square(), vector.variance)):
        stderr = values.std(0) / len(values) ** 0.5
        assert ((values.mean(0) - expected).abs() < 5 * stderr).all()


def test_rsample_is_differentiable() -> None:
    loc, scale = torch.zeros(B, P, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    draw = NormalVector(loc, scale).rsample((S,))
    grad_loc, grad_scale = torch.autograd.grad(draw.sum(), (loc, scale))
    torch.testing.assert_close(grad_loc, torch.full((B, P), float(S)))
    torch.testing.assert_close(grad_scale, draw.detach().sum() / 2)


@every_vector
def test_expand_and_shapes(make) -> None:
    vector = make(torch.randn(B, P))
    expanded = vector.expand((S, B))
    assert (vector.batch_shape, vector.event_shape) == ((B,), (P,))
    assert (expanded.batch_shape, expanded.event_shape) == ((S, B), (P,))
    assert expanded.sample().shape == (S, B, P)
    assert expanded.sample((2,)).shape == (2, S, B, P)
    x = bits()
    assert torch.equal(expanded.log_prob(x), vector.log_prob(x).expand(S, B))


@pytest.mark.parametrize("grey", [0.5, -1.0, 2.0, float("nan")])
def test_grey_values_are_refused_with_a_way_out(grey: float) -> None:
    x = bits()
    x[1, 2] = grey
    told = (
        r"x: got 1 of 28 values .* neither 0 nor 1, .*as it was trained: x = \(x > 0.5\).*bernoulli.*Normal likelihood"
    )
    with pytest.raises(ValueError, match=told):
        BernoulliVector(torch.randn(B, P)).log_prob(x)


def test_other_checks_are_torchs() -> None:
    with pytest.raises(ValueError, match="right-most size"):
        BernoulliVector(torch.randn(B, P)).log_prob(torch.ones(B, P + 1))
    with pytest.raises(ValueError, match="must be a Tensor"):
        BernoulliVector(torch.randn(B, P)).log_prob(1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="logits"):
        BernoulliVector(torch.full((B, P), float("nan")))
    with pytest.raises(ValueError, match="scale"):
        NormalVector(torch.zeros(B, P), torch.tensor(0.0))
    with pytest.raises(ValueError, match="within the support"):
        NormalVector(torch.zeros(B, P), torch.tensor(1.0)).log_prob(torch.full((B, P), float("nan")))


def test_logits_that_all_data_share_are_a_matrix_product() -> None:
    """As of a lattice of latents: `[S, 1, P]`, expanded over the data. The same numbers and gradients, for any size."""
    logits = (3 * torch.randn(5, 1, 7)).detach()
    logits[0, 0, :2] = torch.tensor([800.0, -800.0])
    x = (torch.randn(4, 7) > 0).double()
    found = []
    for shared in (True, False):
        leaf = logits.clone().requires_grad_()
        vector = BernoulliVector(leaf).expand([5, 4]) if shared else BernoulliVector(leaf.expand(5, 4, 7).contiguous())
        log_p = vector.log_prob(x)
        found.append((log_p, *torch.autograd.grad(log_p.sum(), leaf)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert isinstance(found[0][0].grad_fn.next_functions[0][0], type((x @ x.T.requires_grad_()).grad_fn))
    grey = torch.full((4, 7), 0.5)  # where validation is off: the same as ever
    with torch.no_grad():
        expected = BernoulliVector(logits, validate_args=False).expand([5, 4]).log_prob(grey)
    leaf = logits.clone().requires_grad_()
    torch.testing.assert_close(BernoulliVector(leaf, validate_args=False).expand([5, 4]).log_prob(grey), expected)
