"""`docs/claims.md`: what is often said, and what the notebooks measured of it; `python docs/claims_page.py`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "notebooks"))

import claims

PAGE = Path(__file__).with_name("claims.md")

_TEXT = """\
# What is often said, and what was measured

Sentences on variational autoencoders from four documents of the kind that teaches them, each measured by one
notebook. A verdict is of the sentence as it stands; the last column says where it holds, or what is true in its
place. The table is `notebooks/claims.yaml`, which the notebooks write when they run (`make notebooks`); a number
changes here when it has moved by more than its error.

The documents: {documents}.

{verdicts}.

{table}
"""


def page() -> str:
    """The page, of the register as it is."""
    entries = claims.read()
    documents = "; ".join(f"{number}, {title}" for number, title in claims.DOCUMENTS.items())
    counts = {verdict: sum(entry["verdict"] == verdict for entry in entries.values()) for verdict in claims.VERDICTS}
    verdicts = f"Of {len(entries)} sentences " + ", ".join(
        f"{n} {'is' if n == 1 else 'are'} {v}" for v, n in counts.items()
    )
    head = "| | it is said | in | verdict | measured | where it holds | notebook |\n|---|---|---|---|---|---|---|"
    rows = [_row(name, entry) for name, entry in entries.items()]
    return _TEXT.format(documents=documents, verdicts=verdicts, table="\n".join([head, *rows]))


def _row(name: str, entry: dict) -> str:
    number = "–"
    if entry["number"] is not None:
        number = f"{entry['number']:g} ± {entry['error']:g} {entry['unit']}: {entry['measured']} ({entry['error_of']})"
    documents = ", ".join(map(str, entry["documents"])) or "–"
    notebook = entry["notebook"]
    if (claims.REGISTER.parent / f"{notebook}.py").exists():
        notebook = f"[{notebook[:2]}](../notebooks/{notebook}.py)"
    cells = (name, entry["claim"], documents, entry["verdict"], number, entry["holds"], notebook)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
