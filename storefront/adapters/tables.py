"""Tables as bytes, a piece at a time: CSV as a tool wants it, JSON, and a workbook."""

from __future__ import annotations

import codecs
import csv
import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import xlsxwriter

from storefront.domain.carriers.fields import BoxFacts
from storefront.domain.carriers.layout import Layout
from storefront.domain.carriers.rows import cells, objects

#: The day on which every workbook says it was made, so that nothing in it depends on the clock.
_EVERY_BOOK = datetime(2000, 1, 1, tzinfo=UTC)
#: Characters gathered before a piece is handed on.
_PIECE = 1 << 16


def box_chunks(
    layout: Layout, about: Mapping[str, str], boxes: Iterable[BoxFacts]
) -> Iterator[bytes]:
    """Yield the file of ``boxes`` in ``layout``; ``about`` heads a file of JSON."""
    if layout.kind == "json":
        return json_chunks(about, (row for box in boxes for row in objects(layout, box)))
    heading = [column.heading for column in layout.columns]
    rows = (row for box in boxes for row in cells(layout, box))
    if layout.kind == "xlsx":
        return xlsx_chunks(heading, rows)
    return csv_chunks(
        heading,
        rows,
        delimiter=layout.delimiter,
        encoding=layout.encoding,
        is_marked=layout.is_marked,
    )


def csv_chunks(
    heading: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    is_marked: bool = False,
) -> Iterator[bytes]:
    """Yield ``rows`` below their heading, with CRLF; cells are written as they are.

    ``is_marked``: a byte order mark goes before UTF-8, by which Excel knows it.
    Raises ``UnicodeEncodeError`` for a sign that ``encoding`` does not have.
    """
    if is_marked and encoding == "utf-8":
        yield codecs.BOM_UTF8
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerow(heading)
    for row in rows:
        writer.writerow(row)
        if buffer.tell() > _PIECE:
            yield _take(buffer).encode(encoding)
    yield _take(buffer).encode(encoding)


def json_chunks(about: Mapping[str, str], rows: Iterable[Mapping[str, str]]) -> Iterator[bytes]:
    """Yield one object: ``about`` it, and ``rows`` under the name ``rows``, one to a line."""
    buffer = io.StringIO()
    buffer.write("{")
    for name, value in about.items():
        buffer.write(f"{_json(name)}: {_json(value)},\n")
    buffer.write('"rows": [')
    joint = "\n"
    for row in rows:
        buffer.write(f"{joint}{_json(row)}")
        joint = ",\n"
        if buffer.tell() > _PIECE:
            yield _take(buffer).encode()
    buffer.write("\n]}\n")
    yield _take(buffer).encode()


def xlsx_chunks(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """Yield a workbook of one sheet in memory that stays flat: every cell is text, none runs.

    Equal rows give equal bytes with one release of the library. Raises ``ValueError`` for a
    cell or a row that no sheet holds.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "boxes.xlsx")
        options = {
            "constant_memory": True,
            "tmpdir": folder,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        with xlsxwriter.Workbook(path, options) as book:
            book.set_properties({"created": _EVERY_BOOK})
            sheet = book.add_worksheet()
            _write_row(sheet, 0, heading)
            for at, row in enumerate(rows, 1):
                _write_row(sheet, at, row)
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece


def _write_row(sheet: xlsxwriter.worksheet.Worksheet, at: int, row: Sequence[str]) -> None:
    for column, text in enumerate(row):
        if text and sheet.write_string(at, column, text):
            raise ValueError(f"no sheet holds row {at + 1}, column {column + 1}")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _take(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
