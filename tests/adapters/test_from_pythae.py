"""pythae's models: what they are by hand, and pythae's own `get_nll` where it is installed."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal

from elbowroom.adapters import from_pythae
from elbowroom.inference import Target, importance
from toys.foreign import library

B, D, K, SHAPE = 3, 2, 4, (1, 3, 3)


class BaseAE(nn.Module):
    """The interface of pythae 0.1.2 as far as it is used, under its names."""

    def __init__(self, loss: str = "mse") -> None:
        super().__init__()
        self.latent_dim, self.model_config = D, SimpleNamespace(reconstruction_loss=loss, input_dim=SHAPE)
        self.encoder, self.decoder = Encoder(), Decoder()


class VAE(BaseAE):
    pass


class BetaVAE(VAE):
    pass


class VAEGAN(VAE):
    pass


class SVAE(VAE):
    pass


class VAMP(VAE):
    def __init__(self, loss: str = "mse") -> None:
        super().__init__(loss)
        self.pseudo_inputs = nn.Sequential(nn.Linear(K, math.prod(SHAPE)), nn.Hardtanh(0.0, 1.0))
        self.idle_input = torch.eye(K)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mean, self.log_var = nn.Linear(9, D), nn.Linear(9, D)

    def forward(self, x: Tensor) -> Any:
        x = x.reshape(len(x), -1)
        return {"embedding": 2 * self.mean(x) + 1, "log_covariance": self.log_var(x) - 1}


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(D, 9)

    def forward(self, z: Tensor) -> Any:
        return {"reconstruction": torch.sigmoid(self.layer(z)).reshape(-1, *SHAPE)}


def made(kind: type[BaseAE], loss: str) -> tuple[Any, Tensor]:
    torch.manual_seed(0)
    model = kind(loss).eval()
    return model, torch.bernoulli(torch.full((B, *SHAPE), 0.5))


@pytest.mark.parametrize("loss", ["mse", "bce"])
@pytest.mark.parametrize("kind", [VAE, BetaVAE, VAMP])
def test_its_densities_by_hand(kind: type[BaseAE], loss: str) -> None:
    model, x = made(kind, loss)
    sigma = {"sigma": 0.5} if kind is BetaVAE and loss == "mse" else {}
    target = Target(*from_pythae(model, **sigma), x)
    values, log_q = target.propose(4, seed=1)
    z = values["z"]
    said = model.encoder(x)
    torch.testing.assert_close(log_q, Normal(said["embedding"], (said["log_covariance"] / 2).exp()).log_prob(z).sum(-1))
    prior, likelihood = target.log_joint(values)
    if kind is VAMP:
        inputs = model.pseudo_inputs(model.idle_input)
        at = model.encoder(inputs.reshape(K, *SHAPE))
        each = Normal(at["embedding"], (at["log_covariance"] / 2).exp()).log_prob(z.unsqueeze(-2)).sum(-1)
        torch.testing.assert_close(prior, each.logsumexp(-1) - math.log(K))
    else:
        torch.testing.assert_close(prior, Normal(0.0, 1.0).log_prob(z).sum(-1))
    mean = torch.sigmoid(model.decoder.layer(z))
    p_x = Normal(mean, sigma.get("sigma", 1.0)) if loss == "mse" else Bernoulli(mean)
    torch.testing.assert_close(likelihood, p_x.log_prob(x.flatten(1)).sum(-1))


def test_pseudo_inputs_are_read_as_they_are_now() -> None:
    model, x = made(VAMP, "mse")
    target = Target(*from_pythae(model), x)
    z, _ = target.propose(1)
    before = target.log_joint(z)[0]
    with torch.no_grad():
        model.pseudo_inputs[0].bias.add_(0.5)
    assert (target.log_joint(z)[0] - before).abs().min() > 1e-3


@pytest.mark.parametrize(
    ("model", "options", "error", "words"),
    [
        (VAEGAN(), {}, ValueError, "VAEGAN: its reconstruction loss is measured in a discriminator's layers"),
        (SVAE(), {}, TypeError, "SVAE: its latents lie on a sphere; write"),
        (BaseAE(), {}, TypeError, r"BaseAE, an autoencoder without q\(z\|x\)"),
        (nn.Linear(1, 1), {}, TypeError, "Linear, no model of pythae"),
        (VAE("ssim"), {}, ValueError, "reconstruction_loss='ssim', of which no density is known"),
        (VAE("bce"), {"sigma": 0.1}, ValueError, "sigma: got 0.1, but reconstruction_loss='bce'"),
    ],
)
def test_what_has_no_density_is_refused(model: Any, options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        from_pythae(model, **options)


READ = (
    *("VAE", "BetaVAE", "IWAE", "VAMP", "BetaTCVAE", "DisentangledBetaVAE", "FactorVAE", "INFOVAE_MMD"),
    *("CIWAE", "MIWAE", "PIWAE", "Adversarial_AE"),
)
REFUSED = (
    *("AE", "VQVAE", "WAE_MMD", "RAE_L2", "RAE_GP", "VAE_IAF", "VAE_LinNF", "HVAE", "RHVAE", "SVAE", "PoincareVAE"),
    *("VAEGAN", "MSSSIM_VAE"),
)


def model_of(models: Any, name: str, **options: Any) -> Any:
    """One of pythae's by its name; that of its configuration may have an underscore."""
    torch.manual_seed(0)
    config = next(getattr(models, f"{name}{end}") for end in ("Config", "_Config") if hasattr(models, f"{name}{end}"))
    return getattr(models, name)(config(input_dim=(1, 4, 4), latent_dim=3, **options)).eval()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_each_of_its_models_is_read_or_refused() -> None:
    with library("pythae.models", "pythae") as models:
        there = {name.removesuffix("Config").removesuffix("_") for name in dir(models) if name.endswith("Config")}
        assert there - {"BaseAE", "BaseVAE"} == {*READ, *REFUSED}
        for name in REFUSED:
            with pytest.raises((TypeError, ValueError), match=f"^model: got {name}[:,] "):
                from_pythae(model_of(models, name))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of pythae, of years ago
@pytest.mark.parametrize("loss", ["mse", "bce"])
@pytest.mark.parametrize("name", READ)
def test_its_own_number(name: str, loss: str) -> None:
    with library("pythae.models", "pythae") as models:
        model = model_of(models, name, reconstruction_loss=loss)
        x = torch.bernoulli(torch.full((4, 1, 4, 4), 0.5))
        with torch.no_grad():
            if name == "VAMP":
                model.encoder.embedding.bias.add_(1.0)  # a prior that is another than N(0, I)
            theirs = torch.tensor([float(model.get_nll(x, n_samples=500, batch_size=100)) for _ in range(8)])
        ours = importance(Target(*from_pythae(model), x), num_samples=4000, search=False)
        assert ours.flags == ("",) * 4
        error = math.hypot(float(ours.stderr.square().sum().sqrt()) / 4, float(theirs.std()) / 8**0.5)
        assert abs(float(ours.value.mean() - theirs.mean())) < 4 * error < 0.1
