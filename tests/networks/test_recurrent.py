"""The backward recurrent network: torch's own GRU on reversed sequences; padding, gaps and company change nothing."""

import pytest
import torch
from torch import Tensor, nn

from elbowroom.networks import BackwardGRU, sequence_mask

P, H, T = 3, 4, 6
LENGTHS = torch.tensor([6, 4, 1])


def network() -> BackwardGRU:
    made = BackwardGRU(P, H)
    nn.init.normal_(made.last)
    return made


def sequences() -> tuple[Tensor, Tensor]:
    return torch.randn(3, T, P), sequence_mask(LENGTHS, T)


def test_it_is_torchs_gru_on_each_sequence_reversed() -> None:
    gru, (x, mask) = network(), sequences()
    reference = nn.GRU(P, H)
    weights = (gru.of_inputs.weight, gru.of_state.weight, gru.of_inputs.bias, gru.of_state.bias)
    for theirs, ours in zip(reference.parameters(), weights, strict=True):
        theirs.data = ours.data
    found = gru(x, mask)
    for b, length in enumerate(LENGTHS.tolist()):
        expected = reference(x[b, :length].flip(0), gru.last.expand(1, -1))[0].flip(0)
        torch.testing.assert_close(found[b, :length], expected, rtol=1e-12, atol=1e-12)
        assert torch.equal(found[b, length:], gru.last.expand(T - length, -1))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_padding_and_company_change_nothing(dtype: torch.dtype, tolerance: float) -> None:
    gru, (x, mask) = network().to(dtype), sequences()
    x = x.to(dtype)
    whole = gru(x, mask)
    longer = torch.cat([x.where(mask[..., None], torch.nan), torch.full((3, 5, P), torch.nan, dtype=dtype)], 1)
    padded = gru(longer, sequence_mask(LENGTHS, T + 5))
    torch.testing.assert_close(padded[:, :T], whole, rtol=tolerance, atol=tolerance)
    for b, length in enumerate(LENGTHS.tolist()):
        alone = gru(x[b : b + 1, :length])
        torch.testing.assert_close(whole[b : b + 1, :length], alone, rtol=tolerance, atol=tolerance)


def test_padding_has_no_gradient_and_every_parameter_has_one() -> None:
    gru, (x, mask) = network(), sequences()
    x = x.where(mask[..., None], torch.nan).requires_grad_()
    gru(x, mask)[mask].square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.abs().max() > 0 for p in gru.parameters())
    assert (x.grad[~mask] == 0).all() and (x.grad[mask].abs().sum(-1) > 0).all()


def test_a_gap_is_passed_over() -> None:
    gru, x = network(), torch.randn(1, T, P)
    mask = torch.tensor([[1, 1, 0, 1, 0, 1]])
    torch.testing.assert_close(gru(x, mask)[mask.bool()], gru(x[mask.bool()][None])[0])


def test_leading_dimensions_are_a_loop() -> None:
    gru, x = network(), torch.randn(2, 3, T, P)
    mask = sequence_mask(LENGTHS, T).expand(2, 3, T)
    whole = gru(x, mask)
    torch.testing.assert_close(whole, torch.stack([gru(x[s], mask[s]) for s in range(2)]), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.vmap(gru)(x, mask), whole, rtol=1e-12, atol=1e-12)
    assert gru(x[0, 0]).shape == (T, H)


def test_errors() -> None:
    gru, (x, mask) = network(), sequences()
    with pytest.raises(ValueError, match=r"x: got shape \(3, 6, 2\), expected \[\.\.\., T, 3\]"):
        gru(x[..., :2])
    with pytest.raises(ValueError, match=r"mask: got shape \(3, 5\), expected \(3, 6\)"):
        gru(x, mask[:, :5])
    with pytest.raises(ValueError, match=r"num_features.* got 0"):
        BackwardGRU(P, 0)
