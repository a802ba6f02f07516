"""Puts the lowest declared versions into the environment of the Python that runs this, for `make test-lowest`.

pyproject.toml alone says what they are. Where this machine cannot have one (no wheel for its Python, not in the indexes
that its pip asks) the next one that it can is taken, and said so. Development tools are the newest: they are not
lowered. Everything comes as wheels: nothing is compiled.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
WHEELS = ("--only-binary", ":all:")


@dataclass(frozen=True)
class Choice:
    """A declared dependency and the version of it that is tested.

    Attributes:
        requirement: as declared; one lower end.
        taken: the lowest version within it that can be installed here.
    """

    requirement: Requirement
    taken: Version

    @property
    def lowest(self) -> Version:
        """The lower end."""
        return lower_end(self.requirement)

    def __str__(self) -> str:
        line = f"  {self.requirement.name:<18} >={self.lowest!s:<10} {self.taken}"
        python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
        absent = f" (the nearest: pip finds no wheel of {self.lowest} for {python} here)"
        return line if self.taken == self.lowest else line + absent


def declared() -> list[Requirement]:
    """What pyproject.toml says that the package needs on this Python, for flows, .parquet files and URLs too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    texts = (*project["dependencies"], *extras["flows"], *extras["parquet"], *extras["remote"])
    every = [Requirement(text) for text in texts]
    return [requirement for requirement in every if requirement.marker is None or requirement.marker.evaluate()]


def lower_end(requirement: Requirement) -> Version:
    """The version after >=.

    Raises:
        ValueError: for a requirement without one, or with several.
    """
    found = [Version(part.version) for part in requirement.specifier if part.operator == ">="]
    if len(found) != 1:
        raise ValueError(f"{requirement} has {len(found)} lower ends; give it one, such as {requirement.name}>=1.2")
    return found[0]


def choose(requirement: Requirement, available: Iterable[str]) -> Choice:
    """The lowest of the available versions that the requirement admits.

    Raises:
        ValueError: if it admits none of them.
    """
    admitted = list(requirement.specifier.filter(map(Version, available)))
    if not admitted:
        raise ValueError(f"pip finds no wheel of {requirement} here")
    return Choice(requirement, min(admitted))


def available(name: str) -> list[str]:
    """The versions of which pip finds wheels for this Python: it lists them where it is asked for one that is none."""
    asked = [*PIP, "download", "--no-deps", *WHEELS, f"{name}==0.dev0"]
    free = os.environ | {"PIP_CONSTRAINT": os.devnull}  # under constraints of the machine's own it says something else
    told = subprocess.run(asked, check=False, text=True, capture_output=True, env=free).stderr
    line = re.search(r"\(from versions: (.*)\)", told)
    if line is None:
        raise OSError(f"pip does not say which versions of {name} there are; it says\n{told}")
    return [] if line.group(1) == "none" else line.group(1).split(", ")


def install(*arguments: str) -> None:
    """By this Python's pip, which says itself what went wrong."""
    subprocess.run([*PIP, "install", "--quiet", *WHEELS, *arguments], check=True, cwd=ROOT)


def main() -> None:
    """Choose, install, and say what was installed."""
    choices = [choose(requirement, available(requirement.name)) for requirement in declared()]
    constraints = Path(sys.prefix) / "lowest.txt"
    constraints.write_text("".join(f"{choice.requirement.name}=={choice.taken}\n" for choice in choices))
    print("the lowest versions: declared, installed", *choices, sep="\n", flush=True)
    install("--requirement", str(constraints))
    install("--constraint", str(constraints), "--editable", ".[dev]")


if __name__ == "__main__":
    main()
