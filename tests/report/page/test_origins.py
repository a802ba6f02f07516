"""Where the numbers of a page come from: the parts of what was audited, in words, and what nobody asked for."""

from dataclasses import replace

from elbowroom.report.page.document import page
from elbowroom.report.page.origins import origins
from toys.audit_results import HOSTILE, short_audit

ABOUT = {
    "data": {"name": "x.npy", "sha256 of the files": "ab12", "values divided by": 16.0},
    "model": {"likelihood": "bernoulli", "latent 'z'": "Normal(0, 1) [2]"},
    "weights of networks.decoder": {"file": HOSTILE, "prefix": ""},
    "empty": {},
}
SENTENCE = "grey values above 0.5 became 1: nobody asked for it & <b>"


def test_parts_in_their_order_and_the_call_last() -> None:
    audit = replace(short_audit(), about=ABOUT, provenance={"seconds": 10.05620598500002, "budget": 300.0, "seed": 0})
    found = origins(audit)
    assert [part for part, _ in found] == ["data", "model", "weights of networks.decoder", "call"]
    assert found[0][1] == [("name", "x.npy"), ("sha256 of the files", "ab12"), ("values divided by", "16")]
    assert found[2][1][1] == ("prefix", "–")
    assert found[3][1] == [("seconds", "10 s"), ("budget", "300"), ("seed", "0")]


def test_the_page_has_them_as_text() -> None:
    text = page(replace(short_audit(), about=ABOUT, announced=(SENTENCE,)))
    assert "<h3>Weights of networks.decoder</h3>" in text and HOSTILE not in text
    assert "<dt>likelihood</dt><dd>bernoulli</dd>" in text
    assert text.index("nobody asked for it &amp; &lt;b&gt;") < text.index('id="findings"')
    assert "nobody asked for it" not in page(short_audit())
