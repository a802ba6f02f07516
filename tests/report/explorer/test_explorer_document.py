"""The page as a file: escaped, self-contained, whole, found by `Exploration.save`; its script in one piece."""

import re
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from elbowroom.inference.entry_points import REPORTS
from elbowroom.report import save_audit, save_explorer, save_html
from elbowroom.report.explorer import joined
from elbowroom.report.explorer.document import LAYERS, page
from elbowroom.report.explorer.drawn import WAYS
from elbowroom.report.page.document import page as audit_page
from toys.audit_results import bad_audit
from toys.explorations import HOSTILE, digits, hostile, one_latent, sequences
from toys.explorer_reader import data_of

SCRIPT = Path(joined.__file__).resolve().with_name("script")


def test_names_are_no_code_and_hide_nothing() -> None:
    text = page(hostile(), title=HOSTILE)
    assert "\u202e" not in text and "<img" not in text
    assert text.count("<script") == text.count("</script>") == 2
    shown = HOSTILE.replace("\u202e", "\\u202e")
    data = data_of(text)
    assert data["notices"][0] == data["latents"][0] == data["columns"][0]["name"] == shown
    assert data["about"] == [[shown, [[shown, shown]]]] and data["flags"] == {"0": shown}
    assert data["views"][0]["frame"]["says"] == data["views"][0]["says"][0] == shown


def test_it_asks_for_nothing() -> None:
    text = page(sequences())
    assert "default-src 'none'" in text and not re.search(r"(https?:)?//\w+\.\w", text.replace("http://www.w3.org", ""))
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", text)


def test_the_title_is_the_page_s(tmp_path: Path) -> None:
    path = save_explorer(sequences(), tmp_path / "new" / "a.html", title="Ten <b>waves</b>")
    text = path.read_text(encoding="utf-8")
    assert path == tmp_path / "new" / "a.html"
    assert "<title>Ten &lt;b&gt;waves&lt;/b&gt;</title>" in text and "<h1>Ten &lt;b&gt;" in text
    assert [each.name for each in path.parent.iterdir()] == ["a.html"]


def test_twice_the_same_to_the_byte() -> None:
    assert page(one_latent()) == page(one_latent())


def test_a_shape_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="image_shape is \\(3, 5\\), but a datum has 12 values"):
        page(one_latent(), image_shape=(3, 5))
    assert data_of(page(one_latent(), image_shape=(3, 4)))["drawn"] == {"kind": "picture", "sizes": [3, 4, 1]}


def test_the_entry_point_is_the_writer() -> None:
    project = tomllib.loads((SCRIPT.parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    value = project["entry-points"][REPORTS]["exploration"]
    assert EntryPoint("exploration", value, REPORTS).load() is save_explorer


@pytest.fixture(scope="module")
def reported() -> str:
    return audit_page(bad_audit(), exploration=one_latent())


def test_a_report_has_it_as_a_section(reported: str, tmp_path: Path) -> None:
    assert data_of(reported)["num_data"] == 30 and '<section id="explore"' in reported
    assert '<a href="#explore">' in reported and '<h3 id="explorer-plane-title">' in reported
    path = save_html(bad_audit(), tmp_path / "a.html", exploration=one_latent())
    assert path.read_text(encoding="utf-8") == reported
    assert save_audit(bad_audit(), tmp_path, exploration=one_latent())[0].read_text(encoding="utf-8") == reported


def test_without_one_the_report_is_silent_of_it() -> None:
    assert "explorer" not in audit_page(bad_audit())


def test_ids_of_the_part_are_nobody_else_s(reported: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', reported)
    assert len(ids) == len(set(ids)) and sum(each.startswith("explorer") for each in ids) > 20


def test_every_name_that_the_script_asks_for_is_in_the_page() -> None:
    asked = set(re.findall(r'found\("([a-z-]+)"', joined.script()))
    text = page(digits(6))
    assert asked and all(f'id="explorer-{name}"' in text for name in asked)


def test_layers_and_ways_of_drawing_have_their_functions() -> None:
    plane, drawn = ((SCRIPT / f"{name}.js").read_text(encoding="utf-8") for name in ("plane", "drawn"))
    drawn_layers = re.findall(r'^  \["(\w+)",', plane, re.MULTILINE)
    assert sorted(drawn_layers) == sorted(name for name, _ in LAYERS)
    (ways,) = re.findall(r"const WAYS = \{ ([\w, ]+) \}", drawn)
    assert ways.split(", ") == list(WAYS)


def test_the_script_holds_every_module_after_what_it_imports() -> None:
    text = joined.script()
    names = re.findall(r"^// (\w+)\.js$", text, re.MULTILINE)
    assert sorted(names) == sorted(path.stem for path in SCRIPT.glob("*.js")) and names[-1] == "main"
    assert not re.search(r"^\s*(import|export)\b(?!\()", text, re.MULTILINE)
    for name in names:
        imports = re.findall(r'from "\./(\w+)\.js"', (SCRIPT / f"{name}.js").read_text(encoding="utf-8"))
        assert all(names.index(each) < names.index(name) for each in imports), name


def script_of(folder: Path, **files: str) -> str:
    for name, text in files.items():
        (folder / f"{name}.js").write_text(text)
    return joined.script("main", folder)


def test_modules_are_joined_once_each(tmp_path: Path) -> None:
    a = 'import { b } from "./b.js";\nexport const a = b;\n'
    text = script_of(
        tmp_path,
        main=f'import {{ b }} from "./b.js";\n{a.replace("b.js", "c.js")}',
        b="export async function b() {}\n",
        c='import { b } from "./b.js";\nclass C {}\n',
    )
    assert text.count("async function b") == 1 and "import" not in text and "export" not in text
    assert text.index("function b") < text.index("class C") < text.index("const a")


@pytest.mark.parametrize("definition", ["const twice = 1;", "let twice = 2;", "function twice() {}", "class twice {}"])
def test_a_name_that_two_modules_define_is_told(tmp_path: Path, definition: str) -> None:
    with pytest.raises(ValueError, match=r"twice is defined by b\.js and by main\.js"):
        script_of(
            tmp_path, main=f'import {{ b }} from "./b.js";\n{definition}\n', b="export const b = 1;\nconst twice = 0;\n"
        )


@pytest.mark.parametrize("line", ['import "./b.js";', "export default 3;", "export { a };", 'import a from "./b.js";'])
def test_a_line_that_cannot_be_taken_away_is_told(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match=r"main\.js: .* is not import"):
        script_of(tmp_path, main=f"{line}\n", b="")
