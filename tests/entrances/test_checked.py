"""Arguments held against annotation and name: what is refused in which words, what is handed on, what stays."""

import inspect
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_type_hints

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from elbowroom import inference
from elbowroom.entrances import check_fields, checked
from elbowroom.entrances.ranges import RANGES
from elbowroom.entrances.values import (
    check_above,
    check_at_least,
    check_choice,
    check_count,
    check_module,
    check_size,
    check_sizes,
)
from elbowroom.inference import Evaluations, Gates


@checked
def ask(
    x: Tensor,
    *data: Tensor,
    num_samples: int = 1,
    seed: int = 0,
    tolerance: float = 0.1,
    quantiles: Sequence[float] = (0.5,),
    latent_shape: Sequence[int] | None = None,
    budget: float | str | Evaluations = 1.0,
    gates: Gates | None = None,
    start: Literal["guide", "prior"] = "guide",
    jumps: bool = True,
    path: str | Path = "here",
    weights: Mapping[str, Tensor] | None = None,
    network: nn.Module | None = None,
    free: Any = None,
) -> dict[str, Any]:
    """What it was given."""
    return dict(locals())


X = torch.zeros(3, 2)

REFUSED: list[tuple[str, Any, type[Exception], str]] = [
    ("num_samples", 0, ValueError, r"num_samples must be an integer from 1 to 10\^9, got 0: give a count"),
    ("num_samples", 10**18, ValueError, r"from 1 to 10\^9, got 10{18}: give a count in that range"),
    ("num_samples", 10**400, ValueError, "got an integer of 1329 bits"),
    ("num_samples", 1.5, TypeError, r"from 1 to 10\^9, got 1.5$"),
    ("num_samples", True, TypeError, "got True$"),
    ("num_samples", np.float64(2), TypeError, r"got np.float64\(2.0\) \(float64\)"),
    ("num_samples", torch.tensor([2]), TypeError, r"got a tensor \(1,\) of int64 on cpu"),
    ("seed", -1, ValueError, r"from 0 to 2\^63 - 1, got -1: any of them will do"),
    ("seed", 2**64, ValueError, "any of them will do"),
    ("seed", 1.5, TypeError, "got 1.5$"),
    ("tolerance", float("nan"), ValueError, r"tolerance must be a number > 0 and at most 10\^6, got nan: in nats"),
    ("tolerance", float("inf"), ValueError, "got inf"),
    ("tolerance", "0.1", TypeError, "got '0.1'"),
    ("quantiles", [0.5, 2.0], ValueError, r"quantiles\[1\] must be a number between 0 and 1, both excluded, got 2.0"),
    ("quantiles", 0.5, TypeError, "quantiles must be a sequence such as a list, each a number between"),
    ("latent_shape", [], ValueError, r"sequence such as a list, not empty, each .*, got \[\] \(list\)"),
    (
        "budget",
        -1,
        ValueError,
        r"> 0 and at most 10\^7, or a str, or an Evaluations, such as Evaluations\(2e5\), got -1",
    ),
    ("gates", "x", TypeError, r"gates must be a Gates, such as Gates\(rhat=1.01\), or None, got 'x'"),
    ("gates", Gates, TypeError, "got the class Gates"),
    ("start", "nowhere", ValueError, "start must be one of 'guide', 'prior', got 'nowhere'"),
    ("start", 3, TypeError, "got 3"),
    ("jumps", 1, TypeError, "jumps must be True or False, got 1"),
    ("path", "", ValueError, r"path must be a path \(a str or pathlib.Path, names of at most 255 bytes\), got ''"),
    ("path", "a\0b", ValueError, r"got 'a\\x00b'"),
    ("path", Path("x" * 256), ValueError, "names of at most 255 bytes"),
    ("weights", {"z": 3}, TypeError, "a mapping, each key a str, each value a torch.Tensor of real values"),
    ("network", nn.Linear, TypeError, "an instance of a torch.nn.Module, or None, got the class Linear"),
    ("x", torch.zeros(3, 2, device="meta"), TypeError, r"got a tensor \(3, 2\) of float32 on meta"),
    ("x", X.to(torch.complex64), TypeError, "of real values"),
    ("x", torch.zeros(0, 2), ValueError, "with a row for each datum"),
    ("x", None, TypeError, "x must be a torch.Tensor .*, got None"),
]


@pytest.mark.parametrize(("name", "value", "error", "said"), REFUSED)
def test_what_is_refused(name: str, value: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=rf"^{name}.*{said}" if not said.startswith(name) else f"^{said}"):
        ask(**{"x": X, name: value})


def test_what_is_handed_on() -> None:
    found = ask(
        X, X, num_samples=np.int64(3), seed=torch.tensor(4), tolerance=np.float32(0.5), quantiles=np.array([0.1])
    )
    assert [type(found[name]) for name in ("num_samples", "seed", "tolerance")] == [int, int, float]
    assert (found["num_samples"], found["seed"], found["tolerance"]) == (3, 4, 0.5)
    assert found["x"] is X and found["data"] == (X,) and type(ask(X, tolerance=1)["tolerance"]) is int
    assert ask(X.T, jumps=np.bool_(False), budget="2e5 evaluations", free=object())["jumps"] is False


def test_further_arguments_are_read_too() -> None:
    with pytest.raises(TypeError, match=r"data must be a torch.Tensor of real values, not|data must be .*, got 3"):
        ask(X, 3)
    with pytest.raises(TypeError, match=r"ask\(\) has no argument 'num_sample' \(did you mean 'num_samples'\?\)"):
        ask(X, num_sample=3)


def test_nothing_runs_before() -> None:
    ran = []

    @checked
    def run(seed: int) -> None:
        ran.append(seed)

    with pytest.raises(ValueError, match="seed"):
        run(-1)
    run(1)
    assert ran == [1]


def test_signature_docstring_and_types_stay() -> None:
    assert ask.__name__ == "ask" and ask.__doc__ == "What it was given."
    assert list(inspect.signature(ask).parameters)[:3] == ["x", "data", "num_samples"]
    assert get_type_hints(ask)["num_samples"] is int


def test_fields_of_a_dataclass() -> None:
    assert type(Gates(rhat=np.float64(1.1)).rhat) is float
    for wrong in ({"rhat": float("nan")}, {"ess_per_chain": 0}, {"divergences": 1.5}, {"ebfmi": "x"}):
        with pytest.raises((TypeError, ValueError), match=f"{next(iter(wrong))} must be"):
            Gates(**wrong)
    with pytest.raises(ValueError, match="number must be a number > 0"):
        Evaluations(0)
    check_fields(Gates())


def test_every_range_is_of_an_argument_that_some_public_function_has() -> None:
    """A name that is misspelt in the table would be checked nowhere."""
    from fuzz.good_calls import good_calls

    functions = [call.function for call in good_calls()]
    names = {name for function in functions for name in inspect.signature(function).parameters}
    known = names | {
        "position",
        "latent_shape",
        "per_value",
        "trials",
        "num_words",
        "num_outputs",
        "again",
        "num_values",
        "every",
    }
    assert set(RANGES) <= known, sorted(set(RANGES) - known)


def test_every_public_estimator_has_an_entrance() -> None:
    for name in inference.__all__:
        thing = getattr(inference, name)
        if inspect.isfunction(thing):
            assert hasattr(thing, "__wrapped__"), name


@pytest.mark.parametrize(
    ("check", "wrong", "error", "message"),
    [
        (partial(check_size, "width"), 0, ValueError, "width must be an integer from 1 to 2^24, got 0: give a size"),
        (partial(check_size, "width"), 1.5, TypeError, "width must be an integer from 1 to 2^24, got 1.5"),
        (partial(check_size, "width"), True, TypeError, "width must be an integer from 1 to 2^24, got True"),
        (partial(check_count, "given"), -1, ValueError, "given must be an integer from 0 to 2^24, got -1"),
        (partial(check_sizes, "hidden"), (3, 0), ValueError, "hidden[1] must be an integer from 1 to 2^24, got 0"),
        (partial(check_sizes, "hidden"), "64", TypeError, "hidden must be a sequence such as a list"),
        (partial(check_above, "std", bound=0.5), 0.5, ValueError, "std must be a number above 0.5 and finite, got 0.5"),
        (partial(check_above, "std", bound=0.5), float("nan"), ValueError, "std must be a number above 0.5"),
        (partial(check_at_least, "floor", bound=0), -0.1, ValueError, "floor must be a number from 0 on, finite, got"),
        (
            partial(check_at_least, "floor", bound=0),
            "1",
            TypeError,
            "floor must be a number from 0 on",
        ),
        (
            partial(check_module, "net"),
            nn.Linear,
            TypeError,
            "net must be an instance of a torch.nn.Module",
        ),
        (partial(check_choice, "kind", known=["maf", "iaf"]), "mafs", ValueError, "kind: got 'mafs', expected one of"),
    ],
)
def test_a_value_by_itself_is_refused_in_the_same_words(check: Any, wrong: Any, error: type, message: str) -> None:
    with pytest.raises(error) as refused:
        check(value=wrong) if check.func is not check_sizes else check(values=wrong)
    assert str(refused.value).startswith(message)


def test_a_value_by_itself_is_handed_on_as_pythons_own() -> None:
    read = check_size("width", np.int64(3)), check_count("given", 0), check_above("std", torch.tensor(0.75), 0.5)
    assert read == (3, 0, 0.75) and [type(one) for one in read] == [int, int, float]
    assert check_sizes("hidden", []) == () and check_sizes("hidden", [np.int64(3), 4]) == (3, 4)
    assert check_at_least("floor", 0, 0) == 0.0 and check_choice("kind", "maf", {"maf": 1}) == "maf"
    with pytest.raises(ValueError, match="did you mean 'maf'"):
        check_choice("kind", "mafs", ["maf", "iaf"])


def test_docstrings_say_out_of_range_as_errors_do() -> None:
    old = re.compile(r"non-positive|not\s+positive|negative|bad size|positive integer")
    public = {name: getattr(inference, name).__doc__ or "" for name in inference.__all__}
    said = {name: text.partition("Raises:")[2] for name, text in public.items()}
    assert sum(map(bool, said.values())) > 20
    assert [name for name, text in said.items() if old.search(text)] == []
