"""Plain networks and files of one's own on the command line: weights from checkpoints, and which data are audited."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from elbowroom.inference import Audit, Target
from elbowroom.inference.audit.verdict.doubts import tell_suspicions
from toys.audit_results import short_audit
from toys.commands import Run
from toys.strict_json import read_json

NETWORKS = """
import torch
from torch import nn

class Encoder(nn.Module):
    def __init__(self, size=9):
        super().__init__()
        self.net = nn.Linear(size, 4)
    def forward(self, x):
        return self.net(x.flatten(1)).chunk(2, -1)

class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(), nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5), nn.Linear(5, 9))

class Colours(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(48), nn.Sequential(nn.Linear(2, 48), nn.Unflatten(1, (3, 4, 4)))

class Maps(VAE):
    # latents that are images, in a mapping, and pixels in a distribution
    def encode(self, x):
        mean, log_var = self.encoder(x)
        return {"mu": mean.view(-1, 1, 2, 1), "logvar": log_var.view(-1, 1, 2, 1)}
    def decode(self, z):
        return torch.distributions.Bernoulli(logits=self.decoder(z.flatten(1)))

class Conditional(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.out = nn.Linear(64, 4), nn.Linear(2, 64)
        self.of_label = nn.Embedding(10, 64)
    def encode(self, x, label):
        return self.net(x + self.of_label(label)).chunk(2, -1)
    def decode(self, z, label):
        return self.out(z) + self.of_label(label)

vae = VAE()
prior = torch.distributions.Normal(torch.tensor([3.0, -2.0]), 0.5)

def loaded():
    network = nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5), nn.Linear(5, 9))
    network.load_state_dict(torch.load("decoder.pt", weights_only=True))
    return network

def moved(network):
    optimiser = torch.optim.SGD(network.parameters(), 1e-3)
    network(torch.ones(3, network[0].in_features)).square().sum().backward()
    optimiser.step()
    return network

def fitted():
    return moved(nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 9)))

def fitted_in_part():
    return nn.Sequential(*moved(nn.Sequential(nn.Linear(2, 12))), nn.Tanh(), nn.Linear(12, 9))

def half():
    network = loaded()
    nn.init.normal_(network[2].weight)
    return network
"""


@pytest.fixture
def weights(folder: Path, pixels: Path) -> dict[str, torch.Tensor]:
    """Networks of somebody's own, and trained weights of them as state dict."""
    (folder / "plain.py").write_text(NETWORKS)
    torch.manual_seed(5)
    decoder = nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5), nn.Linear(5, 9))
    torch.save(decoder.state_dict(), "decoder.pt")
    parts = {"encoder": nn.ModuleDict({"net": nn.Linear(9, 4)}), "decoder": decoder}
    return {f"{part}.{name}": x for part, module in parts.items() for name, x in module.state_dict().items()}


NAMES = ("--networks.decoder=plain:VAE.decoder", "--networks.encoder=plain:VAE.encoder")
DATA = ("--data.name=pixels.npy", "--data.dir=.", "--budget=300", "--num_simulations=30")


def test_a_checkpoint(run: Run, weights: dict[str, torch.Tensor], audited: list[Target]) -> None:
    """Both networks find their parts of it; what was loaded is said, and kept with the file's digest."""
    torch.save({"state_dict": {f"model.{name}": x for name, x in weights.items()}, "epoch": 3}, "vae.ckpt")
    ended = run("audit", *NAMES, *DATA, "--networks.checkpoint=vae.ckpt")
    assert ended.code == 0, ended
    assert "Weights of networks.encoder: 2 tensors of vae.ckpt, under 'state_dict.model.encoder.'." in ended.out
    assert "nobody asked for it" not in Path("audit/report.html").read_text()  # nothing was grey
    (target,) = audited
    for network, part in ((target.model.decoder, "decoder"), (target.guide.encoder, "encoder")):
        for name, value in network.state_dict().items():
            assert torch.equal(value, weights[f"{part}.{name}"]), name
    assert not any("never loaded" in doubt for doubt in target.suspicions)
    record = read_json(Path("audit/audit.json"))["about"]["weights of networks.decoder"]
    assert record["file"] == "vae.ckpt" and record["tensors"] == 9 and len(record["sha256"]) == 64


def test_one_object_for_both(run: Run, weights: dict[str, torch.Tensor], audited: list[Target]) -> None:
    """Its weights are loaded as a whole; what it returns is read off, latents of any shape too."""
    torch.save(weights, "vae.pt")
    ended = run("audit", "--networks.vae=plain:Maps", *DATA, "--networks.checkpoint=vae.pt")
    assert ended.code == 0, ended
    (target,) = audited
    assert target.model.latent_dim == 2 and not target.suspicions
    z, log_q = target.propose(2, seed=0)
    x, bias = target.data[0].flatten(1), weights["encoder.net.bias"]
    mean, log_var = (x @ weights["encoder.net.weight"].T + bias).chunk(2, -1)
    expected = torch.distributions.Normal(mean, (log_var / 2).exp()).log_prob(z["z"]).sum(-1)
    torch.testing.assert_close(log_q, expected)
    assert torch.equal(target.model.decoder.networks[0].decoder[0].weight, weights["decoder.0.weight"])


def test_one_object_that_was_never_loaded(run: Run, weights: dict[str, torch.Tensor], audited: list[Target]) -> None:
    assert run("audit", "--networks.vae=plain:Maps", *DATA).code == 0
    assert any("never loaded" in doubt for doubt in audited[0].suspicions)


def test_another_prior(run: Run, weights: dict[str, torch.Tensor], audited: list[Target]) -> None:
    assert run("audit", *NAMES, *DATA, "--networks.prior=plain:prior").code == 0
    z, _ = audited[0].propose(2, seed=0)
    expected = torch.distributions.Normal(torch.tensor([3.0, -2.0]), 0.5).log_prob(z["z"]).sum(-1)
    torch.testing.assert_close(audited[0].log_joint(z)[0], expected)


def test_networks_that_read_labels(run: Run, weights: dict[str, torch.Tensor], audited: list[Target]) -> None:
    options = ("--networks.vae=plain:Conditional", "--datum=labelled", "--limit=10", "--budget=300")
    assert run("audit", *options, "--num_simulations=20").code == 0
    (target,) = audited
    assert len(target.data) == 2 and target.data[1].dtype == torch.long
    z, _ = target.propose(2, seed=0)
    logits = target.model.decoder.networks[0].decode(z["z"], target.data[1])
    expected = torch.distributions.Bernoulli(logits=logits).log_prob(target.data[0]).sum(-1)
    torch.testing.assert_close(target.log_joint(z)[1], expected)


def test_two_ways_to_say_the_networks(run: Run, weights: dict[str, torch.Tensor]) -> None:
    assert run("audit", *NAMES, *DATA, "--networks.vae=plain:VAE").refused("give one of", "networks.vae")
    assert run("audit", "--networks.vae=plain:Encoder", *DATA).refused("neither decode nor decoder")
    assert run("audit", *NAMES, *DATA, "--networks.latent_dim=5").code != 0


def test_prefixes_and_files_of_each_network(run: Run, weights: dict[str, torch.Tensor], audited: list[Target]) -> None:
    other = {name: x + 1 if x.is_floating_point() else x for name, x in weights.items()}
    torch.save({"model": weights, "ema": other}, "vae.pt")
    checkpoint = "--networks.checkpoint=vae.pt"
    ended = run("audit", *NAMES, *DATA, checkpoint)
    told = ("networks.decoder", "'ema.decoder.', 'model.decoder.'", "--networks.checkpoint_prefix", "{decoder: PREFIX}")
    assert ended.refused(*told), ended
    assert run("audit", *NAMES, *DATA, checkpoint, "--networks.checkpoint_prefix=ema").code == 0
    assert torch.equal(audited[-1].guide.encoder.net.weight, other["encoder.net.weight"])
    mixed = "--networks.checkpoint_prefix={encoder: ema.encoder, decoder: model.}"
    assert run("audit", *NAMES, *DATA, checkpoint, mixed).code == 0
    assert torch.equal(audited[-1].guide.encoder.net.weight, other["encoder.net.weight"])
    assert torch.equal(audited[-1].model.decoder[0].weight, weights["decoder.0.weight"])
    torch.save({"net.weight": weights["encoder.net.weight"], "net.bias": weights["encoder.net.bias"]}, "encoder.pt")
    each = "--networks.checkpoint={encoder: encoder.pt, decoder: decoder.pt}"
    assert run("audit", *NAMES, *DATA, each).code == 0
    assert torch.equal(audited[-1].model.decoder[0].weight, weights["decoder.0.weight"])


def test_networks_alike_are_told_apart_by_their_names(folder: Path) -> None:
    from elbowroom.commands.options import Networks
    from elbowroom.commands.plain_networks import _loaded

    trained = nn.ModuleDict({"enc": nn.Linear(3, 3), "dec": nn.Linear(3, 3)})
    torch.save(trained.state_dict(), "alike.pt")
    made = {"networks.decoder": nn.Linear(3, 3), "networks.encoder": nn.Linear(3, 3)}
    _loaded(Networks(checkpoint="alike.pt"), made)
    assert torch.equal(made["networks.decoder"].weight, trained["dec"].weight)
    assert torch.equal(made["networks.encoder"].weight, trained["enc"].weight)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--networks.checkpoint=absent.pt",), ("--networks.checkpoint absent.pt: no such file",)),
        (
            ("--networks.checkpoint=decoder.pt",),
            ("networks.encoder: decoder.pt: the weights of Encoder are not",),
        ),
        (("--networks.checkpoint=whole.pt",), ("any code: refused", "python -c", "'whole-weights.pt'")),
        (("--networks.checkpoint={encoder: decoder.pt}",), ("no file for the decoder", "{decoder: FILE")),
        (("--networks.checkpoint={enc: decoder.pt}",), ("are of decoder and encoder, got ['enc']",)),
        (("--networks.checkpoint_prefix=model.",), ("without networks.checkpoint",)),
        (("--networks.decoder=plain:VAE.decode",), ("plain:VAE.decode: a VAE has no 'decode'",)),
    ],
    ids=lambda value: value[0],
)
def test_what_is_refused(
    run: Run, weights: dict[str, torch.Tensor], options: tuple[str, ...], told: tuple[str, ...]
) -> None:
    torch.save(nn.Linear(2, 2), "whole.pt")
    assert run("audit", *NAMES, *DATA, *options).refused(*told)
    assert not Path("audit").exists()


@pytest.mark.slow
def test_networks_that_nobody_loaded(run: Run, weights: dict[str, torch.Tensor], audited: list[Target]) -> None:
    """A class, or a function that draws weights, is doubted; one that loads them, and an object, are not."""

    def doubts(decoder: str) -> str:
        ended = run("audit", f"--networks.decoder=plain:{decoder}", "--networks.encoder=plain:vae.encoder", *DATA)
        assert ended.code == 0, ended
        return " ".join(audited[-1].suspicions)

    assert "networks.decoder (plain:VAE.decoder) was built here with random weights, never loaded" in doubts(
        "VAE.decoder"
    )
    assert "1 of the 9 tensors of networks.decoder (plain:half) hold random weights (2.weight)" in doubts("half")
    assert "networks.decoder" not in doubts("loaded") and "networks.decoder" not in doubts("vae.decoder")
    assert not doubts("fitted"), "weights that a function trains follow the seed, too"
    assert "2 of the 4 tensors of networks.decoder (plain:fitted_in_part) hold random weights (2.weight, 2.bias)" in (
        doubts("fitted_in_part")
    )
    both = run("audit", *NAMES, *DATA)
    (doubt,) = audited[-1].suspicions
    assert both.code == 0 and "plain:VAE.encoder) were built here with random weights, never loaded" in doubt
    assert "--networks.checkpoint FILE" in doubt


@pytest.mark.slow
def test_which_data_are_audited(run: Run, weights: dict[str, torch.Tensor], audited: list[Target]) -> None:
    """A file without splits as a whole, one datum too; a split where one is asked for or the file has one."""

    def audit(*options: str) -> tuple[str, str]:
        ended = run("audit", *NAMES, "--budget=300", "--data.dir=.", *options)
        assert ended.code == 0, ended
        return ended.out, Path("audit/report.html").read_text()

    out, report = audit("--data.name=pixels.npy")
    assert "Data: all 90 data of pixels.npy (the file has no splits" in out and "(pixels.npy, all)" in report
    assert "; zeros and ones by --data.binarize threshold at 0.5)" in out
    np.testing.assert_array_equal(audited[-1].data[0].numpy(), np.load("pixels.npy").reshape(90, 9))
    record = read_json(Path("audit/audit.json"))["about"]["data"]
    assert (record["split"], record["number of data"]) == ("all", "90 of 90")
    out, _ = audit("--data.name=pixels.npy", "--limit=3")
    assert "Data: the first 3 of 90 data of pixels.npy" in out and len(audited[-1]) == 3
    np.savez("few.npz", x=np.load("pixels.npy"), latents=np.zeros((90, 2)))
    out, _ = audit("--data.name=few.npz", "--data.limit=4")
    assert "Data: all 4 data of few.npz (the file has no splits" in out and len(audited[-1]) == 4
    assert "; of each the first 4; not read: 'latents'; zeros and ones by" in out
    out, report = audit("--data.name=pixels.npy", "--split=test")
    assert "Data: the 9 data of pixels.npy, its test data (" in out and "a tenth of the training array" in out
    assert "(pixels.npy, test)" in report and len(audited[-1]) == 9
    np.save("one.npy", np.load("pixels.npy")[:1])
    out, _ = audit("--data.name=one.npy")
    assert "Data: all 1 data of one.npy" in out and len(audited[-1]) == 1
    np.savez("split.npz", train=np.load("pixels.npy")[:80], test=np.load("pixels.npy")[80:])
    out, _ = audit("--data.name=split.npz")
    assert "Data: the 10 data of split.npz, its test data (" in out


def test_a_run_is_asked_about_its_test_data(run: Run, trained: Path, audited: list[Target]) -> None:
    ended = run("audit", f"--run={trained}")
    assert "Data: the 9 data of pixels.npy, its test data (" in ended.out and len(audited[-1]) == 9


@pytest.mark.parametrize(
    ("shape", "option"),
    [
        ((3, 4, 4), "--networks.image_shape=[3,4,4]"),
        ((3, 4, 4), "--json"),
        ((4, 4, 3), "--json"),
        ((2, 4, 6), "--networks.image_shape=[2,4,6]"),
        ((3, 2, 2, 4), "--json"),
    ],
)
def test_colours_are_drawn_and_other_shapes_are_not(
    run: Run,
    folder: Path,
    weights: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
    shape: tuple[int, ...],
    option: str,
) -> None:
    """Channels first or last; two channels, or more dimensions, are no picture, and no reason to have no report."""
    from elbowroom.commands import audit

    def take(target: Target, **options: object) -> Audit:
        grey = target.data[0]
        assert len(grey.unique()) > 2, "a Normal takes them as they are"
        return replace(short_audit(), x=target.data[0].detach(), skipped={"examination": "the data are others"})

    monkeypatch.setattr(audit, "audit_target", take)
    np.save("x.npy", np.random.default_rng(0).integers(0, 256, (12, *shape), dtype=np.uint8))
    ended = run(
        "audit", "--networks.decoder=plain:Colours.decoder", "--networks.encoder=plain:Colours.encoder", "--budget=300",
        "--networks.likelihood=normal-fixed", "--networks.sigma=0.3", "--networks.decoder_output=mean", option,
        "--data.name=x.npy", "--data.dir=.",
    )  # fmt: skip
    assert ended.code == 0, ended
    assert ("data:image/png" in Path("audit/report.html").read_text()) is (
        3 in (shape[0], shape[2]) and len(shape) == 3
    )


def test_the_verdict_begins_with_a_doubt() -> None:
    parts = type("Parts", (), {"suspicions": ("never loaded",)})
    (finding,) = tell_suspicions(parts, {})  # type: ignore[arg-type]
    assert finding.sentence == "Look at this first: never loaded." and finding.tone == "warning"
