"""The guide of codes: distances by hand, the point at temperature zero, the codebook that is the model's."""

import pytest
import torch

from elbowroom.guides import NearestCode
from elbowroom.inference import Target
from elbowroom.models import VAE, VectorQuantized

B, P = 4, 6


def pair(temperature: float) -> tuple[VectorQuantized, NearestCode]:
    model = VectorQuantized(P, 3, 2, 2, (4,), prior_hidden=(3,))
    return model, NearestCode(model, (4,), temperature=temperature)


def test_probabilities_fall_with_the_distance() -> None:
    model, guide = pair(0.4)
    x = torch.randn(B, P)
    h = guide.encoder(x).reshape(B, 2, 2)
    q, codes = guide.encode(x), torch.randint(3, (B, 2))
    expected = torch.zeros(B)
    for b in range(B):
        for position in range(2):
            distances = torch.stack([(h[b, position] - e).square().sum() for e in model.codebook])
            expected[b] += (-distances / 0.4).log_softmax(0)[codes[b, position]]
    torch.testing.assert_close(q.log_prob(codes), expected, rtol=1e-10, atol=1e-10)
    assert set(dict(guide.named_parameters())) == {f"encoder.{n}.{w}" for n in (0, 2) for w in ("weight", "bias")}


def test_as_it_grows_cold_it_is_the_nearest_code() -> None:
    model, cold = pair(1e-4)
    point = NearestCode(model, (4,), temperature=0)
    point.load_state_dict(cold.state_dict())
    x = (torch.randn(B, P) > 0).double()
    codes = point.nearest(x)
    assert torch.equal(cold.encode(x).sample(), codes) and torch.equal(point.encode(x).sample(), codes)
    torch.testing.assert_close(cold.encode(x).log_prob(codes), torch.zeros(B), rtol=0, atol=1e-8)
    assert all("more samples cannot tighten" in caution for caution in Target(model, point, x).cautions)
    with torch.no_grad():
        model.codebook.mul_(-1)  # it reads the model's, as it is now
    assert not torch.equal(point.nearest(x), codes)


def test_what_has_no_codebook_is_refused() -> None:
    with pytest.raises(TypeError, match=r"model: got VAE, which has no method distances\(vectors\)"):
        NearestCode(VAE(P, 2))
    with pytest.raises(ValueError, match="temperature must be a number from 0"):
        pair(-1)
