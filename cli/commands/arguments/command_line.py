"""The words of a command line, each held against the options of its command, in one pass and before all else.

Every option comes out as `--name=value`, with the value as the parser takes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from elbowroom.commands.arguments.config_file import options_in, options_of_text
from elbowroom.commands.arguments.spelling import meant, nearest, nearest_option
from elbowroom.commands.arguments.table import is_group, is_mapping, options_of
from elbowroom.commands.arguments.values import Unreadable, read
from elbowroom.commands.arguments.yaml_text import TooLargeError

OTHERS = ("help", "config", "print_config", "traceback")
"""What every command takes beside its options."""


class Refused(Exception):
    """What was typed is wrong; the message is one line.

    Attributes:
        command: in which command, if any was named.
        code: of the exit.
    """

    def __init__(self, message: str, command: str | None = None, code: int = 2) -> None:
        super().__init__(message)
        self.command, self.code = command, code


def checked(words: Sequence[str], commands: Mapping[str, type]) -> list[str]:
    """The words as the parser takes them.

    Raises:
        Refused: at the first that is wrong, with what was likely meant.
    """
    if not words:
        raise Refused(f"which command? {', '.join(commands)}; elbowroom --help explains them")
    first, *rest = words
    if first in ("--help", "-h", "--version"):
        return [first]
    if first not in commands:
        raise Refused(_no_command(first, commands))
    try:
        return [first, *_options(first, rest, commands)]
    except Refused as refused:
        refused.command = first
        raise


def _options(command: str, words: Sequence[str], commands: Mapping[str, type]) -> Iterator[str]:
    table, words, before = options_of(commands[command]), list(words), ""
    while words:
        word = words.pop(0)
        if word == "-h":
            yield "--help"
            continue
        if not word.startswith("--"):
            raise Refused(_stray(word, before, table))
        name, equals, value = _underscored(word).removeprefix("--").partition("=")
        if not equals and words and not words[0].startswith("--") and name not in ("help", "print_config"):
            equals, value = "=", words.pop(0)
        before = name
        if name == "config":
            yield from _of_file(command, value, table, commands)
        elif name in OTHERS:
            yield f"--{name}{equals}{value}"
        else:
            yield from _option(command, name, value if equals else None, table, commands)


def _of_file(command: str, path: str, table: Mapping[str, Any], commands: Mapping[str, type]) -> Iterator[str]:
    if not path:
        raise Refused("--config: needs a file, such as --config options.yaml")
    try:
        for name, value in options_in(path, table):
            yield from _option(command, name, value, table, commands)
    except (Refused, ValueError) as error:
        code = 3 if isinstance(error, TooLargeError) else 2
        raise Refused(f"--config {path}: {error}", code=code) from error


def _option(
    command: str, name: str, value: str | None, table: Mapping[str, Any], commands: Mapping[str, type]
) -> Iterator[str]:
    """`--name=value`, of an option that there is and a value that its type can read; of a group its options."""
    plain = name.removesuffix("+")  # --programs.hidden+=3 appends
    hint = table.get(plain)
    if hint is None:
        if not _is_key(plain, table) or value is None:
            raise Refused(_no_option(command, name, table, commands))
        yield f"--{name}={value}"
    elif is_group(hint):
        try:
            options = list(_group(name, value, table))
        except ValueError as error:
            code = 3 if isinstance(error, TooLargeError) else 2
            raise Refused(f"--{name}: got {_shown(value or '')}, which {error}", code=code) from error
        for inside, told in options:
            yield from _option(command, inside, told, table, commands)
    elif value is None and hint is not bool:
        raise Refused(f"--{name}: needs a value")
    else:
        given = "true" if value is None else value
        try:
            yield f"--{name}={given if plain != name else read(plain, given, hint)}"
        except Unreadable as error:
            raise Refused(f"--{name}: got {_shown(given)}{error}") from error


def _is_key(name: str, table: Mapping[str, Any]) -> bool:
    """Whether this is one key of a mapping, such as `programs.options.latent_dim`."""
    while "." in name:
        name = name.rpartition(".")[0]
        if name in table:
            return is_mapping(table[name])
    return False


def _group(name: str, value: str | None, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The options of a group that was given whole, as '{name: digits, limit: 9}' or as a file of them."""
    if value is not None and value.lstrip().startswith("{"):
        return options_of_text(value, table, f"{name}.")
    if value is not None and value.endswith((".yaml", ".yml", ".json")):
        return options_in(value, table, f"{name}.")
    inside = next(option for option in table if option.startswith(f"{name}."))
    like = "indices" if name == "data" and "indices" in table and _is_numbers(value) else inside
    told = "" if value is None else f" {' '.join(value.split())}"
    raise Refused(f"--{name}: is a group of options; did you mean --{like}{told}?")


def _no_command(first: str, commands: Mapping[str, type]) -> str:
    if first.startswith("-"):
        return f"{first}: a command comes first, such as elbowroom {next(iter(commands))} {first}"
    near = nearest(first, commands)
    return f"{first}: no such command{meant(near) if near else '; there are ' + ', '.join(commands)}"


def _no_option(command: str, name: str, table: Mapping[str, Any], commands: Mapping[str, type]) -> str:
    if name.rpartition(".")[2] not in {option.rpartition(".")[2] for option in table}:
        elsewhere = [other for other, kind in commands.items() if name in options_of(kind)]
        if elsewhere:
            return f"--{name}: no option of {command}, but of {' and '.join(elsewhere)}"
    near = nearest_option(name, (*table, *OTHERS))
    if near is None:
        return f"--{name}: no such option; elbowroom {command} --help lists them"
    return f"--{name}: no such option; did you mean --{near}?"


def _stray(word: str, before: str, table: Mapping[str, Any]) -> str:
    if word.startswith("-") and len(word) > 1 and (near := nearest_option(word.lstrip("-"), table)) is not None:
        return f"{word}: options begin with two dashes; did you mean --{near}?"
    if before in table and "list" in str(table[before]):
        return f"{word}: what is this? --{before} takes a list with commas, such as 64,64"
    if (near := nearest_option(_underscored("--" + word)[2:], table)) is not None:
        return f"{word}: options begin with two dashes; did you mean --{near}?"
    return f"{word}: what is this? Options begin with two dashes, such as --{next(iter(table))}"


def _underscored(argument: str) -> str:
    """`--fail-if` means `--fail_if`: people type either."""
    name, equals, value = argument.partition("=")
    return name.replace("-", "_").replace("__", "--", 1) + equals + value


def _is_numbers(value: str | None) -> bool:
    return value is not None and value.strip("[]()").replace(",", "").replace(" ", "").isdigit()


def _shown(value: str) -> str:
    value = " ".join(value.split())
    return repr(value if len(value) <= 60 else value[:60] + "…")
