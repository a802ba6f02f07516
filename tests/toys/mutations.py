"""Ways in which files are damaged, by chance or by somebody: seeded, one at a time."""

import json
import random
from pathlib import Path

KINDS = ("flip", "digit", "letter", "truncate", "zero", "append", "swap", "delete", "empty", "key", "value")


def mutated(files: list[Path], choice: random.Random) -> str:
    """Change one of the files, or swap two of them; what was done, in words."""
    path, kind = choice.choice(files), choice.choice(KINDS)
    content = bytearray(path.read_bytes())
    at = choice.randrange(max(1, len(content)))
    if kind in ("key", "value") and path.suffix == ".json":
        path.write_text(json.dumps(_changed(json.loads(content), kind, choice)))
    elif kind in ("digit", "letter") and (places := [i for i, c in enumerate(content) if _is(kind, c)]):
        at = choice.choice(places)
        content[at] = choice.choice([c for c in (b"0123456789" if kind == "digit" else b"abcxyz") if c != content[at]])
        path.write_bytes(content)
    elif kind == "truncate":
        path.write_bytes(content[:at])
    elif kind == "zero":
        path.write_bytes(content[:at] + bytes(min(8, len(content) - at)) + content[at + 8 :])
    elif kind == "append":
        path.write_bytes(content + choice.randbytes(choice.randrange(1, 40)))
    elif kind == "swap" and len(files) > 1:
        other = choice.choice([one for one in files if one != path])
        path.write_bytes(other.read_bytes())
        other.write_bytes(content)
        return f"swap {path.name} and {other.name}"
    elif kind == "delete":
        path.unlink()
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        kind = "flip"
        content[at : at + 1] = bytes([content[at] ^ (1 << choice.randrange(8))]) if content else b"x"
        path.write_bytes(content)
    return f"{kind} {path.name} at {at}"


def _is(kind: str, character: int) -> bool:
    return chr(character).isdigit() if kind == "digit" else chr(character).isalpha() and character < 128


def _changed(value: object, kind: str, choice: random.Random) -> object:
    """A number, a text or a key somewhere in it is another one."""
    inside = value
    while isinstance(inside, dict | list) and inside:
        key = choice.choice(list(inside)) if isinstance(inside, dict) else choice.randrange(len(inside))
        deeper = inside[key]  # type: ignore[index]
        if isinstance(deeper, dict | list) and deeper:
            inside = deeper
            continue
        if kind == "key" and isinstance(inside, dict):
            del inside[key]
        else:
            inside[key] = choice.choice([None, 0, -1, 7, 1e9, "silu", "x", [], {}, True, 10**30])  # type: ignore[index]
        break
    return value
