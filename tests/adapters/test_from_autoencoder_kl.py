"""`AutoencoderKL`: maps of latents and a σ that is given; diffusers' own class where it is installed."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from elbowroom.adapters import from_autoencoder_kl
from elbowroom.inference import Target
from toys.foreign import library

B, SIGMA = 2, 0.5
X = torch.linspace(-1, 1, B * 3 * 16).view(B, 3, 4, 4)


class StandIn(nn.Module):
    """The interface of diffusers 0.42.1 as far as it is used."""

    def __init__(self) -> None:
        super().__init__()
        self.config, self.use_tiling = SimpleNamespace(in_channels=3, scaling_factor=0.2), False
        self.down, self.up = nn.Conv2d(3, 4, 2, 2), nn.ConvTranspose2d(2, 3, 2, 2)

    def encode(self, x: Tensor) -> Any:
        mean, log_var = self.down(x).chunk(2, 1)
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=mean, logvar=log_var, std=(log_var / 2).exp()))

    def decode(self, z: Tensor) -> Any:
        return SimpleNamespace(sample=self.up(z))


def by_hand(vae: Any, x: Tensor) -> None:
    target = Target(*from_autoencoder_kl(vae, x, sigma=SIGMA), x)
    values, log_q = target.propose(2, seed=1)
    q = vae.encode(x).latent_dist
    maps = values["z"].unflatten(-1, q.mean.shape[1:])  # [S, B, C, h, w]
    torch.testing.assert_close(log_q, Normal(q.mean, q.std).log_prob(maps).flatten(2).sum(-1))
    prior, likelihood = target.log_joint(values)
    torch.testing.assert_close(prior, Normal(0.0, 1.0).log_prob(maps).flatten(2).sum(-1))
    decoded = torch.stack([vae.decode(z).sample for z in maps])
    torch.testing.assert_close(likelihood, Normal(decoded, SIGMA).log_prob(x).flatten(2).sum(-1))


def test_its_densities_by_hand() -> None:
    torch.manual_seed(0)
    by_hand(StandIn().eval(), X.double())


def test_what_it_does_not_take_is_refused() -> None:
    vae = StandIn().eval()
    for x, words in (
        (X.permute(0, 2, 3, 1), r"x: got shape \(2, 4, 4, 3\), expected images \[B, 3, height, width\]"),
        (X.flatten(1), r"x: got shape \(2, 48\)"),
        (X * 255, "x: got values from -255 to 255, expected"),
    ):
        with pytest.raises(ValueError, match=words):
            from_autoencoder_kl(vae, x, sigma=SIGMA)
    with pytest.raises(TypeError, match="sigma"):
        from_autoencoder_kl(vae, X)  # type: ignore[call-arg]
    vae.use_tiling = True
    with pytest.raises(ValueError, match="blends tiles"):
        from_autoencoder_kl(vae, X, sigma=SIGMA)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_class_itself() -> None:
    with library("diffusers", "diffusers") as diffusers:
        torch.manual_seed(0)
        vae = diffusers.AutoencoderKL(
            block_out_channels=(8, 8),
            norm_num_groups=4,
            latent_channels=2,
            sample_size=8,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
        )
        x = torch.linspace(-1, 1, B * 3 * 64).view(B, 3, 8, 8)
        by_hand(vae.to(x.dtype).eval(), x)
