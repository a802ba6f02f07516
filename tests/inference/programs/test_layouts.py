"""However samples are laid out, the numbers are those of plain runs; a layout that would change them is not taken."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.ops.indexing import Vindex
from torch import Tensor, nn

from elbowroom.inference import ProgramError, Target
from elbowroom.inference.programs.layouts import LAYOUTS
from toys.programs import TRIPLES, Triple, conjugate, data, normal, ppca

S = 4
EXACT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(params=sorted(TRIPLES))
def triple(request: pytest.FixtureRequest) -> Triple:
    return TRIPLES[request.param]()


def test_the_layout_is_the_fastest_right_one(triple: Triple) -> None:
    model, guide = triple.layouts
    assert triple.target().layouts == {"model": model, "guide": guide}


@pytest.mark.parametrize("layout", ["plate", "fold", "vmap", "loop"])
def test_every_layout_gives_the_numbers_of_plain_runs(triple: Triple, layout: str) -> None:
    if layout == "fold" and not triple.sliceable:
        return
    chosen = triple.target()
    z, log_q = chosen.propose(S)
    joint = chosen.log_joint(z)
    forced = triple.target(layout=layout)
    for what, index in (("model", 0), ("guide", 1)):
        if layout == "plate" and triple.layouts[index] != "plate":
            continue  # the programs that a plate of samples breaks
        if what == "model":
            for found, expected in zip(forced.log_joint(z), joint, strict=True):
                torch.testing.assert_close(found, expected, **EXACT)
            continue
        torch.testing.assert_close(forced.log_guide(z), log_q, **EXACT)
        if layout != "vmap":
            again, log_q_again = forced.propose(S)
            torch.testing.assert_close(log_q_again, log_q, **EXACT)
            for name in z:
                torch.testing.assert_close(again[name], z[name], **EXACT)


@pytest.mark.parametrize("name", ["conjugate", "inner_plate", "outer_plate", "constrained"])
def test_unconstrained_view_agrees_over_layouts(name: str) -> None:
    triple = TRIPLES[name]()
    target = triple.target()
    u = target.unconstrain(target.propose(S)[0])
    expected = target.log_joint_unconstrained(u)[:2]
    for layout in ("fold", "vmap", "loop"):
        found = triple.target(layout=layout).log_joint_unconstrained(u)[:2]
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, **EXACT)


@pytest.mark.parametrize("name", ["conjugate", "convolution", "outer_plate", "regression"])
def test_latent_terms_and_the_prior_agree_over_layouts(name: str) -> None:
    triple = TRIPLES[name]()
    target, loop = triple.target(), triple.target(layout="loop")
    z, _ = target.propose(S)
    for site, pair in target.latent_terms(z).items():
        for a, b in zip(pair, loop.latent_terms(z)[site], strict=True):
            torch.testing.assert_close(a, b, **EXACT)
    prior, again = target.sample_prior(S), loop.sample_prior(S)
    for site in prior:
        torch.testing.assert_close(prior[site], again[site], **EXACT)


def test_a_plate_would_silently_give_other_numbers() -> None:
    """The programs that count rows do broadcast: forcing the plate shows what the choice of layout prevents."""
    triple = TRIPLES["counting_rows"]()
    target, forced = triple.target(), triple.target(layout="plate")
    z, _ = target.propose(S)
    assert not torch.allclose(forced.log_joint(z)[1], target.log_joint(z)[1])


def test_a_model_that_picks_a_coordinate_by_position() -> None:
    """`z[:, 0]` means a coordinate in a plain run and a datum in a plate of samples; three data, as in the probe."""
    x = data(3)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z[:, 0] + z[:, 1], 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))

    target = Target(model, guide, x)
    assert target.layouts["model"] == "fold"
    z, _ = target.propose(S)
    expected = normal(z["z"][..., 0] + z["z"][..., 1], 1.0, x)
    torch.testing.assert_close(target.log_joint(z)[1], expected, **EXACT)


def test_a_batch_of_one_can_be_chosen_from_and_spread() -> None:
    """A layout found on one datum still holds when that datum is repeated."""
    triple = TRIPLES["convolution"]()
    one = Target(triple.model, triple.guide, triple.args[0][:1])
    many = one.select([0, 0, 0])
    torch.testing.assert_close(many.log_weights(S), one.log_weights(S).expand(S, 3), **EXACT)


def test_the_encoder_runs_once_for_each_datum() -> None:
    """Not once for each sample: it sees the data alone."""
    seen: list[int] = []

    class Encoder(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x))
            return x[..., :2] / 2

    encoder, (x,) = Encoder(), ppca().args

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(encoder(x), 0.7).to_event(1))

    target = Target(ppca().model, guide, x)
    seen.clear()
    target.propose(50)
    assert seen == [len(x)]


def test_a_layout_in_which_programs_raise_is_not_taken_sample_by_sample() -> None:
    """In a plate of samples this chain raises but for one: cut into single samples, a plate would give its numbers."""

    def model(y: Tensor) -> None:
        with pyro.plate("states", 2):
            rows = pyro.sample("rows", dist.Dirichlet(torch.ones(2)))
        k = torch.tensor(0)
        for t in pyro.markov(range(2)):
            k = pyro.sample(f"k{t}", dist.Categorical(Vindex(rows)[..., k, :]))
            pyro.sample(f"y{t}", dist.Normal(2.0 * k, 1.0), obs=y[t])

    def guide(y: Tensor) -> None:
        with pyro.plate("states", 2):
            pyro.sample("rows", dist.Dirichlet(torch.ones(2)))

    target = Target(model, guide, data(2), plate=None)
    assert target.layouts == {"model": "vmap", "guide": "plate"}


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(ValueError, match=r"layout must be one of .*'plate'.* got 'heap'"):
        conjugate().target(layout="heap")
    assert set(LAYOUTS) == {"plate", "fold", "vmap", "loop"}


def test_random_programs_are_refused() -> None:
    x = data(5)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z + torch.randn(()), 1.0), obs=x)

    with pytest.raises(ProgramError, match=r"log p\(x\|z\) differs between two runs.*random beyond its sample sites"):
        Target(model, conjugate().guide, x)


def test_a_parameter_without_a_value_is_refused() -> None:
    """pyro.param draws its first value anew in every run while it is not in the parameter store."""
    x = data(5)

    def guide(x: Tensor) -> None:
        loc = pyro.param("loc", lambda: torch.randn(()))
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(loc, 1.0))

    with pytest.raises(ProgramError, match=r"pyro\.param.*run the program once"):
        Target(conjugate().model, guide, x)
    guide(x)
    target = Target(conjugate().model, guide, x)
    z, log_q = target.propose(S)
    torch.testing.assert_close(log_q, normal(pyro.param("loc"), 1.0, z["z"]), **EXACT)
