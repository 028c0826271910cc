"""Text and days as people type them, made safe to keep and to reckon with."""

from __future__ import annotations

import re
import unicodedata
from datetime import date

#: The days a form takes: far enough either way, and near enough to reckon with.
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)


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


def markdown_lines(text: str | None) -> str:
    r"""Return ``text`` with each line made safe as by ``one_line``; its indentation stays.

    >>> markdown_lines("\n- one\n  -  two\x00 \r\n\n\tthree\n")
    '- one\n  - two\n\n    three'
    """
    found = []
    for line in (text or "").splitlines():
        bare = line.expandtabs(4)
        words = one_line(bare)
        found.append(" " * (len(bare) - len(bare.lstrip(" "))) + words if words else "")
    return "\n".join(found).strip("\n")


def read_day(text: str | None) -> date | None:
    """Return the day of an ISO text; None for anything else and for a day out of reach.

    >>> read_day(" 2027-03-12 "), read_day("0001-01-01"), read_day("soon")
    (datetime.date(2027, 3, 12), None, None)
    """
    try:
        day = date.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return day if FIRST_DAY <= day <= LAST_DAY else None


_DAY_FIRST = re.compile(r"(\d{1,2})[./-]\s*(\d{1,2})[./-]\s*(\d{4})")


def read_written_day(text: str | None) -> date | None:
    """Return the day of a text as people write it, the day before the month, or of an ISO text.

    >>> read_written_day("12.3.2027"), read_written_day("12/03/2027"), read_written_day("in May")
    (datetime.date(2027, 3, 12), datetime.date(2027, 3, 12), None)
    """
    found = _DAY_FIRST.fullmatch((text or "").strip())
    if found is None:
        return read_day(text)
    day, month, year = found.groups()
    return read_day(f"{year}-{month:0>2}-{day:0>2}")
