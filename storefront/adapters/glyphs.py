"""What the fonts of documents can show, and the mark that stands for what they cannot.

Source: docs/decisions/0077-fonts-of-documents.md.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path

FONTS = Path(__file__).resolve().parent.parent / "fonts"
#: Style -> file, unpacked at set-up from a pinned package.
FONT_FILES = {"": "DejaVuSansCondensed.ttf", "B": "DejaVuSansCondensed-Bold.ttf"}
#: Unicode's own mark for a character that cannot be shown.
MARK = "\N{REPLACEMENT CHARACTER}"


def legible(text: str) -> str:
    """Return ``text`` with a mark for each character that the fonts do not have.

    What shows nothing by itself (joiners, marks of direction, choices of a form) is left out
    instead: beside a mark it would be a second one for the same character.
    """
    if text.isascii() and text.isprintable():
        return text
    there = _there()
    shown = (one if ord(one) in there or one.isspace() else _instead(one) for one in text)
    return "".join(shown)


def illegible(texts: Iterable[str]) -> str:
    """Return the characters of ``texts`` that the fonts do not have, each once, in their order."""
    found = dict.fromkeys(one for text in texts for one in text if legible(one) == MARK != one)
    return "".join(found)


def _instead(one: str) -> str:
    has_form = unicodedata.category(one) not in ("Cf", "Cc", "Mn", "Me")
    return MARK if has_form else ""


@cache
def _there() -> frozenset[int]:
    """Return the code points that every style has a glyph for."""
    # Slow to import, and most processes never draw a document.
    from fpdf import FPDF  # noqa: PLC0415
    from fpdf.fonts import TTFFont  # noqa: PLC0415

    sheet = FPDF()
    for style, name in FONT_FILES.items():
        sheet.add_font("document", style, FONTS / name)
    maps = []
    for font in sheet.fonts.values():
        assert isinstance(font, TTFFont)
        maps.append(set(font.cmap))
        font.close()
    return frozenset(set.intersection(*maps))
