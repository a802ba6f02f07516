"""Versions that stand in more than one file at the root are the same everywhere."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

import elbowroom

ROOT = Path(__file__).resolve().parents[1]


def test_the_citation_is_of_this_version() -> None:
    citation: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # what the format asks for
    assert citation["cff-version"] == "1.2.0" and citation["title"] == project["name"]
    assert citation["version"] == elbowroom.__version__
    assert (citation["license"], citation["keywords"]) == (project["license"], project["keywords"])


def test_commits_are_checked_by_the_pinned_ruff() -> None:
    hooks = [
        hook
        for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
        for hook in repository["hooks"]
    ]
    (pinned,) = re.findall(r"(?m)^ruff==.*$", (ROOT / "constraints.txt").read_text())
    assert [hook["id"] for hook in hooks] == ["ruff-check", "ruff-format"]
    assert [hook["additional_dependencies"] for hook in hooks] == [[pinned], [pinned]]
