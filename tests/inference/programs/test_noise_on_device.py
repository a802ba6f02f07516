"""Words and normals that are made in torch are those that NumPy's generator gives."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elbowroom.inference import Target
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.programs import noise
from elbowroom.inference.programs.noise import Noise, _Streams
from elbowroom.inference.programs.noise_on_device import normals, words
from toys.programs import conjugate, data

CPU = torch.device("cpu")
UNSIGNED = st.integers(0, 2**64 - 1)


@settings(max_examples=60, deadline=None)
@given(
    seed=UNSIGNED,
    keys=st.lists(UNSIGNED, min_size=1, max_size=3),
    operation=st.integers(0, 2**32),
    site=UNSIGNED,
    first=st.one_of(st.integers(0, 9), st.integers(0, 2**60)),
    number=st.integers(1, 13),
)
def test_words_are_those_of_numpy(
    seed: int, keys: list[int], operation: int, site: int, first: int, number: int
) -> None:
    data_keys = np.array(keys, np.uint64)
    streams = _Streams(seed, operation, site)
    expected = np.stack([streams.words(key, first, number) for key in data_keys])
    found = words(seed, data_keys, (operation, site), first, number, CPU)
    np.testing.assert_array_equal(found.numpy().view(np.uint64), expected)


@pytest.mark.parametrize(("width", "start"), [(1, 0), (4, 3), (5, 2**48)])
@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_normals_are_those_of_the_processor(width: int, start: int, seed: int) -> None:
    keys = np.array([3, 2**63 + 11], np.uint64)
    site = int.from_bytes(hashlib.blake2b(b"z", digest_size=8).digest(), "little")
    found = normals(seed, keys, site, 2, start, (7, width), CPU)
    expected = Noise(seed, keys, 7, start).draw("normal", "z", 2, width, torch.float32)
    assert found.dtype == torch.float32 and found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_programs_and_chains_have_the_same_numbers_wherever_they_are_made(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_default_dtype(dtype)  # put back after each test
    toy = conjugate()
    target = Target(toy.model, toy.guide, data(5).to(dtype))
    made: list[str] = []

    def seen(*args: object) -> torch.Tensor:
        made.append("here")
        return normals(*args)  # type: ignore[arg-type]

    def drawn() -> list[torch.Tensor]:
        z, log_q = target.propose(9, seed=4, start=2)
        numbers = RandomNumbers(target, 4)
        return [z["z"], log_q, numbers.normal("test", 6, 3), numbers.uniform("test", 6)]

    expected = drawn()
    monkeypatch.setattr(noise, "_MAKE_NORMALS", ("cpu",))
    monkeypatch.setattr(noise.noise_on_device, "normals", seen)
    for found, there in zip(drawn(), expected, strict=True):
        torch.testing.assert_close(found, there, rtol=1e-5, atol=1e-5)
    assert len(made) == (2 if dtype == torch.float32 else 0)  # others come from the processor
