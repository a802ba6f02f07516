"""A recorded program gives the numbers of plain runs, or is not used."""

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor
from torch.fx import GraphModule

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.recorded import Traced, log_joint, log_joint_and_gradient
from elbowroom.models import VAE
from toys.programs import data, normal_guide, normal_model


def vae(num_data: int = 5) -> Target:
    torch.manual_seed(0)
    return Target(VAE(6, 2, (8,)), AmortizedNormal(6, 2, (8,)), (data(num_data, 6) > 0).double())


def gamma_model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        rate = pyro.sample("rate", dist.Gamma(2.0, 0.5))
        pyro.sample("x", dist.Poisson(rate), obs=x)


def gamma_guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("rate", dist.LogNormal((x + 1).log(), 0.8))


TARGETS = {
    "vae": vae,
    "normal": lambda: Target(normal_model, normal_guide(0.9), data(4)),
    "constrained": lambda: Target(gamma_model, gamma_guide, torch.tensor([0.0, 2.0, 7.0])),
    "folded": lambda: Target(VAE(6, 2, (8,)), AmortizedNormal(6, 2, (8,)), (data(3, 6) > 0).double(), layout="fold"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_values_and_gradients_are_those_of_plain_runs(name: str) -> None:
    coordinates = Coordinates.of(TARGETS[name]())
    traced = Traced(log_joint_and_gradient, coordinates)
    for seed in (1, 2):
        u = data(3, len(coordinates.target), coordinates.dim, seed=seed)
        for found, plain in zip(traced(u), log_joint_and_gradient(coordinates, u), strict=True):
            torch.testing.assert_close(found, plain, rtol=1e-12, atol=1e-12)
    assert all(isinstance(record, GraphModule) for record in traced._records.values())


class _Straight(torch.autograd.Function):
    """Rounds, and says that its slope is one: no derivative of its operations."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        return z.round()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


OWN_SLOPES = {"detached": lambda z: z * z.detach(), "straight": _Straight.apply, "no grad": lambda z: z + _held(z)}


def _held(z: Tensor) -> Tensor:
    with torch.no_grad():
        return z.square()


@pytest.mark.parametrize("name", OWN_SLOPES)
def test_slopes_that_a_program_sets_itself_are_kept(name: str) -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(OWN_SLOPES[name](z), 1.0), obs=x)

    coordinates = Coordinates.of(Target(model, normal_guide(0.9), data(2), layout="plate"))
    traced, u = Traced(log_joint_and_gradient, coordinates), data(3, 2, 1)
    for found in (traced(u), traced(u)):
        for value, plain in zip(found, log_joint_and_gradient(coordinates, u), strict=True):
            torch.testing.assert_close(value, plain, rtol=1e-12, atol=1e-12)


def test_what_is_worked_out_again_and_again_is_differentiated_once() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
            for n in range(5):
                pyro.sample(f"x{n}", dist.Normal(z[..., torch.arange(2)].sum(-1), 1.0), obs=x + n)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))

    coordinates = Coordinates.of(Target(model, guide, data(2)))
    traced, u = Traced(log_joint_and_gradient, coordinates), data(4, 2, 3)
    for value, plain in zip(traced(u), log_joint_and_gradient(coordinates, u), strict=True):
        torch.testing.assert_close(value, plain, rtol=1e-12, atol=1e-12)
    (record,) = traced._records.values()
    assert sum("index_put" in str(node.target) for node in record.graph.nodes) == 1


def test_gradient_is_the_slope_of_the_value() -> None:
    coordinates = Coordinates.of(vae())
    u, step = data(2, 5, 2), 1e-5 * data(2, 5, 2, seed=3)
    _, gradient = Traced(log_joint_and_gradient, coordinates)(u)
    value = Traced(log_joint, coordinates)
    slope = (value(u + step)[0] - value(u - step)[0]) / 2
    torch.testing.assert_close(slope, (gradient * step).sum(-1), rtol=1e-6, atol=1e-12)


def test_one_record_serves_other_data_of_the_same_size() -> None:
    whole = Coordinates.of(vae(6))
    first, second = (whole.at(torch.tensor(rows)) for rows in ([0, 1, 2], [5, 3, 4]))
    traced = Traced(log_joint, whole).on(first)
    u = data(2, 3, 2)
    traced(u)
    (found,) = traced.on(second)(u)
    torch.testing.assert_close(found, second.log_joint(u))
    assert len(traced._records) == 1
    assert not torch.allclose(found, first.log_joint(u))


def test_non_contiguous_points() -> None:
    coordinates = Coordinates.of(vae())
    traced = Traced(log_joint, coordinates)
    u = data(5, 3, 2)
    traced(u.transpose(0, 1).contiguous())
    torch.testing.assert_close(traced(u.transpose(0, 1))[0], coordinates.log_joint(u.transpose(0, 1)))


@pytest.mark.parametrize("kind", ["numpy", "branch"])
def test_programs_that_leave_torch_are_run_plainly(kind: str) -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            if kind == "numpy":
                loc = torch.from_numpy(z.detach().numpy() ** 2)
            else:
                loc = z * 2 if float(z.detach().sum()) > 0 else z
            pyro.sample("x", dist.Normal(loc, 1.0), obs=x)

    x = data(1)
    coordinates = Coordinates.of(Target(model, normal_guide(0.9), x, layout="plate"))
    traced = Traced(log_joint, coordinates)
    for seed in (1, 2, 3):
        u = data(1, 1, 1, seed=seed)
        torch.testing.assert_close(traced(u)[0], coordinates.log_joint(u))


def test_parameters_changed_later_are_seen() -> None:
    target = vae()
    coordinates = Coordinates.of(target)
    traced, u = Traced(log_joint, coordinates), data(2, 5, 2)
    before = traced(u)[0]
    with torch.no_grad():
        for parameter in target.model.parameters():
            parameter.mul_(1.5)
    after = traced(u)[0]
    torch.testing.assert_close(after, coordinates.log_joint(u))
    assert not torch.allclose(before, after)
