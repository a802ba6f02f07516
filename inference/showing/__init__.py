"""How is a result shown? As a table of at most 40 lines: what it is, means, and the data that most need a look.

    text_table.py   cells as aligned lines
    table.py        Table: sentences, and rows of which some are shown; as text and as HTML
    numbers.py      numbers with their errors, counts of flags, which data come first
    printed.py      Printed: laid-out text that shows its lines in a notebook
    shown.py        Shown: str, repr and `_repr_html_` of a result that describes itself as a Table

Any wing may use it; it imports torch and entrances/, which knows what hides in text.
"""
