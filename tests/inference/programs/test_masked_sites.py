"""Masks of sites that are summed out or observed: absent steps and labels count nothing, whatever the mask is."""

import itertools
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyro import poutine
from pyro.infer import TraceEnum_ELBO
from pyro.infer.reparam import LocScaleReparam
from torch import Tensor

from elbowroom.inference import ProgramError, Target, check_program, importance, quadrature
from toys.programs import data, normal, normal_evidence, normal_guide, normal_model

EXACT = {"rtol": 1e-10, "atol": 1e-10}
STEP = torch.tensor([[0.9, 0.1], [0.3, 0.7]], dtype=torch.float64)
FIRST = torch.tensor([0.4, 0.6], dtype=torch.float64)
SHOWS = torch.tensor([0.2, 0.8], dtype=torch.float64)
Y = torch.tensor([[1, 0, 1, 1], [1, 1, 0, 0], [0, 0, 0, 1]], dtype=torch.float64)
LENGTHS = torch.tensor([4, 2, 1])


def aside(y: Tensor, *rest: Any) -> None:
    """A latent that nothing depends on: weights are p(y) exactly."""
    with pyro.plate("data", len(y), dim=-1):
        pyro.sample("z", dist.Normal(0.0, 1.0))


def exact(model: Callable[..., None], *args: Any) -> Tensor:
    """log p of each datum: every weight is equal."""
    found = importance(Target(model, aside, *args), num_samples=30)
    assert bool(found.info["constant_weights"].all()), found.info["pareto_k"]
    return found.value


def forward(y: Tensor, length: int) -> Tensor:
    """log p(y_1 … y_length) of the chain that starts from FIRST, by the forward algorithm."""
    state = FIRST
    for t in range(length):
        state = (state @ STEP if t else state) * torch.where(y[t] == 1, SHOWS, 1 - SHOWS)
    return state.sum().log()


def chain(y: Tensor, hide: Callable[[int, Any], Any]) -> None:
    """`hide(t, fn)` gives a distribution its mask of step t."""
    with pyro.plate("data", len(y), dim=-1):
        pyro.sample("z", dist.Normal(0.0, 1.0))
        k: Any = None
        for t in pyro.markov(range(y.shape[1])):
            prior = dist.Categorical(FIRST if k is None else STEP[k])
            k = pyro.sample(f"k_{t}", hide(t, prior), infer={"enumerate": "parallel"})
            pyro.sample(f"y_{t}", hide(t, dist.Bernoulli(SHOWS[k])), obs=y[:, t])


@pytest.mark.slow
def test_absent_steps_of_a_chain_count_nothing() -> None:
    """Against the forward algorithm over the steps that exist, and Pyro's own enumeration."""
    expected = torch.stack([forward(row, int(n)) for row, n in zip(Y, LENGTHS, strict=True)])

    def around(y: Tensor, lengths: Tensor) -> None:
        with pyro.plate("data", len(y), dim=-1):
            pyro.sample("z", dist.Normal(0.0, 1.0))
            k: Any = None
            for t in pyro.markov(range(y.shape[1])):
                with poutine.mask(mask=t < lengths):
                    k = pyro.sample(f"k_{t}", dist.Categorical(FIRST if k is None else STEP[k]))
                    pyro.sample(f"y_{t}", dist.Bernoulli(SHOWS[k]), obs=y[:, t])

    def inside(y: Tensor, lengths: Tensor) -> None:
        chain(y, lambda t, fn: fn.mask(t < lengths))

    def outside_and_inside(y: Tensor, lengths: Tensor) -> None:
        def hide(t: int, fn: Any) -> Any:
            return fn.mask(t < lengths) if isinstance(fn, dist.Bernoulli) else fn

        chain(y, hide)  # only what depends on the labels is masked: the labels themselves sum to one

    for model in (around, inside, outside_and_inside):
        torch.testing.assert_close(exact(model, Y, LENGTHS), expected, **EXACT)
    loss = TraceEnum_ELBO(max_plate_nesting=1).loss(_enumerating(around), aside, Y, LENGTHS)
    assert -loss == pytest.approx(float(expected.sum()), abs=1e-9)


def _enumerating(model: Callable[..., None]) -> Callable[..., None]:
    from pyro.infer import config_enumerate

    enumerated: Callable[..., None] = config_enumerate(model, default="parallel")
    return enumerated


def test_left_padding_of_a_chain_marginalises_the_hidden_labels() -> None:
    """Steps that are hidden before others still lead from label to label; only what they show is unknown."""
    start = torch.tensor([0, 2, 3])

    def model(y: Tensor, start: Tensor) -> None:
        with pyro.plate("data", len(y), dim=-1):
            pyro.sample("z", dist.Normal(0.0, 1.0))
            k: Any = None
            for t in pyro.markov(range(y.shape[1])):
                with poutine.mask(mask=t >= start):
                    k = pyro.sample(f"k_{t}", dist.Categorical(FIRST if k is None else STEP[k]))
                    pyro.sample(f"y_{t}", dist.Bernoulli(SHOWS[k]), obs=y[:, t])

    expected = []
    for row, n in zip(Y, start, strict=True):
        state = FIRST
        for t in range(4):
            state = state @ STEP if t else state
            state = state * (torch.where(row[t] == 1, SHOWS, 1 - SHOWS) if t >= n else 1.0)
        expected.append(state.sum().log())
    torch.testing.assert_close(exact(model, Y, start), torch.stack(expected), **EXACT)


def test_a_tree_of_labels_with_absent_leaves() -> None:
    seen = torch.tensor([[True, True], [True, False], [False, False]])

    def model(y: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(y), dim=-1):
            pyro.sample("z", dist.Normal(0.0, 1.0))
            root = pyro.sample("root", dist.Categorical(FIRST))
            for i in range(2):
                with poutine.mask(mask=seen[:, i]):
                    leaf = pyro.sample(f"leaf_{i}", dist.Categorical(STEP[root]))
                    pyro.sample(f"y_{i}", dist.Bernoulli(SHOWS[leaf]), obs=y[:, i])

    shown = torch.where(Y[:, :2, None] == 1, SHOWS, 1 - SHOWS)  # [B, leaf, state]
    leaves = torch.where(seen[..., None], torch.einsum("rk,blk->blr", STEP, shown), 1.0)
    torch.testing.assert_close(exact(model, Y, seen), (leaves.prod(1) @ FIRST).log(), **EXACT)


@pytest.mark.parametrize("inner", [-2, -3])
def test_masked_labels_in_inner_plates(inner: int) -> None:
    """A label for each of 4 places, some of them absent: a product of sums over those that are there."""
    seen = torch.arange(4) < LENGTHS[:, None]  # [B, place]

    def model(y: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(y), dim=-1):
            pyro.sample("z", dist.Normal(0.0, 1.0))
            with pyro.plate("places", 4, dim=inner), poutine.mask(mask=_lifted(seen.T, inner)):
                k = pyro.sample("k", dist.Categorical(FIRST))
                pyro.sample("y", dist.Bernoulli(SHOWS[k]), obs=_lifted(y.T, inner))

    shown = torch.where(Y[..., None] == 1, SHOWS, 1 - SHOWS) @ FIRST
    torch.testing.assert_close(exact(model, Y, seen), torch.where(seen, shown.log(), 0.0).sum(1), **EXACT)


def _lifted(value: Tensor, inner: int) -> Tensor:
    return value if inner == -2 else value.unsqueeze(1)


def test_partly_observed_labels() -> None:
    """obs_mask on a summed-out label: p(label) p(y | label) where it is seen, the sum over labels where it is not."""
    label, seen = torch.tensor([1, 0, 0]), torch.tensor([True, False, True])

    def model(y: Tensor, label: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(y), dim=-1):
            pyro.sample("z", dist.Normal(0.0, 1.0))
            k = pyro.sample("k", dist.Categorical(FIRST), obs=label, obs_mask=seen, infer={"enumerate": "parallel"})
            pyro.sample("y", dist.Bernoulli(SHOWS[k].unsqueeze(-1).expand(*k.shape, 4)).to_event(1), obs=y)

    joint = FIRST * torch.where(Y[..., None] == 1, SHOWS, 1 - SHOWS).prod(1)  # [B, label]
    expected = torch.where(seen, joint.gather(1, label[:, None])[:, 0], joint.sum(1)).log()
    torch.testing.assert_close(exact(model, Y, label, seen), expected, **EXACT)
    report = check_program(model, aside, Y, label, seen)
    kinds = {site: kind for program, kind, site, *_ in report.sites if program == "model"}
    assert kinds == {
        "z": "latent", "k_observed": "observed", "k_unobserved": "summed out", "k": "deterministic", "y": "observed"
    }  # fmt: skip


def test_a_continuous_latent_beside_masked_labels() -> None:
    """What is summed out depends on a latent of the guide: against the sum over labels by hand."""
    x, seen = data(5), torch.tensor([True, False, True, True, False])
    means = torch.tensor([-1.0, 2.0], dtype=torch.float64)

    def model(x: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            with poutine.mask(mask=seen):
                k = pyro.sample("k", dist.Categorical(FIRST))
                pyro.sample("x", dist.Normal(z + means[k], 1.0), obs=x)

    target = Target(model, aside, x, seen)
    z, _ = target.propose(4)
    prior, likelihood = target.log_joint(z)
    expected = (FIRST.log() + normal(z["z"].unsqueeze(-1) + means, 1.0, x.unsqueeze(-1))).logsumexp(-1)
    torch.testing.assert_close(prior, normal(0.0, 1.0, z["z"]), **EXACT)
    torch.testing.assert_close(likelihood, torch.where(seen, expected, 0.0), **EXACT)


MASKS = {
    "true": True,
    "tensor of no dims": torch.tensor(True),
    "one element": torch.tensor([True]),
    "all": torch.ones(4, dtype=torch.bool),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("inside", [False, True])
def test_masks_that_hide_nothing_change_nothing(name: str, inside: bool) -> None:
    """Any mask on model, guide or both, around the sites or inside the distributions."""
    x, mask = data(4), MASKS[name]

    def masked(program: Callable[[Tensor], None]) -> Callable[[Tensor], None]:
        def run(x: Tensor) -> None:
            if inside:
                with _MaskInside(mask):
                    program(x)
            else:
                with poutine.mask(mask=mask):
                    program(x)

        return run

    plain = Target(normal_model, normal_guide(0.8), x)
    z, log_q = plain.propose(3)
    for model, guide in (
        (masked(normal_model), normal_guide(0.8)),
        (normal_model, masked(normal_guide(0.8))),
        (masked(normal_model), masked(normal_guide(0.8))),
    ):
        target = Target(model, guide, x)
        again, same = target.propose(3)
        torch.testing.assert_close(again["z"], z["z"], **EXACT)
        torch.testing.assert_close(same, log_q, **EXACT)
        for found, expected in zip(target.log_joint(z), plain.log_joint(z), strict=True):
            torch.testing.assert_close(found, expected, **EXACT)
        assert target.structure.masked == ()


class _MaskInside(poutine.messenger.Messenger):
    def __init__(self, mask: Any) -> None:
        super().__init__()
        self.mask = mask

    def _pyro_sample(self, msg: Any) -> None:
        if msg["type"] == "sample" and not poutine.util.site_is_subsample(msg):
            msg["fn"] = msg["fn"].mask(self.mask)


@pytest.mark.slow
@given(st.sampled_from([(), (1,), (4,), (1, 4), (3, 1), (3, 4), (1, 1)]), st.integers(0, 2**12 - 1))
@settings(max_examples=25, deadline=None)
def test_masks_of_observations_broadcast(shape: tuple[int, ...], bits: int) -> None:
    """An observed mask of any shape that broadcasts to [inner plate, data]: the terms that it leaves are summed."""
    x = data(4, 3)
    mask = torch.tensor([bool(bits >> i & 1) for i in range(12)]).reshape(3, 4)
    mask = mask[tuple(slice(0, n) for n in shape)] if len(shape) == 2 else mask[0, : shape[0]] if shape else mask[0, 0]

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            with pyro.plate("inner", 3, dim=-2), poutine.mask(mask=mask):
                pyro.sample("x", dist.Normal(z, 1.0), obs=x.T)

    target = Target(model, aside, x)
    z, _ = target.propose(2)
    terms = normal(z["z"].unsqueeze(-1), 1.0, x)  # [S, B, inner]
    expected = torch.where(mask.expand(3, 4).T, terms, 0.0).sum(-1)
    torch.testing.assert_close(target.log_joint(z)[1], expected, **EXACT)


def test_a_mask_larger_than_its_site_is_refused() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def masked(x: Tensor) -> None:
        with poutine.mask(mask=torch.ones(2, 1, dtype=torch.bool)):
            model(x)

    with pytest.raises(ProgramError, match=r"mask of site '\w' has shape \(2, 1\).*batch shape \(4,\)"):
        Target(masked, normal_guide(0.8), data(4))


def test_everything_hidden_from_view() -> None:
    """mask=False on what is observed: no datum says anything, and every log p(x) is 0."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            with poutine.mask(mask=False):
                pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def prior(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(0.0, 1.0))

    missing = torch.full((4,), torch.nan, dtype=torch.float64)
    torch.testing.assert_close(importance(Target(model, prior, missing)).value, torch.zeros(4), **EXACT)


def test_missing_values_behind_a_scalar_mask_are_no_fault() -> None:
    x = torch.tensor([torch.nan, 1.0], dtype=torch.float64)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0).mask(torch.tensor(False)), obs=x)

    z = Target(model, normal_guide(0.8), torch.nan_to_num(x)).propose(2)[0]
    torch.testing.assert_close(
        Target(model, normal_guide(0.8), x).log_joint(z)[1], torch.zeros(2, 2), check_dtype=False, **EXACT
    )


def test_data_whose_hidden_values_the_model_fills_in_are_simulated() -> None:
    """What is observed is an argument but for what the mask hides: there drawn values may stand for any."""
    x, there = torch.tensor([[1.0, torch.nan], [0.5, 2.0], [7.0, -1.0]]), torch.tensor([[1, 0], [1, 1], [0, 1]]).bool()

    def model(x: Tensor, there: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            p_x = dist.Normal(z.unsqueeze(-1).expand(x.shape), 1.0).mask(there).to_event(1)
            pyro.sample("x", p_x, obs=torch.where(there, x, 0.0))

    def guide(x: Tensor, there: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(0.0, 1.0))

    target = Target(model, guide, x, there)
    simulated, z = target.simulate(seed=1)
    drawn, mask = simulated.args
    assert torch.equal(mask, there) and drawn[0, 1].isnan() and (drawn[there] != x[there]).all()
    expected = (dist.Normal(z["z"][0][:, None], 1.0).log_prob(drawn.nan_to_num()) * there).sum(1)
    torch.testing.assert_close(simulated.log_joint(z)[1][0], expected, **EXACT)
    with pytest.raises(ProgramError, match="is none of the programs' tensor arguments"):
        Target(lambda x, there: model(x + 1, there), guide, x, there).simulate()


def test_a_site_that_is_reparameterised() -> None:
    """LocScaleReparam leaves a Delta behind that counts nothing: log p(x) = log N(x; 0, 1.5²)."""

    def raw(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
            y = pyro.sample("y", dist.Normal(mu, 1.0))
            pyro.sample("x", dist.Normal(y, 0.5), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("mu", dist.Normal(0.4 * x, 0.8))
            pyro.sample("y_decentered", dist.Normal(0.4 * x, 0.8))

    x = data(5)
    target = Target(poutine.reparam(raw, config={"y": LocScaleReparam(0.0)}), guide, x)
    torch.testing.assert_close(quadrature(target).value, dist.Normal(0.0, 1.5).log_prob(x), rtol=1e-5, atol=1e-5)
    assert target.structure.observed == ("x",)
    assert ("model", "deterministic", "y") in [row[:3] for row in target.sites()]
    assert not torch.equal(target.simulate()[0].args[0], x)


def test_sums_over_masked_labels_do_not_depend_on_company() -> None:
    target = Target(lambda y, n: chain(y, lambda t, fn: fn.mask(t < n)), aside, Y, LENGTHS)
    z, _ = target.propose(3)
    whole = target.log_joint(z)
    for b in range(3):
        alone = target.select([b]).log_joint({"z": z["z"][:, b : b + 1]})
        for one, many in zip(alone, whole, strict=True):
            torch.testing.assert_close(one, many[:, b : b + 1], **EXACT)


def test_by_hand_over_every_sequence_of_labels() -> None:
    """Two hidden chains that show together, one of them shorter: every combination written out."""
    lengths = torch.tensor([[3, 3], [3, 1]])  # of either chain, for each datum
    y = Y[:2, :3]

    def model(y: Tensor, lengths: Tensor) -> None:
        with pyro.plate("data", len(y), dim=-1):
            pyro.sample("z", dist.Normal(0.0, 1.0))
            states: list[Any] = [torch.tensor(0), torch.tensor(0)]
            for t in pyro.markov(range(3)):
                for c in range(2):
                    with poutine.mask(mask=t < lengths[:, c]):
                        states[c] = pyro.sample(f"k_{c}_{t}", dist.Categorical(STEP[states[c]]))
                shown = states[0] * (t < lengths[:, 0]) + states[1] * (t < lengths[:, 1])
                pyro.sample(f"y_{t}", dist.Bernoulli(0.1 + 0.4 * shown), obs=y[:, t])

    expected = []
    for row, (n, m) in zip(y, lengths.tolist(), strict=True):
        total = torch.zeros((), dtype=torch.float64)
        for a in itertools.product(range(2), repeat=n):
            for b in itertools.product(range(2), repeat=m):
                p = torch.ones((), dtype=torch.float64)
                for path in (a, b):
                    for before, after in itertools.pairwise((0, *path)):
                        p = p * STEP[before, after]
                for t in range(3):
                    chance = 0.1 + 0.4 * ((a[t] if t < n else 0) + (b[t] if t < m else 0))
                    p = p * (chance if row[t] == 1 else 1 - chance)
                total = total + p
        expected.append(total.log())
    torch.testing.assert_close(exact(model, y, lengths), torch.stack(expected), **EXACT)


def test_the_conjugate_pair_behind_a_scalar_mask() -> None:
    x = data(4)

    def model(x: Tensor) -> None:
        with poutine.mask(mask=True):
            normal_model(x)

    found = importance(Target(model, normal_guide(1.0), x), num_samples=50)
    torch.testing.assert_close(found.value, normal_evidence(x), **EXACT)
