"""Doubts about the wiring come first: models worse than none, codes where the prior is not, collapse, narrow q."""

import re
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from elbowroom.datasets import load
from elbowroom.guides import from_encoder
from elbowroom.inference import Audit, Estimate, audit
from elbowroom.inference.audit import Number
from elbowroom.inference.audit.verdict.doubts import tell_doubts
from elbowroom.inference.audit.verdict.wording import nats
from elbowroom.inference.audit.wiring_numbers import SUSPECT
from elbowroom.inference.diagnostics.baselines import Baseline
from elbowroom.inference.diagnostics.latent_use.whereabouts import is_strange, strangest
from elbowroom.models import from_decoder
from toys.audit_results import good_audit

DOUBT = "are these the trained weights"


@cache
def untrained() -> Audit:
    """Networks that were never trained, beneath digits."""
    torch.manual_seed(0)
    decoder, encoder = torch.nn.Linear(1, 64).double(), torch.nn.Linear(64, 2).double()
    with torch.no_grad():
        decoder.weight.mul_(3)
    model = from_decoder(decoder, latent_dim=1, likelihood="bernoulli", output="logits")
    guide = from_encoder(encoder, output="stacked_mean_log_var")
    x = load("digits", binarize="threshold").test[:12].double()
    return audit(model, guide, x, budget="3e4 evaluations", num_simulations=20)


def test_a_model_that_was_never_trained_is_doubted_first() -> None:
    found = untrained()
    (suspicion, doubt), below = found.findings[:2], found.numbers["above_baseline"]
    assert "look as if they had never been trained" in suspicion.sentence
    assert (doubt.topic, doubt.tone) == ("verdict", "bad") and DOUBT in doubt.sentence
    assert below.high < -10 and found.numbers["baseline"].value == pytest.approx(-25, abs=4)


def parts(use: Any = None) -> Any:
    """What an audit of 40 data may have gathered."""
    nothing = dict.fromkeys(("own_loss", "baseline", "better_read", "respread", "silence"))
    return SimpleNamespace(**nothing, latent_use=use, usable=tuple(range(40)))


def named(**values: float) -> dict[str, Number]:
    """Numbers that are known exactly."""
    return {name: Number(value, value, value, "", "") for name, value in values.items()}


def of_codes(mean: float, sd: float, active: bool = True) -> Any:
    use = good_audit().latent_use
    assert use is not None
    ones = torch.ones(len(use.latents), dtype=torch.float64)
    marks = torch.full((len(use.latents),), active)
    return replace(use, aggregate_mean=mean * ones, aggregate_sd=sd * ones, active=marks)


@pytest.mark.parametrize(
    ("mean", "sd", "strange"),
    [(0.0, 1.0, False), (0.4, 1.3, False), (-0.6, 0.8, False), (3.0, 0.5, True), (-1.4, 1.0, True), (0.0, 4.0, True)],
)
def test_codes_where_the_prior_is_not(mean: float, sd: float, strange: bool) -> None:
    use = of_codes(mean, sd)
    found = tell_doubts(parts(use), named(codes_at=mean, codes_spread=sd))
    assert bool(is_strange(use, 40).all()) is strange and bool(found) is strange
    if strange:
        at, spread = (nats(number) for number in named(at=mean, spread=sd).values())
        told = f"their mean is {at} and their standard deviation {spread}"
        assert told in found[0].sentence and "another prior" in found[0].sentence


def test_few_data_lie_anywhere_by_chance() -> None:
    assert bool(is_strange(of_codes(1.4, 1.0), 40).all()) and not bool(is_strange(of_codes(1.4, 1.0), 8).any())
    assert bool(is_strange(of_codes(0.0, 0.3), 40).all()) and not bool(is_strange(of_codes(0.0, 0.3), 8).any())
    assert bool(is_strange(of_codes(0.0, 3.5), 40).all()) and not bool(is_strange(of_codes(0.0, 3.5), 8).any())


def test_the_strangest_latent_is_an_active_one() -> None:
    use = of_codes(0.0, 1.0)
    use.aggregate_mean[0] = 2.0
    assert strangest(use) == 0
    assert strangest(replace(use, active=torch.tensor([False] + [True] * (len(use.latents) - 1)))) == 1


def test_a_collapsed_model_is_said_so_first() -> None:
    use = of_codes(0.0, 1.0, active=False)
    numbers = named(active_latents=0.0, num_latents=2.0)
    (found,) = tell_doubts(parts(use), numbers)
    assert found.tone == "warning" and found.sentence.startswith(
        "The model has collapsed: z says nothing about x (0 of 2"
    )


@pytest.mark.parametrize(
    ("typical", "least", "most", "doubt"),
    [
        (0.3, 0.1, 0.6, "too small in nearly every latent and datum: the mark of a KL term weighed below one"),
        (0.53, 0.4, 0.75, "too small in nearly every latent and datum: the mark of a KL term weighed below one"),
        (0.6, 0.3, 0.9, ""),  # in some latents as wide: an encoder that needs training
        (1.8, 1.1, 2.5, "was a log standard deviation read as a log variance"),
        (1.5, 0.6, 2.5, ""),
        (1.0, 0.9, 1.1, ""),
    ],
)
def test_a_spread_that_is_off_everywhere(typical: float, least: float, most: float, doubt: str) -> None:
    ends = {"spread_of_q": typical, "spread_of_q_narrowest": least, "spread_of_q_widest": most}
    numbers = named(**ends)
    found = tell_doubts(parts(), numbers)
    assert [doubt in finding.sentence for finding in found] == ([True] if doubt else [])


@pytest.mark.parametrize(("missed", "doubts"), [(4.0, 0), (1.0, 1)])
def test_a_q_that_misses_most_modes_is_narrow_for_another_reason(missed: float, doubts: int) -> None:
    ends = {"spread_of_q": 0.3, "spread_of_q_narrowest": 0.1, "spread_of_q_widest": 0.6}
    numbers = named(**ends, missed_modes=missed, examined=4.0)
    assert len(tell_doubts(parts(), numbers)) == doubts


@pytest.mark.parametrize(("least", "doubted"), [(1.4, True), (0.7, False)])
def test_means_that_are_off_for_every_datum(least: float, doubted: bool) -> None:
    numbers = named(means_off=2.5, means_off_least=least)
    found = tell_doubts(parts(), numbers)
    assert ["does the encoder see the data as it did in training" in f.sentence for f in found] == [True] * doubted


@pytest.mark.parametrize(("num_data", "doubted"), [(8, False), (400, True)])
def test_a_baseline_that_is_above_by_chance(num_data: int, doubted: bool) -> None:
    """0.8 nats on average, of differences 3 nats apart: eight data may show that of a model that is no worse."""
    baseline = Baseline(-25.0 + torch.zeros(num_data, dtype=torch.float64), "coins")
    apart = torch.tensor([-2.3, 0.7], dtype=torch.float64).repeat(num_data // 2)
    known = Estimate(baseline.value + apart, torch.full_like(apart, 0.01), "lower")
    gathered = replace_in(parts(), baseline=baseline, usable=tuple(range(num_data)), sampled=known)
    numbers = gather_baseline(replace_in(gathered, bracket=SimpleNamespace(lower=known)))
    assert numbers["above_baseline"].value == pytest.approx(-0.8)
    assert any(DOUBT in finding.sentence for finding in tell_doubts(gathered, numbers)) is doubted


def replace_in(gathered: Any, **values: Any) -> Any:
    return SimpleNamespace(**{**vars(gathered), **values})


def gather_baseline(gathered: Any) -> dict[str, Number]:
    """The first that SUSPECT gathers."""
    return SUSPECT[0](gathered)


@pytest.mark.parametrize(
    ("change", "elbo", "first"),
    [
        ("mirrored", -20.0, "The networks fit the data better by 5.00"),
        ("mirrored", None, "Reconstructions leave 200 % of the variance"),
        ("mirrored", -26.0, "The codes of all data lie where the prior does not"),
        ("", -20.0, "The codes of all data lie where the prior does not"),
    ],
)
def test_a_change_of_the_data_that_undoes_nothing_is_told_last(change: str, elbo: float | None, first: str) -> None:
    """Of one that leaves the model worse than none, or of nothing seen at all, other doubts know the reason."""
    at = None if elbo is None else torch.full((40,), elbo)
    reader = "the networks" if change else "the encoder"
    gathered = replace_in(
        parts(of_codes(3.0, 0.5)),
        better_read=SimpleNamespace(change=change, reader=reader, elbo=at),
        baseline=Baseline(torch.full((40,), -25.0), "coins"),
    )
    gain = {"better_read": 5.0} if elbo is not None else {"left": 2.0, "left_changed": 0.2}
    found = tell_doubts(gathered, named(codes_at=3.0, codes_spread=0.5, baseline=-25.0, above_baseline=-9.0, **gain))
    assert len(found) == 3 and found[0].sentence.startswith(first)


@pytest.mark.parametrize(
    ("factor", "known", "first"),
    [(10.0, {}, "q is too narrow"), (0.1, {}, "As far"), (10.0, {"log_p": -40.0}, "As far")],
)
def test_a_q_too_narrow_to_see_comes_before_what_it_does_not_see(factor: float, known: Any, first: str) -> None:
    """Of a wide q, or where both sides are known, a model worse than none is what matters."""
    baseline = Baseline(torch.full((40,), -25.0, dtype=torch.float64), "coins")
    gathered = replace_in(parts(), baseline=baseline)
    numbers = named(respread=factor, respread_gain=7.0, above_baseline=-10.0, baseline=-25.0, **known)
    one, two = tell_doubts(gathered, numbers)
    assert one.sentence.startswith(first) and two.sentence != one.sentence


class _Encoder(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 8))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.layers(x).chunk(2, -1)


@pytest.mark.slow
@pytest.mark.parametrize("budget", ["5e4 evaluations", "2e6 evaluations"])
def test_a_kl_weight_below_one_is_the_first_thing_that_is_said(budget: str) -> None:
    """Whatever there was time for: with little the ELBO of a wider q tells it, with more the posterior's spread."""
    torch.manual_seed(0)
    data = load("digits", binarize="threshold")
    encoder = _Encoder()
    decoder = torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 2e-3)
    for _ in range(800):
        x = data.train[torch.randint(len(data.train), (128,))].double()
        mean, log_var = encoder(x)
        logits = decoder(mean + torch.randn_like(mean) * (log_var / 2).exp())
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1).mean()
        kl = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(-1).mean()
        optimizer.zero_grad()
        (loss + 0.01 * kl).backward()
        optimizer.step()
    model = from_decoder(decoder, latent_dim=4, likelihood="bernoulli", output="logits")
    found = audit(model, from_encoder(encoder, output="mean_log_var"), data.test[:8].double(), budget=budget)
    assert "KL term weighed below one" in found.findings[0].sentence, [f.sentence for f in found.findings[:3]]
    assert found.brief.tone == "bad" and re.search("narrow|spread", found.brief.sentence)
