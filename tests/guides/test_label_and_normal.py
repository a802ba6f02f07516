"""The guide of M2 trained as its page says: y summed out of the bound, and the classification term beside it."""

import re
from textwrap import dedent
from typing import Any

import torch
from pyro.infer import Trace_ELBO, TraceEnum_ELBO, config_enumerate

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


def test_the_loop_of_the_page_learns_the_labels_that_are_told() -> None:
    loop = re.search(r"`log_label`:\n\n(.*?)\n\n    Args:", LabelAndNormal.__doc__ or "", re.DOTALL).group(1)
    assert len(loop.splitlines()) <= 15
    torch.manual_seed(0)
    model, guide = programs()
    y = torch.arange(B) % K
    x, seen = torch.eye(P)[y], torch.ones(B, dtype=torch.bool)
    names: dict[str, Any] = {
        "model": model, "guide": guide, "alpha": 1.0, "num_steps": 60, "config_enumerate": config_enumerate,
        "Trace_ELBO": Trace_ELBO, "TraceEnum_ELBO": TraceEnum_ELBO,
        "labelled": iter(lambda: (x, y, seen), None), "unlabelled": iter(lambda: (x, y.flip(0), ~seen), None),
        "optimizer": torch.optim.Adam([*model.parameters(), *guide.parameters()], 0.05),
    }  # fmt: skip
    before = guide.log_label(x, y).mean()
    exec(compile(dedent(loop), "loop", "exec"), names)
    assert torch.equal(guide.classify(x).probs.argmax(-1), y) and guide.log_label(x, y).mean() > before / 3
