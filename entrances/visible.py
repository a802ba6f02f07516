"""Characters that show as something else, or break what they are written to, as escapes that can be seen.

Names of sites, files and data come from anywhere. An override of the reading direction makes a name look like another,
an escape character commands the terminal, a NUL cannot be stored, half of a surrogate pair cannot be encoded.
"""

import unicodedata

_DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_INVISIBLE = (0x200B, 0x2028, 0x2029, 0x2060, 0xFEFF)
_SURROGATES = range(0xD800, 0xE000)
_CONTROLS = [code for code in range(0xA0) if unicodedata.category(chr(code)) == "Cc" and chr(code) not in "\t\n"]

_ESCAPED = {code: f"\\u{code:04x}" for code in (*_CONTROLS, *_DIRECTIONS, *_INVISIBLE, *_SURROGATES)}
MOST_NAME = 100
"""Characters of a name that are shown."""


def visible(text: str) -> str:
    """The text with such characters as `\\u202e`; line breaks and tabs stay, and so does all of ordinary text.

    What JSON writes is still JSON, and of the same values: there these are escapes.
    """
    return text if text.isascii() and text.isprintable() else text.translate(_ESCAPED)


def one_line(text: str) -> str:
    """The text on one line, visible: what a name holds is not taken for a line that somebody else has said."""
    return visible(" ".join(text.splitlines()))


def short_name(name: str) -> str:
    """A name as it is shown: on one line, visible, and without its middle where it is longer than can be read."""
    shown, half = visible(" ".join(name.split())), MOST_NAME // 2
    return shown if len(shown) <= MOST_NAME else f"{shown[: half - 1]}…{shown[-half:]}"
