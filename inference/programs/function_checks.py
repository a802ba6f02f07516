"""What is asked of functions on `[S, B, D]` tensors before they are made into programs: errors name the function."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from elbowroom.inference.programs.from_functions import Functions
from elbowroom.inference.programs.global_state import quiet_globals
from elbowroom.inference.programs.structure import ProgramError
from elbowroom.inference.programs.tolerance import same


def checked_functions(data: tuple[Any, ...], dim: int, num_data: int | None, support: Any, **given: Any) -> Functions:
    """The functions, once they were seen to return what they should on all data.

    Raises:
        TypeError: for what cannot be called, and data that are no tensors.
        ValueError: for sizes that do not fit together.
        ProgramError: naming the function, what it returned and what was expected.
    """
    for name, function in given.items():
        if not callable(function) and not (name == "sample_prior" and function is None):
            raise TypeError(f"{name} must be a function, got {type(function).__name__}")
    functions = Functions(**given, dim=dim, num_data=_size(data, num_data), support=_of_vectors(support))
    with quiet_globals(data), torch.no_grad():
        _check_samplers(functions, data)
        _check_densities(functions, data)
    return functions


def _size(data: tuple[Any, ...], num_data: int | None) -> int | None:
    """B of functions that take no data, None of those that do."""
    for i, value in enumerate(data):
        if not isinstance(value, Tensor) or value.dim() == 0 or len(value) != len(data[0]):
            got = f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise TypeError(
                f"data {i} must be a tensor with a row for each datum, [B, ...], got {got}. What all data share "
                "belongs into the functions"
            )
    if (num_data is None) == (not data):
        raise ValueError(
            "give either the data, which the functions then take behind z (and which can be cut), or num_data=, for "
            f"functions that hold their data themselves; got {len(data)} data and num_data={num_data}"
        )
    return num_data


def _of_vectors(support: Any) -> Any:
    """The support as a constraint of whole vectors."""
    if support is None:
        return constraints.real_vector
    return constraints.independent(support, 1 - support.event_dim) if support.event_dim < 1 else support


def _check_samplers(functions: Functions, data: tuple[Tensor, ...]) -> None:
    """Shapes, and that a draw is a function of torch's random numbers."""
    for name in ("sample", "sample_prior"):
        if getattr(functions, name) is None:
            continue
        first, again = (_drawn(functions, name, data) for _ in range(2))
        if not same(again, first):
            raise ProgramError(
                f"{name} differs between two calls on the same random numbers of torch: it draws elsewhere (NumPy, "
                "another library, a generator of its own that goes on), so its draws are no function of a seed. Draw "
                "inside it with torch's functions (torch.randn(num_samples, num_data, dim), …), and hand these numbers "
                "to the library"
            )
        if bool(first.isnan().any()):
            raise ProgramError(f"{name} draws NaN for the data {_rows(first.isnan().flatten(2).any(2))}")


def check_seeded(draws: Tensor, others: Tensor) -> None:
    """Draws on two seeds must differ: what a function seeds by itself comes again in every piece of the draws.

    Raises:
        ProgramError: if they do not.
    """
    if torch.equal(draws, others):
        raise ProgramError(
            "sample draws the same whatever the seed is: it uses random numbers that are not torch's, and seeds them "
            "itself. Draw inside it with torch's functions (torch.randn(num_samples, num_data, dim), …), and hand "
            "these numbers to the library"
        )


def _drawn(functions: Functions, name: str, data: tuple[Tensor, ...]) -> Tensor:
    torch.manual_seed(0)
    return _called(name, lambda: functions.drawn(name, data, _few(functions, data)))


def _check_densities(functions: Functions, data: tuple[Tensor, ...]) -> None:
    """Shapes, NaN, and that a density is a function of its own sample alone."""
    z = _drawn(functions, "sample", data)
    densities: dict[str, Callable[[Tensor], Tensor]] = {
        "log_q": lambda z: functions.density("log_q", data, z),
        "log_joint": lambda z: torch.stack(functions.joint(data, z)),
    }
    for name, density in densities.items():
        found = _called(name, lambda density=density: density(z))  # type: ignore[misc]
        if name == "log_q" and bool(found.isnan().any()):
            raise ProgramError(f"log_q is NaN at draws of sample for the data {_rows(found.isnan())}")
        torch.manual_seed(1)
        if not same(density(z), found):
            raise ProgramError(
                f"{name} differs between two calls at the same z: put modules with dropout in evaluation mode (.eval())"
            )
        alone = torch.cat([density(z[s : s + 1]) for s in range(len(z))], found.dim() - 2)
        if not same(alone, found):
            raise ProgramError(
                f"{name} of several samples is not what it is of each of them by itself: entry [s, b] must depend on "
                "z[s, b] alone (no statistics over samples, no batch normalisation in training mode)"
            )


def _called(name: str, call: Callable[[], Tensor]) -> Tensor:
    try:
        return call()
    except (ProgramError, NotImplementedError):
        raise
    except Exception as error:
        raise ProgramError(
            f"{name} failed: {type(error).__name__}: {error}.\n  Samplers are called with the number of samples, "
            "densities with z [S, B, D]; the data, if they were given, come behind"
        ) from error


def _few(functions: Functions, data: tuple[Tensor, ...]) -> int:
    """Three samples, or two of three data: a transposed answer must show."""
    return 2 if functions.size(data) == 3 else 3


def _rows(marks: Tensor) -> list[int]:
    """The first data that are marked in `[S, B]`."""
    return marks.any(0).nonzero().flatten().tolist()[:8]
