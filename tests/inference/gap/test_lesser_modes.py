"""Guides in a lesser mode: the search looks elsewhere, and where it stays there no number of it goes without a flag.

Two modes of weights .1 and .9, so everything is known: from the small one the best Gaussian of the other gains log 9,
and holds .9 of the posterior.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Estimate, Target, anneal, bounds, decompose, hmc, importance
from elbowroom.inference.families.family import Family
from elbowroom.inference.gap import Decomposition, RefinedGuide, ladder
from elbowroom.inference.gap.annealed import Ground, annealed_twice
from elbowroom.inference.gap.elsewhere import Elsewhere
from toys.gap import TwoModes

GAIN = math.log(9.0)
SMALL, LARGE = -1.0, 1.0
GAUSSIANS = ("mean-field", "full covariance")


def close(found: Tensor, truth: Tensor | float, atol: float) -> None:
    torch.testing.assert_close(found, torch.as_tensor(truth, dtype=found.dtype).expand_as(found), atol=atol, rtol=0)


def adds_up(d: Decomposition) -> None:
    total = d.elbo.value + d.amortization.value + d.optimisation.value + d.approximation.value
    close(total, d.log_p.value, 1e-10)
    assert bool((torch.stack([rung.value for rung in d.ladder.values()]).diff(dim=0) >= 0).all())


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ladder that knows of no other start."""

    def none(densities: object, path: object, numbers: object) -> Elsewhere:
        return Elsewhere.only(None, len(densities.coordinates.target))  # type: ignore[attr-defined]

    monkeypatch.setattr(ladder, "explored", none)


@pytest.mark.parametrize("num_latents", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (4, 10))])
def test_the_encoder_on_the_lesser_mode_is_the_encoders_room(num_latents: int) -> None:
    modes = TwoModes(num_latents)
    d = decompose(modes.target(SMALL, LARGE), families=GAUSSIANS)
    adds_up(d)
    close(d.log_p.value, modes.log_p, 0.02)
    close(d.ladder["mean-field"].value, modes.log_p + math.log(0.9), 0.01)
    close(d.amortization.value, torch.tensor([GAIN, 0.0]), 0.01)
    close(d.optimisation.value, 0.0, 1e-3)
    close(d.approximation.value, -math.log(0.9), 0.03)
    assert d.flags == ("", "")
    assert "lesser mode, 2.20 nats down" in d.notes[0] and "lesser mode" not in d.notes[1]
    if num_latents == 2:  # log p(x) is exact
        assert all("holds 90 % of the posterior (0.11 nats)" in note for note in d.notes)


@pytest.mark.slow
def test_what_chains_have_seen_is_a_start_too() -> None:
    modes = TwoModes()
    target = modes.target(SMALL)
    d = decompose(target, draws=hmc(target, num_draws=100, num_warmup=100), families=["mean-field"])
    adds_up(d)
    close(d.amortization.value, GAIN, 0.01)
    assert "lesser mode" in d.notes[0]


@pytest.mark.slow
def test_a_datum_is_the_same_in_any_company() -> None:
    """Whether a neighbour's search begins anew changes nothing, in a chunk or alone."""
    modes, options = TwoModes(3), {"num_samples": 32, "families": ["mean-field"]}
    together = decompose(modes.target(LARGE, SMALL), log_p=known(modes, 2), **options)  # type: ignore[arg-type]
    for b, x in enumerate((LARGE, SMALL)):
        alone = decompose(modes.target(x), log_p=known(modes, 1), **options)  # type: ignore[arg-type]
        for rung, value in together.ladder.items():
            close(alone.ladder[rung].value, value.value[b], 1e-8)
        for name in ("optimisation", "approximation"):
            close(getattr(alone, name).value, getattr(together, name).value[b], 1e-8)
        assert alone.notes[0] == together.notes[b]


def known(modes: TwoModes, num_data: int) -> Estimate:
    return Estimate(torch.full((num_data,), modes.log_p), torch.zeros(num_data), "exact")


@pytest.mark.slow
@pytest.mark.usefixtures("nowhere")
def test_a_search_that_stays_in_the_lesser_mode_is_flagged_and_its_room_is_the_searchs() -> None:
    modes = TwoModes()
    d = decompose(modes.target(SMALL, LARGE), log_p=known(modes, 2), families=GAUSSIANS)
    adds_up(d)
    assert "holds only 10 % of the posterior (2.30 nats)" in d.flags[0] and d.flags[1] == ""
    close(d.optimisation.value, torch.tensor([-math.log(0.1), 0.0]), 0.02)
    close(d.approximation.value, torch.tensor([0.0, -math.log(0.9)]), 0.02)
    close(d.amortization.value, 0.0, 1e-3)
    assert bool((d.optimisation.stderr[0] < 0.05) & (d.approximation.stderr < 0.05).all())


@pytest.mark.slow
@pytest.mark.usefixtures("nowhere")
def test_no_number_of_the_members_goes_without_a_flag() -> None:
    """Both: one is 2.30 nats low, the other .105."""
    modes = TwoModes()
    d = decompose(modes.target(SMALL, LARGE), log_p=known(modes, 2), families=GAUSSIANS)
    assert [bool(doubt) for doubt in d.refined.doubts["full covariance"]] == [True, True]
    target = d.refined.target()
    small = target.select([0])
    for found in (importance(small), anneal(small, num_steps=4), bounds(small, num_samples=64)["importance"]):
        assert "holds 10 % of the posterior" in found.flags[0], found.flags
    assert "holds 90 %" in importance(target).flags[1]
    assert "holds 10 %" in importance(d.refined.select(torch.tensor([1, 0])).target()).flags[1]
    assert "holds" not in anneal(target, start="prior", num_steps=4).flags[0]  # it does not begin there
    assert importance(d.refined.base, search=False).flags == ("", "")


@pytest.mark.slow
def test_a_mixture_that_covers_both_is_not_doubted() -> None:
    modes = TwoModes(3)
    d = decompose(modes.target(SMALL), log_p=known(modes, 1))
    close(d.ladder["mixture"].value, modes.log_p, 0.02)
    assert d.refined.doubts["mixture"] == ("",) and d.refined.doubts["mean-field"] != ("",)


@pytest.mark.slow
def test_a_value_that_the_members_contradict_from_below_is_flagged() -> None:
    modes = TwoModes(2)
    target = modes.target(LARGE, SMALL)
    low = Estimate(torch.full((2,), modes.log_p - 0.5), torch.full((2,), 0.01), "none")
    options: dict[str, Any] = {"families": ["mean-field"], "num_samples": 32}
    assert all("from below" in flag for flag in decompose(target, log_p=low, **options).flags)
    # A lower bound claims no more than that.
    assert decompose(target, log_p=replace(low, bound="lower"), **options).flags == ("", "")


def one_mode(modes: TwoModes, sign: float, num_data: int) -> Callable[[Target], RefinedGuide]:
    loc = torch.full((num_data, modes.num_latents), sign * modes.mean)
    family = Family.gaussian(loc, torch.full_like(loc, math.sqrt(modes.variance)))
    return lambda target: RefinedGuide(target, {"mean-field": family})


def unknown(num_data: int) -> Estimate:
    nothing = torch.full((num_data,), torch.nan)
    return Estimate(nothing, nothing, "lower")


@pytest.mark.slow
@pytest.mark.parametrize("searched", [False, True])
def test_a_second_opinion_that_lies_above_is_believed_and_told(searched: bool) -> None:
    """The members sit on the small mode; the encoder on the large one, or a search that knows all."""
    modes = TwoModes()
    target = modes.target(SMALL if searched else LARGE)
    witness = Estimate(torch.tensor([modes.log_p]), torch.tensor([0.01]), "lower") if searched else unknown(1)
    refined = one_mode(modes, -1.0, 1)(target)
    found = annealed_twice(refined, Ground(torch.tensor([False]), torch.tensor([False]), witness), 0, None).log_p
    close(found.value, modes.log_p + (0.0 if searched else math.log(0.9)), 0.02)
    assert "they disagree" in found.flags[0] and "-13.1" in found.flags[0]


@pytest.mark.slow
def test_an_encoder_on_the_lesser_mode_does_not_contradict_what_the_prior_confirms() -> None:
    modes = TwoModes(3)
    loc = torch.tensor([[-modes.mean], [modes.mean]]).expand(1, 2, 3)
    both = Family(torch.tensor([[0.1, 0.9]]).log(), loc, torch.full_like(loc, math.sqrt(modes.variance)))
    refined = RefinedGuide(modes.target(SMALL), {"mixture": both})
    found = annealed_twice(refined, Ground(torch.tensor([False]), torch.tensor([False]), unknown(1)), 0, None).log_p
    close(found.value, modes.log_p, 1e-6)
    told = annealed_twice(
        refined, Ground(torch.tensor([True]), torch.tensor([False]), unknown(1)), 0, None
    ).log_p  # an encoder that is not usable
    assert found.flags == told.flags == ("",)


def test_without_any_second_opinion_that_is_said() -> None:
    """A guide whose density is unknown, and a prior that draws by rejection."""
    modes = TwoModes(3)
    target = modes.target(LARGE)

    class Alone(Target):
        has_density = property(lambda self: False)  # type: ignore[assignment]

        def sample_prior(self, *args: object, **kwargs: object) -> None:  # type: ignore[override]
            raise NotImplementedError

    refined = one_mode(modes, 1.0, 1)(Alone.like(target))
    found = annealed_twice(refined, Ground(torch.tensor([False]), torch.tensor([False]), unknown(1)), 0, None).log_p
    assert "no second opinion" in found.flags[0]


@pytest.mark.slow
def test_the_encoder_is_heard_where_the_prior_cannot_be_drawn_from() -> None:
    modes = TwoModes(3)

    class Rejected(Target):
        def sample_prior(self, *args: object, **kwargs: object) -> None:  # type: ignore[override]
            raise NotImplementedError

    refined = one_mode(modes, -1.0, 1)(Rejected.like(modes.target(LARGE)))
    found = annealed_twice(refined, Ground(torch.tensor([False]), torch.tensor([True]), unknown(1)), 0, None).log_p
    close(found.value, modes.log_p + math.log(0.9), 0.02)
    assert "annealing from the encoder's output" in found.flags[0]


@pytest.mark.slow
def test_one_of_many_equal_modes_is_the_familys_room() -> None:
    """Eight modes of equal weight, at the corners of a cube. A member holds an eighth, and none holds more."""
    corners = torch.cartesian_prod(*[torch.tensor([-3.0, 3.0])] * 3)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(len(x), 3), 2.0).to_event(1))
            each = dist.Normal(corners, 0.5).to_event(1).log_prob(z.unsqueeze(-2))
            pyro.factor("x", each.logsumexp(-1) - math.log(8))

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.full((len(x), 3), 2.7), 0.4).to_event(1))

    d = decompose(Target(model, guide, torch.zeros(1)), families=GAUSSIANS, family="full covariance")
    adds_up(d)
    assert "lesser mode" not in d.flags[0] and "does not cover its other modes" in d.notes[0]
    assert abs(float(d.approximation.value) - math.log(8)) < 0.05
    assert float(d.optimisation.value) < 0.05


def test_doubts_are_kept_with_the_data() -> None:
    modes = TwoModes(3)
    refined = replace(one_mode(modes, -1.0, 2)(modes.target(SMALL, LARGE)), doubts={"mean-field": ("", "why")})
    target = refined.target()
    assert target.cautions == ("", "why")
    assert target.select([1, 0, 1]).cautions == ("why", "", "why")
    assert target.pinned_to({0: torch.tensor([0.5, -0.5])}).cautions == ("", "")  # not known of other data
