"""A format of an export as data: its columns, their limits, and how the file is written.

What a shipping tool documents stands in the modules beside this one, each with its source.
Source: docs/decisions/0140-formats-are-data.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from storefront.domain.exports import is_formula, safe_cell

#: What a cell may hold: anything, digits only, or letters of the Roman alphabet (and digits,
#: punctuation) as Western European languages write them.
Rule = Literal["", "digits", "roman"]

#: Encoding of a file -> what an answer says of it.
_CHARSETS = {"cp1252": "windows-1252", "latin-1": "iso-8859-1"}

#: How a file is written -> what it is called in an answer and in a mail.
MIMETYPES: Mapping[str, str] = {
    "csv": "text/csv",
    "json": "application/json",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def content_type(kind: str, encoding: str) -> str:
    """Return what is said of a file in an answer.

    >>> content_type("csv", "cp1252"), content_type("json", "utf-8")
    ('text/csv; charset=windows-1252', 'application/json')
    """
    charset = f"; charset={_CHARSETS.get(encoding, encoding)}" if kind == "csv" else ""
    return MIMETYPES[kind] + charset


Confidence = Literal["documented", "seen", "part", "own"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, and the field of a box in it or, if ``source`` is empty, a text."""

    heading: str
    #: A name of ``fields.FIELDS``.
    source: str = ""
    text: str = ""
    #: Most characters the tool takes; 0: it names no limit.
    most: int = 0
    is_required: bool = False
    rule: Rule = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole format. Two equal layouts make equal files from equal boxes."""

    code: str
    name: str
    columns: tuple[Column, ...]
    kind: Literal["csv", "json", "xlsx"] = "csv"
    delimiter: str = ","
    encoding: str = "utf-8"
    #: Cells a spreadsheet would run get an apostrophe; where a tool reads the file as it is, a
    #: box with such a cell is told before instead, because the apostrophe would be printed.
    is_guarded: bool = False
    #: Headings are guarded like cells. Files of batches from before it are made again without.
    guards_headings: bool = False
    #: A byte order mark before UTF-8: Excel takes such a file for what it is when it is opened by
    #: double click; a program may take the mark for a part of the first heading.
    is_marked: bool = False
    #: One row for each product of a box instead of one for each box.
    per_item: bool = False
    #: Also boxes that leave in one parcel have a row each, instead of one for the parcel.
    per_box: bool = False
    #: Most rows the tool takes at a time; 0: it names no limit.
    most_rows: int = 0

    @property
    def safe(self) -> Layout:
        """The layout as a new file takes it: no heading may run in a spreadsheet either."""
        needs = self.is_guarded and any(is_formula(one.heading) for one in self.columns)
        return replace(self, guards_headings=True) if needs else self

    @property
    def headings(self) -> list[str]:
        """What stands in the first row."""
        guard = safe_cell if self.guards_headings else str
        return [guard(column.heading) for column in self.columns]

    def as_data(self) -> dict[str, Any]:
        """Return the layout as what JSON can hold; ``layout_of`` reads it."""
        return {
            "code": self.code,
            "name": self.name,
            "columns": [
                [one.heading, one.source, one.text, one.most, one.is_required, one.rule]
                for one in self.columns
            ],
            "kind": self.kind,
            "delimiter": self.delimiter,
            "encoding": self.encoding,
            "is_guarded": self.is_guarded,
            "per_item": self.per_item,
            "most_rows": self.most_rows,
            **({"per_box": True} if self.per_box else {}),
            **({"guards_headings": True} if self.guards_headings else {}),
            **({"is_marked": True} if self.is_marked else {}),
        }


def layout_of(data: Mapping[str, Any]) -> Layout:
    """Return the layout that ``as_data`` gave."""
    return Layout(**{**data, "columns": tuple(Column(*one) for one in data["columns"])})


@dataclass(frozen=True, slots=True)
class Preset:
    """A format that comes with the product, and where its facts are from."""

    layout: Layout
    #: Page or article of the tool's maker; empty for our own.
    source: str
    #: ``own``, ``documented`` by the maker, ``seen`` in public code only, or ``part``: the
    #: maker's list goes on where ours ends, so it is a start for a format of one's own and
    #: nothing more.
    confidence: Confidence
    #: Columns the tool needs that no box can fill, such as its own product code: the format
    #: is made one's own and these are typed in.
    typed: tuple[str, ...] = ()
    #: Short code of a remark the page words.
    remark: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether it can be used as it is."""
        return self.confidence != "part" and not self.typed
