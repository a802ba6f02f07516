"""What is around each datum in latent space? One page to walk through, with no network.

    document.py    the page, and the explorer as a part of another page; explorer.jinja, explorer.css lie beside it
    payload.py     an exploration as what the page holds, by way of
    encoded.py     arrays as text, and
    drawn.py       how a datum is drawn
    fitted.py      all of it in so many bytes; what is left out is said
    joined.py      the modules of script/ as one script
    script/        the page at work: main.js begins, explorer.js draws; plain modules, one idea each

All numbers were computed before: the script reads them, asks no model, and needs no library. Everything from outside is
escaped. Read `payload.py` and `script/explorer.js` first.
Imports: `report.records`, `inference/`, jinja2; no other room of `report/`.
"""
