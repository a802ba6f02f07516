"""What can be asked from a shell? One command a file: `run(options)` does the work, prints it and writes it.

    demo.py  train.py  evidence.py (and bracket.py)  audit.py  compare.py  generate.py     the commands
    options.py     the options of each, free of torch; `elbowroom.__main__.COMMANDS` lists them
    families.py    the registries' models and guides from options       programs.py   the user's own, as module:name
    runs.py        a run directory, opened again                        subject.py    what an audit is about
    output.py      text for a person, JSON for a program

Numbers come from inference/, tables and files from report/: nothing is computed here. Read train.py first.
Imports: everything below; a command imports another one only to call it (demo, and evidence for bracket).
"""
