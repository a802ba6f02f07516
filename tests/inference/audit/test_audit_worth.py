"""What log p(x) is worth beside a model without latents, and the verdict on a q that says next to nothing."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from elbowroom.inference.audit import Number
from elbowroom.inference.audit.verdict.use import tell_in_short
from elbowroom.inference.audit.verdict.worth import tell_worth
from elbowroom.inference.diagnostics.baselines import Baseline
from toys.audit import clean_audit
from toys.audit_results import good_audit

COINS = Baseline(torch.full((40,), -25.0, dtype=torch.float64), "coins, one for each entry")
THEIRS = "−25.0 (−26.0 to −24.0) of coins, one for each entry"
NOTHING = dict.fromkeys(("own_loss", "better_read", "latent_use", "silence"))


def told(above: float, half: float, **others: Any) -> list[str]:
    parts: Any = SimpleNamespace(**{**NOTHING, "baseline": COINS, "usable": tuple(range(40)), **others})
    numbers = {
        "baseline": Number(-25.0, -26.0, -24.0, "nats", ""),
        "above_baseline": Number(above, above - half, above + half, "nats", ""),
    }
    return [finding.sentence for finding in tell_worth(parts, numbers)]


@pytest.mark.parametrize(
    ("above", "half", "sentence"),
    [
        (6.0, 0.5, [f"log p(x) is 6.0 (5.5 to 6.5) nats per datum above the {THEIRS}."]),
        (0.2, 0.5, [f"log p(x) is not told apart from the {THEIRS}: 0.2 (−0.3 to 0.7) nats per datum above it."]),
        (-6.0, 0.5, []),  # a doubt says it
    ],
)  # fmt: skip
def test_log_p_beside_a_model_without_latents(above: float, half: float, sentence: list[str]) -> None:
    assert told(above, half) == sentence


def test_without_a_baseline_nothing_is_said() -> None:
    parts: Any = SimpleNamespace(baseline=None)
    assert tell_worth(parts, {}) == []


def test_a_real_audit_says_it_with_the_numbers_that_it_points_to() -> None:
    audit = clean_audit()
    (worth,) = [finding for finding in audit.findings if finding.topic == "worth"]
    assert audit.numbers["above_baseline"].low > 0 and "above the" in worth.sentence
    assert audit.brief.worth == worth.sentence


@pytest.mark.parametrize(("carried", "tone"), [(0.02, "warning"), (0.2, "good")])
def test_in_short_a_q_that_says_nothing_is_not_good(carried: float, tone: str) -> None:
    numbers = {
        **{name: replace(number) for name, number in good_audit().numbers.items()},
        "mutual_information": Number(carried, carried - 0.01, carried + 0.01, "nats", ""),
    }
    active: Any = SimpleNamespace(active=torch.tensor([True, False]), latents=("z[0]", "z[1]"))
    parts: Any = SimpleNamespace(**{**NOTHING, "latent_use": active, "examination": object()})
    (finding,) = tell_in_short(parts, numbers)
    assert finding.tone == tone and set(finding.numbers) <= set(numbers), finding
