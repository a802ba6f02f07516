"""How is a result kept? Files that are whole or not there, and states that are refused where they do not belong.

A file is written beside its place, synced and renamed, so a reader finds the old content or the new one, never half
of it. Run directories and states have one writer at a time, who holds a lock that dies with its process; what a killed
one has left is swept by the next. What a disk refuses is told with the file, the bytes and the remedy. A state file is
safetensors and JSON (no pickle) with a digest of all it holds and the fingerprint of its problem: the data, three
weights of the first datum, the seed. What is damaged or of another problem raises StateError. Whoever wrote it, a file
is data: sizes, depths and shapes are looked at before memory is taken, nothing is written through links, and no more is
built than is stored.

    durable.py        write_directory, replace_file, replace_text; replacing, for what a library writes
    disk.py           WriteError, and whether a file can be written, found out before the work
    places.py         folders on a disk, or behind a URL
    one_writer.py     the lock on a folder or a file; InUseError
    leftovers.py      temporary files: their names, who holds them, and those that nobody holds any more
    locks.py          the system's lock on an open file
    state_file.py     fingerprint_of, write_state and read_state
    reading.py        JSON and tensors of files that somebody else may have written, within bounds
    seal.py           JSON that knows its own digest
    allowance.py      how much torch may make, of what a file describes
    links.py          places that lie in another folder than it seems
    json_values.py    what JSON can hold: no NaN, no NumPy

Read durable.py first. Imports: target, programs; nothing above them.
"""
