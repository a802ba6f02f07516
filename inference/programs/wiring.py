"""Whether the outputs of networks look as if they had been read as something else than they are.

    logits that all lie in [0, 1]: probabilities?        sds of q that all lie above the prior's: not sds?
    logits of levels or words that also sum to one: a softmax?

A suspicion, no flag, of what no trained model does and a wrong reading always does.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.distributions import Normal, constraints

from elbowroom.inference.programs.supports import entry_support, unwrapped

Site = tuple[str, str, str, Any]
"""(program, kind, name, Pyro's record), as `Target.sites` has them."""

_FEWEST = 64  # values without which all may be so by chance
_ROUNDED = 1e-3  # what a softmax's sum may be off
_OF_SINGLE_LOGITS = (
    type(constraints.boolean),
    type(constraints.unit_interval),
    type(constraints.integer_interval(0, 1)),
)


def misread(sites: Iterable[Site]) -> tuple[str, ...]:
    """What speaks for outputs that were read as something else, as sentences."""
    records = {(program, name): record for program, _, name, record in sites}
    found = []
    for (program, name), record in records.items():
        if program == "model" and record["is_observed"] and _look_like_probabilities(record["fn"]):
            found.append(
                f"every logit that the model gives '{name}' lies between 0 and 1, as if there were a sigmoid before "
                "it: is it a probability (output='probs')?"
            )
        if program == "model" and record["is_observed"] and _look_like_shares(record["fn"]):
            found.append(
                f"the logits that the model gives '{name}' are positive and sum to one, as if there were a softmax "
                "before them: are they probabilities (output='probs')?"
            )
        prior = records.get(("model", name))
        if program == "guide" and prior is not None and _is_wider(record["fn"], prior["fn"]):
            found.append(
                f"the standard deviation of q is above the prior's for every datum and every entry of '{name}', while "
                "posteriors are narrower than the prior on average over data: did the encoder return something else "
                "(a standard deviation read as a log variance, output='mean_std')?"
            )
    return tuple(found)


def _look_like_probabilities(fn: Any) -> bool:
    fn = unwrapped(fn)
    logits = getattr(fn, "logits", None)
    if not isinstance(entry_support(fn), _OF_SINGLE_LOGITS) or not isinstance(logits, Tensor) or _is_of_levels(fn):
        return False
    return logits.numel() >= _FEWEST and bool(((logits >= 0) & (logits <= 1)).all() & (logits != logits[..., :1]).any())


def _look_like_shares(fn: Any) -> bool:
    fn = unwrapped(fn)
    logits = getattr(fn, "logits", None)
    if not isinstance(logits, Tensor) or not _is_of_levels(fn) or logits.numel() < _FEWEST:
        return False
    sums = logits.sum(-1)
    return bool((logits >= 0).all() & ((sums - 1).abs() < _ROUNDED).all() & (logits != logits[..., :1]).any())


def _is_of_levels(fn: Any) -> bool:
    """Whether the logits of a distribution, torch's or one like it, go together along their last dimension."""
    known = getattr(type(fn), "arg_constraints", None)  # a property that raises where nobody said
    together = known.get("logits") if isinstance(known, Mapping) else None
    return isinstance(together, type(constraints.real_vector)) and together.reinterpreted_batch_ndims > 0


def _is_wider(q: Any, prior: Any) -> bool:
    q, prior = unwrapped(q), unwrapped(prior)
    if not isinstance(q, Normal) or not isinstance(prior, Normal) or q.scale.numel() < 2:
        return False
    if q.scale.shape[-1:] != prior.scale.shape[-1:] and prior.scale.numel() > 1:
        return False
    return len(q.scale.flatten()) >= _FEWEST // 4 and bool((q.scale > prior.scale * (1 + 1e-6)).all())
