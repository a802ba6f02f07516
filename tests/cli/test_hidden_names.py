"""What hides in what was typed, or in a run's own files, is an escape on the terminal; and it makes no second line."""

import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from elbowroom.commands import output
from elbowroom.commands.output import named, print_error, say
from elbowroom.inference.saving import locks
from elbowroom.inference.saving.one_writer import only_writer
from elbowroom.inference.showing.printed import Printed
from toys.commands import SMALL, Result, Run

HIDDEN = "a\u202eb\x1b[2Jc\nelbowroom: all is well"
UNDECODABLE = "a\udcffb"
TRICKY = (HIDDEN, UNDECODABLE, "a\x85b\u2028c\rd", "\u2066a")

WORDS: dict[str, tuple[str, ...]] = {
    "a command": ("{}",),
    "an option before the command": ("--{}",),
    "a stray word": ("train", "{}"),
    "an option": ("train", "--{}"),
    "a single dash": ("train", "-{}"),
    "a value": ("train", "--training.epochs", "{}"),
    "a list": ("train", "--programs.hidden", "{}"),
    "a mapping": ("train", "--programs.options", "{}"),
    "a key": ("train", "--programs.options", "{{{}: 3}}"),
    "a file of options": ("train", "--config", "{}"),
    "a group of options": ("train", "--training", "{}.yaml"),
    "data": ("train", "--data.name", "{}"),
    "a data file": ("train", "--data.name", "x/{}.npy"),
    "a loss": ("train", "--training.loss", "{}"),
    "a run": ("evidence", "--run", "{}"),
    "one of two runs": ("versus", "--run", "{}", "--run", "b"),
    "a checkpoint": ("compare", "--networks.checkpoint", "{}"),
    "networks": ("audit", "--networks.vae", "{}:vae"),
    "a condition": ("audit", "--fail-if", "{}"),
    "a budget": ("evidence", "--budget", "{}"),
}


def is_plain(ended: Result) -> bool:
    """Whether it complained in one line, without traces and without anything that hides."""
    return ended.err.startswith("elbowroom") and ended.err.count("\n") == 1 and is_visible(ended.out + ended.err)


def is_visible(text: str) -> bool:
    return "Traceback" not in text and all(letter.isprintable() or letter in "\n\t" for letter in text)


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_errors_show_it(run: Run, words: tuple[str, ...]) -> None:
    for name in TRICKY:
        ended = run(*(word.format(name) for word in words))
        assert ended.code in (2, 3) and is_plain(ended), ended


@pytest.mark.parametrize("name", [HIDDEN, UNDECODABLE])
def test_a_folder_of_such_a_name_is_written_and_told(run: Run, pixels: Path, name: str) -> None:
    ended = run("train", "--output", name, "--data.name=pixels.npy", *SMALL)
    assert ended.code == 0 and (pixels.parent / name / "result.json").exists()
    assert is_visible(ended.out + ended.err) and "elbowroom: all is well" not in ended.out.splitlines()
    again = run("train", "--output", name, "--data.name=pixels.npy", *SMALL)
    assert again.refused("is not empty") and is_plain(again)


def test_what_commands_say_of_a_run_of_such_a_name(run: Run, trained: Path) -> None:
    trained.rename(trained.with_name(HIDDEN))
    ended = run("evidence", "--run", HIDDEN, "--limit=4", "--num_samples=20")
    assert ended.code == 0 and r"a\u202eb\u001b[2Jc elbowroom" in ended.out, ended
    assert is_visible(ended.out) and not any(line.startswith("elbowroom:") for line in ended.out.splitlines())


def test_traces_show_it(run: Run) -> None:
    name = "a\u202eb\x1b[2Jc"
    ended = run("train", "--programs.model", f"{name}:x", "--programs.guide", f"{name}:y", "--traceback")
    assert ended.code == 3 and "Traceback" in ended.err
    assert not set(ended.err) & {"\x1b", "\u202e"} and r"\u202eb" in ended.err


@pytest.mark.parametrize("name", [*(HIDDEN, "a\x85b\u2028c\rd"), "漢字 é"])
def test_a_printed_configuration_is_visible_and_says_the_same(run: Run, folder: Path, name: str) -> None:
    printed = run("train", "--output", name, "--print_config")
    assert printed.code == 0 and is_visible(printed.out) and ("漢字" in printed.out) == (name[0] == "漢")
    (folder / "options.yaml").write_text(printed.out, encoding="utf-8")
    assert run("train", "--config", "options.yaml", "--print_config").out == printed.out


def test_text_is_made_visible_and_layout_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    say("one\ntwo \x1b[1m\udcff", quiet=False)
    say(Printed("\x1b[1mbold\x1b[0m"), quiet=False)
    print_error("\x1b\u202e")
    assert capsys.readouterr() == ("one\ntwo \\u001b[1m\\udcff\n\x1b[1mbold\x1b[0m\n", "\\u001b\\u202e\n")
    assert named("a\nb", Path("c\x1b")) == r"a b, c\u001b"


def test_a_terminal_of_another_encoding_gets_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, put in (("stdout", lambda: say("x ≥ é", quiet=False)), ("stderr", lambda: print_error("x ≥ é"))):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, stream, io.TextIOWrapper(raw, encoding="latin-1"))
        put()
        getattr(sys, stream).flush()
        assert raw.getvalue() == b"x \\u2265 \xe9\n", stream
    output._lost.clear()


def test_the_log_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    with caplog.at_level(logging.WARNING), only_writer(tmp_path / HIDDEN, "run_dir", folder=True):
        pass
    assert len(caplog.messages) == 1 and is_visible(caplog.text.rstrip("\n")) and "\n" not in caplog.messages[0]


def test_words_of_undecodable_bytes_reach_the_process_itself() -> None:
    words = [sys.executable.encode(), b"-m", b"elbowroom", b"evidence", b"--run", b"a\xffb"]
    for encoding in ("utf-8:strict", "ascii:strict"):
        environment = {"PYTHONIOENCODING": encoding, "PATH": ""}
        ended = subprocess.run(words, capture_output=True, timeout=60, env=environment, check=False)
        assert ended.returncode == 3 and ended.stderr.count(b"\n") == 1, ended.stderr
        assert rb"no run at a\udcffb" in ended.stderr, ended.stderr
