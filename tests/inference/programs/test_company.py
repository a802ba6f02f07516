"""Programs in which a datum's terms depend on its company, and parameters that are read by a datum's place."""

from collections.abc import Callable, Iterator

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor
from torch.distributions import constraints

from elbowroom.inference import ProgramError, Target, audit_target, check_program
from toys.programs import data, normal

WEIGHT = data(4, 2, seed=1)
READ = torch.linalg.solve(WEIGHT.T @ WEIGHT + torch.eye(2, dtype=torch.float64), WEIGHT.T)

Use = Callable[[Tensor], Tensor]
USES: dict[str, Use] = {
    "the sign of a sum": lambda z: z if z.sum() > 0 else -z,
    "the mean of the batch": lambda z: z - z.mean(-2, keepdim=True),
    "all": lambda z: 2 * z if bool((z[..., 0] > 0).all()) else z,
    "any": lambda z: 2 * z if bool((z[..., 0] > 0).any()) else z,
    "a rank": lambda z: z * (1.0 + z[..., :1].argsort(-2)),
}


def latent_model(use: Use) -> Callable[[Tensor], None]:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(use(z) @ WEIGHT.T, 1.0).to_event(1), obs=x)

    return model


def linear_guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(x @ READ.T, 0.6).to_event(1))


@pytest.mark.parametrize("num_data", [2, 6])
@pytest.mark.parametrize("use", sorted(USES))
def test_a_model_that_reads_the_batch_is_refused(use: str, num_data: int) -> None:
    """Whatever the data are: which branch is taken at the guide's own draws differs from one to the next."""
    for seed in range(4):
        with pytest.raises(ProgramError, match=r"changes when the latents of the other data do|depends on the other"):
            Target(latent_model(USES[use]), linear_guide, data(num_data, 4, seed=seed))


def test_a_guide_that_reads_the_batch_is_refused() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            y = pyro.sample("y", dist.Normal(0.0, 1.0))
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(y + z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            y = pyro.sample("y", dist.Normal(x / 2, 1.0))
            pyro.sample("z", dist.Normal(0.1 if bool((y > 0).all()) else 0.3, 1.0))

    with pytest.raises(ProgramError, match=r"log q\(z\|x\) of datum .* changes when the latents of the other data do"):
        Target(model, guide, data(3) - 6.0)  # at its own draws, it takes one branch


def test_one_datum_alone_may_branch_and_samples_are_told_apart() -> None:
    """`.all()` over one datum's latents is fine, but not over all samples at once: they are run one by one."""

    def model(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(2 * z if bool((z > 0).all()) else z, 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("z", dist.Normal(x / 2, 0.7).to_event(1))

    x = data(2) + 3.0  # the guide's own draws nearly all take one branch
    target = Target(model, guide, x, plate=None)
    assert target.layouts["model"] == "loop"
    z = torch.tensor([[[1.0, 2.0]], [[1.0, -1.0]]], dtype=torch.float64)
    expected = [normal(2 * z[0], 1.0, x).sum(-1), normal(z[1], 1.0, x).sum(-1)]
    torch.testing.assert_close(target.log_joint({"z": z})[1], torch.stack(expected))


# Parameters with a row for each datum ---------------------------------------------------------------------------------

X = data(6)


@pytest.fixture
def store() -> Iterator[None]:
    pyro.clear_param_store()
    yield
    pyro.clear_param_store()


def shifted_model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)


def from_the_batch(x: Tensor) -> None:
    with pyro.plate("data", len(x)) as i:
        loc = pyro.param("loc", lambda: 0.8 * x)
        pyro.sample("z", dist.Normal(loc[i], 0.2**0.5))


def of_fixed_size(x: Tensor) -> None:
    with pyro.plate("data", len(x)) as i:
        loc = pyro.param("loc", lambda: 0.8 * X)
        scale = pyro.param("scale", lambda: torch.full((6,), 0.2**0.5), constraint=constraints.positive)
        pyro.sample("z", dist.Normal(loc[i], scale[i]))


@pytest.mark.parametrize("guide", [from_the_batch, of_fixed_size])
@pytest.mark.parametrize("run_before", [False, True])
def test_a_parameter_for_each_datum_keeps_the_data_whole(
    guide: Callable[[Tensor], None], run_before: bool, store: None
) -> None:
    if run_before:
        guide(X)
    target = Target(shifted_model, guide, X)
    assert not target.sliceable and "loc" in target.local
    expected = normal(0.0, 1.25**0.5, X)
    torch.testing.assert_close(target.log_weights(3), expected.expand(3, 6))
    torch.testing.assert_close(target.select([4, 2]).log_weights(3), expected[[4, 2]].expand(3, 2))
    with pytest.raises(ProgramError, match=r"parameters \[.*'loc'.*\] have a row for each datum"):
        target.select([4]).program("guide")


@pytest.mark.slow
def test_an_audit_of_such_a_guide_ends(store: None) -> None:
    result = audit_target(Target(shifted_model, of_fixed_size, X), budget=2.0)
    assert result.verdict and result.decomposition is not None
    assert "calibration" in " ".join(result.skipped)


def test_a_global_parameter_of_the_same_size_does_not(store: None) -> None:
    """Six pixels and six data: the weights of all pixels are read for every datum."""
    x = data(6, 6)

    def model(x: Tensor) -> None:
        weight = pyro.param("weight", torch.ones(6))
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z.unsqueeze(-1) * weight, 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x.mean(-1), 0.4))

    target = Target(model, guide, x)
    assert target.sliceable and target.local == () and check_program(model, guide, x).num_data == 6
