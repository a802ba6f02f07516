"""IDX: any array survives the round trip, and files that lie about themselves are told."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from elbowroom.datasets.idx import read_idx
from toys.dataset_files import IDX_CODES, idx_bytes

ARRAYS = st.sampled_from(sorted(IDX_CODES)).flatmap(
    lambda name: hnp.arrays(np.dtype(name), hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
)
TEN = np.arange(10, dtype=np.uint8).reshape(2, 5)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(array=ARRAYS, zipped=st.booleans())
def test_round_trip(tmp_path: Path, array: np.ndarray, zipped: bool) -> None:
    """Values, shape and type come back, gzipped or not, whatever the file is called."""
    path = tmp_path / "any-name"
    path.write_bytes(gzip.compress(idx_bytes(array)) if zipped else idx_bytes(array))
    back = read_idx(path)
    assert back.shape == array.shape
    assert back.dtype.newbyteorder("=") == array.dtype
    np.testing.assert_array_equal(back, array)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(array=ARRAYS, zipped=st.booleans(), data=st.data())
def test_every_truncation_is_told(tmp_path: Path, array: np.ndarray, zipped: bool, data: st.DataObject) -> None:
    """However many bytes are missing at the end, no array is returned."""
    content = gzip.compress(idx_bytes(array)) if zipped else idx_bytes(array)
    path = tmp_path / "cut"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ValueError, match=r"cut: "):
        read_idx(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (idx_bytes(TEN, (3, 5)), r"promises 3×5 values of uint8 \(15 bytes\), but the file has 10: it is truncated"),
        (idx_bytes(TEN, (2, 4)), r"promises 2×4 values of uint8 \(8 bytes\), but the file has more"),
        (idx_bytes(TEN, (2**32 - 1, 2**32 - 1)), r"promises 4294967295×4294967295 values .* but the file has 10"),
        (idx_bytes(TEN) + b"\0", "has more"),
        (b"\0\0\x08\x03" + b"\0\0\0\2", "header of 3 sizes is cut short"),
        (b"\0\0\x07\x01" + b"\0\0\0\0", "it starts with 00 00 07 01"),
        (b"\0\1\x08\x01" + b"\0\0\0\0", "not an IDX file"),
        (b"\1\0\x08\x01" + b"\0\0\0\0", "not an IDX file"),
        (b"", "starts with nothing"),
    ],
)
def test_bad_headers(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "bad-idx2-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=told):
        read_idx(path)


def test_truncated_and_damaged_gzip(tmp_path: Path) -> None:
    """A gzip stream that stops, one whose checksum is wrong, and one that is nonsense."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 50), dtype=np.uint8)
    content, path = gzip.compress(idx_bytes(noise)), tmp_path / "x.gz"
    path.write_bytes(content[:-200])
    with pytest.raises(ValueError, match="gzip stream ends early: the file is truncated"):
        read_idx(path)
    path.write_bytes(content[:-8] + b"\0" * 8)
    with pytest.raises(ValueError, match=r"gzip stream is damaged \(CRC"):
        read_idx(path)
    path.write_bytes(content[:12] + b"\xff" * 50)
    with pytest.raises(ValueError, match="gzip stream is damaged"):
        read_idx(path)


def test_a_zero_dimensional_header_is_read_as_one_value(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(b"\0\0\x08\0\x07")
    assert read_idx(path).shape == ()
