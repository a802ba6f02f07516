"""evidence, compare and generate of plain networks and of programs of one's own, as audit: the library's numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from elbowroom.adapters import from_vae
from elbowroom.inference import Target, bracket, importance, quadrature
from toys.commands import Run
from toys.strict_json import read_json

NETWORKS = """
import pyro
import pyro.distributions as dist
import torch
from torch import nn

class Maps(nn.Module):
    # latents [1, 2, 1], images [1, 3, 3]
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(9, 4), nn.Linear(2, 9)
    def encode(self, x):
        mean, log_var = self.inner(x.flatten(1)).chunk(2, -1)
        return mean.view(-1, 1, 2, 1), log_var.view(-1, 1, 2, 1)
    def decode(self, z):
        assert z.shape[1:] == (1, 2, 1)
        return self.outer(z.flatten(1)).view(-1, 1, 3, 3)

class Labelled(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer, self.of_label = nn.Linear(9, 4), nn.Linear(2, 9), nn.Embedding(3, 9)
    def encode(self, x, label):
        return self.inner(x + self.of_label(label)).chunk(2, -1)
    def decode(self, z, label):
        return self.outer(z) + self.of_label(label)

prior = torch.distributions.Normal(torch.tensor([3.0, -2.0]), 0.5)

def model(x):
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Bernoulli(logits=z.repeat_interleave(5, -1)[..., :9]).to_event(1), obs=x)

def guide(x):
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(x[:, :2], 0.5).to_event(1))
"""
MAPS = ("--networks.vae=plain:Maps", "--networks.checkpoint=maps.pt", "--networks.image_shape=[1,3,3]")
LABELLED = (
    "--networks.vae=plain:Labelled", "--networks.checkpoint=labelled.pt", "--datum=labelled",
    "--data.name=labelled.npz", "--data.dir=.",
)  # fmt: skip
OWN = ("--model=mine:the_model", "--guide=mine:the_guide")
FUNCTIONS = ("--model=plain:model", "--guide=plain:guide")
DATA = ("--data.name=pixels.npy", "--data.dir=.", "--limit=6")
FEW = ("--num_samples=200", "--num_particles=[5]")
QUICK = ("--num_samples=20", "--num_particles=[5]", "--exact=no", "--limit=2")


@pytest.fixture
def plain(folder: Path, pixels: Path, programs: Path) -> dict[str, nn.Module]:
    """Networks of somebody's own with weights in files, the same networks here, and labelled data."""
    (folder / "plain.py").write_text(NETWORKS)
    torch.manual_seed(3)
    inner, outer = nn.Linear(9, 4), nn.Linear(2, 9)
    with torch.no_grad():
        outer.weight *= 3
    maps, labelled = nn.Module(), nn.Module()
    maps.inner, maps.outer = inner, outer
    labelled.inner, labelled.outer, labelled.of_label = inner, outer, nn.Embedding(3, 9)
    for name, module in {"maps": maps, "labelled": labelled}.items():
        torch.save(module.state_dict(), f"{name}.pt")
    y = np.arange(90) % 3
    np.savez("labelled.npz", x=np.load(pixels), y=y)
    return {"maps": maps, "labelled": labelled}


def the_target(num_data: int, labelled: bool = False) -> Target:
    """The triple that the options name, put together without the command line."""
    import plain

    vae = plain.Labelled() if labelled else plain.Maps()
    vae.load_state_dict(torch.load("labelled.pt" if labelled else "maps.pt", weights_only=True))
    x = torch.from_numpy(np.load("pixels.npy")).reshape(-1, 9)[:num_data]
    given = (torch.arange(num_data) % 3,) if labelled else ()
    x = x if labelled else x.reshape(-1, 1, 3, 3)
    said: dict[str, Any] = {"encoder_output": "mean_log_var", "decoder_output": "logits"}
    return Target(*from_vae(vae.eval(), x, *given, likelihood="bernoulli", **said), x, *given)


def test_evidence_of_plain_networks_is_the_librarys(run: Run, plain: dict[str, nn.Module]) -> None:
    found = run("evidence", *MAPS, *DATA, *FEW, "--limit=2", "--seed=4", "--json").json()
    assert found == read_json(Path("evidence/evidence.json"))
    target = the_target(2)
    sampled, exact = importance(target, num_samples=200, seed=4, num_particles=[5], search=False), quadrature(target)
    rows = found["data"]
    assert [row["importance"] for row in rows] == sampled.value.tolist()
    assert [row["elbo"] for row in rows] == sampled.info["elbo"].tolist()
    assert [row["exact"] for row in rows] == exact.value.tolist()
    assert found["split"] == "all"
    assert found["about"]["weights of networks.decoder"]["file"] == "maps.pt"
    assert found["about"]["model"]["likelihood"] == "bernoulli"


@pytest.mark.slow
def test_a_bracket_of_plain_networks_goes_on(run: Run, plain: dict[str, nn.Module]) -> None:
    options = ("evidence", *MAPS, *DATA, "--limit=2", "--method=bracket", "--budget=60")
    found = run(*options, "--json").json()
    expected = bracket(the_target(2), budget=60.0, tolerance=0.1)
    assert [row["lower"] for row in found["data"]] == expected.lower.value.tolist()
    assert Path("evidence/evidence-last-all-2-0.state.safetensors").exists()
    assert "Going on from evidence/evidence-last-all-2-0" in run(*options).out


@pytest.mark.slow
def test_compare_of_plain_networks(run: Run, plain: dict[str, nn.Module]) -> None:
    ended = run("compare", *MAPS, *DATA, "--indices=[4,1]", "--mcmc=false", "--num_samples=200")
    assert ended.code == 0, ended
    assert "Data: the first 6 of 90 data of pixels.npy" in ended.out and "Weights of networks.encoder: " in ended.out
    record = read_json(Path("compare/comparison.json"))
    assert record["about"]["data"]["number of data"] == "6 of 90"
    assert Path("compare/posteriors.png").exists() and Path("compare/comparison.nc").exists()


def test_generate_of_plain_networks(run: Run, plain: dict[str, nn.Module]) -> None:
    """Means of p(x|z), and every picture, of latents that are maps."""
    ended = run("generate", *MAPS, *DATA, "--num_samples=5", "--seed=2")
    assert ended.code == 0, ended
    assert read_json(Path("generate/generate.json"))["left_out"] == {}
    names = ("prior-samples", "reconstructions", "traversal", "interpolations")
    assert all(Path(f"generate/{name}.png").exists() for name in names)
    numbers = np.load("generate/samples.npz")
    z = torch.from_numpy(numbers["z"])
    torch.testing.assert_close(torch.from_numpy(numbers["mean"]), plain["maps"].outer(z).sigmoid().detach())


def test_networks_that_read_labels(run: Run, plain: dict[str, nn.Module]) -> None:
    """log p(x|y) of each datum."""
    found = run("evidence", *LABELLED, *FEW, "--limit=2", "--json").json()
    exact = quadrature(the_target(2, labelled=True))
    assert [row["exact"] for row in found["data"]] == exact.value.tolist()


@pytest.mark.slow
def test_networks_that_read_labels_are_drawn(run: Run, plain: dict[str, nn.Module]) -> None:
    """Pictures given labels: of the data's, of the first datum's, of one that two data share."""
    options = (*LABELLED, "--limit=6")
    assert run("compare", *options, "--indices=[1]", "--mcmc=false", "--num_samples=100").code == 0
    assert run("generate", *options, "--num_samples=8").code == 0
    assert read_json(Path("generate/generate.json"))["left_out"] == {}
    numbers, network = np.load("generate/samples.npz"), plain["labelled"]
    label = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])  # of the six data, and of the first again
    expected = (network.outer(torch.from_numpy(numbers["z"])) + network.of_label(label)).sigmoid()
    torch.testing.assert_close(torch.from_numpy(numbers["mean"]), expected.detach())


def test_pictures_are_of_labels(run: Run, plain: dict[str, nn.Module]) -> None:
    from elbowroom.commands.generate import reconstructed
    from elbowroom.commands.latent_vector import LatentVector, Unknown
    from elbowroom.commands.options import Data, GenerateOptions, Networks
    from elbowroom.commands.subject import subject_of

    def subject(limit: int) -> Any:
        networks = Networks(vae="plain:Labelled", checkpoint="labelled.pt")
        data = Data(name="labelled.npz", dir=".")
        return subject_of(GenerateOptions(networks=networks, data=data, datum="labelled", limit=limit))

    vector = LatentVector(subject(6))
    assert vector.pairs(4) == [(0, 3), (1, 4), (2, 5)]
    z, network = torch.randn(6, 2), plain["labelled"]
    expected = (network.outer(z) + network.of_label(torch.tensor([2, 2, 2, 1, 1, 1]))).sigmoid()
    torch.testing.assert_close(vector.decoder([5, 1])(z), expected)
    with pytest.raises(Unknown, match="of 3 data there are no two that are given the same"):
        LatentVector(subject(3)).pairs(4)
    x, label = vector.x, vector.given[0]
    mean = network.inner(x + network.of_label(label)).chunk(2, -1)[0]
    torch.testing.assert_close(
        reconstructed(subject(6), 0), (network.outer(mean) + network.of_label(label)).sigmoid().detach()
    )


@pytest.mark.slow
def test_programs_of_ones_own(run: Run, plain: dict[str, nn.Module]) -> None:
    """With decode and encode all is drawn; of two functions, what needs no more than the programs."""
    found = run("evidence", *OWN, *DATA, *QUICK, "--json").json()
    assert len(found["data"]) == 2 and found["about"]["model"]["program"] == "mine:the_model"
    assert run("compare", *FUNCTIONS, *DATA, "--indices=[0]", "--mcmc=false", "--num_samples=100").code == 0
    assert run("generate", *OWN, *DATA, "--num_samples=4").code == 0
    assert read_json(Path("generate/generate.json"))["left_out"] == {}
    ended = run("generate", *FUNCTIONS, *DATA, "--num_samples=4", "--output=functions")
    assert "No traversal: it walks along one latent vector of programs that see x alone: write decode(z)" in ended.out
    left_out = read_json(Path("functions/generate.json"))["left_out"]
    assert left_out.keys() == {"traversal", "interpolations"}
    assert np.load("functions/samples.npz")["x"].shape == (4, 9)


def test_another_prior_is_not_walked_along(run: Run, plain: dict[str, nn.Module]) -> None:
    ended = run("generate", *MAPS, *DATA, "--networks.prior=plain:prior", "--num_samples=3")
    assert (
        "No traversal: it walks over the quantiles of a standard-normal prior, and this model has another" in ended.out
    )
    assert (np.load("generate/samples.npz")["z"] > 0).tolist() == [[True, False]] * 3


def test_one_datum_has_no_line_to_another(run: Run, plain: dict[str, nn.Module]) -> None:
    assert run("generate", *MAPS, *DATA, "--limit=1", "--num_samples=3").code == 0
    left_out = read_json(Path("generate/generate.json"))["left_out"]
    assert left_out == {"interpolations": "it goes from one datum to another, and of 1 data there are no two"}


@pytest.mark.parametrize("command", ["evidence", "compare", "generate", "audit"])
def test_one_subject_is_named(run: Run, trained: Path, command: str) -> None:
    """A run and networks, or a run and other data, are no answer to one question."""
    run_option = f"--run={trained}"
    assert run(command, *MAPS, run_option).refused("give one of networks.vae and run", "not both")
    assert run(command, run_option, "--data.name=pixels.npy").refused(
        "data: got Data(name='pixels.npy'", "knows its own"
    )
    assert run(command, run_option, "--networks.sigma=0.3").refused("--networks.sigma is about plain networks")
    assert run(command, "--model=mine:model").refused("model and guide go together")
    assert not Path(command).exists()


def test_grey_values_that_nobody_asked_to_cut(run: Run, plain: dict[str, nn.Module]) -> None:
    """Said on the terminal and in JSON, unless somebody chose, or nothing was grey."""
    np.save("grey.npy", np.random.default_rng(0).random((6, 9), dtype=np.float32))
    options = ("evidence", *MAPS, "--data.dir=.", *QUICK)
    said = "Note: grey values above 0.5 became 1, all others 0: nobody asked for it"
    assert said in run(*options, "--data.name=grey.npy").out
    record = read_json(Path("evidence/evidence.json"))
    assert "nobody asked for it" in record["about"]["data"]["binarisation"] and len(record["announced"]) == 1
    assert "Note: grey" not in run(*options, "--data.name=grey.npy", "--data.binarize=threshold").out
    assert "Note: grey" not in run(*options, "--data.name=pixels.npy").out
    assert read_json(Path("evidence/evidence.json"))["announced"] == []
    own = ("evidence", *FUNCTIONS, "--data.dir=.", "--data.name=grey.npy", *QUICK)
    assert said in run(*own).out
    refused = run(*own, "--datum=unit")  # then they stay as they are, and this likelihood cannot take them
    assert refused.refused(
        "grey values", "a trained model wants the one that it was trained with", "--data.binarize"
    ), refused


def test_colours_stored_last_are_given_first(folder: Path) -> None:
    from elbowroom.commands.subject import as_images

    pictures = torch.arange(2 * 4 * 5 * 3).reshape(2, 4, 5, 3)
    given = as_images(pictures.reshape(2, -1), (3, 4, 5), (4, 5, 3))
    assert torch.equal(given, pictures.permute(0, 3, 1, 2))
    assert torch.equal(as_images(given.reshape(2, -1), (3, 4, 5), (3, 4, 5)), given)
    with pytest.raises(ValueError, match=r"image_shape: got \[3, 3\], but a datum has 60 values"):
        as_images(pictures.reshape(2, -1), (3, 3), None)
