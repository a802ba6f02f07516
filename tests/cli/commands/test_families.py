"""The registry on the command line and in the README; a new family is a file and one line."""

import sys
from pathlib import Path

import pytest

from elbowroom.commands import evidence, train
from elbowroom.commands.families import build_family, families_table
from elbowroom.commands.options import Data, EvidenceOptions, Programs, Training, TrainOptions
from elbowroom.guides import AmortizedNormal
from elbowroom.models import PPCA, VAE, FactorAnalysis
from elbowroom.models.registry import MODELS, Entry
from toys import family_of_mine

README = Path(__file__).parents[3] / "README.md"


def test_the_readme_lists_the_families_of_the_registry() -> None:
    assert f"\n\n{families_table()}\n\n" in README.read_text()


@pytest.mark.parametrize(("family", "model"), [("vae", VAE), ("ppca", PPCA), ("factor-analysis", FactorAnalysis)])
def test_options_reach_the_programs_that_have_them(family: str, model: type) -> None:
    options = Programs(family=family, likelihood="normal-learned", sigma=0.3, latent_dim=3, encoder_hidden=[8, 7])
    built, guide = build_family(options, 9)
    assert type(built) is model and type(guide) is AmortizedNormal
    sigma = built.likelihood.sigma if family == "vae" else built.sigma
    assert sigma.flatten()[0].item() == pytest.approx(0.3)
    widths = [layer.out_features for layer in guide.encoder.layers[::2]]
    assert widths == ([8, 7, 6] if family == "vae" else [6])  # a linear model has a linear encoder
    assert (built.latent_dim, guide.latent_dim, guide.data_dim) == (3, 3, 9)


def test_what_a_family_cannot_be_is_refused() -> None:
    for family in ("ppca", "factor-analysis"):
        with pytest.raises(ValueError, match=f"family {family} has a Normal likelihood, got likelihood 'bernoulli'"):
            build_family(Programs(family=family), 9)
    with pytest.raises(ValueError, match=r"programs\.family: got 'vea', expected one of 'vae', 'ppca'"):
        build_family(Programs(family="vea"), 9)


def test_a_new_family_is_a_file_and_one_line(folder: Path, pixels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "elbowroom.models.family_of_mine", family_of_mine)
    monkeypatch.setitem(MODELS, "periodic", Entry("family_of_mine:Periodic", ("normal",)))
    data, programs = Data(name="pixels.npy"), Programs(family="periodic", encoder_hidden=[8])
    trained = train.run(
        TrainOptions(output="run", data=data, programs=programs, training=Training(epochs=30, learning_rate=0.03))
    )
    elbos = [row["elbo"] for row in trained.history if row.get("elbo") is not None]
    assert elbos[-1] > elbos[0] + 1
    sampled, exact = evidence.run(EvidenceOptions(run="run", num_samples=500, num_particles=[5]))
    assert exact is not None and sampled.mean()[0] == pytest.approx(exact.mean()[0], abs=0.5)
    assert "| `periodic` | normal | x_p = 1 with log odds" in families_table()
