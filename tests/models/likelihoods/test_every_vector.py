"""What holds of every vector distribution: SciPy's values, total mass 1, gradients, moments, shapes, refusals."""

import math

import pytest
import torch
from numpy.polynomial import legendre
from torch import Tensor
from torch.func import hessian, vmap

from toys.likelihoods import CASES, LEVELS, MULTINOMIAL, TRIALS, Case

S, B, P = 5, 4, 3
ALL = {**CASES, "multinomial": MULTINOMIAL}
every_vector = pytest.mark.parametrize("case", ALL.values(), ids=ALL)
with_independent_entries = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
whole_numbers = pytest.mark.parametrize("name", [name for name, case in ALL.items() if not case.is_density])


@with_independent_entries
@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_log_prob_is_that_of_scipy(case: Case, scale: float) -> None:
    parameters, x = [scale * value for value in case.parameters(S, B, P)], case.data(B, P)
    expected = case.reference(x.numpy(), *(value.numpy() for value in parameters)).sum(-1)
    torch.testing.assert_close(case.make(*parameters).log_prob(x), torch.tensor(expected), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.is_density])
@pytest.mark.parametrize("num_entries", [1, 2, 3])
def test_the_probabilities_sum_to_one(name: str, num_entries: int) -> None:
    """Over the whole support, or, of counts, over all but a tail whose mass SciPy knows."""
    case, tail = CASES[name], 1e-12 if num_entries == 1 else 0.01
    parameters = [0.5 * value for value in case.parameters(num_entries)]
    n = torch.arange(400.0 if case.largest == torch.inf else case.largest + 1)[:, None]
    mass = torch.tensor(case.reference(n.numpy(), *(value.numpy() for value in parameters))).exp().cumsum(0)
    n = n[: int((mass < 1 - tail).any(-1).sum()) + 1, 0]  # up to where no entry has more than the tail above
    x = torch.cartesian_prod(*[n] * num_entries).reshape(-1, num_entries)
    total, expected = case.make(*parameters).log_prob(x).exp().sum(), mass[len(n) - 1].prod()
    assert expected > 1 - num_entries * tail - 1e-12
    torch.testing.assert_close(total, expected, rtol=1e-11, atol=0)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.is_density])
@pytest.mark.parametrize("num_entries", [1, 2, 3])
def test_the_densities_integrate_to_one(name: str, num_entries: int) -> None:
    """By Gauss–Legendre quadrature in u, x = 3u² − 2u³; of a continuous Bernoulli however close to λ = ½."""
    case = CASES[name]
    nodes, weights = (torch.tensor(values) for values in legendre.leggauss(60))
    u = (nodes + 1) / 2
    x = torch.cartesian_prod(*[u * u * (3 - 2 * u)] * num_entries).reshape(-1, num_entries)
    w = torch.cartesian_prod(*[3 * u * (1 - u) * weights] * num_entries).reshape(-1, num_entries).prod(-1)
    for scale in (1.0, 0.2, 1e-3, 1e-9, 0.0):
        parameters = [scale * value for value in case.parameters(num_entries)]
        if name == "beta":
            parameters = [math.log(4) + value.clamp(-1, 1) for value in parameters]
        mass = case.make(*parameters).log_prob(x).exp() @ w
        assert mass.item() == pytest.approx(1, abs=1e-8 if name == "beta" else 1e-12)


@every_vector
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_gradients_are_right(case: Case, scale: float) -> None:
    x = case.data(B, P)
    parameters = [(scale * value).requires_grad_() for value in case.parameters(2, B, P)]
    assert torch.autograd.gradcheck(lambda *values: case.make(*values).log_prob(x), parameters, rtol=1e-5)


@every_vector
def test_second_derivatives_under_vmap(case: Case) -> None:
    """What a Laplace approximation needs: the Hessian is that of finite differences of the gradient."""
    x, (first, *others) = case.data(B, P), case.parameters(B, P)

    def log_p(value: Tensor, x: Tensor, *others: Tensor) -> Tensor:
        vector = case.make(value, *others)
        vector._validate_args = False
        return vector.log_prob(x)

    torch.distributions.Distribution.set_default_validate_args(False)
    try:
        got = vmap(hessian(log_p))(first, x, *others)
    finally:
        torch.distributions.Distribution.set_default_validate_args(True)
    assert torch.autograd.gradgradcheck(lambda v: case.make(v, *others).log_prob(x), first.requires_grad_(), rtol=1e-4)
    assert got.isfinite().all()


@every_vector
def test_moments_of_draws(case: Case) -> None:
    """The draws' mean and second moment lie within 5 standard errors of `mean` and `variance`."""
    vector = case.make(*case.parameters(P))
    draws = vector.sample((40_000,))
    for values, expected in ((draws, vector.mean), ((draws - vector.mean).square(), vector.variance)):
        stderr = values.std(0) / len(values) ** 0.5
        assert ((values.mean(0) - expected).abs() < 5 * stderr).all()
    assert bool(vector.is_possible(draws).all()) and bool(vector.support.check(draws).all())


@every_vector
def test_expand_and_shapes(case: Case) -> None:
    parameters, x = case.parameters(B, P), case.data(B, P)
    vector = case.make(*parameters)
    expanded = vector.expand((S, B))
    assert (vector.batch_shape, vector.event_shape) == ((B,), (P,))
    assert (expanded.batch_shape, expanded.event_shape) == ((S, B), (P,))
    assert vector.mean.shape == vector.variance.shape == (B, P)
    assert expanded.mean.shape == expanded.variance.shape == (S, B, P)
    assert vector.sample().shape == (B, P) and expanded.sample((2,)).shape == (2, S, B, P)
    torch.testing.assert_close(expanded.log_prob(x), vector.log_prob(x).expand(S, B))
    row = case.make(*(value[1] for value in parameters))
    torch.testing.assert_close(row.log_prob(x[1]), vector.log_prob(x)[1])


@every_vector
def test_single_precision(case: Case) -> None:
    for scale in (1.0, 30.0):
        parameters, x = [scale * value for value in case.parameters(S, B, P)], case.data(B, P)
        if case.num_parameters > 1:  # what is a scale or a shape moves less than what is a mean
            parameters[-1] = parameters[-1] / scale
        parameters = [value.float().double() for value in parameters]
        x = x.float().double()
        exact = case.make(*parameters).log_prob(x)
        found = case.make(*(value.float() for value in parameters)).log_prob(x.float())
        assert found.dtype == torch.float32
        if exact.isfinite().all() and exact.abs().max() < 1e30:
            torch.testing.assert_close(found.double(), exact, rtol=2e-6, atol=2e-6 * scale)


@whole_numbers
@pytest.mark.parametrize("wrong", [0.5, -1.0, float("nan"), float("inf")])
def test_other_values_are_refused_with_their_rows(name: str, wrong: float) -> None:
    case = ALL[name]
    x = case.data(B, P)
    x[1, 2] = x[3, 0] = wrong
    with pytest.raises(
        ValueError, match=rf"^x: got 2 of 12 values .*, the first {wrong:.4g} \(rows \[1, 3\]\); expect"
    ):
        case.make(*case.parameters(S, B, P)).log_prob(x)


@pytest.mark.parametrize(
    ("name", "wrong", "advice"),
    [
        ("binomial", TRIALS + 1, r"expected 0, 1, …, 4 under a likelihood with trials=4; round the data or undo"),
        ("categorical", LEVELS, r"expected 0, 1, …, 4 under a likelihood with levels=5; round"),
        ("discretised-logistic", LEVELS, r"expected 0, 1, …, 4 under a likelihood with levels=5; round"),
        ("poisson", 2.5, "expected counts .*round the data or undo their scaling"),
        ("beta", 1.0, r"expected numbers in \(0, 1\), the ends excluded.*clamp.*'continuous-bernoulli'"),
        ("beta", 0.0, r"expected numbers in \(0, 1\)"),
        ("continuous-bernoulli", 1.1, "expected numbers from 0 to 1 .*scale the data to that range"),
    ],
)
def test_a_refusal_says_what_to_do(name: str, wrong: float, advice: str) -> None:
    x = ALL[name].data(B, P)
    x[2, 1] = wrong
    with pytest.raises(ValueError, match=rf"^x: got 1 of 12 values .* \(rows \[2\]\); {advice}"):
        ALL[name].make(*ALL[name].parameters(B, P)).log_prob(x)


@every_vector
def test_parameters_are_checked_and_lengths_too(case: Case) -> None:
    with pytest.raises(ValueError, match="constraint"):
        case.make(*(torch.full_like(value, torch.nan) for value in case.parameters(B, P)))
    with pytest.raises(ValueError, match="right-most size"):
        case.make(*case.parameters(B, P)).log_prob(case.data(B, P + 1))
