"""What must be true of the pages? Each check reads their text and gives a line for each fault; the build fails on any.

    pages.py           the pages that are written by hand: their blocks of code, and the code in their sentences
    code_runs.py       a block of Python runs, or says that it does not
    names_exist.py     a name that looks like one of ours is one
    commands_exist.py  a command line is one that the parser takes
    links_lead.py      links and anchors lead somewhere
    alt_texts.py       pictures are told in words

`python docs/checks` prints all faults. They need no Sphinx, which says further ones of its own when it builds the site.
"""
