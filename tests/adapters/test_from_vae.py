"""Objects that encode and decode, as their authors write them: five lines to a target, and the numbers by hand."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal

from elbowroom.adapters import from_vae
from elbowroom.inference import Target

B, P, D = 4, 16, 4


class Tutorial(nn.Module):
    """Methods encode and decode, as in pytorch/examples."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(P, 5), nn.Linear(5, D), nn.Linear(5, D)
        self.fc3, self.fc4 = nn.Linear(D, 5), nn.Linear(5, P)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.relu(self.fc1(x))
        return self.fc21(h), self.fc22(h)

    def decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.fc4(torch.relu(self.fc3(z))))


class Listed(Tutorial):
    """Lists, and images, as in AntixK's collection."""

    def encode(self, x: Tensor) -> Any:
        return list(super().encode(x.flatten(1)))

    def decode(self, z: Tensor) -> Any:
        return super().decode(z).view(-1, 1, 4, 4)


class Networks(nn.Module):
    """Networks encoder and decoder that return objects, as in pythae; the object's own encode is none."""

    encode = None

    def __init__(self) -> None:
        super().__init__()
        self.vae = Tutorial()

    def encoder(self, x: Tensor) -> Any:
        mean, log_var = self.vae.encode(x)
        return SimpleNamespace(embedding=mean, log_covariance=log_var)

    def decoder(self, z: Tensor) -> Any:
        return {"reconstruction": self.vae.decode(z)}


class Maps(Tutorial):
    """Latents that are images, in distributions, as in diffusers."""

    def encode(self, x: Tensor) -> Any:
        mean, log_var = (value.view(-1, 1, 2, 2) for value in super().encode(x))
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=mean, logvar=log_var, std=(log_var / 2).exp()))

    def decode(self, z: Tensor) -> Any:
        assert z.shape[1:] == (1, 2, 2)
        return SimpleNamespace(sample=super().decode(z.flatten(1)))


class Distributions(Tutorial):
    def encode(self, x: Tensor) -> Any:
        mean, log_var = super().encode(x)
        return Normal(mean, (log_var / 2).exp())

    def decode(self, z: Tensor) -> Any:
        return Bernoulli(probs=super().decode(z))


class Stacked(Tutorial):
    def encode(self, x: Tensor) -> Any:
        return torch.cat(super().encode(x), 1)


CASES = {
    "methods": (Tutorial, {"encoder_output": "mean_log_var", "decoder_output": "probs"}),
    "lists and images": (Listed, {"encoder_output": "mean_log_var", "decoder_output": "probs"}),
    "networks that return objects": (Networks, {"decoder_output": "probs"}),
    "latents that are images": (Maps, {"decoder_output": "probs"}),
    "distributions": (Distributions, {}),
    "one tensor": (Stacked, {"encoder_output": "stacked_mean_log_var", "decoder_output": "probs"}),
}


@pytest.mark.parametrize(("kind", "outputs"), CASES.values(), ids=list(CASES))
def test_an_object_is_a_model_and_a_guide(kind: type[nn.Module], outputs: dict[str, str]) -> None:
    torch.manual_seed(0)
    vae = kind().eval()
    plain: Tutorial = getattr(vae, "vae", vae)  # type: ignore[assignment]
    x = torch.bernoulli(torch.full((B, P), 0.4))
    given = x.view(B, 1, 4, 4) if kind is Listed else x
    target = Target(*from_vae(vae, given, likelihood="bernoulli", **outputs), given)
    z, log_q = target.propose(3, seed=1)
    mean, log_var = Tutorial.encode(plain, x)
    torch.testing.assert_close(log_q, Normal(mean, (log_var / 2).exp()).log_prob(z["z"]).sum(-1))
    prior, likelihood = target.log_joint(z)
    torch.testing.assert_close(prior, Normal(0.0, 1.0).log_prob(z["z"]).sum(-1))
    p_x = Bernoulli(probs=Tutorial.decode(plain, z["z"]))
    torch.testing.assert_close(likelihood, p_x.log_prob(x).sum(-1))


class Labelled(Tutorial):
    """A conditional VAE: labels are read by both."""

    def encode(self, x: Tensor, label: Tensor) -> Any:  # type: ignore[override]
        return super().encode(x + label.unsqueeze(-1))

    def decode(self, z: Tensor, label: Tensor) -> Any:  # type: ignore[override]
        return super().decode(z * (1 + label).unsqueeze(-1))


def test_labels_are_given_to_both() -> None:
    torch.manual_seed(0)
    vae, label = Labelled().eval(), torch.arange(B)
    x = torch.bernoulli(torch.full((B, P), 0.4))
    outputs = {"encoder_output": "mean_log_var", "decoder_output": "probs"}
    target = Target(*from_vae(vae, x, label, likelihood="bernoulli", **outputs), x, label)
    z, log_q = target.propose(3, seed=1)
    mean, log_var = vae.encode(x, label)
    torch.testing.assert_close(log_q, Normal(mean, (log_var / 2).exp()).log_prob(z["z"]).sum(-1))
    _, likelihood = target.log_joint(z)
    torch.testing.assert_close(likelihood, Bernoulli(probs=vae.decode(z["z"], label)).log_prob(x).sum(-1))
    part = target.select(torch.tensor([2, 0]))  # labels go with their data
    torch.testing.assert_close(part.log_joint({"z": z["z"][:, [2, 0]]})[1], likelihood[:, [2, 0]])
    row = target.model.log_joint(x, z["z"][0], label)
    torch.testing.assert_close(row, sum(target.log_joint(z))[0])


def test_labels_that_are_missing_or_too_few() -> None:
    x, label = torch.zeros(B, P), torch.arange(B)
    model, _ = from_vae(
        Labelled(), x, label, likelihood="bernoulli", encoder_output="mean_log_var", decoder_output="probs"
    )
    with pytest.raises(TypeError, match="takes 1 arguments of each datum beside z, got 0"):
        model(x)
    with pytest.raises(ValueError, match=r"argument 1 after x: got shape \(2,\), expected a row for each of 4 data"):
        model(x, label[:2])


def test_what_neither_encodes_nor_decodes_is_named() -> None:
    vae = nn.Module()
    vae.inference_network = nn.Linear(P, 2 * D)
    with pytest.raises(TypeError, match=r"vae: got Module, which has neither decode nor decoder: .*inference_network"):
        from_vae(vae, torch.zeros(B, P), likelihood="bernoulli")
    vae.encoder, vae.decoder = vae.inference_network, nn.Linear(D, P)
    with pytest.raises(TypeError, match=r"encoder: returned one tensor of shape \(2, 8\), which does not say"):
        from_vae(vae, torch.zeros(B, P), likelihood="bernoulli")
