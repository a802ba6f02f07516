"""Data and programs that cannot be evaluated: each refused with the site or argument, what was found, and a remedy."""

import re
import warnings
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor, nn

from elbowroom.inference import ProgramError, Target, check_program, importance
from toys.programs import Ppca, conjugate, data, normal_guide, normal_model

PROBLEM = Ppca.make(4, 2, 0.7)
X = PROBLEM.sample(5)


def refused(*words: str, model: Any = PROBLEM.model, guide: Any = PROBLEM.guide, x: Any = X, **options: Any) -> str:
    """Both entrances refuse with the same message, which holds all these words."""
    messages = []
    for enter in (Target, check_program):
        with pytest.raises((ProgramError, ValueError, TypeError)) as caught:
            enter(model, guide, x, **options)
        messages.append(str(caught.value))
    for word in words:
        assert word in messages[0], f"{word!r} is not in: {messages[0]}"
    assert messages[0] == messages[1]
    return messages[0]


def loose_guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))


# Data ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinite_data(bad: float) -> None:
    x = X.clone()
    x[1, 2] = x[4, 0] = bad
    refused("observed site 'x'", "NaN or infinite", "2 of its data", "[1, 4]", "mask", guide=loose_guide, x=x)


def bernoulli_model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Bernoulli(logits=z @ PROBLEM.weight.T).to_event(1), obs=x)


def particular_guide(x: Tensor) -> None:
    if x.isnan().any():
        raise ValueError("no NaN here")


def test_values_outside_the_likelihoods_support() -> None:
    x = (X > 0).double()
    x[2, 1] = 0.5
    ways = (
        "of which a trained model wants the one that it was trained with: (1) one fixed cut",
        "(2) one draw",
        "(3) a likelihood of real values",
        "validate_args=False",
    )
    refused("'x'", "grey values (such as 0.5)", "first rows: [2]", *ways, model=bernoulli_model, guide=loose_guide, x=x)
    x[2, 1] = 1.5
    refused("'x'", "outside the support", "Bernoulli", "first rows: [2]", model=bernoulli_model, guide=loose_guide, x=x)
    x[2, 1] = float("nan")
    told = ("argument 0 has NaN", "1 of its rows (first rows: [2])", "the guide failed", "no NaN here")
    refused(*told, model=bernoulli_model, guide=particular_guide, x=x)


def test_masked_values_may_be_anything() -> None:
    seen = torch.ones_like(X, dtype=torch.bool)
    seen[2, 1] = False
    x = (X > 0).double()
    x[2, 1] = 0.5

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=z @ PROBLEM.weight.T).mask(seen[: len(x)]).to_event(1), obs=x)

    assert len(Target(model, loose_guide, x)) == 5


def test_masked_data_may_be_missing() -> None:
    keep = torch.tensor([True, False, True, True, True])
    x = torch.where(keep, data(5), torch.nan)

    def model(x: Tensor, keep: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            with poutine.mask(mask=keep):
                pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor, keep: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(0.0, 1.0))

    _, likelihood = (target := Target(model, guide, x, keep)).log_joint(target.propose(3)[0])
    assert torch.equal(likelihood == 0, ~keep.expand(3, 5))
    with pytest.raises(ProgramError, match=r"observed site 'x' has NaN .* in 1 of its data \(first rows: \[1\]\)"):
        Target(model, guide, x, torch.ones_like(keep))


def test_wrong_shape() -> None:
    refused("guide failed", "tensor (5, 3) float64", "shapes and dtypes must be the ones", x=X[:, :3])
    refused("model failed", "tensor (5, 3) float64", guide=loose_guide, x=X[:, :3])


def test_wrong_dtype() -> None:
    refused("guide failed", "float32", "dtypes", guide=with_encoder(nn.Linear(4, 2)), x=X.float())


def test_not_a_tensor() -> None:
    refused("failed", "list", x=X.tolist())


def test_empty_data() -> None:
    refused("argument 0 is empty", "(0, 4)", "no data", x=X[:0])
    with pytest.raises(ValueError, match="argument 'labels' is empty"):
        Target(PROBLEM.model, PROBLEM.guide, X, labels=X[:0])


@pytest.mark.parametrize("x", [X[:1], X[:1].expand(5, -1), torch.zeros(5, 4)], ids=["one", "repeated", "constant"])
def test_one_datum_and_constant_data_are_fine(x: Tensor) -> None:
    check_program(PROBLEM.model, PROBLEM.guide, x)
    estimate = importance(Target(PROBLEM.model, PROBLEM.guide, x), num_samples=30)
    torch.testing.assert_close(estimate.value, PROBLEM.evidence(x), rtol=1e-10, atol=1e-10)
    loose = importance(Target(PROBLEM.model, loose_guide, x), num_samples=30)
    assert len(set(loose.value.tolist())) == len(x), "equal data must have noise of their own"


# Guides --------------------------------------------------------------------------------------------------------------


def test_guide_without_variance() -> None:
    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x[..., :2], 0.0).to_event(1))

    with pyro.validation_enabled(False):
        refused("zero-variance guide (scale 0)", "positive, finite scale", guide=guide)


def test_delta_guide() -> None:
    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Delta(x[..., :2]).to_event(1))

    refused("guide site 'z'", "point mass (Delta)", "AutoNormal", guide=guide)


def test_sites_that_differ() -> None:
    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("zz", dist.Normal(x[..., :2], 1.0).to_event(1))

    message = refused("different sites", "latent site 'z' is not drawn by the guide", guide=guide)
    assert "guide's site 'zz' is not a latent site of the model" in message and "same names" in message


def test_nothing_observed() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))

    refused("observes nothing", "obs=", model=model)


# Plates --------------------------------------------------------------------------------------------------------------


def test_no_plate() -> None:
    def model(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z.sum(), 1.0).expand([5, 4]).to_event(2), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))

    refused("no site is in a plate named 'data'", "no plates", "pyro.plate('data', len(x))", model=model, guide=guide)
    assert "plate=None" in refused("plate=None", model=model, guide=guide)
    assert len(Target(model, guide, X, plate=None)) == 1


def test_plate_of_another_name() -> None:
    refused("no site is in a plate named 'rows'", "its plates are ['data']", "plate=...", plate="rows")


def test_site_outside_the_plate() -> None:
    def model(x: Tensor) -> None:
        shared = pyro.sample("shared", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ PROBLEM.weight.T + shared, 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("shared", dist.Normal(0.0, 1.0))
        loose_guide(x)

    refused("latent site 'shared'", "outside the data plate 'data'", "Move it inside", model=model, guide=guide)


def test_observation_outside_the_plate() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z @ PROBLEM.weight.T, 1.0).to_event(2), obs=x)

    refused("observed site 'x'", "outside the data plate 'data'", model=model, guide=loose_guide)


def test_factor_of_the_guide_outside_the_plate() -> None:
    def guide(x: Tensor) -> None:
        loose_guide(x)
        pyro.factor("all", torch.tensor(1.0), has_rsample=True)

    refused("'all'", "outside the data plate", guide=guide)


def test_sequential_plate() -> None:
    def model(x: Tensor) -> None:
        for i in pyro.plate("data", len(x)):
            z = pyro.sample(f"z_{i}", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample(f"x_{i}", dist.Normal(z @ PROBLEM.weight.T, 1.0).to_event(1), obs=x[i])

    def guide(x: Tensor) -> None:
        for i in pyro.plate("data", len(x)):
            pyro.sample(f"z_{i}", dist.Normal(torch.zeros(2), 1.0).to_event(1))

    assert len(Target(model, guide, X)) == len(X)  # datum by datum
    refused("sequential plate 'data'", "with pyro.plate('data', size):", model=model, guide=loose_guide)


def test_plate_sizes_that_differ() -> None:
    def guide(x: Tensor) -> None:
        with pyro.plate("data", 3):
            pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))

    refused("'z' is (3, 2) in the guide, (5, 2) in the model", "same plate sizes", guide=guide)


def test_forgotten_to_event() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0).expand([len(x), 4]), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2):
            pyro.sample("z", dist.Normal(x[..., :1], 1.0))

    refused("site 'x'", "batch shape (5, 4)", "no plate", "dim -1 (size 4)", ".to_event(1)", model=model, guide=guide)


def test_data_that_cannot_be_cut() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", 5):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ PROBLEM.weight.T, 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", 5):
            pyro.sample("z", dist.Normal(x[..., :2], 1.0).to_event(1))

    target = Target(model, guide, X)
    assert target.log_weights(3).shape == (3, 5)
    one = target.select([3])  # all are evaluated, and one picked; Pyro's own samplers cannot be given it
    torch.testing.assert_close(one.log_weights(3), target.log_weights(3)[:, 3:4])
    with pytest.raises(ProgramError, match=r"plate 'data' keeps its size 5.*pyro\.plate\(name, len\(x\)\)"):
        one.program("model")


def test_programs_that_read_their_data_elsewhere_are_not_cut() -> None:
    """The argument is ignored: cutting it would change nothing, silently."""

    def model(x: Tensor) -> None:
        PROBLEM.model(X)

    def guide(x: Tensor) -> None:
        PROBLEM.guide(X)

    target = Target(model, guide, X)
    assert not target.sliceable
    torch.testing.assert_close(target.log_weights(2), PROBLEM.evidence(X).expand(2, 5))


# Modules in training mode --------------------------------------------------------------------------------------------


def with_encoder(encoder: nn.Module) -> Callable[[Tensor], None]:
    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(encoder(x), 1.0).to_event(1))

    return guide


@pytest.mark.parametrize("rows", [1, 5])
def test_batch_normalisation_in_training_mode(rows: int) -> None:
    """Refused before it runs: its running statistics are as they were."""
    encoder = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
    before = [encoder[1].running_mean.clone(), encoder[1].running_var.clone()]
    refused("in the guide, batch_norm runs in training mode", ".eval()", guide=with_encoder(encoder), x=X[:rows])
    assert torch.equal(encoder[1].running_mean, before[0]) and torch.equal(encoder[1].running_var, before[1])
    encoder.eval()
    assert check_program(PROBLEM.model, with_encoder(encoder), X[:rows]).num_data == rows


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.AlphaDropout(0.5)])
@pytest.mark.parametrize("rows", [1, 5])
def test_dropout_in_training_mode(layer: nn.Module, rows: int) -> None:
    encoder = nn.Sequential(nn.Linear(4, 6), layer, nn.Linear(6, 2)).train()
    refused("in the guide", "dropout runs in training mode", ".eval()", guide=with_encoder(encoder), x=X[:rows])
    encoder.eval()
    assert check_program(PROBLEM.model, with_encoder(encoder), X[:rows]).num_data == rows


def test_compiled_programs_pass() -> None:
    """The guard against training mode must not be in the way of torch.compile."""
    encoder = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, 2)).eval()
    compiled = torch.compile(encoder, backend="eager")
    with warnings.catch_warnings():  # torch 2.6 adds a filter of its own when it first compiles
        found = Target(PROBLEM.model, with_encoder(compiled), X).log_weights(3)
    torch.testing.assert_close(found, Target(PROBLEM.model, with_encoder(encoder), X).log_weights(3))


# Arguments of the functions ------------------------------------------------------------------------------------------


def test_programs_must_be_callable() -> None:
    refused("model must be a callable such as a function or a Pyro program, got 'model'", model="model")
    refused("guide must be a callable such as a function or a Pyro program, got None", guide=None)


@pytest.mark.parametrize("num_samples", [0, -1])
def test_no_samples(num_samples: int) -> None:
    target = conjugate().target()
    for ask in (target.propose, target.log_weights, lambda n: importance(target, num_samples=n)):
        with pytest.raises(ValueError, match=f"num_samples must be an integer from 1 .* got {num_samples}"):
            ask(num_samples)


def test_messages_say_what_to_do() -> None:
    """No refusal of this file is a bare complaint: each sentence of advice starts with a verb in the imperative."""
    message = refused("'z'", guide=lambda x: None)
    assert re.search(r"(Give|Put|Remove|Use|Write|Move|Call|Name)\b", message)


def test_bad_programs_leave_later_calls_alone() -> None:
    with pytest.raises(ProgramError):
        Target(PROBLEM.model, PROBLEM.guide, X[:, :3])
    x = data(3)
    assert Target(normal_model, normal_guide(0.9), x).log_weights(2).shape == (2, 3)


def test_plates_of_two_names() -> None:
    def guide(x: Tensor) -> None:
        with pyro.plate("batch", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))

    refused("two names: 'batch' in the guide, 'data' in the model", "the same name in both", guide=guide)
    refused("two names: 'data' in the model, 'batch' in the guide", guide=guide, plate="batch")


def test_dtypes_that_differ_between_the_programs() -> None:
    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros(2, dtype=torch.float32), 1.0).to_event(1))

    told = refused("'z' is float32 in the guide, float64 in the model", "module.double()", guide=guide)
    assert "plate sizes" not in told and "Trace Shapes" not in told


def test_a_float32_network_and_float64_data() -> None:
    encoder = torch.nn.Linear(4, 2, dtype=torch.float32)

    def guide(x: Tensor) -> None:
        pyro.module("encoder", encoder)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(encoder(x), 1.0).to_event(1))

    refused(
        "the guide failed", "arguments float64, parameters float32", "data.float(), or module.double()", guide=guide
    )
