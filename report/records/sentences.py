"""The results of a comparison in sentences."""

from elbowroom.entrances import checked
from elbowroom.inference import Comparison
from elbowroom.inference.showing.numbers import in_short
from elbowroom.report.records.marginals import label
from elbowroom.report.records.number_format import SIGMAS, in_standard_errors, plain, significant


@checked
def summary(comparison: Comparison) -> list[str]:
    """What was left out, what is no log-likelihood, sentences on q, on importance sampling, MCMC and the costs."""
    lines = [f"{text}." for text in (*comparison.notes, *in_short(comparison.evidence["importance"].unnormalised))]
    lines += [_about_guide(comparison, b) for b in range(len(comparison.data))]
    lines.append(_about_importance(comparison))
    if comparison.draws is not None:
        lines.append(_about_draws(comparison))
    lines.append(_about_costs(comparison))
    return lines


def _about_guide(comparison: Comparison, b: int) -> str:
    """How far q is from the posterior, in nats, means and widths."""
    exact = "quadrature" in comparison.evidence
    room, error = comparison.kl_q_p[b].item(), comparison.kl_q_p_stderr[b].item()
    sentence = f"datum {comparison.data[b]}: q is {plain(room, error, max_decimals=4)} nats from the posterior, KL(q‖p)"
    if room != room:
        sentence = f"datum {comparison.data[b]}: q's distance from the posterior is unknown, for its density is"
    elif not exact:
        sentence += ", estimated"
    if comparison.reference is None:
        return sentence + "."
    q, p = comparison.posteriors["guide"], comparison.posteriors[comparison.reference]
    shift = ((q.mean[b] - p.mean[b]) / p.sd[b]).abs().max().item()
    ratio = q.sd[b] / p.sd[b]
    low, high = significant(ratio.min().item()), significant(ratio.max().item())
    sentence += f"; its means are {'' if p.mean.shape[1] == 1 else 'at most '}{significant(shift)} posterior sd off"
    sentence += (
        f", its sds {low} to {high} times the posterior's" if low != high else f", its sd {low} times the posterior's"
    )
    modes = int(comparison.evidence["quadrature"].info["num_modes"][b]) if exact else 1
    return sentence + (f"; the posterior has {modes} modes." if modes > 1 else ".")


def _about_importance(comparison: Comparison) -> str:
    """Whether importance sampling can be trusted, and whether it knows when it cannot."""
    sampled = comparison.evidence["importance"]
    flagged = [d for d, flag in zip(comparison.data, sampled.flags, strict=True) if flag]
    sentence = (
        f"Importance sampling is flagged for {_named(flagged)}"
        if flagged
        else "Importance sampling is flagged for no datum"
    )
    if "quadrature" not in comparison.evidence:
        return sentence + "."
    exact = comparison.evidence["quadrature"]
    off = in_standard_errors(sampled.value - exact.value, sampled.stderr, exact.stderr).abs() > SIGMAS
    wrong = [d for d, o in zip(comparison.data, off, strict=True) if o]
    if not wrong:
        return f"{sentence}, and agrees with the exact log p(x) within {SIGMAS:.0f} standard errors everywhere."
    silent = [d for d in wrong if d not in flagged]
    sentence += f"; it is more than {SIGMAS:.0f} standard errors from the exact log p(x) for {_named(wrong)}"
    return sentence + (f", without a flag for {_named(silent)}." if silent else ".")


def _about_draws(comparison: Comparison) -> str:
    assert comparison.draws is not None
    who = label(comparison.draws.info["method"])
    checked = "" if comparison.check is None else f" {comparison.check.sentence(who)}"
    failed = [d for d, flag in zip(comparison.data, comparison.draws.flags, strict=True) if flag]
    if not failed:
        return f"{who} passed its convergence gates for every datum.{checked}"
    return f"{who} did not pass its convergence gates for {_named(failed)}: there its draws are no reference.{checked}"


def _about_costs(comparison: Comparison) -> str:
    seconds = ", ".join(f"{label(p.method)} {significant(p.seconds)} s" for p in comparison.posteriors.values())
    return f"Wall-clock time: {seconds}."


def _named(data: list[int]) -> str:
    """`datum 3`, `data 3, 5`, or the first ten and how many there are."""
    if len(data) == 1:
        return f"datum {data[0]}"
    shown = ", ".join(map(str, data[:10]))
    return f"data {shown}" + (f" … ({len(data)} in all)" if len(data) > 10 else "")
