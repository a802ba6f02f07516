"""What is said of a result, before anything is drawn: the same numbers and words for a table, a page and a file.

    number_format.py   a number printed with its error; when a difference is noise
    words.py           numbers of an audit as text
    evidence.py, bounds.py, marginals.py, sentences.py      of estimates and comparisons
    audit_fields.py, audit_means.py, audit_variables.py        of audits: named arrays, means, all of it as groups
    data_rows.py       the data of an audit, the worst first
    versions.py        the libraries that made it

Read `number_format.py` and `audit_variables.py` first. Imports: `inference/`, torch and numpy; never a room beside
this one, nor matplotlib, rich, xarray or jinja2.
"""
