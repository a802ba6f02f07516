"""Bad input to `fit`: each is an error that names it, before anything is trained."""

from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroModule
from torch import Tensor

from elbowroom.guides import AmortizedNormal
from elbowroom.inference.programs.structure import ProgramError
from elbowroom.inference.training import OBJECTIVES, fit
from elbowroom.models import VAE
from toys.training import SIZE, ToyGuide, ToyModel, equal, make_data, make_pair, values


def refuse(error: type[Exception], match: str, data: Any = None, **options: Any) -> None:
    """`fit` raises that error and changes no parameter."""
    model, guide = make_pair()
    before = values(model, guide)
    with pytest.raises(error, match=match):
        fit(model, guide, make_data() if data is None else data, progress=False, **options)
    assert equal(before, values(model, guide))


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("num_epochs", 0, ValueError),
        ("num_epochs", 2.0, TypeError),
        ("num_epochs", True, TypeError),
        ("batch_size", 0, ValueError),
        ("batch_size", -5, ValueError),
        ("num_particles", 0, ValueError),
        ("validate_every", 0, ValueError),
        ("num_validation_samples", 1, ValueError),
        ("seed", -1, ValueError),
        ("learning_rate", 0.0, ValueError),
        ("learning_rate", -1e-3, ValueError),
        ("learning_rate", float("nan"), ValueError),
        ("learning_rate", "fast", TypeError),
        ("clip_norm", 0.0, ValueError),
        ("clip_norm", float("inf"), ValueError),
        ("warmup_epochs", -1, ValueError),
        ("beta", 0, ValueError),
        ("beta", float("inf"), ValueError),
        ("free_bits", -0.1, ValueError),
        ("num_cycles", 0, ValueError),
        ("weight_decay", -1e-3, ValueError),
        ("final_learning_rate", 1.0, ValueError),
        ("patience", 0, ValueError),
        ("on_epoch", "print", TypeError),
        ("checkpoint_seconds", -1.0, ValueError),
        ("checkpoint_seconds", float("nan"), ValueError),
    ],
)
def test_numbers(name: str, value: Any, error: type[Exception]) -> None:
    refuse(error, name, **{name: value})


def test_unknown_names_list_the_known_ones() -> None:
    refuse(ValueError, rf"unknown loss 'ELBO'; known: {', '.join(sorted(OBJECTIVES))}", loss="ELBO")
    refuse(ValueError, r"unknown loss 'iwea' \(did you mean 'IWAE'\?\)", loss="iwea")
    refuse(ValueError, r"unknown option of the loss 'ph' \(did you mean 'phi'\?\)", loss="reweighted-wake-sleep",
           num_particles=2, loss_options={"ph": "sleep"})  # fmt: skip
    refuse(ValueError, "unknown phi 'dream'; known: sleep, wake", loss="reweighted-wake-sleep",
           num_particles=2, loss_options={"phi": "dream"})  # fmt: skip
    refuse(ValueError, "unknown schedule 'linear'; known: constant, cosine", schedule="linear")
    refuse(ValueError, "unknown keep 'first'; known: last, best", keep="first")
    refuse(
        ValueError, r"unknown optimizer 'adamw' \(did you mean 'AdamW'\?\); known: Adam, AdamW, SGD", optimizer="adamw"
    )
    refuse(ValueError, r"unknown kl_weight 'cyclic' \(did you mean 'cyclical'\?\)", kl_weight="cyclic")


def test_combinations() -> None:
    refuse(ValueError, "keep='best' needs validation", keep="best")
    refuse(ValueError, "resume=True needs run_dir", resume=True)
    with pytest.raises(ValueError, match="data=None is for programs without arguments"):
        fit(*make_pair(), None, progress=False)
    refuse(ValueError, "alpha=0.5 is an option of .*'RenyiELBO'.*; loss='Trace_ELBO' has none", alpha=0.5)
    refuse(ValueError, "num_particles=1 has no other draws", loss="RenyiELBO")
    refuse(ValueError, "other than 1", loss="RenyiELBO", num_particles=4, alpha=1)
    for name, value in {"warmup_epochs": 3, "beta": 4.0, "kl_weight": "cyclical", "free_bits": 0.1}.items():
        refuse(ValueError, f"{name} weighs the KL term", loss="RenyiELBO", num_particles=4, **{name: value})
    refuse(ValueError, "warmup_epochs=3 is how long a weight rises", kl_weight="constant", warmup_epochs=3)
    refuse(ValueError, "schedule='constant' stays where it is", final_learning_rate=1e-4)
    refuse(ValueError, "must be a number > 0", schedule="exponential", final_learning_rate=0.0)
    refuse(ValueError, "patience=3 waits for a better validation ELBO", patience=3)
    for options in ({"warmup_epochs": 9}, {"kl_weight": "cyclical"}):
        refuse(ValueError, "patience=3 is counted from the end of the warm-up", patience=3, num_epochs=9, **options)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["data", "validation"])
def test_rows_that_are_not_finite_are_named(bad: float, name: str) -> None:
    broken = make_data()
    broken[7, 2], broken[30] = bad, bad
    data, validation = (broken, None) if name == "data" else (None, broken)
    refuse(
        ValueError,
        rf"{name} has NaN or infinite values in 2 of 40 rows \(first: \[7, 30\]\)",
        data,
        validation=validation,
    )


def test_grey_values_are_refused_as_data_and_by_name_as_validation() -> None:
    """Those that `prepare` would make zeros and ones, too: it is for minibatches of training alone."""
    x = (make_data() > 0).to(torch.get_default_dtype())
    model, guide = VAE(SIZE, 2, (4,)), AmortizedNormal(SIZE, 2, (4,))
    options: dict[str, Any] = {"num_epochs": 1, "progress": False}
    with pytest.raises(ProgramError, match=r"^observed site 'x' has grey values \(such as 0\.25\)"):
        fit(model, guide, x / 4, **options)
    told = r"^validation: observed site 'x' has grey values \(such as 0\.25\).* a trained model .*torch\.bernoulli\(x\)"
    with pytest.raises(ProgramError, match=told):
        fit(model, guide, x, validation=x / 4, prepare=torch.bernoulli, **options)


@pytest.mark.parametrize("empty", [torch.zeros(0, SIZE), torch.zeros(4, 0), torch.tensor(1.0), ()])
def test_empty_data(empty: Any) -> None:
    data, validation = ("data must .* not empty", "validation is") if empty == () else ("data is", "validation is")
    refuse(ValueError, data, empty)
    refuse(ValueError, f"{validation} empty", validation=empty)


def test_types_of_data() -> None:
    refuse(TypeError, "data is int64, expected floating point", torch.ones(4, SIZE, dtype=torch.int64))
    refuse(TypeError, "data is bool, expected floating point", torch.ones(4, SIZE, dtype=torch.bool))
    refuse(TypeError, "must be a torch.Tensor .*, or a NumPy array.* got 'mnist'", "mnist")
    refuse(TypeError, r"data\[1\] must be a torch.Tensor .*, or a NumPy array", [make_data(), [1, 2]])
    refuse(ValueError, r"\[40, 3\] rows", [make_data(), torch.zeros(3)])
    refuse(ProgramError, "float32", make_data().float())


@pytest.mark.parametrize("kind", ["plain", "read-only", "reversed"])
def test_arrays_are_welcome(kind: str) -> None:
    array = np.asarray(make_data()).copy()
    array.setflags(write=kind != "read-only")
    array = array[::-1] if kind == "reversed" else array
    ours, theirs = (
        fit(*make_pair(), data, validation=data, num_epochs=1, progress=False).history[-1]
        for data in (array, torch.from_numpy(array.copy()))
    )
    assert all(ours[name] == theirs[name] for name in ("train_loss", "elbo", "kl"))


def test_programs_that_do_not_fit_the_data() -> None:
    refuse(ProgramError, "failed on these arguments", torch.zeros(4, SIZE + 1))
    refuse(ProgramError, "no site is in a plate named 'rows'", plate="rows")


def test_data_along_another_axis() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", x.shape[1]):
            z = pyro.sample("z", dist.Normal(pyro.param("m", torch.tensor(0.0)), 1.0))
            with pyro.plate("values", SIZE):
                pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", x.shape[1]):
            pyro.sample("z", dist.Normal(x.mean(0), pyro.param("s", torch.tensor(1.0))))

    with pytest.raises(ValueError, match=r"the data lie along \{0: 1\}.*cuts minibatches along the first axis"):
        fit(model, guide, make_data().T, progress=False)


def test_a_plate_of_fixed_size() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", 1):
            z = pyro.sample("z", dist.Normal(pyro.param("m", torch.tensor(0.0)), 1.0))
            pyro.sample("x", dist.Normal(z, torch.ones(SIZE)).to_event(1), obs=x.mean(0, keepdim=True))

    def guide(x: Tensor) -> None:
        with pyro.plate("data", 1):
            pyro.sample("z", dist.Normal(pyro.param("m", torch.tensor(0.0)), 1.0))

    with pytest.raises(ValueError, match="the plate 'data' has size 1, but the minibatch has 40 data"):
        fit(model, guide, make_data(), progress=False)


@pytest.mark.parametrize(
    ("options", "marks", "said"),
    [
        ({"warmup_epochs": 2}, None, r"\['which'\], which the guide does not draw, are summed out .*warmup_epochs=2"),
        ({"beta": 2.0}, None, r"\['which'\], which the guide does not draw, are summed out .*beta=2.0"),
        ({"free_bits": 0.1}, None, r"\['which'\], which the guide does not draw, are summed out .*free_bits=0.1"),
        ({"loss": "RenyiELBO", "num_particles": 2}, None, r"\['which'\].*loss='RenyiELBO' cannot be had of their sum"),
        ({"loss": "TraceMeanField_ELBO"}, None, r"\['which'\].*loss='TraceMeanField_ELBO' cannot be had"),
        ({}, "sequential", r"the model branches on \['which'\], and fit runs no branches"),
    ],
)
def test_what_cannot_be_had_where_discrete_latents_are_summed_out(
    options: dict[str, Any], marks: str | None, said: str
) -> None:
    def model(x: Tensor) -> None:
        shift = pyro.param("shift", torch.tensor([0.0, 1.0]))
        with pyro.plate("data", len(x)):
            which = pyro.sample("which", dist.Categorical(torch.tensor([0.5, 0.5])), infer={"enumerate": marks})
            z = pyro.sample("z", dist.Normal(shift[which], 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, 1.0))

    with pytest.raises(ValueError, match=said):
        fit(model, guide, torch.zeros(4), progress=False, **options)


def test_nothing_to_train() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, 1.0))

    with pytest.raises(ValueError, match="nothing to train"):
        fit(model, guide, torch.zeros(4), progress=False)


def test_a_parameter_that_no_module_owns() -> None:
    """`pyro.param` inside a PyroModule would be lost when training ends."""

    class Loose(PyroModule):
        def forward(self, x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                pyro.sample("z", dist.Normal(x[:, :2] * pyro.param("slope", torch.tensor(1.0)), 1.0).to_event(1))

    with pytest.raises(ValueError, match=r"the guide calls pyro.param\('slope'\) inside a PyroModule"):
        fit(ToyModel(), Loose(), make_data(), progress=False)


def test_parameters_that_are_not_finite_before_training() -> None:
    model, guide = make_pair()
    with torch.no_grad():
        model.network.bias[0] = float("nan")
    with pytest.raises(
        ValueError, match=r"parameters hold NaN or infinite values before training: \['model.network.bias'\]"
    ):
        fit(model, guide, make_data(), progress=False)


def test_a_record_that_json_cannot_hold(tmp_path: Any) -> None:
    refuse(TypeError, "config must be JSON-able", run_dir=tmp_path / "run", config={"data": ToyGuide})
