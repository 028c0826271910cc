"""Tables as bytes, a piece at a time: CSV as a tool wants it, and JSON."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from storefront.adapters.workbooks import xlsx_chunks
from storefront.domain.carriers.fields import BoxFacts
from storefront.domain.carriers.layout import Layout
from storefront.domain.carriers.rows import cells, objects

#: Characters gathered before a piece is handed on.
_PIECE = 1 << 16


def box_chunks(
    layout: Layout, about: Mapping[str, str], boxes: Iterable[BoxFacts]
) -> Iterator[bytes]:
    """Yield the file of ``boxes`` in ``layout``; ``about`` heads a file of JSON."""
    if layout.kind == "json":
        return json_chunks(about, (row for box in boxes for row in objects(layout, box)))
    heading = layout.headings
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


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _take(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
