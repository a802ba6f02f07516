"""The use of a codebook: shares, perplexities and their errors, dead codes, refusals."""

import re

import pytest
import torch

from elbowroom.inference import code_usage

CODES = torch.tensor([[0, 2], [0, 1], [3, 2], [0, 0]])


def test_shares_and_dead_codes_are_counted() -> None:
    found = code_usage(CODES, 4)
    assert found.usage.tolist() == [[0.75, 0, 0, 0.25], [0.25, 0.25, 0.5, 0]] and found.num_data == 4
    assert found.dead == ((1, 2), (3,))
    half = torch.tensor([0.75, 0.25])
    assert found.perplexity[0].item() == pytest.approx((-(half * half.log()).sum()).exp().item(), rel=1e-12)
    table = str(found)
    assert "use of 4 codes at 2 positions by 4 data; 0 are used nowhere" in table
    assert re.search(r"0 +1\.75 ± 0\.\d+ +0\.750 +2 +1, 2", table)


def test_equal_shares_have_the_size_of_the_codebook_and_one_code_has_one() -> None:
    even, one = code_usage(torch.arange(5), 5), code_usage(torch.zeros(7, 1, dtype=torch.long), 5)
    assert even.perplexity.item() == pytest.approx(5) and even.perplexity_stderr.item() == pytest.approx(0, abs=1e-12)
    assert one.perplexity.item() == 1 and one.perplexity_stderr.item() == pytest.approx(0, abs=1e-12)


def test_the_error_is_the_spread_over_samples_of_data() -> None:
    p = torch.tensor([0.5, 0.3, 0.15, 0.05])
    found = [code_usage(torch.multinomial(p, 400, replacement=True), 4) for _ in range(2000)]
    values, errors = (torch.cat([getattr(f, name) for f in found]) for name in ("perplexity", "perplexity_stderr"))
    assert values.std().item() == pytest.approx(errors.mean().item(), rel=4 / (2 * 2000) ** 0.5 + 0.02)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (CODES.double(), r"got shape \(4, 2\) of torch.float64"),
        (CODES[:0], r"got a tensor \(0, 2\)"),
        (CODES - 1, "got -1 to 2, expected 0 to 3"),
        (CODES + 1, "got 1 to 4, expected 0 to 3"),
    ],
)
def test_what_are_no_codes_is_refused(codes: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        code_usage(codes, 4)
