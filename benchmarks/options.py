"""What every benchmark is asked: which form of it, on which device, in how many threads.

A form is a set of sizes: *quick* for a change of the code, whose figures are printed and not kept; *default* for the
whole of `make bench`; *long* for what takes hours, and is run by name only. Sizes can be given one by one, too.

    made = parser(__doc__)
    made.add_argument("--epochs", type=int, default=10)
    options = parsed(made, quick={"epochs": 1}, long={"epochs": 100})
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch

FORMS = ("quick", "default", "long")
_SHARED = ("form", "device", "threads")
REFERENCES = "the reference problems: programs whose numbers are on the processor"


class Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong."""

    only_processor = ""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def parser(
    doc: str | None,
    *,
    threads: int | None = None,
    usual: Literal["default", "long"] = "default",
    only_processor: str = "",
) -> Parser:
    """A parser with the options that all benchmarks have.

    Args:
        doc: the script's.
        threads: how many, if it is not told; by default as many as torch takes.
        usual: the form of a run that is told none; `"long"` of a script that has no shorter one to keep.
        only_processor: what of the script is made for the processor and cannot be moved; `--device cuda` is taken, and
            a row of the table says that it changed nothing.
    """
    made = Parser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    forms = made.add_mutually_exclusive_group()
    told = {"quick": "small sizes, for a change: figures are printed, not kept", "long": "the sizes that take long"}
    for form, text in told.items():
        forms.add_argument(f"--{form}", action="store_const", const=form, dest="form", default=usual, help=text)
    made.add_argument("--device", type=at_hand, default="cpu", help="cpu, cuda or cuda:1")
    made.add_argument("--threads", type=at_least_one, default=threads or torch.get_num_threads())
    made.only_processor = only_processor
    return made


def parsed(
    made: Parser,
    argv: Sequence[str] | None = None,
    *,
    quick: Mapping[str, Any] | None = None,
    long: Mapping[str, Any] | None = None,
) -> argparse.Namespace:
    """The options: sizes of the form, and over them what is told; torch takes that many threads from here on.

    Args:
        made: of `parser`; the defaults of its options are the default form's sizes.
        argv: by default the command line.
        quick, long: the sizes in which these forms differ from the default one.

    Returns:
        The options, with `own`: the sizes that are told and not the form's, as they were typed; and `aside`: why the
        device that was asked for is not taken.

    Raises:
        ValueError: if a form has a size that is no option.
    """
    form = made.parse_args(argv).form
    sizes = {"quick": quick, "long": long}.get(form) or {}
    unknown = sorted(sizes.keys() - vars(made.parse_args(argv)).keys())
    if unknown:
        raise ValueError(f"the {form} form of {made.prog} sets {unknown}, which are no options of it")
    made.set_defaults(**sizes)
    options = made.parse_args(argv)
    told = {name: value for name, value in vars(options).items() if name not in _SHARED}
    changed = {n: v for n, v in told.items() if v != made.get_default(n) and not isinstance(v, Path)}
    options.own = " ".join(f"--{name.replace('_', '-')} {_typed(value)}".strip() for name, value in changed.items())
    options.aside = ""
    if made.only_processor and options.device.type != "cpu":
        options.aside = f"run on the processor, for {made.only_processor}"
        options.device = torch.device("cpu")
    torch.set_num_threads(options.threads)
    return options


def at_hand(name: str) -> torch.device:
    """The device of that name.

    Raises:
        argparse.ArgumentTypeError: if there is none here.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise argparse.ArgumentTypeError(f"{name!r} is no device; cpu, cuda and cuda:1 are") from None
    if device.type not in ("cpu", "cuda"):
        raise argparse.ArgumentTypeError(f"benchmarks run on cpu or cuda, not on {name}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise argparse.ArgumentTypeError("this torch sees no CUDA device; leave --device out to run on the processor")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise argparse.ArgumentTypeError(f"there is no {name}: this torch sees {torch.cuda.device_count()} cards")
    return device


def at_least_one(text: str) -> int:
    """A whole number above zero."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def _typed(value: Any) -> str:
    if value is True:
        return ""
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
