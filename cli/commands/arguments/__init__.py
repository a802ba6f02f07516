"""What was typed, read and checked before anything heavy is imported: one line for whatever is wrong.

    elbowroom train: --programs.hiden: no such option; did you mean --programs.hidden?

    command_line.py  the words of a command line, each held against the options of its command
    config_file.py   a file of --config, as such words
    yaml_text.py     YAML within bounds
    table.py         the options of a command: name -> type
    values.py        a value read as its type says: 64,64 and 1e5
    spelling.py      what was likely meant
    names.py         names of models, likelihoods, losses, ...: known without torch
    ranges.py        numbers that are out of the library's ranges
    effects.py       options about what is not named
    places.py        runs, data and checkpoints: whether they are there
    errors.py        what the library says of its arguments, said of options

Read command_line.py first. Imports: options, and the ranges of entrances/; neither torch nor numpy.
"""
