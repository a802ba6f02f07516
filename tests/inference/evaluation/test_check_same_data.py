"""Arguments of other data are refused by name."""

import pytest
import torch

from elbowroom.inference import Target, anneal_reverse, bridge, decompose, hmc, nuts
from elbowroom.inference.evaluation.check_same_data import check_same_data
from elbowroom.inference.programs.datum_keys import datum_digests
from toys.programs import conjugate, data, normal_guide, normal_model


def test_arguments_of_other_data_are_refused_by_name() -> None:
    target = conjugate(num_data=5).target()
    check_same_data(target, draws=range(5), log_p=None)
    with pytest.raises(ValueError, match=r"^log_p has 4 data, the target has 5: select the same data for both$"):
        check_same_data(target, draws=range(5), log_p=range(4))


def test_draws_of_other_data_of_the_same_shape_are_refused() -> None:
    x = data(5)
    x[4] = x[1]
    target = Target(normal_model, normal_guide(0.9), x)
    draws = hmc(target, num_chains=2, num_warmup=2, num_draws=4)
    by_nuts = nuts(target, [3, 4], num_chains=1, num_warmup=1, num_draws=2)
    for given, same in ((draws, target), (draws.select([4, 0]), target.select([4, 0]))):
        check_same_data(same, draws=given)
    check_same_data(Target(normal_model, normal_guide(0.9), x[3:]), draws=by_nuts)  # a like of the last is not there
    check_same_data(Target(normal_model, normal_guide(0.9), x.float().double()), draws=draws)
    x[2] += 0.1
    with pytest.raises(ValueError, match=r"^draws are of other data .* \(datum 2 is the first that differs\): give"):
        bridge(Target(normal_model, normal_guide(0.9), x), draws)
    with pytest.raises(ValueError, match=r"^posterior are of other data"):
        anneal_reverse(Target(normal_model, normal_guide(0.9), x), draws, allow_failed=True)
    with pytest.raises(ValueError, match="in another order"):
        check_same_data(target.select([1, 0]), draws=draws.select([0, 1]))


def test_data_picked_of_programs_that_do_not_follow_have_the_same_digests() -> None:
    target = Target(normal_model, normal_guide(0.9), data(5))
    assert torch.equal(target.pick(torch.tensor([3, 1])).pick(torch.tensor([1])).digests, target.digests[[1]])


def test_data_have_the_same_digests_in_every_dtype() -> None:
    x = torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    digests = [datum_digests([x.to(dtype)], 2) for dtype in (torch.float64, torch.float32, torch.uint8, torch.bool)]
    assert all(torch.equal(found, digests[0]) for found in digests) and digests[0][0] != digests[0][1]


def test_members_of_a_family_are_no_part_of_the_data() -> None:
    target = Target(normal_model, normal_guide(0.9), data(5))
    refined = decompose(target, families=["mean-field"], num_samples=32).refined.target()
    assert torch.equal(refined.digests, target.digests)
    assert torch.equal(refined.select([3, 1]).digests, target.digests[[3, 1]])
