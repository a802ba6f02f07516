"""A file of --config as the words of a command line: one way to read both."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from elbowroom.commands.arguments.places import no_file
from elbowroom.commands.arguments.table import is_group
from elbowroom.commands.arguments.values import written
from elbowroom.commands.arguments.yaml_text import read_yaml, text_of


def options_in(path: str, table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and value of each option in a YAML or JSON file, in its order.

    Args:
        path: of the file.
        table: the options that there are.
        prefix: of their names, where the file has a group of them alone.

    Raises:
        ValueError: if there is no such file, or it holds no options.
    """
    file = Path(path)
    if not file.is_file():
        raise ValueError(no_file(file))
    return options_of_text(text_of(file), table, prefix)


def options_of_text(text: str, table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and value of each option in a text.

    Raises:
        ValueError: if it holds no options.
    """
    content = read_yaml(text)
    if not isinstance(content, dict):
        raise ValueError("holds no options; expected lines such as 'seed: 3'")
    return _flat(content, table, prefix)


def _flat(content: Mapping[Any, Any], table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and (is_group(table.get(name)) or name not in table):
            yield from _flat(value, table, f"{name}.")
        else:
            yield name, written(value)
