"""The cells of a box in a layout, and what of it does not fit before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from storefront.domain.carriers.fields import BOX_FIELDS, ITEM_FIELDS, BoxFacts, item_fields
from storefront.domain.carriers.layout import Column, Layout
from storefront.domain.exports import is_formula, safe_cell

Code = Literal["missing", "too_long", "charset", "digits", "roman", "formula", "line_break"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a box cannot be written in a layout, and in which column."""

    code: Code
    column: str
    #: Field of the box, such as ``street``; empty for a typed text.
    source: str
    value: str
    #: Most characters the column takes.
    most: int = 0
    #: The signs that the file cannot hold.
    signs: str = ""


def cells(layout: Layout, box: BoxFacts) -> list[list[str]]:
    """Return the rows of ``box``: one, or one for each product where the layout says so.

    Nothing is shortened and nothing replaced; what does not fit is for ``findings``.
    """
    guard = safe_cell if layout.is_guarded else str
    return [[guard(text) for text in row] for row in _texts(layout, box)]


def objects(layout: Layout, box: BoxFacts) -> list[dict[str, str]]:
    """Return the same as ``cells`` with the headings as names, for a file of JSON."""
    names = [column.heading for column in layout.columns]
    return [dict(zip(names, row, strict=True)) for row in _texts(layout, box)]


def findings(layout: Layout, box: BoxFacts) -> list[Finding]:
    """Return what keeps ``box`` from being written in ``layout``, one for each column at most."""
    found: dict[str, Finding] = {}
    for row in _texts(layout, box):
        for column, text in zip(layout.columns, row, strict=True):
            if column.heading not in found and (wrong := _wrong(layout, column, text)):
                found[column.heading] = wrong
    return list(found.values())


def has_limits(layout: Layout) -> bool:
    """Return whether any box could fail to fit, so that boxes have to be looked at."""
    reads_raw = layout.kind == "csv" and not layout.is_guarded
    limited = any(one.most or one.is_required or one.rule for one in layout.columns)
    return reads_raw or limited or layout.encoding != "utf-8"


def _texts(layout: Layout, box: BoxFacts) -> list[list[str]]:
    owns = [item_fields(box, sku, pieces) for sku, pieces in box.contents]
    empty = dict.fromkeys(ITEM_FIELDS, "")
    products = (owns if layout.per_item else []) or [empty]
    return [[_text(column, box, own) for column in layout.columns] for own in products]


def _text(column: Column, box: BoxFacts, own: dict[str, str]) -> str:
    if not column.source:
        return column.text
    return own[column.source] if column.source in own else BOX_FIELDS[column.source](box)


def _wrong(layout: Layout, column: Column, text: str) -> Finding | None:
    code, signs = _code(layout, column, text)
    if code is None:
        return None
    return Finding(code, column.heading, column.source, text, column.most, signs)


def _code(layout: Layout, column: Column, text: str) -> tuple[Code | None, str]:
    reads_raw = layout.kind == "csv" and not layout.is_guarded
    foreign = _foreign(layout.encoding, text)
    code: Code | None = None
    if not text.strip():
        code = "missing" if column.is_required else None
    elif foreign:
        code = "charset"
    elif column.rule == "digits" and not (text.isascii() and text.isdigit()):
        code = "digits"
    elif column.rule == "roman" and not _holds("latin-1", text):
        code, foreign = "roman", _foreign("latin-1", text)
    elif column.most and len(text) > column.most:
        code = "too_long"
    elif reads_raw and ("\n" in text or "\r" in text):
        code = "line_break"
    elif reads_raw and is_formula(text):
        code = "formula"
    return code, foreign


def _foreign(encoding: str, text: str) -> str:
    """Return the signs of ``text`` that ``encoding`` does not have, each once."""
    if _holds(encoding, text):
        return ""
    return "".join(dict.fromkeys(one for one in text if not _holds(encoding, one)))


def _holds(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
