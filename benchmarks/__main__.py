"""Run the benchmarks, each in a process of its own: `python -m benchmarks [names] [--quick | --long] [--list]`.

Without names all that have the form: `--quick` is for a change of the code (minutes, nothing kept), the default form
puts its figures into RESULTS.md as they come, and the long one is for scripts by name. A script that fails, or takes
three times what it should, is named at the end; the others go on.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.options import Parser, parser
from benchmarks.registry import SCRIPTS, Script, named
from benchmarks.results import keep, kept, machine

KEY = "seconds"
PATIENCE, AT_LEAST = 3.0, 300.0  # a script is stopped after so many times its seconds, and not before so many


def main(argv: Sequence[str] | None = None) -> int:
    """Run them in turn."""
    made = parser(__doc__)
    made.add_argument("names", nargs="*", help="default: all that have the form")
    made.add_argument("--list", action="store_true", help="what there is, and how long it takes")
    options = made.parse_args(argv)
    if options.list:
        print(listed())
        return 0
    scripts = chosen(made, options)
    passed = _passed(options, sys.argv[1:] if argv is None else argv)
    environment, last = _environment(), _last(options)
    failed: dict[str, str] = {}
    begin = time.perf_counter()
    for number, script in enumerate(scripts):
        form = _form(script, options.form)
        missing = [data for data in script.needs if "ELBOWROOM_DATA" not in environment]
        left = sum(_expected(other, options.form, last) for other in scripts[number:])
        print(f"\n== {script.name}, {form} form ({number + 1} of {len(scripts)}): {script.shows}; ", end="")
        if missing:
            print(f"skipped, it needs {', '.join(missing)} (set ELBOWROOM_DATA to a directory that holds it)")
            continue
        print(f"about {_expected(script, form, last):.0f} s, {left / 60:.0f} min left with it", flush=True)
        seconds, problem = run(script, form, passed, environment)
        print(f"-- {script.name}: {seconds:.0f} s{f', {problem}' if problem else ''}", flush=True)
        if problem:
            failed[script.name] = problem
        elif form != "quick":
            last[script.name, form] = seconds
            _keep(last, options)
    print(f"\n{len(scripts)} benchmarks in {(time.perf_counter() - begin) / 60:.1f} min")
    if failed:
        print("failed: " + "; ".join(f"{name} ({problem})" for name, problem in failed.items()), file=sys.stderr)
    return int(bool(failed))


def chosen(made: Parser, options: argparse.Namespace) -> list[Script]:
    """The scripts of a run, or one sentence on why there is none."""
    try:
        scripts = named(options.names)
    except ValueError as error:
        made.error(str(error))
    if options.form == "long" and not options.names:
        made.error("--long takes hours: name the scripts (--list says what they take)")
    if options.names:
        without = [script.name for script in scripts if _form(script, options.form) not in script.seconds]
        if without:
            made.error(f"{', '.join(without)}: no {options.form} form; --list says which there are")
        return scripts
    return [script for script in scripts if options.form in script.seconds]


def run(script: Script, form: str, passed: Sequence[str], environment: dict[str, str]) -> tuple[float, str]:
    """Seconds of a script, and what went wrong; an empty string if nothing did."""
    command = [
        sys.executable,
        "-m",
        f"benchmarks.{script.name}",
        *passed,
        *([f"--{form}"] if form != "default" else []),
    ]
    limit = max(PATIENCE * script.seconds[form], AT_LEAST)
    begin = time.perf_counter()
    process = subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[1], start_new_session=True)
    try:
        code = process.wait(limit)
        problem = f"exit status {code}" if code else ""
    except subprocess.TimeoutExpired:
        problem = f"stopped after {limit:.0f} s"
    finally:
        if process.poll() is None:  # stopped from the keyboard, too
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return time.perf_counter() - begin, problem


def listed() -> str:
    """A line for each script."""
    lines = [f"{'':20} {'quick':>7} {'default':>8} {'long':>8}"]
    for script in SCRIPTS:
        cells = (_told(script.seconds.get(form)) for form in ("quick", "default", "long"))
        needs = "".join(f"; needs {data}" for data in script.needs) + "".join(f"; beside {p}" for p in script.peers)
        lines.append("{:20} {:>7} {:>8} {:>8}  ".format(script.name, *cells) + script.shows + needs)
    sums = (sum(script.seconds.get(form, 0) for script in SCRIPTS) for form in ("quick", "default"))
    return "\n".join([*lines, "{:20} {:>7} {:>8}".format("all of them", *map(_told, sums))])


def _told(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds:.0f} s" if seconds < 300 else f"{seconds / 60:.0f} min"


def _form(script: Script, form: str) -> str:
    """The form of a script that is named: what has no default form takes its long one."""
    return "long" if form == "default" and "default" not in script.seconds else form


def _expected(script: Script, form: str, last: dict[tuple[str, str], float]) -> float:
    form = _form(script, form)
    return last.get((script.name, form), script.seconds[form])


def _last(options: argparse.Namespace) -> dict[tuple[str, str], float]:
    """Seconds of the last runs, by script and form, as RESULTS.md has them."""
    known = {script.name for script in SCRIPTS}
    return {(name, form): float(seconds) for name, form, seconds in kept(_key(options)) if name in known}


def _keep(last: dict[tuple[str, str], float], options: argparse.Namespace) -> None:
    order = [script.name for script in SCRIPTS]
    cells = sorted(last.items(), key=lambda item: (item[0][1], order.index(item[0][0])))
    rows = [(name, form, f"{seconds:.0f}") for (name, form), seconds in cells]
    keep(_key(options), "Seconds of each script", machine(options.device), ("script", "form", "seconds"), rows)


def _key(options: argparse.Namespace) -> str:
    return KEY + "_cuda" * (options.device.type == "cuda")


def _passed(options: argparse.Namespace, argv: Sequence[str]) -> list[str]:
    """Device and threads, where they are told."""
    told = [] if options.device == torch.device("cpu") else ["--device", str(options.device)]
    threads = any(word.split("=")[0] == "--threads" for word in argv)
    return told + (["--threads", str(options.threads)] if threads else [])


def _environment() -> dict[str, str]:
    """That of this process, with the data that lie beside a checkout."""
    environment = dict(os.environ)
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    if "ELBOWROOM_DATA" not in environment and beside.is_dir():
        environment["ELBOWROOM_DATA"] = str(beside)
    return environment


if __name__ == "__main__":
    sys.exit(main())
