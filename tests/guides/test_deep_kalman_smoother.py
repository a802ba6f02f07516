"""The guide that reads backwards: what each step's q depends on, the model's own where there is nothing to read."""

import pyro.poutine as poutine
import pytest
import torch
from torch import Tensor

from elbowroom.guides import DeepKalmanSmoother
from elbowroom.models import VAE, DeepMarkov
from toys.sequences import moved

T, P, D = 5, 3, 2
Z = {f"z_{t}": torch.tensor([[0.2 * t, -0.3 * t]]) for t in range(1, T + 1)}


def programs() -> tuple[DeepMarkov, DeepKalmanSmoother]:
    model = moved(DeepMarkov(P, D, (4,), transition_hidden=(4,)))
    return model, moved(DeepKalmanSmoother(model, 6))


def given(program: torch.nn.Module, x: Tensor, mask: Tensor, z: dict[str, Tensor]) -> list[Tensor]:
    """Mean and standard deviation of each step's latents given the one before, `[2, 1, D]`."""
    nodes = poutine.trace(poutine.condition(program, {k: v.to(x) for k, v in z.items()})).get_trace(x, mask).nodes
    fns = [nodes[f"z_{t}"]["fn"].expand([1]).base_dist for t in range(1, T + 1)]
    return [torch.stack([fn.loc, fn.scale]) for fn in fns]


def changed(before: list[Tensor], after: list[Tensor]) -> list[int]:
    return [t + 1 for t in range(T) if not torch.equal(before[t], after[t])]


def test_a_step_depends_on_the_latent_before_it_and_on_the_data_from_it_on() -> None:
    (_, guide), x, mask = programs(), torch.randn(1, T, P), torch.ones(1, T).bool()
    base = given(guide, x, mask, Z)
    for t in range(1, T + 1):
        other = x.clone()
        other[:, t - 1] += 1
        assert changed(base, given(guide, other, mask, Z)) == list(range(1, t + 1))
        assert changed(base, given(guide, x, mask, Z | {f"z_{t}": Z[f"z_{t}"] + 1})) == [t + 1][: T - t]


@pytest.mark.parametrize(("there", "own"), [([1, 1, 1, 0, 0], [4, 5]), ([1, 0, 1, 0, 1], []), ([0, 0, 0, 1, 0], [5])])
def test_where_there_is_nothing_to_read_it_is_the_model(there: list[int], own: list[int]) -> None:
    """Equal to the last bit, so that KL(q ‖ p) has exact zeros there; a gap has something to read."""
    (model, guide), x, mask = programs(), torch.randn(1, T, P), torch.tensor([there])
    x = torch.where(mask.bool().unsqueeze(-1), x, torch.nan)
    q, p = given(guide, x, mask, Z), given(model, x, mask, Z)
    assert [t for t in range(1, T + 1) if torch.equal(q[t - 1], p[t - 1])] == own


def test_the_path_of_means() -> None:
    (_, guide), x, mask = programs(), torch.randn(1, T, P), torch.tensor([[1, 1, 1, 1, 0]])
    path = guide.mean_path(x, mask)
    z = {f"z_{t}": path[:, t - 1] for t in range(1, T + 1)}
    assert path.shape == (1, T, D)
    torch.testing.assert_close(path, torch.stack([q[0] for q in given(guide, x, mask, z)], 1))


def test_it_reads_the_model_and_does_not_own_it() -> None:
    model, guide = programs()
    assert guide.model is model and not {id(p) for p in model.parameters()} & {id(p) for p in guide.parameters()}
    with pytest.raises(TypeError, match=r"model.* got VAE, which has no method next_state\(z\)"):
        DeepKalmanSmoother(VAE(3, 2))
