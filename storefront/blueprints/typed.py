"""Text as people type it, made safe to keep: no control characters, single spaces."""

from __future__ import annotations

import unicodedata


def one_line(text: str | None) -> str:
    r"""Return ``text`` composed, trimmed and on one line, without control characters.

    Control, format (bidirectional marks, zero width) and unpaired surrogate characters go;
    every kind of white space becomes one space.

    >>> one_line("  Ada\u202e \x00Love\tlace ")
    'Ada Love lace'
    """
    composed = unicodedata.normalize("NFC", text or "")
    spaced = "".join(" " if char.isspace() else char for char in composed)
    kept = "".join(char for char in spaced if not unicodedata.category(char).startswith("C"))
    return " ".join(kept.split())


def several_lines(text: str | None) -> str:
    r"""Return ``text`` with each line made safe as by ``one_line``, blank ends taken off.

    >>> several_lines(" one \r\n\x00\r\n two\t2 \r\n")
    'one\n\ntwo 2'
    """
    return "\n".join(one_line(line) for line in (text or "").splitlines()).strip()
