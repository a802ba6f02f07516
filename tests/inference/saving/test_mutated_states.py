"""State files that were changed: at random, and in every entry of their headers; none is read as if it were whole."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from elbowroom.inference import StateError
from elbowroom.inference.saving.state_file import read_state, write_state
from toys.mutations import mutated

FINGERPRINT = {"data": "abc", "seed": 3}
TENSORS = {
    "importance/value": torch.arange(6, dtype=torch.float64).reshape(2, 3),
    "importance/stderr": torch.full((6,), 0.5, dtype=torch.float64),
    "effort": torch.arange(6),
    "done": torch.tensor([True, False]),
    "half": torch.ones(4, dtype=torch.bfloat16),
    "one": torch.tensor(2.5),
    "none": torch.zeros(0, 3),
}
RECORD = {"flags": {"importance": ["", "too few"]}, "seconds": 1.5, "refused": float("inf")}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "some.state.safetensors"
    write_state(path, "bracket", FINGERPRINT, TENSORS, RECORD)
    return path


def read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    return read_state(path, "bracket", FINGERPRINT)


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def put_header(path: Path, header: dict[str, Any], data: bytes) -> None:
    encoded = json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data)


def test_what_was_written_comes_back(state: Path) -> None:
    record, tensors = read(state)
    assert {name: record[name] for name in RECORD} == RECORD and tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert torch.equal(tensors[name], value) and tensors[name].dtype == value.dtype, name
    put_header(state, *header_of(state))  # the same header, laid out in another way
    assert torch.equal(read(state)[1]["effort"], TENSORS["effort"])


@pytest.mark.parametrize("number", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_a_changed_file_is_refused_or_is_as_it_was(state: Path, number: int) -> None:
    content, counts = state.read_bytes(), Counter[str]()
    for seed in range(number):
        state.write_bytes(content)
        done = mutated([state], random.Random(seed))
        try:
            record, tensors = read(state)
        except StateError as error:
            assert str(state) in str(error), done
            counts["refused"] += 1
            continue
        assert {name: record[name] for name in RECORD} == RECORD, done
        assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items()), done
        assert all(tensors[name].dtype == value.dtype for name, value in TENSORS.items()), done
        counts["same"] += 1
    print(f"\n{number} mutations of a state file: {dict(counts)}")
    assert counts["refused"] > 0.9 * number


def test_every_other_dtype_shape_and_name_is_noticed(state: Path) -> None:
    """All dtypes of as many bytes, all shapes of as many values, and pairs of names, one at a time."""
    header, data = header_of(state)
    widths = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "BF16": 2, "F16": 2, "I16": 2, "U16": 2,
              "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}  # fmt: skip
    changes: list[dict[str, Any]] = []
    for name in TENSORS:
        old, count = header[name], TENSORS[name].numel()
        same_width = [d for d, width in widths.items() if width == widths[old["dtype"]] and d != old["dtype"]]
        changes += [{name: old | {"dtype": dtype}} for dtype in same_width]
        shapes = [old["shape"][::-1], [count], [1, count], [count, 1], [count, 1, 1]]
        changes += [{name: old | {"shape": shape}} for shape in shapes if shape != old["shape"]]
    names = list(TENSORS)
    changes += [{a: header[b], b: header[a]} for i, a in enumerate(names) for b in names[:i]]
    for change in changes:
        put_header(state, header | change, data)
        with pytest.raises(StateError, match=r"some.state.safetensors"):
            read(state)
    assert len(changes) > 50


def test_a_state_of_before_shapes_were_known_is_refused(state: Path) -> None:
    header, data = header_of(state)
    record = json.loads(header["__metadata__"]["elbowroom"]) | {"format": "elbowroom bracket 1"}
    header["__metadata__"]["elbowroom"] = json.dumps(record)
    put_header(state, header, data)
    with pytest.raises(StateError, match="written by an earlier version of elbowroom, which did not notice"):
        read(state)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04cos\nsystem\n.",
        (2**60).to_bytes(8, "little") + b"{}",
        b"[" * 100_000,
        (2).to_bytes(8, "little") + b"[]",
    ],
    ids=["empty", "pickle", "header", "brackets", "list"],
)
def test_what_is_no_state_file_is_named(state: Path, content: bytes) -> None:
    state.write_bytes(content)
    with pytest.raises(StateError, match=r"some.state.safetensors' is (no readable state file|not a state)"):
        read(state)


@pytest.mark.parametrize("record", ["[" * 100_000, "[]", "5", '"x"', "{", '{"format": "elbowroom bracket 2"}'])
def test_what_is_no_record_is_named(state: Path, record: str) -> None:
    header, data = header_of(state)
    header["__metadata__"]["elbowroom"] = record
    put_header(state, header, data)
    with pytest.raises(StateError, match=r"some.state.safetensors"):
        read(state)
