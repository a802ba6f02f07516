"""What is said of a result, before anything is drawn: the same numbers and words for a table, a page and a file.

    number_format.py   a number printed with its error; when a difference is noise
    words.py           numbers of an audit as text
    evidence.py, bounds.py, marginals.py, sentences.py      of estimates and comparisons
    groups.py          named arrays with dimensions, and groups of them
    draws_groups.py, estimate_groups.py, comparison_groups.py      Markov chains, estimates and comparisons as groups
    latent_sites.py    sites behind the names of their coordinates
    audit_fields.py, audit_means.py, audit_variables.py        of audits: named arrays, means, all of it as groups
    data_rows.py       the data of an audit, the worst first
    palette.py         one colour, one meaning, on pages and in figures; paper.css, what all pages look like
    image_shapes.py    which data are pictures
    versions.py        the libraries that made it

Read `number_format.py` and `groups.py` first. Imports: `inference/`, torch and numpy; never a room beside
this one, nor matplotlib, rich, xarray or jinja2.
"""
