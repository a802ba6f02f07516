"""The registries on the command line: options reach the programs that have them, and the table says so."""

import json
import sys
from pathlib import Path

import pytest
import torch

from elbowroom.commands.families import families_table
from elbowroom.commands.latent_vector import mean_of
from elbowroom.commands.options import Programs
from elbowroom.commands.registered import kind_of, registered_guide, registered_model
from elbowroom.guides import AmortizedNormal, ExactPosterior, PlanarGuide
from elbowroom.guides.registry import GUIDES
from elbowroom.models import PPCA, VAE, FactorAnalysis
from elbowroom.models.registry import MODELS
from toys.commands import Run
from toys.failure_budget import sigmas

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"
SIZES = {"data_dim": 9}


def test_the_page_of_commands_lists_the_families_of_the_registry() -> None:
    assert f"\n\n{families_table()}\n\n" in PAGE.read_text()


@pytest.mark.parametrize(("family", "model"), [("vae", VAE), ("ppca", PPCA), ("factor-analysis", FactorAnalysis)])
@pytest.mark.parametrize("by", ["family", "model"])
def test_shorthands_reach_the_programs_that_have_them(family: str, model: type, by: str) -> None:
    options = Programs(**{by: family}, likelihood="normal-learned", sigma=0.3, latent_dim=3, encoder_hidden=[8, 7])
    built = registered_model(options, SIZES)
    guide = registered_guide(options, built, SIZES)
    assert type(built) is model and type(guide) is AmortizedNormal
    sigma = built.likelihood.sigma if family == "vae" else built.sigma
    assert sigma.flatten()[0].item() == pytest.approx(0.3)
    widths = [layer.out_features for layer in guide.encoder.layers[::2]]
    assert widths == ([8, 7, 6] if family == "vae" else [6])  # a linear model has a linear encoder
    assert (built.latent_dim, guide.latent_dim, guide.data_dim) == (3, 3, 9)


def test_explicit_options_win_over_shorthands() -> None:
    options = Programs(
        latent_dim=3, hidden=[5], encoder_hidden=[6], activation="tanh",
        options={"latent_dim": 4, "likelihood": "normal-fixed", "sigma": 0.5}, guide_options={"hidden": [7, 8]},
    )  # fmt: skip
    model = registered_model(options, SIZES)
    guide = registered_guide(options, model, SIZES)
    assert (model.latent_dim, guide.latent_dim, kind_of(options)) == (4, 4, "real")
    assert [layer.out_features for layer in model.decoder[::2]] == [5, 9]
    assert [layer.out_features for layer in guide.encoder.layers[::2]] == [7, 8, 8]


def test_a_guide_is_chosen_by_name() -> None:
    options = Programs(model="ppca", guide="exact")
    model = registered_model(options, SIZES)
    guide = registered_guide(options, model, SIZES)
    assert type(guide) is ExactPosterior and guide.model is model


def test_richer_guides_are_told_their_options() -> None:
    options = Programs(model="vae", guide="planar", encoder_hidden=[3], guide_options={"num_layers": 2})
    guide = registered_guide(options, registered_model(options, SIZES), SIZES)
    assert type(guide) is PlanarGuide and guide.num_layers == 2
    assert [layer.out_features for layer in guide.encoder[::2]] == [3, 2 * (2 * guide.latent_dim + 1)]
    options = Programs(model="vae", guide="iaf", guide_options={"around": "runs/a"})
    with pytest.raises(ValueError, match=r"FlowGuide has no option 'around'.*; it takes data_dim, .*num_transforms=2"):
        registered_guide(options, registered_model(options, SIZES), SIZES)


def test_what_a_flow_is_encoded_as_is_the_mean_of_draws() -> None:
    q_z, state = PlanarGuide(9, 2, (3,)).encode(torch.randn(4, 9)), torch.get_rng_state()
    found = mean_of(q_z)
    assert found.shape == (4, 2) and torch.equal(found, mean_of(q_z)) and torch.equal(torch.get_rng_state(), state)
    many = q_z.sample((4000,))
    assert ((found - many.mean(0)).abs() < sigmas(8) * many.std(0) / 8).all()
    normal = AmortizedNormal(9, 2).encode(torch.randn(4, 9))
    assert torch.equal(mean_of(normal), normal.mean)


def test_flows_without_zuko_are_refused_and_listed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zuko", None)
    refused = run("train", "--programs.guide=iaf", "--output=run")
    assert refused.refused("flows are made of zuko, which is not installed; try pip install 'elbowroom[flows]'")
    assert "\niaf (" in run("families").out


def test_families_prints_what_the_registries_hold(run: Run) -> None:
    shown = run("families")
    assert (shown.code, shown.err) == (0, "")
    told = json.loads(run("families", "--json").out)
    assert list(told["models"]) == list(MODELS) and list(told["guides"]) == list(GUIDES)
    for name, about in told["models"].items():
        assert f"\n{name} ({about['options']})\n    {about['what']}\n    a datum: {about['data']}, x " in shown.out
        assert f"guides: {', '.join(MODELS[name].every_guide)}; log p(x) exactly by {about['exact']}" in shown.out
    assert "latent_dim, hidden=None, likelihood='bernoulli'" in told["models"]["vae"]["options"]
    assert "hidden" not in told["guides"]["normal-linear"]["options"]  # it is what makes that guide
