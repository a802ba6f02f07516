"""An audit as one HTML page: for people, on a phone, in the dark, on paper, with no network.

    document.py    the page; its templates, style and script lie beside it
    findings.py    the first screen, and all sentences below it
    sections.py    what each further section says
    terms.py       the words that are explained where they stand
    chart_*.py     its drawings, as SVG by svg.py
    origins.py     what was audited, and by which call
    pictures.py    the data themselves, as small pictures

Everything from outside (names of latents, reasons, data) is escaped. Read `document.py` and `page.html.jinja` first.
Imports: `report.records`, `report.explorer`, `inference/`, jinja2 and Pillow; no other room of `report/`.
"""
