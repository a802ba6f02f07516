"""Log densities of a run, summed over sites and all batch dims but samples and data: `[S, B]`, nats."""

from collections.abc import Callable
from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from elbowroom.inference.programs.branches import over_branches
from elbowroom.inference.programs.enumeration import summed_log_guide, summed_log_joint
from elbowroom.inference.programs.log_prob import site_log_prob
from elbowroom.inference.programs.masks import hidden_log_prob, is_deterministic, seen_log_prob
from elbowroom.inference.programs.triple import Triple

Values = dict[str, Tensor]


def joint(triple: Triple, num_samples: int | None, setter: Messenger) -> Values:
    """`prior` = log p(z) and `likelihood` = log p(x | z), with what is discrete summed out."""
    if triple.structure.sequential:
        return over_branches(triple.structure, lambda branch: _on_branch(triple, num_samples, setter, branch))
    return _on_branch(triple, num_samples, setter)


def _on_branch(triple: Triple, num_samples: int | None, setter: Messenger, *branch: Messenger) -> Values:
    if len(triple.structure.discrete) > len(triple.structure.sequential):
        return summed_log_joint(triple, num_samples, setter, *branch)
    trace, given = triple.trace("model", num_samples, setter, *branch), triple.structure.given
    return {
        "prior": _total(trace, triple, num_samples, lambda name, site: not site["is_observed"]),
        "likelihood": _total(trace, triple, num_samples, lambda name, site: site["is_observed"] and name not in given),
    }


def log_q_of(trace: Any, triple: Triple, num_samples: int | None) -> Values:
    """log q of a guide's trace; what the model observes is no part of it, where the guide runs the model."""
    structure, fills = triple.structure, triple.structure.fills

    def counts(name: str, site: Any) -> bool:
        return not structure.observes(name, site)

    terms = {"log_q": _total(trace, triple, num_samples, counts, seen_log_prob)}
    if fills is not None and not bool(fills.all()):
        terms["hidden"] = _hidden(trace, triple, num_samples)
    return terms


def summed_log_q(triple: Triple, num_samples: int | None, setter: Messenger) -> Values:
    """As `log_q_of`, of a guide whose discrete sites are summed out."""
    fills = triple.structure.fills
    if fills is None:
        return {"log_q": _summed_guide(triple, num_samples, setter)}
    log_q = _summed_guide(triple, num_samples, setter, seen_log_prob)
    if bool(fills.all()):
        return {"log_q": log_q}
    # The guide's draw of what masks hide may depend on k, too: no product of two sums.
    hidden = _summed_guide(triple, num_samples, setter) - log_q
    return {"log_q": log_q, "hidden": torch.where(log_q == -torch.inf, 0.0, hidden)}


def _summed_guide(
    triple: Triple, num_samples: int | None, setter: Messenger, density: Callable[[Any], Tensor] = site_log_prob
) -> Tensor:
    """log Σ_k q(z, k | x), `[S, B]`: all k at once, or branch by branch where each takes a value at a time."""
    structure = triple.structure
    if not set(structure.collapsed) <= set(structure.sequential):
        return summed_log_guide(triple, num_samples, setter, density)

    def counts(name: str, site: Any) -> bool:
        return not structure.observes(name, site)

    def read(site: Any) -> Tensor:
        return site_log_prob(site) if site["name"] in structure.collapsed else density(site)

    def on_branch(branch: Messenger) -> Values:
        log_q = _total(triple.trace("guide", num_samples, setter, branch), triple, num_samples, counts, read)
        return {"prior": log_q, "likelihood": torch.zeros_like(log_q)}

    return over_branches(structure, on_branch)["prior"]


def _hidden(trace: Any, triple: Triple, num_samples: int | None) -> Tensor:
    """Sum the log densities of what masks hide of latent sites, `[S, B]`."""
    masked = triple.structure.masked
    return _total(trace, triple, num_samples, lambda name, site: name in masked, hidden_log_prob)


def _total(
    trace: Any,
    triple: Triple,
    num_samples: int | None,
    counts: Callable[[str, Any], bool],
    density: Callable[[Any], Tensor] = site_log_prob,
) -> Tensor:
    """Sum the log densities of the sites that count, for each sample and datum, `[S, B]`."""
    total: Tensor | None = None
    for name, site in trace.nodes.items():
        if site["type"] != "sample" or site_is_subsample(site) or is_deterministic(site) or not counts(name, site):
            continue
        terms = triple.structure.per_datum(density(site), num_samples or 1, len(triple))
        total = terms if total is None else total + terms
    return total if total is not None else torch.zeros(num_samples or 1, len(triple), device=triple.device)
