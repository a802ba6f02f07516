"""Models with discrete latents that take no leading dim of samples: all samples in one run, and the same numbers."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import config_enumerate
from pyro.ops.indexing import Vindex
from torch import Tensor

from elbowroom.inference import Target, importance
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.recorded import Traced, log_joint_and_gradient
from toys.programs import Triple, data, normal

S = 6
EXACT = {"rtol": 1e-12, "atol": 1e-12}
ROWS = torch.tensor([0.0, 1.0, 10.0, 11.0, 12.0], dtype=torch.float64)
STATES = torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64)


def mixture(how: str) -> Triple:
    """Two components whose means, weights and scale are latent: the index reads a dim that samples would shift."""

    @config_enumerate
    def model(x: Tensor) -> None:
        weights = pyro.sample("weights", dist.Dirichlet(torch.full((2,), 0.5)))
        scale = pyro.sample("scale", dist.LogNormal(0.0, 2.0))
        with pyro.plate("components", 2):
            locs = pyro.sample("locs", dist.Normal(0.0, 10.0))
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(weights))
            pyro.sample("x", dist.Normal(locs[k] if how == "index" else Vindex(locs)[..., k], scale), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("weights", dist.Dirichlet(torch.tensor([2.5, 3.5])))
        pyro.sample("scale", dist.LogNormal(0.1, 0.4))
        with pyro.plate("components", 2):
            pyro.sample("locs", dist.Normal(torch.tensor([0.5, 11.0]), 0.7))

    def densities(z: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        weights, scale, locs = z["weights"], z["scale"].unsqueeze(-1), z["locs"]
        each = weights.log().unsqueeze(-2) + normal(locs.unsqueeze(-2), scale.unsqueeze(-1), ROWS.unsqueeze(-1))
        prior = dist.Dirichlet(torch.full((2,), 0.5)).log_prob(weights) + normal(0.0, 10.0, locs).sum(-1)
        prior = prior + dist.LogNormal(0.0, 2.0).log_prob(z["scale"])
        q = dist.Dirichlet(torch.tensor([2.5, 3.5])).log_prob(weights) + dist.LogNormal(0.1, 0.4).log_prob(z["scale"])
        q = q + normal(torch.tensor([0.5, 11.0]), 0.7, locs).sum(-1)
        return q, prior, each.logsumexp(-1).sum(-1)

    return Triple(model, guide, (ROWS,), densities, plate=None, layouts=("vmap", "plate"), sliceable=False)


def chain() -> Triple:
    """A hidden Markov chain whose probability to stay, shift and scale are latent, all sequences one problem."""
    y = data(4) + 0.5

    def model(y: Tensor) -> None:
        stay = pyro.sample("stay", dist.Beta(4.0, 2.0))
        shift = pyro.sample("shift", dist.Normal(0.0, 1.0))
        step = stay * torch.eye(3) + (1 - stay) / 3
        k = pyro.sample("k0", dist.Categorical(torch.ones(3) / 3))
        for t in pyro.markov(range(len(y))):
            k = pyro.sample(f"k{t}", dist.Categorical(step[k])) if t else k
            pyro.sample(f"y{t}", dist.Normal((STATES + shift)[k], 0.7), obs=y[t])

    def guide(y: Tensor) -> None:
        pyro.sample("stay", dist.Beta(2.0, 2.0))
        pyro.sample("shift", dist.Normal(0.1, 0.5))

    def densities(z: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        stay, shift = z["stay"], z["shift"]
        step = stay[..., None, None] * torch.eye(3) + (1 - stay[..., None, None]) / 3
        means = STATES + shift.unsqueeze(-1)  # [S, 1, 3]
        alpha = normal(means, 0.7, y[0]) - torch.tensor(3.0).log()
        for t in range(1, len(y)):
            alpha = (alpha.unsqueeze(-1) + step.log()).logsumexp(-2) + normal(means, 0.7, y[t])
        prior = dist.Beta(4.0, 2.0).log_prob(stay) + normal(0.0, 1.0, shift)
        q = dist.Beta(2.0, 2.0).log_prob(stay) + normal(0.1, 0.5, shift)
        return q, prior, alpha.logsumexp(-1)

    return Triple(model, guide, (y,), densities, plate=None, layouts=("vmap", "plate"), sliceable=False)


TRIPLES = {"index": lambda: mixture("index"), "vindex": lambda: mixture("vindex"), "chain": chain}


@pytest.fixture(params=sorted(TRIPLES))
def triple(request: pytest.FixtureRequest) -> Triple:
    return TRIPLES[request.param]()


def test_all_samples_in_one_run(triple: Triple) -> None:
    calls: list[None] = []

    def model(*args: Tensor) -> None:
        calls.append(None)
        triple.model(*args)

    target = Target(model, triple.guide, *triple.args, plate=None)
    assert target.layouts["model"] == "vmap" and target.drawing == "plate"
    z, log_q = target.propose(S)
    calls.clear()
    prior, likelihood = target.log_joint(z)
    assert len(calls) == 1
    for found, expected in zip((log_q, prior, likelihood), triple.densities(z), strict=True):
        torch.testing.assert_close(found, expected, **EXACT)
    calls.clear()
    drawn = target.sample_prior(S)
    assert len(calls) == 1
    one_by_one = target.replaced(drawing="loop").sample_prior(S)
    for name, value in drawn.items():
        torch.testing.assert_close(value, one_by_one[name], **EXACT)


@pytest.mark.slow
def test_gradients_are_those_of_plain_runs_recorded_too(triple: Triple) -> None:
    target = triple.target()
    loop = target.replaced(layouts={"model": "loop", "guide": "plate"})
    coordinates = Coordinates.of(target)
    u = coordinates.unconstrain(target.propose(S)[0])
    traced = Traced(log_joint_and_gradient, coordinates)
    expected = log_joint_and_gradient(Coordinates.of(loop), u)
    for found in (log_joint_and_gradient(coordinates, u), traced(u)):
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    assert all(record is not None for record in traced._records.values())


def test_one_sample_and_a_datum_with_one_value() -> None:
    """A Categorical of one value, one sample, one datum, one row: dims of size 1 everywhere."""
    x = data(1)

    def model(x: Tensor) -> None:
        loc = pyro.sample("loc", dist.Normal(torch.zeros(1), 1.0).to_event(1))
        with pyro.plate("rows", len(x)):
            k = pyro.sample("k", dist.Categorical(torch.ones(1)))
            pyro.sample("x", dist.Normal(loc[k], 1.0), obs=x)

    target = Target(model, lambda x: pyro.sample("loc", dist.Normal(torch.zeros(1), 2.0).to_event(1)), x, plate=None)
    for num_samples in (1, 3):
        z, _ = target.propose(num_samples)
        prior, likelihood = target.log_joint(z)
        torch.testing.assert_close(prior, normal(0.0, 1.0, z["loc"][..., 0]), **EXACT)
        torch.testing.assert_close(likelihood, normal(z["loc"][..., 0], 1.0, x[0]), **EXACT)


def test_a_mixture_of_each_datum_by_its_own_components() -> None:
    """In a plate of data; supports that logits of −∞ narrow for some data, for one of them to a single value."""
    x = data(4)
    logits = torch.zeros(4, 3)
    logits[1, 1:] = -torch.inf  # the second datum has one component
    logits[2, 0] = -torch.inf

    def model(x: Tensor, logits: Tensor) -> None:
        with pyro.plate("data", len(x)):
            means = pyro.sample("means", dist.Normal(torch.zeros(3), 2.0).to_event(1))
            k = pyro.sample("k", dist.Categorical(logits=logits))
            pyro.sample("x", dist.Normal(Vindex(means)[..., k], 1.0), obs=x)

    def guide(x: Tensor, logits: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("means", dist.Normal(torch.zeros(3), 1.5).to_event(1))

    target = Target(model, guide, x, logits)
    z, _ = target.propose(S)
    each = logits.log_softmax(-1) + normal(z["means"], 1.0, x.unsqueeze(-1))
    torch.testing.assert_close(target.log_joint(z)[1], each.logsumexp(-1), **EXACT)


@pytest.mark.parametrize("family", ["one-hot", "binomial", "bernoulli"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_supports_and_dtypes(family: str, dtype: torch.dtype) -> None:
    x, probs = data(3).to(dtype), torch.tensor([0.2, 0.5, 0.3], dtype=dtype)
    fn, values = {
        "one-hot": (dist.OneHotCategorical(probs), [0.0, 1.0, 2.0]),
        "binomial": (dist.Binomial(2, probs[0]), [0.0, 1.0, 2.0]),
        "bernoulli": (dist.Bernoulli(probs[0]), [0.0, 1.0]),
    }[family]
    steps = torch.arange(3.0, dtype=dtype)

    def model(x: Tensor) -> None:
        loc = pyro.sample("loc", dist.Normal(torch.zeros((), dtype=dtype), 1.0))
        with pyro.plate("rows", len(x)):
            k = pyro.sample("k", fn)
            shift = (k * steps).sum(-1) if family == "one-hot" else k
            pyro.sample("x", dist.Normal(loc + shift, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("loc", dist.Normal(torch.zeros((), dtype=dtype), 1.5))

    target = Target(model, guide, x, plate=None)
    z, _ = target.propose(S)
    log_k = fn.log_prob(fn.enumerate_support(expand=False))
    each = log_k + normal(z["loc"][..., None, None] + torch.tensor(values, dtype=dtype), 1.0, x.unsqueeze(-1))
    found = target.log_joint(z)[1]
    assert found.dtype == dtype
    tolerance = EXACT if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(found, each.logsumexp(-1).sum(-1), **tolerance)


def test_marks_of_the_user_on_a_site_that_the_guide_draws() -> None:
    """`config_enumerate` marks both discrete sites; the one that the guide draws is set, and its prior counts."""
    x, table = data(4), torch.tensor([[0.2, 0.8], [0.6, 0.4]])

    @config_enumerate
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            j = pyro.sample("j", dist.Bernoulli(0.3))
            k = pyro.sample("k", dist.Categorical(table[j.long()]))
            pyro.sample("x", dist.Normal(k.to(x.dtype) + j, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("j", dist.Bernoulli(0.5))

    target = Target(model, guide, x)
    assert target.structure.discrete == ("k",)
    z, _ = target.propose(S)
    j = z["j"]
    prior, likelihood = target.log_joint(z)
    torch.testing.assert_close(prior, torch.where(j > 0, 0.3, 0.7).log(), **EXACT)
    each = table[j.long()].log() + normal(torch.arange(2.0) + j.unsqueeze(-1), 1.0, x.unsqueeze(-1))
    torch.testing.assert_close(likelihood, each.logsumexp(-1), **EXACT)


def test_ragged_chains() -> None:
    """Steps that a mask hides sum to one; against the forward algorithm over the steps that there are."""
    step, emit = torch.tensor([[0.9, 0.1], [0.3, 0.7]]), torch.tensor([0.2, 0.8])
    y, lengths = torch.tensor([[1.0, 0, 1], [1, 1, 0], [0, 0, 0]]), torch.tensor([3, 2, 1])

    def model(y: Tensor, lengths: Tensor) -> None:
        with pyro.plate("data", len(y)):
            pyro.sample("z", dist.Normal(0.0, 1.0))
            k = torch.tensor(0)
            for t in pyro.markov(range(3)):
                with poutine.mask(mask=t < lengths):
                    k = pyro.sample(f"k{t}", dist.Categorical(step[k]), infer={"enumerate": "parallel"})
                    pyro.sample(f"y{t}", dist.Bernoulli(emit[k]), obs=y[:, t])

    def guide(y: Tensor, lengths: Tensor) -> None:
        with pyro.plate("data", len(y)):
            pyro.sample("z", dist.Normal(0.0, 1.0))

    truth = []
    for row, length in zip(y, lengths, strict=True):
        alpha = torch.tensor([1.0, 0.0])
        for t in range(int(length)):
            alpha = (alpha @ step) * (emit if row[t] else 1 - emit)
        truth.append(alpha.sum().log())
    found = importance(Target(model, guide, y, lengths), num_samples=20, search=False)
    torch.testing.assert_close(found.value, torch.stack(truth), **EXACT)


def test_a_model_that_branches_on_a_discrete_latent() -> None:
    """log(0.3 N(x; −2, √(3² + .5²)) + 0.7 N(x; 2, √(1 + .5²))), within four standard errors."""

    def model(x: Tensor) -> None:
        k = pyro.sample("k", dist.Bernoulli(0.7), infer={"enumerate": "sequential"})
        z = pyro.sample("z", dist.Normal(2.0, 1.0) if k else dist.Normal(-2.0, 3.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("z", dist.Normal(0.8 * x, 1.5))

    x = torch.tensor(1.0)
    truth = torch.stack(
        [0.3 * normal(-2.0, 9.25**0.5, x).exp(), 0.7 * normal(2.0, 1.25**0.5, x).exp()]
    ).sum().log()  # fmt: skip
    found = importance(Target(model, guide, x, plate=None), num_samples=400, search=False)
    assert abs(found.value.item() - truth.item()) < 4 * found.stderr.item()
