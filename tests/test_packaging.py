"""The built wheel, in an environment of its own: one import name, every module, the command, and nothing else."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = PROJECT["tool"]["setuptools"]["package-dir"]
FOLDER_NAMES = (
    "entrances",
    "networks",
    "models",
    "guides",
    "inference",
    "densities",
    "adapters",
    "rivals",
    "datasets",
    "reference",
    "report",
    "cli",
)


def modules() -> list[str]:
    """Every module of the package, by the folder map."""
    names = []
    for package in PROJECT["tool"]["setuptools"]["packages"]:
        owner = max((p for p in FOLDERS if package == p or package.startswith(p + ".")), key=len)
        folder = ROOT / FOLDERS[owner] / Path(*package[len(owner) :].strip(".").split("."))
        for file in sorted(folder.glob("*.py")):
            names.append(package if file.stem == "__init__" else f"{package}.{file.stem}")
    return names


def build(kind: str, source: Path, place: Path) -> Path:
    """The one file of that kind, built from a checkout or an unpacked sdist; not from what an earlier build left."""
    place.mkdir(exist_ok=True)
    anew = place / "anew.cfg"
    anew.write_text(f"[build]\nbuild_base = {place / 'build'}\n")
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", place, source]
    subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"DIST_EXTRA_CONFIG": str(anew)}
    )
    (built,) = place.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def wheel_python(wheel: Path) -> Path:
    """The interpreter of an empty environment that has the wheel, and borrows only this one's dependencies."""
    environment = wheel.parent / "environment"
    venv.create(environment)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-compile"]
    subprocess.run([*pip, wheel], check=True, capture_output=True)
    # The dependencies are not installed a second time: a path file shows them, but not this checkout's editable hook.
    site = Path(
        subprocess.check_output([python, "-c", "import site; print(site.getsitepackages()[0])"], text=True).strip()
    )
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python


def run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run([python, *arguments], capture_output=True, text=True, cwd=cwd, env=clean)


@pytest.mark.timeout(300)
def test_wheel_has_every_module_under_one_name(wheel_python: Path, tmp_path: Path) -> None:
    code = [
        "import importlib, importlib.resources, importlib.util, elbowroom, elbowroom.datasets",
        "print(elbowroom.__file__)",
        *(f"importlib.import_module({name!r})" for name in modules() if name != "elbowroom.__main__"),
        f"print([name for name in {FOLDER_NAMES} if importlib.util.find_spec(name)])",
        "print(len(elbowroom.datasets.load('digits', binarize='threshold').test))",
        "print((importlib.resources.files('elbowroom') / 'py.typed').is_file())",
    ]
    done = run(wheel_python, "-c", "\n".join(code), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    place, folders, digits, typed = done.stdout.splitlines()
    assert str(wheel_python.parents[1]) in place, "the checkout was imported, not the wheel"
    assert folders == "[]", "folders are no import names"
    assert (digits, typed) == ("360", "True"), "the data or the mark of types are missing"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_sdist_holds_what_its_tests_need_and_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """What pip installs from the sdist is a wheel that it builds there."""
    with tarfile.open(build("sdist", ROOT, tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = (path for path in tmp_path.iterdir() if (path / "PKG-INFO").is_file())
    for name in ("constraints.txt", "Makefile", "CHANGELOG.md", "SECURITY.md", "LICENSE", "tests/conftest.py",
                 "tests/toys/programs.py", "benchmarks/RESULTS.md", "docs/house.md", ".ci/run"):  # fmt: skip
        assert (unpacked / name).is_file(), f"the sdist lacks {name}"
    tests = {path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py")}
    assert tests == {path.relative_to(unpacked) for path in (unpacked / "tests").rglob("*.py")}
    again = build("wheel", unpacked, tmp_path / "wheel")
    with zipfile.ZipFile(wheel) as here, zipfile.ZipFile(again) as there:
        sums = [{entry.filename: entry.CRC for entry in archive.infolist()} for archive in (here, there)]
    assert sums[0] == sums[1]


@pytest.mark.timeout(300)
def test_wheel_has_the_command(wheel_python: Path, tmp_path: Path) -> None:
    command = wheel_python.with_name("elbowroom")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == f"elbowroom {version('elbowroom')}"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_wheel_passes_the_smoke_suite(wheel_python: Path, tmp_path: Path) -> None:
    done = run(wheel_python, str(ROOT / "tests" / "smoke.py"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"in {wheel_python.parents[1]}" in done.stdout, "the checkout was tried, not the wheel"
    assert re.search(r"^\d+ passed, 0 failed in ", done.stdout, re.MULTILINE)


def test_declared_ranges_hold_what_is_pinned_and_installed() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if "==" in line]
    here = [pin for pin in pinned if pin.marker is None or pin.marker.evaluate()]  # some are of other Pythons
    pins = {re.sub(r"[-_.]+", "-", pin.name).lower(): str(pin.specifier).removeprefix("==") for pin in here}
    extras = PROJECT["project"]["optional-dependencies"]
    declared = [*PROJECT["project"]["dependencies"], *extras["dev"], *extras["docs"]]
    for text in declared:
        requirement = Requirement(text)
        if requirement.name == "elbowroom":
            continue
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert name in pins, f"{name} is not pinned in constraints.txt"
        assert requirement.specifier.contains(pins[name]), f"{text} excludes the pinned {pins[name]}"
        assert requirement.specifier.contains(version(name).split("+")[0]), (
            f"{text} excludes the installed {version(name)}"
        )


@pytest.mark.skipif(not (ROOT / "typings").is_dir(), reason="an sdist has no links for type checkers")
def test_type_checkers_see_every_module() -> None:
    linked = {
        ".".join(p.relative_to(ROOT / "typings").with_suffix("").parts).removesuffix(".__init__")
        for top in (ROOT / "typings" / "elbowroom").iterdir()
        for p in ([top] if top.suffix == ".py" else top.rglob("*.py") if top.is_dir() else [])
    }
    assert linked == set(modules())


def test_nothing_names_a_local_path() -> None:
    pattern = re.compile(r"(^|[\"'\s(=])/(home|root|work|opt|tmp)/\w")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    for name in tracked.stdout.split():
        file = ROOT / name
        if file.is_file() and not file.is_symlink() and file.suffix in {".py", ".md", ".toml", ".txt", ".yml", ""}:
            text = file.read_text(errors="replace")
            assert not (found := pattern.search(text)), f"{name}: {found.group(0) if found else ''}"
