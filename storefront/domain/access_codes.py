"""Codes that open a private plan: typed by hand or carried by a link.

Source: docs/decisions/0232-private-plans-by-a-code.md.
"""

from __future__ import annotations

#: Letters and digits of a code; fewer are guessed.
SHORTEST, LONGEST = 6, 40
#: Codes that one browser may have opened plans with.
MOST_OPENED = 5


def access_code(typed: str) -> str:
    """Return a code as it is kept: capitals and digits, whatever stood between them.

    Empty for one that no plan has: too short, too long, or with other signs in it.
    """
    code = "".join(typed.split()).replace("-", "").upper()
    is_code = code.isascii() and code.isalnum() and SHORTEST <= len(code) <= LONGEST
    return code if is_code else ""
