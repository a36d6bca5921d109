"""Names that people give to things, and when two of them are the same to the eye.

The rule: a name is kept in Unicode's compatibility form (NFKC), so that full-width letters, ligatures and composed
accents are one; it holds only what can be seen; its letters are of one script among those that share shapes (Latin,
Cyrillic, Greek and their kin), any other script may stand beside them. Two names are taken for one when their skeletons
are equal: `name_skeleton()` in the database, which writes Cyrillic and Greek letters as the Latin ones they look like.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from scutum_server.errors import InvalidInput

MAX_NAME: Final = 100
_ALIKE: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE", "LISU", "DESERET"})
"""Scripts that share the shapes of letters, as Unicode's character names begin."""
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks without ink that Unicode does not call spaces."""


class BadName(InvalidInput):
    code = "invalid_field"


def canonical(name: str) -> str:
    """The form in which names are kept and looked up."""
    return unicodedata.normalize("NFKC", name)


def clean(name: str) -> str:
    """The name as it is kept; raises BadName for one that cannot be read aloud, typed or told from another."""
    name = canonical(name)
    if not 1 <= len(name) <= MAX_NAME or name != name.strip() or not name.isprintable() or name in {".", ".."}:
        raise BadName(f"A name has 1 to {MAX_NAME} printable characters and no space at its ends.", param="name")
    if any(letter in _BLANK or (unicodedata.category(letter) == "Mn" and _selector(letter)) for letter in name):
        raise BadName("A name holds only what can be seen.", param="name")
    if unicodedata.combining(name[0]) or unicodedata.category(name[0]) in {"Mn", "Me", "Mc"}:
        raise BadName("A name does not begin with a mark that belongs to a letter before it.", param="name")
    scripts = {_script(letter) for letter in name if letter.isalpha()} & _ALIKE
    if len(scripts) > 1:
        listed = " and ".join(sorted(script.capitalize() for script in scripts))
        raise BadName(
            f"The name mixes {listed} letters, which look alike.", param="name", hint="Write it in one of them."
        )
    return name


def _selector(letter: str) -> bool:
    """Whether it chooses another's shape and has none of its own."""
    return "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef" or "\u180b" <= letter <= "\u180f"


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]
