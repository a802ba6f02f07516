"""Noise that belongs to (seed, datum, sample, site): the right distributions, whatever is drawn beside it."""

import itertools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from elbowroom.inference import Target
from elbowroom.inference.programs import noise
from elbowroom.inference.programs.datum_keys import content_digests, datum_keys, likes_before, numbered_keys
from elbowroom.inference.programs.intercept import intercept
from elbowroom.inference.programs.noise import BLOCK, Noise, _box_muller
from toys.failure_budget import BUDGET, sigmas
from toys.programs import TRIPLES, conjugate, data, normal_guide, normal_model

# Distributions: (drawn by the guide, the law to be tested against) ----------------------------------------------------

CONTINUOUS: dict[str, tuple[Callable[[], Any], Any]] = {
    "normal": (lambda: dist.Normal(1.0, 2.0), stats.norm(1, 2)),
    "uniform": (lambda: dist.Uniform(-1.0, 3.0), stats.uniform(-1, 4)),
    "gamma": (lambda: dist.Gamma(0.7, 2.0), stats.gamma(0.7, scale=0.5)),
    "inverse gamma": (lambda: dist.InverseGamma(3.0, 2.0), stats.invgamma(3, scale=2)),
    "beta": (lambda: dist.Beta(0.6, 2.5), stats.beta(0.6, 2.5)),
    "exponential": (lambda: dist.Exponential(3.0), stats.expon(scale=1 / 3)),
    "cauchy": (lambda: dist.Cauchy(1.0, 2.0), stats.cauchy(1, 2)),
    "half cauchy": (lambda: dist.HalfCauchy(2.0), stats.halfcauchy(scale=2)),
    "half normal": (lambda: dist.HalfNormal(2.0), stats.halfnorm(scale=2)),
    "student t": (lambda: dist.StudentT(3.0, 1.0, 2.0), stats.t(3, 1, 2)),
    "log normal": (lambda: dist.LogNormal(0.2, 0.5), stats.lognorm(0.5, scale=math.exp(0.2))),
    "laplace": (lambda: dist.Laplace(1.0, 2.0), stats.laplace(1, 2)),
    "gumbel": (lambda: dist.Gumbel(1.0, 2.0), stats.gumbel_r(1, 2)),
    "logistic": (lambda: dist.Logistic(1.0, 2.0), stats.logistic(1, 2)),
    "weibull": (lambda: dist.Weibull(2.0, 1.5), stats.weibull_min(1.5, scale=2)),
    "kumaraswamy": (
        lambda: dist.TransformedDistribution(
            dist.Uniform(0.0, 1.0), torch.distributions.transforms.PowerTransform(torch.tensor(2.0))
        ),
        stats.beta(0.5, 1),
    ),
    "chi squared": (lambda: dist.Chi2(3.0), stats.chi2(3)),
    "low precision gamma": (lambda: dist.Gamma(0.05, 1.0), stats.gamma(0.05)),
}
DISCRETE: dict[str, tuple[Callable[[], Any], Any]] = {
    "bernoulli": (lambda: dist.Bernoulli(0.3), stats.bernoulli(0.3)),
    "categorical": (
        lambda: dist.Categorical(torch.tensor([0.1, 0.0, 0.6, 0.3])),
        stats.rv_discrete(values=([0, 2, 3], [0.1, 0.6, 0.3])),
    ),
    "poisson": (lambda: dist.Poisson(2.5), stats.poisson(2.5)),
    "binomial": (lambda: dist.Binomial(7, 0.3), stats.binom(7, 0.3)),
    "geometric": (lambda: dist.Geometric(0.3), stats.geom(0.3, loc=-1)),
    "negative binomial": (lambda: dist.NegativeBinomial(4.0, 0.4), stats.nbinom(4, 0.6)),
}
KINDS = {**CONTINUOUS, **DISCRETE}


def programs(fn: Callable[[], Any], name: str = "z") -> tuple[Callable[..., None], Callable[..., None]]:
    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample(name, fn())

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample(name, fn())
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=x)

    return model, guide


def draws(fn: Callable[[], Any], num_samples: int = 1000, num_data: int = 4, seed: int = 1) -> Tensor:
    return Target(*programs(fn), data(num_data)).propose(num_samples, seed=seed)[0]["z"]


@pytest.mark.parametrize("name", sorted(CONTINUOUS))
def test_continuous_draws_have_the_right_distribution(name: str) -> None:
    fn, law = CONTINUOUS[name]
    z = draws(fn).flatten().numpy()
    assert stats.kstest(z, law.cdf).pvalue > BUDGET / len(KINDS)
    assert len(np.unique(z)) > 0.99 * len(z)


@pytest.mark.parametrize("name", sorted(DISCRETE))
def test_discrete_draws_have_the_right_distribution(name: str) -> None:
    fn, law = DISCRETE[name]
    z = draws(fn).flatten().numpy()
    values = np.arange(z.max() + 1)
    expected = len(z) * law.pmf(values)
    expected[-1] += len(z) * law.sf(values[-1])
    observed = np.array([(z == value).sum() for value in values])
    assert not observed[expected == 0].any()
    common = expected > 5
    observed, expected = (np.append(a[common], a[~common].sum()) for a in (observed, expected))
    kept = expected > 0
    assert stats.chisquare(observed[kept], expected[kept]).pvalue > BUDGET / len(KINDS)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_draws_are_the_datums_own(name: str) -> None:
    """For each distribution: not changed by the other data, by their order, nor by which samples are asked for."""
    model, guide = programs(KINDS[name][0])
    x = data(5)
    whole = Target(model, guide, x).propose(6, seed=3)[0]["z"]
    turned = Target(model, guide, x[[4, 1]]).propose(4, seed=3, start=2)[0]["z"]
    torch.testing.assert_close(turned, whole[2:][:, [4, 1]], rtol=1e-14, atol=0.0)
    looped = Target(model, guide, x, layout="loop").propose(6, seed=3)[0]["z"]
    torch.testing.assert_close(looped, whole, rtol=1e-14, atol=0.0)


class Direct(dist.TorchDistribution):
    """Draws by one of torch's random operations, as a user's own distribution may."""

    arg_constraints: ClassVar[dict] = {}
    support = torch.distributions.constraints.real

    def __init__(self, operation: Callable[[Tensor], Tensor], batch_shape: tuple[int, ...] = ()) -> None:
        self.operation = operation
        super().__init__(torch.Size(batch_shape), validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: Any = None) -> "Direct":
        return Direct(self.operation, tuple(batch_shape))

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        return self.operation(torch.full((*sample_shape, *self.batch_shape), 0.3)).to(torch.get_default_dtype())

    def log_prob(self, value: Tensor) -> Tensor:
        return torch.zeros_like(value)


OPERATIONS: dict[str, tuple[Callable[[Tensor], Tensor], Any]] = {
    "normal_": (lambda t: t.normal_(1.0, 2.0), stats.norm(1, 2)),
    "normal_ plain": (lambda t: t.normal_(), stats.norm()),
    "uniform_": (lambda t: t.uniform_(-1.0, 3.0), stats.uniform(-1, 4)),
    "exponential_": (lambda t: t.exponential_(3.0), stats.expon(scale=1 / 3)),
    "cauchy_": (lambda t: t.cauchy_(1.0, 2.0), stats.cauchy(1, 2)),
    "log_normal_": (lambda t: t.log_normal_(0.2, 0.5), stats.lognorm(0.5, scale=math.exp(0.2))),
    "geometric_": (lambda t: t.geometric_(0.3), stats.geom(0.3)),
    "bernoulli_": (lambda t: t.bernoulli_(0.3), stats.bernoulli(0.3)),
    "bernoulli_ tensor": (lambda t: torch.empty_like(t).bernoulli_(t), stats.bernoulli(0.3)),
    "bernoulli": (torch.bernoulli, stats.bernoulli(0.3)),
    "bernoulli with p": (lambda t: torch.bernoulli(t, 0.6), stats.bernoulli(0.6)),
    "randn_like": (torch.randn_like, stats.norm()),
    "rand_like": (torch.rand_like, stats.uniform()),
    "randn": (lambda t: torch.randn(t.shape), stats.norm()),
    "rand": (lambda t: torch.rand(t.shape), stats.uniform()),
    "normal of tensors": (lambda t: torch.normal(t, t), stats.norm(0.3, 0.3)),
    "normal of a tensor": (lambda t: torch.normal(t, 2.0), stats.norm(0.3, 2)),
    "normal of a number": (lambda t: torch.normal(1.0, t), stats.norm(1, 0.3)),
    "normal of a size": (lambda t: torch.normal(1.0, 2.0, size=tuple(t.shape)), stats.norm(1, 2)),
    "poisson": (lambda t: torch.poisson(10 * t), stats.poisson(3)),
    "multinomial": (
        lambda t: torch.multinomial(torch.tensor([1.0, 3.0]).expand(t.numel(), 2), 1).reshape(t.shape),
        stats.bernoulli(0.75),
    ),
}


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_random_operation_of_torch(name: str) -> None:
    operation, law = OPERATIONS[name]
    z = draws(lambda: Direct(operation)).flatten().numpy()
    if hasattr(law.dist, "pdf"):
        assert stats.kstest(z, law.cdf).pvalue > BUDGET / len(OPERATIONS)
    else:
        values = np.unique(z)
        frequency = np.array([(z == value).mean() for value in values])
        error = np.sqrt(law.pmf(values) * (1 - law.pmf(values)) / len(z))
        assert (np.abs(frequency - law.pmf(values)) < sigmas(len(OPERATIONS) * len(values)) * error + 1 / len(z)).all()


def test_operations_without_a_counter_form_are_named() -> None:
    model, guide = programs(lambda: Direct(lambda t: torch.randint(0, 5, t.shape)))
    with pytest.raises(
        NotImplementedError, match=r"site 'z' .* draws with aten.randint.*no counter-based form; known: aten"
    ):
        Target(model, guide, data(4))


def test_dirichlet_draws() -> None:
    concentration = torch.tensor([0.5, 1.0, 2.5])
    z = draws(lambda: dist.Dirichlet(concentration))
    torch.testing.assert_close(z.sum(-1), torch.ones(1000, 4))
    for i in range(3):
        law = stats.beta(concentration[i].item(), 4.0 - concentration[i].item())
        assert stats.kstest(z[..., i].flatten().numpy(), law.cdf).pvalue > BUDGET / 3


def test_multivariate_normal_draws() -> None:
    covariance = torch.tensor([[2.0, 0.9], [0.9, 1.0]])
    z = draws(lambda: dist.MultivariateNormal(torch.zeros(2), covariance)).flatten(0, 1)
    found = z.T.cov()
    # The variance of a sample covariance is (σ_ii σ_jj + σ_ij²) / n.
    error = ((covariance.diagonal()[:, None] * covariance.diagonal() + covariance**2) / len(z)).sqrt()
    assert bool(((found - covariance).abs() < sigmas(3) * error).all())


def test_lkj_draws() -> None:
    """In two dimensions; from three on torch 2.13's own sampler does not follow its own density."""
    z = draws(lambda: dist.LKJCholesky(2, 2.0))
    law = stats.beta(2.0, 2.0, loc=-1, scale=2)  # (1 + ρ)/2 ~ Beta(η, η)
    assert stats.kstest(z[..., 1, 0].flatten().numpy(), law.cdf).pvalue > BUDGET


def test_mixture_draws() -> None:
    z = draws(
        lambda: dist.MixtureSameFamily(
            dist.Categorical(torch.tensor([0.2, 0.8])), dist.Normal(torch.tensor([-2.0, 1.0]), 0.5)
        )
    )
    assert (
        stats.kstest(
            z.flatten().numpy(), lambda v: 0.2 * stats.norm.cdf(v, -2, 0.5) + 0.8 * stats.norm.cdf(v, 1, 0.5)
        ).pvalue
        > BUDGET
    )


def test_float32_draws() -> None:
    torch.set_default_dtype(torch.float32)
    model, guide = programs(lambda: dist.Normal(torch.zeros(2), torch.ones(2)).to_event(1))
    z = Target(model, guide, data(4).float()).propose(1000)[0]["z"]
    assert z.dtype == torch.float32
    assert stats.kstest(z.flatten().numpy(), "norm").pvalue > BUDGET


def test_single_precision_normals_are_normal_in_the_tails_and_two_by_two() -> None:
    """Two are made of one word: z[:half] and z[half:], of which each is normal whatever the other is."""
    keys, width = datum_keys([data(4)], 4), 5  # odd: the last word makes one
    z = Noise(1, keys, 150_000).draw("normal", "z", 0, width, torch.float32).double()  # 3 million
    assert stats.kstest(z.flatten().numpy()[::7], "norm").pvalue > BUDGET
    for end in (2.0, 3.0, 4.0, 4.5):
        for beyond in (z > end, z < -end):
            interval = stats.binom.interval(1 - BUDGET / 8, z.numel(), stats.norm.sf(end))
            assert interval[0] <= int(beyond.sum()) <= interval[1]
    flat = z.flatten(0, 1)
    for moments in (flat, flat**2, flat.abs()):
        off = moments.T.corrcoef()[~torch.eye(width, dtype=torch.bool)]
        assert off.abs().max() < sigmas(30) / math.sqrt(len(flat))
    assert abs(float((flat**4).mean()) - 3) < sigmas() * math.sqrt(96 / z.numel())


def test_single_precision_words_reach_to_the_ends() -> None:
    """u from 2^-41 to 1 and θ from 0 to nearly 2π, in exact numbers."""
    half_turn = np.uint64(2**23)
    words = np.array([0, half_turn, 2**64 - 2**24, np.uint64(1 << 63) + np.uint64(2**22)], np.uint64)
    cosines, sines = _box_muller(words)
    largest = math.sqrt(2 * 41 * math.log(2))
    np.testing.assert_allclose(cosines, [largest, -largest, 0.0, 0.0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(sines, [0.0, 0.0, 0.0, math.sqrt(2 * math.log(2))], rtol=1e-6, atol=1e-6)


# What draws depend on ------------------------------------------------------------------------------------------------


def test_a_start_offset_continues_the_same_stream() -> None:
    """Across block boundaries, and from inside a block."""
    target = conjugate().target()
    whole = target.propose(3 * BLOCK + 7)[0]["z"]
    for start, count in ((0, 1), (1, 5), (BLOCK - 1, 2), (BLOCK, 3), (2 * BLOCK - 3, BLOCK + 9), (3 * BLOCK + 6, 1)):
        assert torch.equal(target.propose(count, start=start)[0]["z"], whole[start : start + count])


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(1, 3 * BLOCK), max_size=4), seed=st.integers(-(2**63), 2**64), width=st.integers(1, 3))
def test_pieces_of_a_stream_join(cuts: list[int], seed: int, width: int) -> None:
    keys = datum_keys([data(2)], 2)
    edges = sorted({0, *cuts, 3 * BLOCK})
    for kind, dtype in itertools.product(("normal", "uniform"), (torch.float64, torch.float32)):
        whole = Noise(seed, keys, 3 * BLOCK).draw(kind, "z", 0, width, dtype)
        pieces = [
            Noise(seed, keys, end - begin, begin).draw(kind, "z", 0, width, dtype)
            for begin, end in itertools.pairwise(edges)
        ]
        assert torch.equal(torch.cat(pieces), whole)
        assert torch.equal(Noise(seed, keys[1:], 3 * BLOCK).draw(kind, "z", 0, width, dtype), whole[:, 1:])


@pytest.mark.parametrize("piece", [1, 7, 50, 10**6])
def test_single_precision_noise_does_not_depend_on_what_is_made_at_a_time(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(width: int, start: int) -> Tensor:
        return Noise(0, datum_keys([data(5)], 5), 9, start).draw("normal", "z", 0, width, torch.float32)

    for width, start in ((1, 0), (4, 3), (5, 2**48)):  # the last are those of simulated data
        whole = drawn(width, start)
        with monkeypatch.context() as patch:
            patch.setattr(noise, "_PIECE", piece)
            torch.testing.assert_close(drawn(width, start), whole, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_streams_are_uncorrelated(dtype: torch.dtype) -> None:
    """Over data, sites, operations, seeds, samples, and blocks: every pair of streams."""
    keys = datum_keys([data(3)], 3)
    n = 4 * BLOCK
    streams = []
    for seed in (0, 1, 2**32, -1):
        for site, operation in (("z", 0), ("z", 1), ("w", 0), ("zz", 0)):
            streams += list(Noise(seed, keys, n).draw("normal", site, operation, 1, dtype)[..., 0].T)
    streams.append(streams[0].roll(BLOCK))  # the same stream a block, and a sample, later
    streams.append(streams[0].roll(1))
    correlation = torch.stack(streams).corrcoef()
    off = correlation[~torch.eye(len(streams), dtype=torch.bool)]
    assert off.abs().max() < sigmas(len(off) // 2) / math.sqrt(n)


def test_seeds_are_integers_from_zero_on_and_no_two_are_alike() -> None:
    target = conjugate().target()
    draws = [target.propose(2, seed=seed)[0]["z"] for seed in (7, np.int64(7), np.uint64(7), 0, 2**32, 2**63 - 1)]
    for i, j in itertools.combinations(range(6), 2):
        assert torch.equal(draws[i], draws[j]) == (j < 3)
    for wrong in (-1, 2**63, 2**64, np.uint64(2**63), 1.5, True):  # 2^64 was taken for 0, and 1.5 for 1
        with pytest.raises((ValueError, TypeError), match="seed must be an integer from 0"):
            target.propose(2, seed=wrong)


class Zeros(Noise):
    """The one number in 2⁵³ that a uniform on [0, 1) may be and no test would meet."""

    def draw(self, *args: Any) -> Tensor:
        return torch.zeros_like(super().draw(*args))


@pytest.mark.parametrize(
    "name", ["exponential", "gamma", "beta", "poisson", "binomial", "negative binomial", "weibull"]
)
def test_a_uniform_of_zero_stays_inside_the_support(name: str) -> None:
    fn = KINDS[name][0]().expand([4, 3])
    with intercept(Zeros(0, datum_keys([data(3)], 3), 4), "z", fn, lambda values, batch: values.reshape(*batch, -1)):
        z = fn.sample()
    assert bool(fn.support.check(z).all()) and bool(fn.log_prob(z).isfinite().all())


def test_identical_data_have_different_noise() -> None:
    x = torch.tensor([1.0, 2.0, 1.0, 1.0])
    z = Target(normal_model, normal_guide(0.9), x).propose(200)[0]["z"] - x / 2
    assert abs(np.corrcoef(z[:, [0, 2, 3]].T.numpy())[np.triu_indices(3, 1)]).max() < sigmas(3) / math.sqrt(200)
    assert not torch.equal(z[:, 0], z[:, 2])


def test_keys_come_from_the_contents() -> None:
    x, y = data(6, 3), torch.arange(6)
    keys = datum_keys([x, y], 6)
    assert len(set(keys.tolist())) == 6
    assert np.array_equal(datum_keys([x.float().double(), y], 6), datum_keys([x.float(), y], 6))  # dtype is no content
    assert np.array_equal(datum_keys([x[[2, 0]], y[[2, 0]]], 2), keys[[2, 0]])
    assert not np.array_equal(datum_keys([x, y + 1], 6), keys)
    assert np.array_equal(datum_keys([x.T.contiguous().T, y], 6), keys)  # nor are strides


def test_keys_are_the_same_however_many_data_are_copied_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    x = data(7, 3)[[0, 1, 0, 3, 0, 5, 6]]
    keys = datum_keys([x], 7)
    monkeypatch.setattr(f"{datum_keys.__module__}._ROWS", 2)
    assert np.array_equal(datum_keys([x], 7), keys) and len(set(keys.tolist())) == 7


def test_keys_of_a_part_are_those_of_the_whole_once_it_is_told_how_many_like_each_came_before() -> None:
    x = data(9, 3)[[0, 1, 0, 3, 0, 1, 6, 6, 8]]
    digests = content_digests([x], 9)
    likes = likes_before(digests)
    assert likes.tolist() == [0, 0, 1, 0, 2, 1, 0, 1, 0]
    part = slice(4, 8)
    assert np.array_equal(digests[part], content_digests([x[part]], 4))
    assert np.array_equal(numbered_keys(digests[part], likes[part]), datum_keys([x], 9)[part])
    assert not np.array_equal(datum_keys([x[part]], 4), datum_keys([x], 9)[part])


def test_keys_are_those_of_every_release() -> None:
    """What they were when they were first released: a seed's numbers rest on them."""
    x, labels = torch.tensor([[0.5, -1.0], [2.0, 0.25], [0.5, -1.0]]), torch.tensor([3, 1, 3])
    assert datum_keys([x, labels], 3).tolist() == [8611052346572607657, 15012369847652927794, 11656699561371265073]
    assert datum_keys([], 1).tolist() == [111027054516708525]


def test_noise_does_not_depend_on_the_number_of_threads() -> None:
    keys = datum_keys([data(40)], 40)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append([Noise(0, keys, 2000).draw("normal", "z", 0, 4, t) for t in (torch.float64, torch.float32)])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(*drawn) for drawn in zip(*found, strict=True))


def test_two_sites_and_repeated_operations_are_independent() -> None:
    target = TRIPLES["hierarchical"]().target()
    z, _ = target.propose(3000)
    x, y = target.args
    e1 = (z["z1"] - x[:, 2] - y) / 0.5
    e2 = (z["z2"] - x[:, :2] + z["z1"].unsqueeze(-1)) / 0.6
    columns = torch.cat([e1, e2.flatten(1)], 1)
    off = columns.T.corrcoef()[~torch.eye(15, dtype=torch.bool)]
    assert off.abs().max() < sigmas(105) / math.sqrt(3000)


# What cannot be drawn ------------------------------------------------------------------------------------------------


def test_rejection_samplers_are_refused() -> None:
    model, guide = programs(lambda: dist.VonMises(0.0, 1.0))
    for num_data in (1, 3, 5):
        with pytest.raises(NotImplementedError, match=r"site 'z'.*VonMises.*rejection.*another family"):
            Target(model, guide, data(num_data))


def test_different_categories_at_once_are_refused() -> None:
    model, guide = programs(lambda: Direct(lambda t: torch.multinomial(torch.ones(*t.shape, 3), 2)[..., 0]))
    with pytest.raises(NotImplementedError, match=r"site 'z' \(Direct\) draws 2 different categories"):
        Target(model, guide, data(4), layout="loop").propose(2)


class Backwards(dist.TorchDistribution):
    """A Normal that draws its noise transposed: which number belongs to which datum cannot be told."""

    arg_constraints: ClassVar[dict] = {}
    support = torch.distributions.constraints.real_vector
    has_rsample = True

    def __init__(self, batch_shape: tuple[int, ...] = ()) -> None:
        super().__init__(torch.Size(batch_shape), torch.Size([2]), validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: Any = None) -> "Backwards":
        return Backwards(tuple(batch_shape))

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        return torch.randn(2, *sample_shape, *self.batch_shape).movedim(0, -1)

    def log_prob(self, value: Tensor) -> Tensor:
        return -0.5 * value.square().sum(-1)


def test_noise_that_is_not_batch_first_is_refused() -> None:
    model, guide = programs(Backwards)
    with pytest.raises(NotImplementedError, match=r"site 'z' .* has batch shape .* which belong to which datum"):
        Target(model, guide, data(5))
