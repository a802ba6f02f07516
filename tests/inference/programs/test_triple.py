"""Triples by themselves: made from one another without a run, each knowing what it shares and what it does not."""

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target
from elbowroom.inference.programs.pinned_programs import SAMPLES
from elbowroom.inference.programs.triple import Triple
from toys.programs import conjugate, data, hierarchical, normal_guide, normal_model


def triple() -> Triple:
    made = hierarchical()
    return Triple(made.model, made.guide, made.args, made.kwargs, "data")


def test_a_triple_knows_its_data() -> None:
    one = triple()
    x, y = hierarchical().args
    assert len(one) == 5
    assert one.per_datum == {0: 0, 1: 0}
    assert one.sliceable
    assert all(torch.equal(found, expected) for found, expected in zip(one.data, (x, y), strict=True))
    assert one.latents == {"z1": (), "z2": (2,)}
    assert (one.dtype, one.device) == (torch.float64, torch.device("cpu"))


def test_what_is_replaced_differs_and_the_rest_is_shared() -> None:
    one = triple()
    other = one.replaced(guide=one.model)
    assert other.guide is one.model
    assert one.guide is not one.model
    known = set(vars(one)) - {"guide"}
    assert all(vars(other)[name] is vars(one)[name] for name in known)


def test_what_was_worked_out_is_worked_out_anew() -> None:
    """A cached property belongs to the triple that it was read from."""
    one = triple()
    assert one.latent_names == ["z1", "z2[0]", "z2[1]"]
    few = {"z1": one.structure.latents["z1"]}
    fewer = one.replaced(structure=type(one.structure)(**{**vars(one.structure), "latents": few}))
    assert fewer.latent_names == ["z1"]


def test_an_attribute_that_does_not_exist_cannot_be_replaced() -> None:
    with pytest.raises(TypeError, match=r"Triple has no attributes \['latent_names', 'modle'\]"):
        triple().replaced(modle=normal_model, latent_names=[])


def test_one_of_another_class_shares_the_attributes() -> None:
    class Special(Triple):
        pass

    one = triple()
    special = Special.like(one, plate=None)
    assert type(special) is Special
    assert type(special.at(torch.tensor([1]))) is Special
    assert special.keys is one.keys
    assert special.plate is None


def test_data_held_by_a_triple_keep_their_keys_and_data_it_is_pinned_to_have_their_own() -> None:
    one, x = triple(), data(5, 3, seed=4)
    held, pinned = one.holding({0: x}), one.pinned_to({0: x})
    assert held.args[0] is x
    assert held.args[1] is one.args[1]
    assert (held.keys == one.keys).all()
    assert not (pinned.keys == one.keys).any()
    assert (one.pinned_to({}).keys == one.keys).all()
    assert one.holding({"scale": torch.tensor(2.0)}).kwargs == {"scale": torch.tensor(2.0)}


def test_picked_data_come_with_their_keys() -> None:
    one = triple()
    index = torch.tensor([3, 3, 0])
    picked = one.at(index)
    assert len(picked) == picked.structure.num_data == 3
    assert (picked.keys == one.keys[index.numpy()]).all()
    assert torch.equal(picked.data[0], one.data[0][index])
    assert picked.kwargs == one.kwargs
    assert len(one) == 5


def test_targets_made_from_another_run_nothing() -> None:
    runs: list[int] = []

    def model(x: Tensor) -> Any:
        runs.append(len(x))
        return normal_model(x)

    target = Target(model, normal_guide(0.8), data(5))
    assert 5 < len(runs) < 30
    runs.clear()
    for other in (target.select([1, 2]), target.pinned_to({0: data(5, seed=3)}), target.replaced(guide=model)):
        assert type(other) is Target
    assert runs == []
    target.log_weights(3)
    assert runs == [5]


@pytest.mark.parametrize("num_samples", [None, 4])
def test_a_run_is_traced_in_a_plate_of_samples_or_plainly(num_samples: int | None) -> None:
    target = conjugate().target()
    site = target.trace("model", num_samples).nodes["z"]
    plates = {frame.name: (frame.dim, frame.size) for frame in site["cond_indep_stack"]}
    assert plates == {"data": (-1, 5)} | ({SAMPLES: (-2, 4)} if num_samples else {})
    assert site["scale"] == 1.0


def test_a_guide_with_a_density_everywhere_and_one_without() -> None:
    def by_way_of_a_helper(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            helper = pyro.sample("helper", dist.Normal(x / 2, 0.7), infer={"is_auxiliary": True})
            pyro.sample("z", dist.Delta(2 * helper, log_density=-torch.tensor(2.0).log()))

    known, unknown = conjugate().target(), Target(normal_model, by_way_of_a_helper, data(5))
    assert known.has_density
    assert known.why_no_density() == ""
    assert not unknown.has_density
    assert "'helper'" in unknown.why_no_density()
