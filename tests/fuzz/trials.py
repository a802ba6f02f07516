"""One wrong argument, and how the call answers: a trial, its outcome, and what is counted."""

import inspect
import re
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, get_type_hints

import torch
from fuzz.bad_values import Bad, bad_values
from fuzz.good_calls import GoodCall
from fuzz.legal import is_legal

from elbowroom.inference import CheckpointError, NotAReference, ProgramError, StateError

SECONDS = 10.0
"""What does not end within it hangs."""

REFUSALS = (ValueError, TypeError, IndexError, OSError, ProgramError, CheckpointError, StateError, NotAReference)
"""Errors that a person can mend."""

REMEDY = re.compile(
    r"\b(must|expected?|give|gives|pass|use|try|known|one of|needs?|takes?|did you mean|instead|at least|at most)\b"
    r"|\b(between|select|leave|remove|choose|as in|such as|only|are for|is for|make|set|from .* to)\b|>=|>",
    re.IGNORECASE,
)
"""Words by which a message says what would do."""


class Trial(NamedTuple):
    """A call with one wrong argument."""

    call: GoodCall
    argument: str
    bad: Bad

    def __str__(self) -> str:
        return f"{self.call.name}({self.argument}={self.bad.label})"


class Outcome(NamedTuple):
    """How a trial ended: `named`, `no remedy`, `unnamed`, `accepted`, `hang` or `crash`; and what was said."""

    kind: str
    said: str


class TooLong(BaseException):
    """A call did not end in time; no `except Exception` catches it."""


def trials_of(call: GoodCall) -> Iterator[Trial]:
    """Each argument of a call with each value that is wrong for it, those left out that are legal after all."""
    function = call.function.__init__ if inspect.isclass(call.function) else call.function
    hints = get_type_hints(function)
    for name, parameter in inspect.signature(call.function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD or hints.get(name, Any) is Any:
            continue
        for bad in bad_values(hints[name]):
            given = "*" if parameter.kind is parameter.VAR_POSITIONAL else name
            if given != "*" and not is_legal(call.name, name, bad.label):
                yield Trial(call, name, bad)


def run(trial: Trial, seconds: float = SECONDS) -> Outcome:
    """The outcome of a trial, in an empty folder."""
    with TemporaryDirectory() as folder, chdir(folder):
        return judge(lambda: trial.call(**{trial.argument: trial.bad.value}), trial.argument, seconds)


def judge(call: Callable[[], Any], argument: str, seconds: float = SECONDS) -> Outcome:
    """How a call ends that should name an argument."""
    try:
        with limit(seconds), warnings.catch_warnings(), torch.random.fork_rng():
            warnings.simplefilter("ignore")
            call()
    except TooLong:
        return Outcome("hang", f"not within {seconds:g} s")
    except REFUSALS as error:
        return _read(str(error), argument)
    except Exception as error:
        return Outcome("crash", "".join(traceback.format_exception_only(error)).strip())
    return Outcome("accepted", "")


def _read(message: str, argument: str) -> Outcome:
    message = " ".join(message.split())
    if not re.search(rf"(?<![A-Za-z]){re.escape(argument)}(?![A-Za-z])", message):
        return Outcome("unnamed", message)
    return Outcome("named" if REMEDY.search(message) else "no remedy", message)


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Inside, what takes longer is stopped by `TooLong`."""

    def stop(*_: Any) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def table(outcomes: Sequence[tuple[Any, Outcome]]) -> str:
    """Counts, and every trial that was not answered well."""
    counts = Counter(outcome.kind for _, outcome in outcomes)
    share = counts["named"] / max(len(outcomes), 1)
    lines = [f"{len(outcomes)} bad inputs: {dict(counts)}; named with a remedy: {share:.2%}"]
    lines += [f"{o.kind:10} {trial}: {o.said[:200]}" for trial, o in outcomes if o.kind != "named"]
    return "\n".join(lines)
