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
OUTPUTS: dict[str, Any] = {
    "likelihood": "bernoulli",
    "encoder_output": "mean_log_var",
    "decoder_output": "probs",
}


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


@pytest.mark.parametrize("said", [False, True])
def test_labels_are_given_to_both(said: bool) -> None:
    """To its methods, or to functions that stand for them."""
    torch.manual_seed(0)
    vae, label = Labelled().eval(), torch.arange(B)
    x = torch.bernoulli(torch.full((B, P), 0.4))
    ways: dict[str, Any] = {"encode": lambda x, y: vae.encode(x, y), "decode": lambda z, y: vae.decode(z, y)}
    target = Target(*from_vae(vae, x, label, **OUTPUTS, **(ways if said else {})), x, label)
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


class Capitals(Tutorial):
    """Networks `Encoder` and `Decoder`."""

    encode = decode = None  # type: ignore[assignment]

    def Encoder(self, x: Tensor) -> Any:
        return Tutorial.encode(self, x)

    def Decoder(self, z: Tensor) -> Any:
        return Tutorial.decode(self, z)


class Headless(nn.Module):
    """Networks that are a part of the way: features, two heads that draw as well, and a layer before the decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.vae = Tutorial()
        self.encoder, self.fc_mu, self.fc_var = nn.Sequential(self.vae.fc1, nn.ReLU()), self.vae.fc21, self.vae.fc22
        self.fc3, self.decoder = self.vae.fc3, nn.Sequential(nn.ReLU(), self.vae.fc4, nn.Sigmoid())

    def bottleneck(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_var = self.fc_mu(h), self.fc_var(h)
        return mean + torch.exp(log_var / 2) * torch.randn_like(mean), mean, log_var


@pytest.mark.parametrize("named", [False, True])
def test_what_encodes_and_decodes_may_be_said(named: bool) -> None:
    """By functions, or found by names in capitals: the same numbers as of its parts by hand."""
    torch.manual_seed(0)
    vae: Any = Capitals().eval() if named else Headless().eval()
    plain: Tutorial = vae if named else vae.vae
    x = torch.bernoulli(torch.full((B, P), 0.4))
    ways: dict[str, Any] = {
        "encode": lambda x: vae.bottleneck(vae.encoder(x))[1:],
        "decode": lambda z: vae.decoder(vae.fc3(z)),
    }
    target = Target(*from_vae(vae, x, **OUTPUTS, **({} if named else ways)), x)
    z, log_q = target.propose(3, seed=1)
    mean, log_var = Tutorial.encode(plain, x)
    torch.testing.assert_close(log_q, Normal(mean, (log_var / 2).exp()).log_prob(z["z"]).sum(-1))
    p_x = Bernoulli(probs=Tutorial.decode(plain, z["z"]))
    torch.testing.assert_close(target.log_joint(z)[1], p_x.log_prob(x).sum(-1))


def test_a_part_of_the_way_is_told_with_what_else_there_is() -> None:
    vae, x = Headless().eval(), torch.zeros(B, P)
    also = "of the vae's attributes, vae, encoder, fc_mu, fc_var, fc3, decoder are networks"
    with pytest.raises(TypeError, match=rf"returned one tensor of shape .2, 5.*encode=lambda x: …; {also}"):
        from_vae(vae, x, **OUTPUTS)
    with pytest.raises(ValueError, match=rf"to decode codes of shape .2, 4. fails: .*decode=lambda z: …; {also}"):
        from_vae(vae, x, **OUTPUTS, encode=lambda x: vae.bottleneck(vae.encoder(x))[1:])
    with pytest.raises(ValueError, match=r"encoder: failed on x of shape .2, 1, 4, 4.*encode=lambda x"):
        from_vae(vae.vae, x.view(B, 1, 4, 4), **OUTPUTS)
    with pytest.raises(TypeError, match=r"^x: got torch.float16, .*program.to\(torch.float16\)$"):
        from_vae(vae, x.half(), **OUTPUTS)
    with pytest.raises(ValueError, match=r"^encoder: returned standard deviations between .*'mean_log_var'$"):
        from_vae(vae.vae, x, **(OUTPUTS | {"encoder_output": "mean_std"}))


def test_levels_come_first_or_last() -> None:
    """Logits of [B, levels, …], as cross_entropy has them, are those of [B, …, levels]."""
    torch.manual_seed(0)
    vae = Tutorial().eval()
    said: dict[str, Any] = OUTPUTS | {
        "likelihood": "categorical",
        "likelihood_options": {"levels": 4},
        "decoder_output": "logits",
    }
    x = torch.randint(4, (B, P)).to(torch.get_default_dtype())

    def first(z: Tensor) -> Tensor:
        return vae.decode(z)[:, None, :] * torch.arange(4.0)[:, None]  # [B, 4, P]

    z = torch.randn(B, D)
    expected = -nn.functional.cross_entropy(first(z), x.long(), reduction="none").sum(1)
    for decode in (first, lambda z: first(z).movedim(1, -1)):
        model, _ = from_vae(vae, x, **said, decode=decode)
        torch.testing.assert_close(model.decode(z).log_prob(x), expected)


def test_looking_at_the_codes_changes_nothing() -> None:
    """Running statistics, modes and random numbers stay, in training mode too."""
    vae = Tutorial()
    vae.fc3 = nn.Sequential(vae.fc3, nn.BatchNorm1d(5))  # type: ignore[assignment]
    before = {name: value.clone() for name, value in vae.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    from_vae(vae, torch.zeros(B, P), **OUTPUTS)
    assert torch.equal(torch.rand(2), expected) and vae.training and vae.fc3[1].training
    assert all(torch.equal(value, before[name]) for name, value in vae.state_dict().items())


def test_what_neither_encodes_nor_decodes_is_named() -> None:
    vae = nn.Module()
    vae.inference_network = nn.Linear(P, 2 * D)
    with pytest.raises(
        TypeError, match=r"vae: got Module, which has neither encode nor encoder: .*encode= and .*inference_network"
    ):
        from_vae(vae, torch.zeros(B, P), likelihood="bernoulli")
    vae.encoder, vae.decoder = vae.inference_network, nn.Linear(D, P)
    with pytest.raises(TypeError, match=r"encoder: returned one tensor of shape \(2, 8\), which does not say"):
        from_vae(vae, torch.zeros(B, P), likelihood="bernoulli")
