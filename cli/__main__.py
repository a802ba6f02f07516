"""`elbowroom`: the command line. torch is imported only after the arguments have been parsed."""

import signal
import sys
import traceback
from argparse import ArgumentError
from collections.abc import Sequence
from dataclasses import fields
from importlib import import_module
from typing import Any

from elbowroom import __version__
from elbowroom.commands.arguments.command_line import Refused, checked
from elbowroom.commands.arguments.effects import check_effects
from elbowroom.commands.arguments.errors import in_words
from elbowroom.commands.arguments.names import check_names
from elbowroom.commands.arguments.places import check_places
from elbowroom.commands.arguments.ranges import check_ranges
from elbowroom.commands.options import (
    AuditOptions,
    CompareOptions,
    DemoOptions,
    EveryCommand,
    EvidenceOptions,
    ExploreOptions,
    FamiliesOptions,
    GenerateOptions,
    MergeOptions,
    RivalsOptions,
    ShardOptions,
    TrainOptions,
    VersusOptions,
)
from elbowroom.commands.output import flush, lost, print_error
from elbowroom.commands.outputs import check_outputs
from elbowroom.commands.two_runs import two_runs
from elbowroom.entrances.visible import one_line, visible

COMMANDS: dict[str, type] = {
    "demo": DemoOptions,
    "train": TrainOptions,
    "evidence": EvidenceOptions,
    "audit": AuditOptions,
    "explore": ExploreOptions,
    "versus": VersusOptions,
    "compare": CompareOptions,
    "generate": GenerateOptions,
    "shard": ShardOptions,
    "merge": MergeOptions,
    "rivals": RivalsOptions,
    "families": FamiliesOptions,
}
"""Command -> its options; the command itself is `run(options)` in the module of its name."""

EXIT_CODES = """exit codes:
  0    done
  1    a defect of elbowroom itself (with a traceback: please report it)
  2    unknown option or a value that cannot be parsed
  3    unusable input: data, programs, run directory or values, or a place that cannot be written or in which another
       process writes, or another worker that has ended; the message says what to do
  4    training met a NaN or infinite loss or gradient; the rows are saved in the run directory
  5    audit has answered, and the condition of --fail-if holds
  6    shard has left out chunks that failed three times; the message names them
  130  interrupted by SIGINT (Ctrl-C); a training run has been saved and can be resumed
  143  interrupted by SIGTERM; a training run has been saved and can be resumed"""

EPILOG = f"""{EXIT_CODES}

Lists are typed as 64,64, numbers as 1000, 1_000 or 1e3. Errors are one line; --traceback shows where they come from."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    words = [word for word in typed if word != "--traceback"]
    whole = words != typed
    if words[:1] == ["--"]:  # after which torchrun takes no `--run` for one of its own options
        words = words[1:]
    try:
        code = _run(words, whole=whole)
    finally:
        flush()
    return _say(said, 3) if not code and (said := lost()) else code


def _run(words: Sequence[str], *, whole: bool) -> int:
    try:
        name, options = _read(words)
        return _guarded(name, options, whole=whole)
    except Refused as refused:
        return _say(refused, refused.code, refused.command)
    except KeyboardInterrupt:
        return _say("interrupted", 128 + signal.SIGINT)


def _read(words: Sequence[str]) -> tuple[str, Any]:
    """The command and its options, of which all that can be known without torch has been checked.

    Raises:
        Refused: for a word, a value, a name or a place that is wrong.
    """
    parser = _parser()
    words = checked(two_runs(words), COMMANDS)
    try:
        parsed = parser.parse_args(words)
        chosen = vars(parser.instantiate(parsed)[parsed.command])
    except ArgumentError as error:
        raise Refused(" ".join(str(error).split()), words[0]) from error
    name = parsed.command
    options = COMMANDS[name](**{option: value for option, value in chosen.items() if option != "config"})
    try:
        check_names(options)
        check_ranges(options)
        check_effects(options)
        check_places(options)
    except (ValueError, OSError) as error:
        raise Refused(str(error), name, code=3) from error
    return name, options


def _guarded(name: str, options: Any, *, whole: bool) -> int:
    """Turn errors that a person can mend into a message and an exit code; everything else is a defect.

    Args:
        name: of the command.
        options: of it.
        whole: whether tracebacks are shown.
    """
    from elbowroom.commands.output import ChunksLeftOut, ConditionHolds
    from elbowroom.inference import CheckpointError, NonFiniteError, TrainingInterrupted
    from elbowroom.inference.training import WorkersError

    try:
        check_outputs(name, options)
        import_module(f"elbowroom.commands.{name}").run(options)
    except ConditionHolds as condition:
        return _say(condition, 5, name)
    except ChunksLeftOut as left_out:
        return _say(left_out, 6, name)
    except (
        TrainingInterrupted, NonFiniteError, ValueError, TypeError, CheckpointError, ImportError, OSError,
        WorkersError,
    ) as error:  # fmt: skip
        if whole:
            print_error(traceback.format_exc())
        code = {NonFiniteError: 4, TrainingInterrupted: getattr(error, "exit_code", 3)}.get(type(error), 3)
        return _say(in_words(error, COMMANDS[name]), code, name)
    return 0


def _say(message: object, code: int, command: str | None = None) -> int:
    print_error(one_line(f"elbowroom{f' {command}' if command else ''}: {message}"))
    return code


def _parser() -> Any:
    from jsonargparse import ArgumentParser, set_dumper

    set_dumper("yaml", _dump)
    parser = ArgumentParser(
        prog="elbowroom",
        description="How much room is between an ELBO and log p(x), and can q be trusted?",
        epilog=EPILOG,
        formatter_class=_formatter(),
        exit_on_error=False,
    )
    parser.add_argument("--version", action="version", version=f"elbowroom {__version__}")
    commands = parser.add_subcommands(required=True, dest="command")
    for name, options in COMMANDS.items():
        commands.add_subcommand(name, _parser_of(options), help=(options.__doc__ or "").splitlines()[0])
    return parser


def _parser_of(options: type) -> Any:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(
        description=(options.__doc__ or "").splitlines()[0],
        epilog=EPILOG,
        formatter_class=_formatter(),
        exit_on_error=False,
    )
    parser.add_argument("--config", action="config", help="a YAML or JSON file with any of these options")
    parser.add_class_arguments(options, as_group=False)
    for action in parser._actions:
        if getattr(action, "_typehint", None) is bool:  # --json and --resume alone mean true
            action.nargs, action.const = "?", True
    _shared_last(parser)
    return parser


def _shared_last(parser: Any) -> None:
    """What every command can be told comes last, in --help and in printed configurations: a dataclass has it first."""
    shared = {field.name for field in fields(EveryCommand)}
    for actions in (parser._actions, *(group._group_actions for group in parser._action_groups)):
        actions.sort(key=lambda action: action.dest in shared)


def _dump(options: Any) -> str:
    """Options as YAML, for --print_config: letters of all languages as they are, unless something hides among them."""
    import yaml

    text = yaml.safe_dump(options, default_flow_style=False, sort_keys=False, allow_unicode=True)
    return text if visible(text) == text else yaml.safe_dump(options, default_flow_style=False, sort_keys=False)


def _formatter() -> type:
    from argparse import RawDescriptionHelpFormatter

    from jsonargparse import DefaultHelpFormatter

    class Formatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
        """Keeps the table of exit codes as it is laid out."""

    return Formatter


if __name__ == "__main__":
    sys.exit(main())
