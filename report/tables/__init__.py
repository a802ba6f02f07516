"""Results as text: coloured and fitted in a terminal, plain and never cut elsewhere.

A table is a list of parts, sheets and notes (`render.py`); each other file makes the parts of one kind of result and
hands them to `render`. A number never stands without its error, a flagged one never without its reason.

Read `render.py` first, then `bounds.py`. Imports: `report.records`, `inference/` and rich; no other room of `report/`.
"""
