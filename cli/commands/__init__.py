"""What can be asked from a shell? One command a file: `run(options)` does the work, prints it and writes it.

    demo.py  train.py  evidence.py (and bracket.py)  audit.py  explore.py  versus.py  compare.py  generate.py
    families.py
    shard.py  merge.py  very many data, by any number of workers
    rivals.py        the commands; the last one compares models of many kinds
    arguments/       what was typed, read and checked before torch is imported; errors in its words
    options/         the options of each, free of torch; `elbowroom.__main__.COMMANDS` lists them
    constructors.py  options held against a constructor's signature     registered.py  the registries' models and guides
    programs.py      both programs: of the registries, or the user's own as module:name
    plain_networks.py  programs around plain networks, with the weights of a checkpoint
    random_weights.py  whether networks that were built here hold weights that nobody trained or loaded
    runs.py          a run directory, opened again; what programs are called with
    trust.py         whose code a run directory may have imported     recorded.py  its options, held against their types
    two_runs.py      two --run of versus, spelled out
    subject.py       what evidence, audit, compare and generate are asked about: a run, programs, or plain networks
    about.py         what is said of it: data, files, binarisation, likelihood, weights
    latent_vector.py what pictures of a latent space ask of programs beyond a Target
    readings.py      log p(x) in the units of a kind of data, such as perplexity
    density_runs.py  a run directory of a density, which has no latents     density_answers.py  what is said of it
    output.py        text for a person, JSON for a program     outputs.py  where a command writes, tried before the work

Numbers come from inference/, tables and files from report/: nothing is computed here. Read train.py first.
Imports: everything below; a command imports another one only to call it (demo, and evidence for bracket).
"""
