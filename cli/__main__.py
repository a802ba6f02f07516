"""`elbowroom`: the command line. torch is imported only after the arguments have been parsed."""

import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from importlib import import_module
from typing import Any

from elbowroom import __version__
from elbowroom.commands.options import (
    AuditOptions,
    CompareOptions,
    DemoOptions,
    EveryCommand,
    EvidenceOptions,
    FamiliesOptions,
    GenerateOptions,
    RivalsOptions,
    TrainOptions,
    VersusOptions,
)
from elbowroom.commands.output import flush
from elbowroom.commands.two_runs import two_runs

COMMANDS: dict[str, type] = {
    "demo": DemoOptions,
    "train": TrainOptions,
    "evidence": EvidenceOptions,
    "audit": AuditOptions,
    "versus": VersusOptions,
    "compare": CompareOptions,
    "generate": GenerateOptions,
    "rivals": RivalsOptions,
    "families": FamiliesOptions,
}
"""Command -> its options; the command itself is `run(options)` in the module of its name."""

EXIT_CODES = """exit codes:
  0    done
  1    a defect of elbowroom itself (with a traceback: please report it)
  2    unknown option or a value that cannot be parsed
  3    unusable input: data, programs, run directory or values; the message says what to do
  4    training met a NaN or infinite loss or gradient; the rows are saved in the run directory
  5    audit has answered, and the condition of --fail-if holds
  130  interrupted by SIGINT (Ctrl-C); a training run has been saved and can be resumed
  143  interrupted by SIGTERM; a training run has been saved and can be resumed"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        parser = _parser()
        typed = sys.argv[1:] if arguments is None else arguments
        parsed = parser.parse_args(two_runs([_underscored(a) for a in typed]))
        chosen = vars(parser.instantiate(parsed)[parsed.command])
        options = COMMANDS[parsed.command](**{name: value for name, value in chosen.items() if name != "config"})
        return _guarded(parsed.command, options)
    except KeyboardInterrupt:
        return _say("interrupted", 128 + signal.SIGINT)
    finally:
        flush()


def _underscored(argument: str) -> str:
    """`--fail-if` means `--fail_if`: people type either."""
    name, equals, value = argument.partition("=")
    return name.replace("-", "_").replace("__", "--", 1) + equals + value if name.startswith("--") else argument


def _guarded(name: str, options: Any) -> int:
    """Turn errors that a person can mend into a message and an exit code; everything else is a defect."""
    from elbowroom.commands.output import ConditionHolds
    from elbowroom.inference import CheckpointError, NonFiniteError, TrainingInterrupted

    try:
        import_module(f"elbowroom.commands.{name}").run(options)
    except TrainingInterrupted as stop:
        return _say(stop, stop.exit_code)
    except NonFiniteError as error:
        return _say(error, 4)
    except ConditionHolds as condition:
        return _say(condition, 5)
    except (ValueError, TypeError, CheckpointError, ImportError, OSError) as error:
        return _say(error, 3)
    return 0


def _say(message: object, code: int) -> int:
    text = str(message).replace("resume=True", "--resume")  # the library speaks of arguments, the command of options
    with suppress(BrokenPipeError):
        print(f"elbowroom: {text}", file=sys.stderr, flush=True)
    return code


def _parser() -> Any:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(
        prog="elbowroom",
        description="How much room is between an ELBO and log p(x), and can q be trusted?",
        epilog=EXIT_CODES,
        formatter_class=_formatter(),
    )
    parser.add_argument("--version", action="version", version=f"elbowroom {__version__}")
    commands = parser.add_subcommands(required=True, dest="command")
    for name, options in COMMANDS.items():
        commands.add_subcommand(name, _parser_of(options), help=(options.__doc__ or "").splitlines()[0])
    return parser


def _parser_of(options: type) -> Any:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(
        description=(options.__doc__ or "").splitlines()[0], epilog=EXIT_CODES, formatter_class=_formatter()
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


def _formatter() -> type:
    from argparse import RawDescriptionHelpFormatter

    from jsonargparse import DefaultHelpFormatter

    class Formatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
        """Keeps the table of exit codes as it is laid out."""

    return Formatter


if __name__ == "__main__":
    sys.exit(main())
