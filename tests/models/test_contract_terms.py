"""What every model with each of its guides must do: shapes, one term a datum, layouts, dtypes, saving."""

import pytest
import torch
from safetensors.torch import load, save

from elbowroom.datasets import KINDS
from elbowroom.guides.registry import GUIDES
from elbowroom.models.registry import MODELS
from toys.contract import PAIRS, B, Pair, S, plainly, terms
from toys.data_kinds import TOYS
from toys.selections import rest_slow

every_pair = pytest.mark.parametrize("pair", PAIRS.values(), ids=list(PAIRS))


def test_the_registries_name_each_other_and_their_data() -> None:
    for entry in MODELS.values():
        assert entry.guides and set(entry.every_guide) <= set(GUIDES)
        assert entry.data in KINDS and entry.exact in ("quadrature", "sum", "closed form")
    assert set(TOYS) == set(KINDS)


@every_pair
@pytest.mark.parametrize("num_data", rest_slow([B, 1], 1))
def test_draws_and_terms_have_a_place_for_each_sample_and_datum(pair: Pair, num_data: int) -> None:
    target = pair.target(num_data)
    assert len(target) == num_data and target.latents.keys() | set(target.structure.discrete)
    z, log_q = target.propose(S)
    assert {site: value.shape for site, value in z.items()} == {
        site: (S, num_data, *event) for site, event in target.latents.items()
    }
    found = terms(target, z)
    assert found.shape == (3, S if z else 1, num_data) and log_q.shape == (S, num_data) and found.isfinite().all()
    torch.testing.assert_close(found[0].expand(S, -1), log_q, rtol=1e-10, atol=1e-10)
    assert all((value[0] != value[1]).all() for value in z.values() if value.is_floating_point())  # the samples differ


@every_pair
def test_the_layouts_that_are_chosen_give_the_numbers_of_a_loop(pair: Pair) -> None:
    target = pair.target()
    plain = plainly(target.model, target.guide, *target.args)
    z = target.propose(S)[0]
    torch.testing.assert_close(terms(target, z), terms(plain, z), rtol=1e-12, atol=1e-12)


@every_pair
def test_row_b_depends_on_row_b_alone(pair: Pair) -> None:
    target = pair.target()
    z, log_q = target.propose(S)
    whole = terms(target, z)
    for b in range(B):  # alone as in company
        one = target.select([b])
        drawn, its_log_q = one.propose(S)
        torch.testing.assert_close(its_log_q, log_q[:, b : b + 1], rtol=1e-12, atol=1e-12)
        for site, value in drawn.items():
            torch.testing.assert_close(value, z[site][:, b : b + 1], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(terms(one, drawn), whole[..., b : b + 1], rtol=1e-12, atol=1e-12)
    order = torch.randperm(B)
    moved = terms(target.select(order), {site: value[:, order] for site, value in z.items()})
    torch.testing.assert_close(moved, whole[..., order], rtol=1e-12, atol=1e-12)
    assert whole[1:].sum(0)[0].unique().numel() == B  # and the data do differ


@every_pair
def test_a_saved_state_gives_the_same_terms(pair: Pair) -> None:
    saved, fresh = (plainly(*pair.build(seed), *pair.target().args) for seed in (1, 2))
    z = saved.propose(S)[0]
    assert not torch.equal(terms(fresh, z), terms(saved, z))
    for old, new in ((saved.model, fresh.model), (saved.guide, fresh.guide)):
        if state := old.state_dict():  # safetensors has no file of nothing
            new.load_state_dict(load(save(state)))
    assert torch.equal(terms(fresh, z), terms(saved, z))


@every_pair
def test_construction_is_a_function_of_the_seed(pair: Pair) -> None:
    for one, two in zip(pair.build(7), pair.build(7), strict=True):
        for name, value in one.state_dict().items():
            assert torch.equal(value, two.state_dict()[name]), name


@every_pair
def test_single_precision_is_double_precision_rounded(pair: Pair) -> None:
    model, guide = pair.build()
    data = pair.data(B)
    double = plainly(model, guide, *data)
    z = double.propose(S)[0]
    exact = terms(double, z)
    model, guide = model.float(), guide.float()
    single = plainly(model, guide, *(value.float() if value.is_floating_point() else value for value in data))
    kinds = {site: torch.float32 if value.is_floating_point() else value.dtype for site, value in z.items()}
    found = terms(single, {site: value.to(kinds[site]) for site, value in z.items()})
    assert sum(single.log_joint(single.propose(1)[0])).dtype == torch.float32
    assert {site: value.dtype for site, value in single.propose(S)[0].items()} == kinds
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-4)


@every_pair
def test_built_in_single_precision_under_a_default_of_double(pair: Pair) -> None:
    torch.set_default_dtype(torch.float32)
    model, guide = pair.build()
    data = pair.data(2)
    torch.set_default_dtype(torch.float64)
    target = plainly(model, guide, *data)
    z, log_q = target.propose(1)
    reals = [value for value in z.values() if value.is_floating_point()]
    assert all(value.dtype == torch.float32 for value in (*reals, target.log_joint(z)[1]))
    assert not z or log_q.dtype == torch.float32


@every_pair
def test_the_model_draws_data_that_it_takes(pair: Pair) -> None:
    target = pair.target()
    simulated, z = target.simulate(seed=1)
    assert [value.shape for value in simulated.args] == [value.shape for value in target.args]
    assert not torch.equal(simulated.args[0], target.args[0])
    assert terms(simulated, z).isfinite().all()
    assert terms(plainly(target.model, target.guide, *simulated.args), z).isfinite().all()
