"""Files of --config and of data that would take all memory, or for ever: refused by name, at once."""

import time
from pathlib import Path

import numpy as np
import pytest

from elbowroom.commands.arguments.yaml_text import MOST_VALUES, NoYamlError, read_yaml
from toys.commands import Run

BOMB = "a0: &a0 [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, "holds more than 10,000 values"),
        ("a: &a [*a]", "deeper in each other"),
        ("[" * 100_000, "deeper in each other"),
        ("[" * 70 + "]" * 70, "deeper in each other"),
        ("a: &a {x: 1}\nb: {<<: [" + ",".join(["*a"] * 10_001) + "]}", "holds more than"),
        ("seed: 2020-99-99", "a value that is none"),
        ("seed: !!python/object/apply:os.system [ls]", "is neither YAML nor JSON"),
        ("seed: [", "is neither YAML nor JSON"),
    ],
    ids=["bomb", "itself", "brackets", "deep", "merges", "date", "tag", "open"],
)
def test_yaml_that_takes_too_much(run: Run, folder: Path, text: str, told: str) -> None:
    begin = time.process_time()
    with pytest.raises(NoYamlError, match=told):
        read_yaml(text)
    (folder / "options.yaml").write_text(text)
    ended = run("train", "--config=options.yaml")
    assert ended.code == (2 if told.startswith(("is neither", "a value")) else 3), ended
    assert "--config options.yaml: " in ended.err and told in ended.err
    assert ended.err.count("\n") == 1 and time.process_time() - begin < 10


def test_aliases_within_bounds_are_read() -> None:
    assert read_yaml("a: &w [64, 64]\nb: *w\nc: {<<: &m {d: 1}, e: 2}") == {
        "a": [64, 64],
        "b": [64, 64],
        "c": {"d": 1, "e": 2},
    }
    assert len(read_yaml("[" + "1," * (MOST_VALUES - 2) + "]")) == MOST_VALUES - 2 and read_yaml("") is None


@pytest.mark.parametrize("option", ["--programs.options", "--networks.checkpoint", "--output"])
def test_a_bomb_in_the_value_of_an_option(run: Run, folder: Path, option: str) -> None:
    bomb = "{" + ", ".join(BOMB.splitlines()) + "}"
    ended = run("audit" if "networks" in option else "train", option, bomb)
    assert ended.code == 2 and "a value without aliases" in ended.err


def test_a_group_of_options_is_read_within_the_same_bounds(run: Run, folder: Path) -> None:
    (folder / "data.yaml").write_text(BOMB)
    ended = run("train", "--data", "data.yaml")
    assert ended.code == 3 and "--data: got 'data.yaml', which holds more than 10,000 values" in ended.err
    ended = run("train", "--data", "{name: [}")
    assert ended.code == 2 and "--data: got '{name: [}', which is neither YAML nor JSON" in ended.err


def test_a_file_of_options_that_is_no_text_or_too_long(run: Run, folder: Path) -> None:
    (folder / "options.yaml").write_bytes(b"\xff\xfe")
    assert "is neither YAML nor JSON" in run("train", "--config=options.yaml").err
    with open(folder / "options.yaml", "wb") as file:
        file.truncate(2**40)
    assert "has 1,099,511,627,776 bytes" in run("train", "--config=options.yaml").err
    assert "no such file" in run("train", "--config=/dev/zero").err
    assert run("train", "--seed", "9" * 5000).code == 2


@pytest.mark.parametrize("shape", [(5 * 10**12, 1), (10, 5 * 10**11), (2**62, 2**62)])
@pytest.mark.parametrize("limit", [(), ("--data.limit=3",)])
def test_an_array_that_is_not_there_is_not_made(
    run: Run, folder: Path, shape: tuple[int, ...], limit: tuple[str, ...]
) -> None:
    with open("some.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
        file.write(b"\0" * 64)
    assert run("train", "--data.name=some.npy", *limit).refused("some.npy: cannot read .npy: it ends within row")
