"""YAML of a file or a value, within bounds: what a few lines of anchors and aliases would grow to is counted first."""

from pathlib import Path
from typing import Any

MOST_BYTES = 2**20
"""Of a file of options."""

MOST_VALUES = 10_000
"""In a text, with each alias counted as what it stands for."""

DEEPEST = 64
"""How deep lists and mappings may lie in each other."""


class NoYamlError(ValueError):
    """A text that is no YAML; the message is the end of a sentence."""


class TooLargeError(NoYamlError):
    """A text that takes more than one of options does: no slip of a finger, but a file that cannot be used."""


def text_of(file: Path) -> str:
    """A file of options.

    Raises:
        NoYamlError: it is too large, or no text.
    """
    if (size := file.stat().st_size) > MOST_BYTES:
        raise TooLargeError(f"has {size:,} bytes; a file of options has at most {MOST_BYTES:,}")
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoYamlError("is neither YAML nor JSON") from error


def read_yaml(text: str) -> Any:
    """What a text of YAML, or JSON, holds: numbers, strings, lists and mappings; no tags of Python.

    Raises:
        NoYamlError: it is none, is deeper than `DEEPEST`, or would grow beyond `MOST_VALUES`.
    """
    import yaml

    loader = None
    try:
        loader = yaml.SafeLoader(text)  # refuses control characters already
        node = loader.get_single_node()
        if node is not None and _size(node, {}, DEEPEST) > MOST_VALUES:
            raise TooLargeError(f"holds more than {MOST_VALUES:,} values, with what its aliases stand for")
        return None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise NoYamlError(f"is neither YAML nor JSON{f' (line {mark.line + 1})' if mark else ''}") from error
    except RecursionError as error:
        raise TooLargeError(_too_deep()) from error
    except NoYamlError:
        raise
    except (ValueError, TypeError, OverflowError) as error:  # such as the 99th of a month
        raise NoYamlError(f"holds a value that is none ({error})") from error
    finally:
        if loader is not None:
            loader.dispose()


def _size(node: Any, known: dict[int, int], deepest: int) -> int:
    """How many values a node holds, those of an alias each time it stands there."""
    if not isinstance(node.value, list):
        return 1
    if deepest == 0 or known.get(id(node)) == 0:  # 0: it is in itself
        raise TooLargeError(_too_deep())
    if id(node) not in known:
        known[id(node)] = 0
        inside = [one for entry in node.value for one in (entry if isinstance(entry, tuple) else (entry,))]
        known[id(node)] = 1 + sum(_size(one, known, deepest - 1) for one in inside)
    return known[id(node)]


def _too_deep() -> str:
    return f"has lists and mappings deeper in each other than {DEEPEST} levels"
