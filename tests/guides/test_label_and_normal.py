"""The guide of M2: y summed out of its bound, and trained as its page says, with the classification term beside it."""

import re
from textwrap import dedent
from typing import Any

import pytest
import torch
from pyro.infer import TraceEnum_ELBO, config_enumerate

from elbowroom.guides import LabelAndNormal
from elbowroom.inference import Target
from elbowroom.models import SemiSupervisedVAE

P, D, K, B = 4, 1, 3, 6


def programs() -> tuple[SemiSupervisedVAE, LabelAndNormal]:
    return SemiSupervisedVAE(P, D, K, (3,)), LabelAndNormal(P, D, K, (3,))


def test_pyro_sums_the_label_out_as_by_hand() -> None:
    """Its loss over many draws is Σ_y q(y|x) (E log p(x, y, z)/q(z|x, y) − log q(y|x)), M2's equation 7."""
    (model, guide), x, y = programs(), (torch.randn(B, P) > 0).double(), torch.zeros(B, dtype=torch.int64)
    unseen = torch.zeros(B, dtype=torch.bool)
    with torch.no_grad():
        torch.manual_seed(0)
        loss = TraceEnum_ELBO(max_plate_nesting=1, num_particles=3000, vectorize_particles=True)
        found = -loss.loss(model, config_enumerate(guide), x, y, unseen) / B
        q_y, terms = guide.classify(x), []
        for k in range(K):
            target = Target(model, guide, x, torch.full_like(y, k), ~unseen)
            log_w = target.log_weights(3000)
            terms.append(q_y.probs[:, k] * (log_w - q_y.probs[:, k].log()))
    total = torch.stack(terms).sum(0)  # [S, B]
    error = (2 * total.var(0).sum() / 3000).sqrt() / B
    assert abs(found - float(total.mean())) < 4.5 * error


EXAMPLE = dedent(re.search(r":\n\n(        import.*?)\n\n    Args:", LabelAndNormal.__doc__ or "", re.DOTALL).group(1))


@pytest.mark.slow
def test_the_example_runs() -> None:
    """Two epochs of it already classify better than chance."""
    torch.set_default_dtype(torch.float32)
    assert len(EXAMPLE.splitlines()) <= 15
    names: dict[str, Any] = {}
    exec(compile(EXAMPLE.replace("num_epochs=40", "num_epochs=2"), "example", "exec"), names)
    assert accuracy(names) > 0.3


@pytest.mark.slow
def test_the_example_learns_the_labels_that_are_told() -> None:
    torch.set_default_dtype(torch.float32)
    names: dict[str, Any] = {}
    exec(compile(EXAMPLE, "example", "exec"), names)
    assert accuracy(names) > 0.8


def accuracy(names: dict[str, Any]) -> float:
    guide, x, y = (names[name] for name in ("guide", "x", "y"))
    return (guide.classify(x).probs.argmax(-1) == y).double().mean().item()
