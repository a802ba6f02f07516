"""What does a public function ask of its arguments? One decorator, `@checked`, on each of them.

    seed=1.5   ->  TypeError: seed must be an integer from 0 to 2^63 - 1, got 1.5
    num_samples=0  ->  ValueError: num_samples must be an integer from 1 to 10^9, got 0: give a count in that range

A wrong argument is refused before any work, by a sentence that names it, what it may be and what was given. Two things
say what it may be, and no function says it again: its annotation (the type) and its name (the range of its numbers: one
name means one thing everywhere). What depends on several arguments, or on the data, the function checks itself.
Sections `Raises:` speak of the latter; TypeError on a wrong type, and ValueError on a number that is out of its range,
hold of every function that is decorated.

    checked.py         the decorator, and the same of a dataclass's fields
    arguments_read.py  one call's arguments, and the sentences that refuse them
    kinds.py           an annotation -> what it admits
    ranges.py          a name -> the range of its values
    values.py          one value by itself, of which a function knows more than its annotation
    said.py            how a wrong value is shown
    visible.py         characters that show as something else, as escapes: of whatever is printed or kept

Imports torch and NumPy alone, ranges.py and visible.py neither; every other folder may import it. Read ranges.py first.
"""

from elbowroom.entrances.checked import check_fields, checked

__all__ = ["check_fields", "checked"]
