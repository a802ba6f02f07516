"""Files of strangers: read within bounds, or refused by name; what is built of them is no more than they hold."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from elbowroom.inference.saving import reading
from elbowroom.inference.saving.allowance import Allowance, TooMuchError, allowance_for
from elbowroom.inference.saving.links import append, own_folder
from elbowroom.inference.saving.reading import UnreadableError, check_header, outline, read_bytes, read_json
from elbowroom.inference.saving.seal import has_seal, sealed


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[1]", "it holds a list, expected an object"),
        (b'"x"', "it holds a text, expected an object"),
        (b"5", "it holds a number, expected an object"),
        (b"null", "it holds another thing, expected an object"),
        (b"[" * 100_000, "deeper in each other than 64 levels"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "deeper in each other than 64 levels"),
        (b"\xff\xfe{}", "it is not UTF-8 text (from byte 0 on)"),
        (b'{"a": NaN}', "NaN is no number of JSON"),
        (b'{"a": 1', "it is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "it is not JSON"),
    ],
)
def test_json_that_is_no_object_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "some.json"
    path.write_bytes(content)
    with pytest.raises(UnreadableError) as refused:
        read_json(path)
    assert str(refused.value).startswith(f"{path}: ") and told in str(refused.value)


def test_json_within_bounds_is_read(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None, {"b": "ü"}]}
    (tmp_path / "some.json").write_text(json.dumps(value))
    assert read_json(tmp_path / "some.json") == value
    (tmp_path / "deep.json").write_text("[" * 64 + "]" * 64)
    assert isinstance(read_json(tmp_path / "deep.json", list), list)


def test_sizes_and_kinds_are_looked_at_first(tmp_path: Path) -> None:
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(2**42)
    os.mkfifo(tmp_path / "pipe")
    for path, told in ((tmp_path / "huge", "4,398,046,511,104 bytes"), (tmp_path / "pipe", "no regular file"),
                       (Path("/dev/zero"), "no regular file"), (tmp_path, "no regular file")):  # fmt: skip
        with pytest.raises(UnreadableError, match=told):
            read_bytes(path, reading.memory())
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "nothing")


def test_an_outline_has_shapes_and_no_numbers(tmp_path: Path) -> None:
    save_file(
        {"a": torch.zeros(3, 2, dtype=torch.float32), "b": torch.ones((), dtype=torch.int64)},
        tmp_path / "some.safetensors",
    )
    found = outline(tmp_path / "some.safetensors")
    assert {name: (tuple(t.shape), t.dtype, t.device.type) for name, t in found.items()} == {
        "a": ((3, 2), torch.float32, "meta"),
        "b": ((), torch.int64, "meta"),
    }
    (tmp_path / "some.safetensors").write_bytes((2**40).to_bytes(8, "little") + b"{}")
    with pytest.raises(UnreadableError, match=r"its header has 1,099,511,627,776 bytes"):
        check_header(tmp_path / "some.safetensors")
    (tmp_path / "some.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UnreadableError, match="more than"):
        outline(tmp_path / "some.safetensors")


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.nn.Linear(9, 10**9),
        lambda: torch.arange(10**10),
        lambda: torch.ones(10**5)[:, None] * torch.ones(10**5),
        lambda: torch.ones(1).expand(10**10).clone(),
        lambda: torch.eye(10**6),
        lambda: torch.randn(10**10),
        lambda: [torch.zeros(1) for _ in range(10**8)],
    ],
    ids=["linear", "arange", "outer", "clone", "eye", "randn", "many"],
)
def test_more_than_is_allowed_is_not_made(make: object) -> None:
    with pytest.raises(TooMuchError), Allowance(2**20, 200):
        make()  # type: ignore[operator]


def test_what_is_allowed_is_made_as_ever() -> None:
    """The same numbers of the same seed, shapes that depend on values among them; in-place operations are free."""

    def made() -> list[torch.Tensor]:
        torch.manual_seed(0)
        x = torch.randn(50, 4)
        for _ in range(50):
            x.mul_(1.0)
        return [*torch.nn.Linear(4, 8).parameters(), x[x > 0], x.unique(dim=0), torch.randperm(9), x.sum()]

    with allowance_for(1000) as left:
        found = made()
    assert all(torch.equal(a, b) for a, b in zip(found, made(), strict=True))
    assert 64 * 2**20 + 64_000 - left.bytes_left < 10_000


def test_a_seal_breaks_at_any_change(tmp_path: Path) -> None:
    value = sealed({"a": 1, "b": [1, 2]})
    assert has_seal(tmp_path, value) and not has_seal(tmp_path, {"a": 1})
    for changed in ({**value, "a": 2}, {**value, "c": 0}, {**value, "b": [2, 1]}, {**value, "digest": "0"}):
        with pytest.raises(UnreadableError, match="it was altered"):
            has_seal(tmp_path, changed)


def test_a_folder_that_leads_elsewhere_is_not_ones_own(tmp_path: Path) -> None:
    for name in ("run/audit/deep", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    run = tmp_path / "run"
    (run / "audit" / "page.html").symlink_to(tmp_path / "elsewhere" / "page.html")  # is replaced when it is written
    assert own_folder(run, "audit") == run / "audit" and own_folder(run, "new") == run / "new"
    for link in (run / "compare", run / "audit" / "deep" / "state"):
        link.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(OSError, match=r"is a link to .*not followed for writing"):
            own_folder(run, link.relative_to(run).parts[0])


def test_lines_are_added_to_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with pytest.raises(FileNotFoundError):
        append(path, b"x")
    path.write_bytes(b"1\n")
    append(path, b"2\n")
    assert path.read_bytes() == b"1\n2\n"
    os.link(path, tmp_path / "other")
    with pytest.raises(OSError, match="another name elsewhere"):
        append(path, b"3\n")
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(OSError, match=r"."):
        append(tmp_path / "link", b"3\n")
    assert path.read_bytes() == b"1\n2\n"
