"""The report as a file: nothing outside of it, nothing run in it, everything said, whatever is missing."""

import base64
import io
import math
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from elbowroom.inference import Estimate
from elbowroom.inference.audit import Finding
from elbowroom.inference.audit.verdict.brief import brief_of
from elbowroom.report.page.document import MOST_PICTURES, page, save_html
from elbowroom.report.page.pictures import Pictures, data_uri, image_shape_of
from elbowroom.report.page.sections import uses_section
from elbowroom.report.records.data_rows import MOST_ROWS, worst_first
from toys.audit_results import (
    AUDITS,
    EXPLODED,
    HOSTILE,
    bad_audit,
    digits,
    every_audit,
    few_audit,
    good_audit,
    tabular_audit,
)

PARTS = ("decomposition", "agreement", "chains", "calibration", "latent_use", "portrait", "x")
VOID = {"meta", "link", "img", "br"}


class Elements(HTMLParser):
    """Elements with their attributes in order, the text of each, and whether tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[int] = []
        self.feed(text)
        assert not self._open, "elements are left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}, []))
        if tag not in VOID:
            self._open.append(len(self.found) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        assert self.found[self._open.pop()][0] == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        for index in self._open:
            self.found[index][2].append(data)

    def all(self, tag: str) -> list[tuple[dict[str, str], str]]:
        """Attributes and text of every element of a name."""
        return [(attributes, "".join(text)) for name, attributes, text in self.found if name == tag]


@cache
def page_of(kind: str) -> str:
    """The page of one of the audits that are made up."""
    return page(AUDITS[kind]())


@every_audit
def test_nothing_comes_from_outside(kind: str) -> None:
    text = page_of(kind)
    elements = Elements(text)
    for tag, attributes, _ in elements.found:
        for name in ("src", "href", "xlink:href", "data", "action", "srcset"):
            assert attributes.get(name, "#")[:1] == "#" or attributes[name].startswith("data:"), (tag, attributes)
        assert tag not in ("iframe", "object", "embed", "base", "form") and "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in text and "@import" not in text and "://" not in text
    policy = next(a["content"] for a, _ in elements.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


@every_audit
def test_it_can_be_read_without_seeing_it(kind: str) -> None:
    elements = Elements(page_of(kind))
    assert elements.all("html")[0][0]["lang"] == "en"
    levels = [int(tag[1]) for tag, *_ in elements.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("alt" in attributes for attributes, _ in elements.all("img"))
    assert len(elements.all("caption")) == len(elements.all("table"))
    assert all(attributes.get("scope") in ("row", "col") for attributes, _ in elements.all("th"))
    images = [attributes for attributes, _ in elements.all("svg") if "stretch" not in attributes["class"]]
    assert all(attributes["role"] == "img" for attributes in images)
    named = sum("aria-label" in attributes for attributes in images)
    assert len(elements.all("desc")) == len(images) - named  # others have a title and a description
    assert all(len(text) > 20 for _, text in elements.all("desc"))
    identities = Counter(a["id"] for _, a, _ in elements.found if "id" in a)
    assert max(identities.values()) == 1
    assert {a["href"][1:] for a, _ in elements.all("a")} <= set(identities)
    assert all(a["aria-labelledby"] in identities for _, a, _ in elements.found if "aria-labelledby" in a)


def test_words_of_the_user_are_text_and_never_run() -> None:
    audit = replace(
        bad_audit(), provenance={HOSTILE: '"><img src=x onerror=alert(1)>'}, cost={HOSTILE: 1.0},
        numbers={HOSTILE: bad_audit().numbers["room"]},
        findings=(replace(bad_audit().findings[0], sentence=f"{HOSTILE} & <b>", numbers=(HOSTILE,)),),
        brief=replace(bad_audit().brief, sentence=HOSTILE, whose=HOSTILE, next_step=HOSTILE),
    )  # fmt: skip
    text = page(audit, title=f"</title>{HOSTILE}")
    elements = Elements(text)
    assert len(elements.all("script")) == 1 and "alert" not in elements.all("script")[0][1]
    assert elements.all("title")[0][1] == f"</title>{HOSTILE}"
    assert not [a for _, a, _ in elements.found if "onerror" in a]
    assert any(HOSTILE in told for _, told in elements.all("desc"))  # in drawings too
    assert any(f"{HOSTILE} & <b>" in told for _, told in elements.all("li"))


def test_the_page_says_what_was_found() -> None:
    audit = bad_audit()
    assert audit.decomposition is not None and audit.calibration is not None and audit.latent_use is not None
    elements = Elements(page_of("bad"))
    told = re.sub(r"\s+", " ", elements.all("main")[0][1])
    for finding in audit.findings:
        assert finding.sentence in told
    for number in audit.numbers.values():
        assert number.about in told
    for check in audit.calibration.rejected:
        assert check.meaning in told
    assert audit.latent_use.collapsed[0] in told and audit.latent_use.sigma_told in told
    assert "2 data left out of every mean" in told and "−23.9668" in told and "−∞" in told
    assert "4.1e+17" in told and audit.decomposition.flags[EXPLODED] in told
    rows = [a["id"] for a, _ in elements.all("tr") if a.get("id", "").startswith("datum-")]
    assert rows[:3] == ["datum-8", "datum-5", "datum-34"] and len(set(rows)) == audit.num_data
    data = [(told, a) for a, told in elements.all("a") if a["href"].startswith("#datum")]
    assert [a["href"] for _, a in data] == ["#datum-5", "#datum-8", "#datum-0", "#datum-1"]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_missing_is_said_to_be(part: str) -> None:
    whole, cut = page_of("bad"), page(replace(bad_audit(), **{part: None}))
    Elements(cut)
    expected = {"decomposition": 2, "x": 0}.get(part, 1)
    assert "Not answered" not in whole and cut.count("Not answered") == expected
    why = dict.fromkeys(("examination", "calibration", "use of the latents"), "<improper> prior")
    told = page(replace(bad_audit(), skipped=why, **{part: None}))
    assert told.count("was not possible: &lt;improper&gt; prior") == expected
    if part == "x":
        assert "<img" in whole and "<img" not in cut


def test_nothing_usable() -> None:
    audit = bad_audit()
    found = audit.decomposition
    assert found is not None
    nothing = Estimate(torch.full_like(found.elbo.value, -math.inf), found.elbo.stderr, "lower")
    exploded = torch.ones(len(found), dtype=torch.bool)
    ladder = dict.fromkeys(found.ladder, nothing)
    text = page(replace(audit, decomposition=replace(found, ladder=ladder, exploded=exploded)))
    Elements(text)
    assert "50 data left out of every mean" in re.sub(r"\s+", " ", text)
    blank = replace(audit, findings=(), brief=brief_of((), {}), numbers={}, cost={}, provenance={})
    assert "came to no sentence" in page(blank)
    portrait = audit.portrait
    assert portrait is not None and portrait.posterior is not None
    guide = portrait.guide.clone()
    guide[:, 0] = math.nan
    guide[:, 1] = 3.25  # constant: no density can be fitted
    wild = page(replace(audit, portrait=replace(portrait, guide=guide)))
    assert "too few draws are finite" in wild
    assert "was not sampled" in page(replace(audit, portrait=replace(portrait, posterior=None)))


@pytest.mark.slow
def test_the_page_of_ten_thousand_data_stays_small() -> None:
    audit = good_audit(10_000)
    text = page(audit)
    rows = re.findall(r'<tr id="datum-(\d+)"', text)
    assert len(rows) == MOST_ROWS and f"The {MOST_ROWS} worst of 10000 data" in text
    assert len(text.encode()) < 8e6
    table = text[text.index('id="data"') : text.index('id="posteriors"')]
    assert table.count("<img") == MOST_PICTURES
    assert audit.decomposition is not None
    room = audit.decomposition.room().value
    assert [int(row) for row in rows] == room.argsort(descending=True)[:MOST_ROWS].tolist()


def test_the_same_audit_gives_the_same_file(tmp_path: Path) -> None:
    one, other = (save_html(tabular_audit(), tmp_path / name, title="Twice") for name in ("a.html", "b.html"))
    assert one.read_bytes() == other.read_bytes() and b"<title>Twice</title>" in one.read_bytes()


def test_the_usual_reason_is_the_most_frequent_kind_whatever_its_numbers() -> None:
    audit = bad_audit()
    found = audit.agreement
    assert found is not None
    reasons = [f"the mean of z[{b}] is off by -0.{b} ± 0.01" for b in range(20)] + ["k̂ is 0.9"] * 10
    section = uses_section(audit, replace(found, why_not=found.why_not | {"means": tuple(reasons)}))
    assert section["uses"][0]["why"] == reasons[0] and section["uses"][0]["count"] == "24 of 27 data"
    assert uses_section(audit, replace(found, why_not=found.why_not | {"means": ("",) * 30}))["uses"][0]["why"] == ""


def test_pictures_of_posteriors_have_ticks_and_say_which_latents() -> None:
    text = page_of("tabular")
    assert "Of 9 latents the two are shown" in text and "Of 2 latents" not in page_of("good")
    squares = re.findall(r'<svg class="square".*?</svg>.*?</svg>', text, re.DOTALL)
    assert len(squares) == 6
    for square in squares:
        ticks = re.findall(r'<text class="tick"[^>]*>([^<]*)</text>', square)
        numbers = [float(tick.replace("−", "-")) for tick in ticks[:-2]]
        assert len(numbers) >= 6 and all(re.fullmatch(r"z\[\d\]", name) for name in ticks[-2:])
        title = re.search(r"<title>Datum \d+: (\S+) and (\S+)</title>", square)
        assert title is not None and list(title.groups()) == ticks[-2:]


def test_the_histogram_is_of_all_data_whose_room_is_known() -> None:
    audit = few_audit()
    known = page(audit)
    assert "Room of 40 data in nats" in known and "How the room spreads over all usable data" in known
    numbers = {name: number for name, number in audit.numbers.items() if name != "gap_examined"}
    assert "Room of 8 data in nats" in page(replace(audit, numbers=numbers))


def test_worst_first() -> None:
    room = np.array([1.0, math.nan, math.inf, 3.0, math.nan])
    assert worst_first(room, np.array([0, 1.0, 0, 0, 2.0])) == [2, 3, 0, 4, 1]


def test_pictures_are_the_data() -> None:
    x = digits(3)
    uri = data_uri(x[1], (8, 8), (0.0, 1.0))
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))))
    np.testing.assert_array_equal(pixels, (255 * (1 - x[1].reshape(8, 8).numpy())).round())
    color = torch.rand(3, 5, 4)
    last = color.permute(1, 2, 0)
    for datum, shape in (
        (color, (5, 4, 3)),
        (color, (3, 5, 4)),
        (color.flatten(), (3, 5, 4)),
        (last, (5, 4, 3)),
        (last.flatten(), (5, 4, 3)),
    ):
        uri = data_uri(datum, shape, (0.0, 1.0))
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))))
        np.testing.assert_array_equal(pixels, (255 * last.numpy()).round())


def test_what_is_taken_for_a_picture() -> None:
    assert image_shape_of(digits(3), None) == (8, 8)
    assert image_shape_of(torch.zeros(2, 1, 28, 28), None) == (28, 28, 1)
    assert image_shape_of(torch.zeros(2, 28, 20), None) == (28, 20)
    assert image_shape_of(digits(3) - 0.5, None) is None and image_shape_of(torch.zeros(2, 49), None) is None
    assert image_shape_of(digits(3), ()) is None and image_shape_of(digits(3), (4, 16)) == (4, 16)
    assert image_shape_of(torch.zeros(2, 3, 9, 8), None) == (9, 8, 3) == image_shape_of(torch.zeros(2, 9, 8, 3), None)
    with pytest.raises(ValueError, match=r"image_shape is \(9, 8\), but a datum has 64 values"):
        image_shape_of(digits(3), (9, 8))
    with pytest.raises(ValueError, match=r"image_shape is \(2, 4, 8\).* 1 or 3 channels"):
        image_shape_of(digits(3), (2, 4, 8))


@pytest.mark.parametrize("shape", [(9, 8), (2, 4, 8), (8, 8, 1, 1)])
def test_what_cannot_be_shown_costs_the_pictures_and_not_the_page(shape: tuple[int, ...]) -> None:
    text = page(good_audit(), image_shape=shape)
    assert "<img" not in text and f"No pictures: image_shape is {shape}, but a datum has 64 values" in text


@pytest.mark.parametrize("shape", [(2, 3, 9, 8), (2, 9, 8, 3)])
def test_colours_are_shown_right_whichever_side_the_channels_are_on(shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape)
    (x[0, 0] if shape[1] == 3 else x[0, ..., 0]).fill_(1.0)  # the first datum is red
    uri = Pictures(x).picture(0)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))))
    np.testing.assert_array_equal(pixels, np.broadcast_to([255, 0, 0], (9, 8, 3)))


def words_before(text: str, mark: str) -> int:
    """Words of the body, those for screen readers too, before a mark."""
    body = text[text.index("<main>") : text.index(mark)]
    return len(re.sub(r"<[^>]*>", " ", body).split())


@every_audit
def test_few_words_stand_before_the_first_picture(kind: str) -> None:
    text, numbers = page_of(kind), AUDITS[kind]().brief.numbers
    assert words_before(text, "<svg" if numbers else "</header>") <= 120
    assert not numbers or text.index("<svg") < text.index("</header>")


def test_bits_that_were_asked_for_stand_on_the_first_screen() -> None:
    audit = good_audit()
    bits = {"ELBO": "0.4501", "room": "0.0062 (95 %: 0.0060 … 0.0064)", "unit": "64 values; fewer are better"}
    text = page(replace(audit, about={**audit.about, "bits per dimension": bits}))
    first = text[text.index("<main>") : text.index("<svg")]
    assert re.findall(r'class="bits">([^<]*)<', first) == ["0.4501 bits/dim", "0.0062 bits/dim"]
    assert "0.0060 … 0.0064" in text and 'class="bits"' not in page(audit)


def test_a_long_doubt_leaves_room_for_the_picture() -> None:
    """The longest that the sentence of a brief may be: a collapse and a doubt of seventy words beside it."""
    audit = bad_audit()
    doubts = (
        Finding("verdict", "bad", "The data " + " ".join(["are not what they were"] * 14) + ".", ()),
        Finding("verdict", "warning", "The model has collapsed: z says nothing about x.", ("active_latents",)),
    )
    for findings in ((*doubts, *audit.findings), (doubts[1], *audit.findings)):
        text = page(replace(audit, findings=findings, brief=brief_of(findings, audit.numbers)), title="a title " * 5)
        assert words_before(text, "<svg") <= 120
        assert all(finding.sentence in text for finding in findings[:2])  # all of it stands below


@every_audit
def test_the_first_screen_says_the_brief(kind: str) -> None:
    brief = AUDITS[kind]().brief
    elements = Elements(page_of(kind))
    header = next("".join(told) for name, _, told in elements.found if name == "header")
    assert brief.sentence in elements.all("h1")[0][1]
    assert brief.whose in header and brief.next_step in header
    for number in brief.numbers:
        assert number.value in header and number.certainty in header
