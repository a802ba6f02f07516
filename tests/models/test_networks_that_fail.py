"""A plain network that fails is named in one sentence, with its input's shape, its own words and what to try."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from elbowroom.adapters import from_vae
from elbowroom.guides import from_encoder
from elbowroom.inference import ProgramError, Target
from elbowroom.models import from_decoder


class Encoder(nn.Module):
    def __init__(self, net: nn.Module | None = None) -> None:
        super().__init__()
        self.net = net or nn.Linear(9, 4)

    def forward(self, x: Tensor) -> Any:
        return self.net(x).flatten(1).chunk(2, -1)


class Weighted(nn.Module):
    """Wants z [B, S, D], as decoders of importance-weighted models in PyTorch-VAE do."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(2, 9)

    def forward(self, z: Tensor) -> Tensor:
        num_data, num_samples, _ = z.size()
        return self.net(z).view(num_data, num_samples, 9)


def target(decoder: Any = None, encoder: Any = None, latent_dim: int = 2, x: Tensor | None = None) -> Target:
    model = from_decoder(decoder or nn.Linear(2, 9), latent_dim=latent_dim, likelihood="bernoulli", output="logits")
    return Target(
        model, from_encoder(encoder or Encoder(), output="mean_log_var"), torch.zeros(4, 9) if x is None else x
    )


def refusal(**options: Any) -> str:
    with pytest.raises(ProgramError) as refused:
        target(**options)
    said = str(refused.value)
    assert "\n" not in said and "Trace Shapes" not in said
    return said


def test_a_decoder_of_other_latents() -> None:
    said = refusal(decoder=nn.Sequential(nn.Linear(5, 9)))
    assert "decoder: failed on z of shape (4, 2): RuntimeError: mat1 and mat2" in said
    assert "in its layer Linear(in_features=5, out_features=9, bias=True)" in said
    assert "latent_dim was said to be 2" in said


def test_a_decoder_that_wants_samples_and_one_that_is_wrapped() -> None:
    assert "decoder: failed on z of shape (4, 2): ValueError: not enough values to unpack" in refusal(
        decoder=Weighted()
    )
    said, network = refusal(decoder=Weighted()), Weighted()
    assert "lambda z: decode(z[:, None])[:, 0]" in said
    assert len(target(decoder=lambda z: network(z[:, None])[:, 0])) == 4


def test_an_encoder_of_images() -> None:
    said = refusal(encoder=Encoder(nn.Conv2d(1, 4, 3)))
    assert "encoder: failed on x of shape (4, 9): RuntimeError: Expected 3D (unbatched) or 4D (batched) input" in said
    assert "Conv2d(1, 4, kernel_size=(3, 3)" in said and "--networks.image_shape [1,28,28]" in said
    assert len(target(encoder=Encoder(nn.Conv2d(1, 4, 3)), x=torch.zeros(4, 1, 3, 3))) == 4


def test_what_elbowroom_says_itself_is_not_said_twice() -> None:
    said = refusal(decoder=nn.Linear(2, 8))
    assert said == "the model failed: x: got 9 values per datum (shape (4, 9)), expected 8 (the model's p(x|z))"
    model = from_decoder(nn.Linear(2, 9), latent_dim=2, likelihood="bernoulli", output="probs")
    with pytest.raises(ProgramError, match=r"^the model failed: decoder: returned values between") as refused:
        Target(model, from_encoder(Encoder(), output="mean_log_var"), torch.zeros(4, 9))
    assert "failed on z" not in str(refused.value) and "\n" not in str(refused.value)
    nan = torch.zeros(4, 9)
    nan[3, 5] = torch.nan
    assert refusal(x=nan).startswith("argument 0 has NaN or infinite values in 1 of its rows (first rows: [3])")


def test_one_object_for_both() -> None:
    vae = nn.Module()
    vae.encoder, vae.decoder = Encoder(nn.Conv2d(1, 4, 3)), nn.Linear(2, 9)
    with pytest.raises(ValueError, match=r"encoder: failed on x of shape \(2, 9\): RuntimeError"):
        from_vae(vae, torch.zeros(4, 9), likelihood="bernoulli", encoder_output="mean_log_var", decoder_output="logits")


def test_errors_keep_their_kind() -> None:
    """Some are no defect: of a numerical one at far points the caller decides."""
    model = from_decoder(Weighted(), latent_dim=2, likelihood="bernoulli", output="logits")
    with pytest.raises(ValueError, match=r"^not enough values to unpack \(expected 3, got 2\)") as raised:
        model(torch.zeros(4, 9))
    assert raised.value.__notes__[0].startswith("decoder: failed on z of shape (4, 2)")


def test_labels_are_given_to_draws() -> None:
    """`generate` of a decoder that reads labels, and of one that does not."""

    def decode(z: Tensor, label: Tensor) -> Tensor:
        return z.repeat(1, 2) + label[..., None]

    model = from_decoder(decode, latent_dim=2, likelihood="bernoulli", output="logits", num_given=1)
    drawn = model.generate(3, torch.tensor([0.0, 5.0, -5.0]), seed=4)
    torch.testing.assert_close(drawn.mean, decode(drawn.z, torch.tensor([0.0, 5.0, -5.0])).sigmoid())
    plain = from_decoder(lambda z: z, latent_dim=2, likelihood="bernoulli", output="logits").generate(3, seed=4)
    assert torch.equal(plain.z, drawn.z)
