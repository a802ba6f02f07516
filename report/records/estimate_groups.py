"""Estimates of log p(x) as named arrays: value, standard error, what it bounds and whether to trust it, by datum."""

from collections.abc import Mapping, Sequence
from typing import Any

from elbowroom.inference import Comparison, Estimate
from elbowroom.report.records.groups import NATS, Group, Variable, array, words

_DATUM = ("datum",)


def estimates_group(estimates: Mapping[str, Estimate], data: Sequence[int]) -> Group:
    """Each estimate as `<name>` and `<name>_stderr`, in nats, and `<name>_flag`, over the B data.

    Where values are no log-likelihoods, `<name>_unnormalised` says why.

    Raises:
        ValueError: if one has not a value for each datum, or two would get variables of one name.
    """
    variables: dict[str, Variable] = {}
    for name, estimate in estimates.items():
        if len(estimate) != len(data):
            raise ValueError(
                f"estimates[{name!r}] is of {len(estimate)} data, expected {len(data)}: those of the draws, in their "
                "order"
            )
        new = estimate_variables(name, estimate, f"log p(x) by {name}") | {f"{name}_flag": _flag(estimate, name)}
        new |= {f"{name}_{key}": variable for key, variable in unnormalised_variable(estimate).items()}
        if same := sorted(new.keys() & variables.keys()):
            raise ValueError(f"estimates {list(estimates)} give more than one variable called {same[0]!r}: rename one")
        variables |= new
    return Group(variables, {"datum": list(data)}, {"units": NATS})


def evidence_group(comparison: Comparison) -> Group:
    """log p(x) of the compared data by method, both divergences and the two sides of log p(x) = ELBO + KL."""
    sampled = comparison.evidence["importance"]
    elbo = Estimate(sampled.info["elbo"], sampled.info["elbo_stderr"], "lower")
    k = Variable(_DATUM, array(sampled.info["pareto_k"]), about="Pareto tail index of the importance weights")
    variables = estimate_variables("elbo", elbo) | estimate_variables("importance", sampled) | {"pareto_k": k}
    for name, about in (
        ("kl_q_p", "KL(q(z|x) ‖ p(z|x)), the room above the ELBO"),
        ("kl_p_q", "KL(p(z|x) ‖ q(z|x))"),
    ):
        variables[name] = Variable(_DATUM, array(getattr(comparison, name)), NATS, about)
        variables[f"{name}_stderr"] = Variable(_DATUM, array(getattr(comparison, f"{name}_stderr")), NATS)
    if "quadrature" in comparison.evidence:
        exact = comparison.evidence["quadrature"]
        variables |= estimate_variables("exact", exact) | {"exact_flag": _flag(exact, "exact")}
    if comparison.identity is not None:
        variables["identity_residual"] = Variable(_DATUM, array(comparison.identity.residual), NATS)
        variables["identity_stderr"] = Variable(_DATUM, array(comparison.identity.stderr), NATS)
    variables["flag"] = _flag(sampled, "importance")
    variables |= unnormalised_variable(sampled)
    attrs: dict[str, Any] = {"num_samples": sampled.info["num_samples"], "units": NATS}
    return Group(variables, {"datum": comparison.data}, attrs)


def estimate_variables(name: str, estimate: Estimate, about: str = "") -> dict[str, Variable]:
    """An estimate and its standard error, in nats."""
    return {
        name: Variable(_DATUM, array(estimate.value), NATS, about, estimate.bound),
        f"{name}_stderr": Variable(_DATUM, array(estimate.stderr), NATS),
    }


def unnormalised_variable(estimate: Estimate) -> dict[str, Variable]:
    """`unnormalised`: for each datum why its values are no log-likelihoods; nothing, if they all are."""
    about = "why log p(x) and ELBO are no log-likelihoods of the datum"
    texts = estimate.unnormalised
    return {"unnormalised": Variable(_DATUM, words(texts), about=about)} if any(texts) else {}


def _flag(estimate: Estimate, name: str) -> Variable:
    return Variable(_DATUM, words(estimate.flags), about=f"why not to trust {name}")
