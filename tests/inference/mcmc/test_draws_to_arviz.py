"""`Draws.to_arviz`: groups and coordinates, ArviZ's numbers for a datum against ours for all, and its plots."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Draws, Estimate, Target, hmc, importance
from toys import arviz_oracle
from toys.draws import draws_of, on_grid
from toys.programs import conjugate, normal_evidence, regression

SHAPE = (4, 120, 3)  # chains, draws, data
EVENTS: dict[str, dict[str, tuple[int, ...]]] = {
    "one scalar": {"w": ()},
    "latent size 1": {"z": (1,)},
    "one vector": {"z": (3,)},
    "one matrix": {"m": (2, 2)},
    "several sites": {"m": (2, 2), "w": (), "z": (2,)},
}


def chains(events: dict[str, tuple[int, ...]], dtype: torch.dtype = torch.float64) -> Draws:
    """Sticky chains that differ a little in where they are, so that no diagnostic is trivial."""
    z = {}
    for name, event in events.items():
        value = torch.randn(*SHAPE, *event)
        value[:, 1::2] = value[:, 0::2] + 0.3 * value[:, 1::2]
        z[name] = on_grid(value + 0.1 * torch.arange(4.0).reshape(4, 1, 1, *(1,) * len(event))).to(dtype)
    return draws_of(z)


def sampled(target: Target, **sizes: int) -> Draws:
    """Draws by `hmc`, on a grid."""
    draws = hmc(target, **sizes)
    return replace(draws, z={name: on_grid(z) for name, z in draws.z.items()})


def assert_agrees(data: Any, draws: Draws, datum: int, b: int, rtol: float) -> None:
    """ArviZ's table of one datum says what `Draws.convergence` says of it."""
    table = arviz_oracle.summary(data.sel(datum=datum))
    np.testing.assert_allclose(table["mean"], draws.mean[b], rtol=rtol, atol=rtol)
    sd = draws.flat[:, :, b].flatten(0, 1).std(0, correction=0) if arviz_oracle.EARLY else draws.sd[b]
    np.testing.assert_allclose(table["sd"], sd, rtol=rtol)
    for column, name in arviz_oracle.DIAGNOSTICS.items():
        expected = getattr(draws.convergence, name)[b]
        np.testing.assert_allclose(table[column], expected, rtol=rtol, err_msg=f"{column} of {list(table.index)}")


@pytest.mark.parametrize("events", EVENTS.values(), ids=EVENTS)
def test_arviz_says_of_each_datum_what_convergence_says_of_all(events: dict[str, tuple[int, ...]]) -> None:
    draws = chains(events)
    data = draws.to_arviz(data=[7, 2, 9])
    for b, datum in enumerate((7, 2, 9)):
        assert_agrees(data, draws, datum, b, rtol=1e-10)


def test_single_precision() -> None:
    """Stays single. ArviZ sums such draws in single precision; of double ones it says what ours say of single ones."""
    draws = chains(EVENTS["several sites"], torch.float32)
    data = draws.to_arviz()
    assert {variable.dtype for variable in data.posterior.data_vars.values()} == {np.dtype("float32")}
    for b in range(3):
        assert_agrees(data, draws, b, b, rtol=1e-5)
    for variable in data.posterior.data_vars:
        data.posterior[variable] = data.posterior[variable].astype(np.float64)
    for b in range(3):
        assert_agrees(data, draws_of({name: z.double() for name, z in draws.z.items()}), b, b, rtol=1e-10)


def test_a_datum_of_nan_is_unknown_and_the_others_are_as_they_were() -> None:
    draws = chains({"z": (2,)})
    broken = draws.z["z"].clone()
    broken[2, 5, 1, 0] = math.nan
    broken = draws_of({"z": broken})
    data = broken.to_arviz()
    for b in (0, 2):
        assert_agrees(data, draws, b, b, rtol=1e-10)
    table = arviz_oracle.summary(data.sel(datum=1))
    for column, name in arviz_oracle.DIAGNOSTICS.items():
        ours = getattr(broken.convergence, name)[1]
        assert ours.isnan().tolist() == [True, False]
        np.testing.assert_allclose(table[column], ours, rtol=1e-10)
    assert "undefined" in data.convergence["flag"].values[1] and data.convergence["rhat"].isnull().values[1, 0]


def test_groups_hold_what_the_draws_hold() -> None:
    draws = chains(EVENTS["several sites"])
    data = draws.to_arviz(data=[7, 2, 9])
    assert arviz_oracle.groups(data) == {"posterior", "sample_stats", "convergence"}
    dims = {"m": ("m_dim_0", "m_dim_1"), "w": (), "z": ("z_dim_0",)}
    assert set(data.posterior.data_vars) == set(dims)
    for name, own in dims.items():
        assert data.posterior[name].dims == ("chain", "draw", "datum", *own)
        np.testing.assert_array_equal(data.posterior[name].sel(datum=9), draws.z[name][:, :, 2])
    for name, value in draws.stats.items():
        assert data.sample_stats[name].dims == ("chain", "draw", "datum")
        np.testing.assert_array_equal(data.sample_stats[name], value)
    assert data.sample_stats["diverging"].dtype == bool
    assert data.convergence["rhat"].dims == ("datum", "latent")
    np.testing.assert_array_equal(data.convergence["rhat"], draws.convergence.rhat)
    assert data.convergence["latent"].values.tolist() == draws.latents
    assert data.convergence["flag"].values.tolist() == list(draws.flags)
    assert draws.to_arviz().posterior["datum"].values.tolist() == [0, 1, 2]


def test_a_single_vector_site_has_the_dimension_latent() -> None:
    data = chains({"z": (2,)}).to_arviz()
    assert data.posterior["z"].dims == ("chain", "draw", "datum", "latent")
    assert data.convergence["latent"].values.tolist() == [0, 1]


def test_attributes_say_how_the_draws_were_made() -> None:
    from importlib.metadata import version

    draws = chains({"w": ()})
    for group in ("posterior", "sample_stats", "convergence"):
        attrs = arviz_oracle.group(draws.to_arviz(), group).attrs
        assert (attrs["method"], attrs["seed"], attrs["num_warmup"], attrs["tuning_steps"]) == ("nuts", 5, 10, 10)
        assert attrs["sampling_time"] == 1.25 and attrs["inference_library"] == "pyro-ppl"
        assert attrs["elbowroom_version"] == version("elbowroom") and attrs["torch_version"] == version("torch")


def test_estimates_stand_beside_the_draws() -> None:
    draws = chains({"w": ()})
    bridge = Estimate(torch.tensor([-1.0, -2.0, -3.0]), torch.full((3,), 0.1), "none", flags=("", "two modes", ""))
    lower = Estimate(torch.tensor([-1.5, -2.5, -3.5]), torch.full((3,), 0.2), "lower")
    data = draws.to_arviz(estimates={"bridge": bridge, "importance": lower}, data=[4, 5, 6])
    evidence = arviz_oracle.group(data, "log_evidence")
    assert set(evidence) == {
        f"{name}{part}" for name in ("bridge", "importance") for part in ("", "_stderr", "_flag")
    }  # fmt: skip
    assert evidence["bridge"].sel(datum=5).item() == -2.0 and evidence["bridge_stderr"].sel(datum=5).item() == 0.1
    assert evidence["bridge"].attrs["units"] == "nats" and evidence["bridge"].attrs["bound"] == "none"
    assert evidence["importance"].attrs["bound"] == "lower"
    assert evidence["bridge_flag"].values.tolist() == ["", "two modes", ""]
    assert evidence["importance_flag"].values.tolist() == ["", "", ""]


def test_what_is_of_other_data_is_refused() -> None:
    draws = chains({"w": ()})
    two = Estimate(torch.zeros(2), torch.zeros(2), "lower")
    three = Estimate(torch.zeros(3), torch.zeros(3), "lower")
    with pytest.raises(ValueError, match=r"estimates\['bridge'\] is of 2 data, expected 3"):
        draws.to_arviz(estimates={"bridge": two})
    with pytest.raises(ValueError, match="more than one variable called 'a_stderr'"):
        draws.to_arviz(estimates={"a": three, "a_stderr": three})
    with pytest.raises(ValueError, match="data has 2 indices, expected 3"):
        draws.to_arviz(data=[0, 1])
    with pytest.raises(ValueError, match="observed has 2 rows, expected 3"):
        draws.to_arviz(observed=torch.zeros(2, 4))


def test_observed_data_are_kept_by_datum() -> None:
    x = torch.randn(3, 4, 2)
    data = chains({"w": ()}).to_arviz(observed=x, data=[4, 5, 6])
    assert data.observed_data["x"].dims == ("datum", "x_dim_0", "x_dim_1")
    np.testing.assert_array_equal(data.observed_data["x"].sel(datum=6), x[2])


def test_who_changes_the_object_changes_no_draws() -> None:
    draws = chains({"z": (2,), "w": ()})
    before = {name: value.clone() for name, value in draws.z.items()}
    lp = draws.stats["lp"].clone()
    data = draws.to_arviz()
    for variable in [*data.posterior.data_vars.values(), data.sample_stats["lp"], data.convergence["rhat"]]:
        variable.values[...] = 17.0
    assert all(torch.equal(draws.z[name], before[name]) for name in before)
    assert torch.equal(draws.stats["lp"], lp)
    assert not bool((draws.convergence.rhat == 17.0).any())


@pytest.mark.slow
@pytest.mark.parametrize("plot", arviz_oracle.PLOTS)
def test_arviz_draws_it(plot: str) -> None:
    """All data or one of them, with divergences and a site of each kind."""
    draws = chains(EVENTS["several sites"])
    draws.stats["diverging"][1, 7] = True
    draws.stats["energy"] = torch.randn(SHAPE)
    data = draws.to_arviz(data=[7, 2, 9])
    assert arviz_oracle.drawn(plot, data, var_names=["w", "z"], coords={"datum": [7, 9]}) >= 1
    assert arviz_oracle.drawn(plot, data.sel(datum=2)) >= 1


@pytest.mark.parametrize("plot", ["plot_energy", "plot_pair", "plot_rank", "plot_ess"])
def test_arviz_draws_one_datum(plot: str) -> None:
    draws = chains({"z": (2,), "w": ()})
    draws.stats["diverging"][1, 7] = True
    draws.stats["energy"] = torch.randn(SHAPE)
    assert arviz_oracle.drawn(plot, draws.to_arviz().sel(datum=2)) >= 1


# Draws by a sampler --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_draws_of_a_sampler_with_estimates_of_its_target() -> None:
    target = conjugate().target()
    draws = sampled(target, num_chains=4, num_warmup=30, num_draws=60)
    data = draws.to_arviz(estimates={"importance": importance(target, num_samples=400)})
    for b in range(5):
        assert_agrees(data, draws, b, b, rtol=1e-10)
    evidence = arviz_oracle.group(data, "log_evidence")
    off = (evidence["importance"].values - normal_evidence(target.data[0]).numpy()) / evidence["importance_stderr"]
    assert abs(off).max() < 5
    posterior = arviz_oracle.group(data, "posterior")
    assert posterior.attrs["method"] == "hmc" and posterior.attrs["inference_library"] == "elbowroom"
    assert data.convergence["num_evaluations"].values.tolist() == draws.info["num_evaluations"].tolist()
    np.testing.assert_array_equal(data.sample_stats["energy"], draws.stats["energy"])


@pytest.mark.slow
def test_a_program_that_is_one_datum() -> None:
    """plate=None: global latents, constrained ones among them."""
    draws = sampled(regression().target(), num_chains=2, num_warmup=20, num_draws=20)
    data = draws.to_arviz()
    assert dict(data.posterior.sizes) == {"chain": 2, "draw": 20, "datum": 1, "beta_dim_0": 2}
    assert bool((data.posterior["sigma"] > 0).all())  # as the program has it, not in unconstrained coordinates
    for name, value in draws.z.items():
        np.testing.assert_array_equal(data.posterior[name], value)
    assert_agrees(data, draws, 0, 0, rtol=1e-10)


@pytest.mark.slow
def test_finite_discrete_latents_are_summed_out() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(torch.tensor([0.3, 0.7])))
            z = pyro.sample("z", dist.Normal(2.0 * k, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, 1.0))

    draws = sampled(Target(model, guide, torch.tensor([0.0, 2.0])), num_chains=2, num_warmup=20, num_draws=20)
    data = draws.to_arviz()
    assert list(data.posterior.data_vars) == ["z"]
    assert_agrees(data, draws, 1, 1, rtol=1e-10)
