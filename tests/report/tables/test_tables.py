"""What the tables print: the numbers, their errors, what not to trust; and how wide they are."""

import re
from dataclasses import replace
from functools import cache

import pytest
import torch
from rich.cells import cell_len

from elbowroom.inference import Comparison, Estimate, importance, quadrature
from elbowroom.report import bounds_table, comparison_table, evidence_table, summary, training_table, with_error
from elbowroom.report.records.marginals import marginal_rows
from elbowroom.report.records.number_format import SIGMAS, compact, in_standard_errors, significant
from toys.report import DATA, toy, with_draws

ANSI = re.compile(r"\x1b\[")


@cache
def exactly() -> Estimate:
    """The evidence of all data of the toy."""
    return quadrature(toy().target)


def test_every_number_of_a_comparison_is_printed_with_its_error() -> None:
    comparison = toy().comparison
    text = comparison_table(comparison)
    for row in comparison.evidence_rows():
        assert with_error(row["elbo"], row["elbo_stderr"]) in text
        assert with_error(row["importance"], row["importance_stderr"]) in text
        assert compact(row["exact"], row["exact_error"]) in text
        assert f"{row['kl_q_p']:.4f}" in text
        assert f"{row['kl_p_q']:.4f}" in text
        assert with_error(row["identity_residual"], row["identity_stderr"]) in text
        assert f"{row['identity_residual'] / row['identity_stderr']:+.1f} " in text
    for row in marginal_rows(comparison):
        assert with_error(row["mean"], row["mean_stderr"], max_decimals=4) in text
        for key in ("sd", "q05", "q50", "q95"):
            assert compact(row[key], row[f"{key}_stderr"], max_decimals=4) in text
        if row["wasserstein"] is not None:
            assert significant(row["wasserstein"]) in text
            assert significant(row["wasserstein_floor"]) in text
    assert text.count("holds") == len(DATA)
    assert "3,000 gradients" in text
    assert "1.2" in text.split("What it took")[1]


def test_a_log_has_no_codes_and_no_cut_lines() -> None:
    text = comparison_table(toy().comparison)
    assert not ANSI.search(text)
    assert "…" not in text
    assert ANSI.search(comparison_table(_flagged(toy().comparison), color=True))


@pytest.mark.parametrize("width", [80, 100])
def test_a_narrow_terminal_keeps_every_number(width: int) -> None:
    comparison = toy().comparison
    wide, narrow = comparison_table(comparison), comparison_table(comparison, width=width)
    assert max(cell_len(line) for line in narrow.splitlines()) <= width
    numbers = re.compile(r"-?\d+\.\d+")
    assert sorted(numbers.findall(wide)) == sorted(numbers.findall(narrow))


def test_a_datum_that_importance_sampling_misses_is_called_so() -> None:
    comparison = _flagged(toy().comparison)
    text = comparison_table(comparison)
    assert f"! datum {DATA[0]}, importance: the weights are bad" in text
    assert "log p̂ is flagged" in text
    assert f"flagged for datum {DATA[0]}; it is more than 4 standard errors" in " ".join(summary(comparison))
    assert "without a flag" not in text


def test_a_silent_failure_is_called_so() -> None:
    comparison = _flagged(toy().comparison, reason="")
    assert "DOES NOT HOLD" in comparison_table(comparison)
    assert f"without a flag for datum {DATA[0]}" in " ".join(summary(comparison))


def test_a_perfect_guide_is_no_false_alarm() -> None:
    """All errors are rounding then, and so is every difference: that is agreement."""
    comparison = toy(1, scale=1.0).comparison
    text = comparison_table(comparison)
    assert text.count("holds") == len(DATA)
    assert text.count("const.") == len(DATA) + 1  # and in the legend
    assert "agrees with the exact log p(x)" in text
    assert "!" not in text


def test_rounding_is_no_difference() -> None:
    zero = torch.zeros(3)
    difference = torch.tensor([0.0, 5e-7, 2e-6])
    inside = in_standard_errors(difference, zero, zero).abs() <= SIGMAS
    assert inside.tolist() == [True, True, False]
    assert in_standard_errors(torch.tensor([1.0]), torch.tensor([0.3]), torch.tensor([0.4])).item() == pytest.approx(2)


def test_an_unknown_distance_is_called_unknown() -> None:
    base = toy().comparison
    assert base.identity is not None
    unknown = torch.full((2,), torch.nan)
    comparison = replace(base, kl_q_p=unknown, kl_p_q=unknown, identity=replace(base.identity, kl=unknown))
    text = comparison_table(comparison)
    assert "DOES NOT HOLD" not in text
    assert "holds" not in text
    assert f"datum {DATA[0]}: q's distance from the posterior is unknown" in text
    assert "nan" not in text


def test_chains_that_disagree_are_no_reference() -> None:
    base = toy().comparison
    assert base.draws is not None
    assert "NUTS passed its convergence gates for every datum." in summary(base)
    z = base.draws.z["z"].clone()
    z[0, :, 1] += 2.0  # one chain of the second datum goes elsewhere
    comparison = with_draws(base, z)
    assert f"NUTS did not pass its convergence gates for datum {DATA[1]}" in " ".join(summary(comparison))
    text = comparison_table(comparison)
    assert f"! datum {DATA[1]}, NUTS: R-hat" in text
    assert "NUTS !" in text


def test_a_sentence_about_q_says_how_far_it_is() -> None:
    comparison = toy(3).comparison
    q, p = comparison.posteriors["guide"], comparison.posteriors["quadrature"]
    ratio = q.sd[0] / p.sd[0]
    line = summary(comparison)[0]
    assert line.startswith(f"datum {DATA[0]}: q is {comparison.kl_q_p[0]:.4f} nats from the posterior")
    assert f"its sds {significant(ratio.min().item())} to {significant(ratio.max().item())} times" in line


def test_without_a_reference_nothing_is_measured_against_it() -> None:
    comparison = toy(4, mcmc=False).comparison
    assert comparison.reference is None
    text = comparison_table(comparison)
    assert "No reference: more than 3 latents" in " ".join(text.split())
    assert "W₁" not in text
    assert "is not checked" in text
    assert "KL(p‖q)" in text


def test_bounds_of_a_data_set() -> None:
    target = toy().target
    sampled, exact = importance(target, num_samples=400, num_particles=(5, 50)), exactly()
    text = bounds_table(sampled, exact)
    elbo = Estimate(sampled.info["elbo"], sampled.info["elbo_stderr"], "lower")
    iwae = Estimate(sampled.info["iwae"][5], sampled.info["iwae_stderr"][5], "lower")
    for estimate in (elbo, iwae, sampled, exact):
        assert with_error(*estimate.mean()) in text
    assert significant(exact.spread()) in text
    room = Estimate(exact.value - elbo.value, (exact.stderr**2 + elbo.stderr**2).sqrt(), "none").mean()
    assert f" {compact(*room, max_decimals=4)}" in next(line for line in text.splitlines() if line.startswith(" ELBO"))
    names = [line.split("  ")[0].strip() for line in text.splitlines() if "bound" in line or "quadrature" in line]
    assert names == ["ELBO", "IWAE-5", "IWAE-50", "importance, S = 400", "quadrature"]
    assert "at least" in bounds_table(sampled)


def test_flagged_data_are_counted() -> None:
    sampled = importance(toy().target, num_samples=400)
    bad = replace(sampled, flags=("too heavy", "", "too heavy"))
    text = bounds_table(bad)
    assert "2 of 3" in text
    assert "flagged for 2 of 3 data; the first: too heavy" in text


def test_evidence_of_estimates_alone() -> None:
    target = toy().target
    sampled, exact = importance(target, num_samples=400), exactly()
    text = evidence_table(sampled, exact, data=[7, 8, 9])
    for b in range(3):
        line = next(line for line in text.splitlines() if line.strip().startswith(str(7 + b)))
        assert with_error(sampled.value[b].item(), sampled.stderr[b].item()) in line
        assert f"{exact.info['kl_q_p'][b]:.4f}" in line
    room, error = (sampled.value - sampled.info["elbo"])[0], torch.hypot(sampled.stderr, sampled.info["elbo_stderr"])[0]
    assert compact(room.item(), error.item(), max_decimals=4) in evidence_table(sampled)


def test_estimates_of_different_data_are_refused() -> None:
    target = toy().target
    sampled, exact = importance(target, num_samples=50), quadrature(target.select([0]))
    with pytest.raises(ValueError, match="exact has 1 entries and sampled has 3"):
        evidence_table(sampled, exact)
    with pytest.raises(ValueError, match="data has 2 entries"):
        evidence_table(sampled, data=[1, 2])
    with pytest.raises(ValueError, match="exact has 1 data"):
        bounds_table(sampled, exact)


def test_a_single_sample_has_an_infinite_error() -> None:
    sampled = importance(toy().target, num_samples=1)
    assert "± ∞" in bounds_table(sampled)
    assert "± ∞" in evidence_table(sampled)


def test_training_shows_the_best_and_the_last_epoch() -> None:
    history = [
        {"epoch": e, "beta": 1.0, "train_loss": 30 / e, "elbo": -30 / e - (e > 40), "elbo_stderr": 0.02}
        for e in range(1, 51)
    ]
    text = training_table(history, num_rows=4)
    best = next(line for line in text.splitlines() if line.endswith("best"))
    assert best.split()[0] == "40"
    assert with_error(-0.75, 0.02) in best
    assert [line.split()[0] for line in text.splitlines() if re.match(r" +\d", line)] == ["1", "17", "34", "40", "50"]
    assert "± ?" in training_table([{"epoch": 1, "elbo": -3.0}])
    with pytest.raises(ValueError, match="history is empty"):
        training_table([])


def _flagged(comparison: Comparison, reason: str = "the weights are bad") -> Comparison:
    """The comparison as if log p̂ of its first datum were 3 nats too low."""
    sampled = comparison.evidence["importance"]
    low = torch.tensor([3.0, 0.0])
    wrong = replace(sampled, value=sampled.value - low, flags=(reason, ""))
    assert comparison.identity is not None
    identity = replace(comparison.identity, log_p=wrong.value)
    return replace(comparison, evidence=comparison.evidence | {"importance": wrong}, identity=identity)
