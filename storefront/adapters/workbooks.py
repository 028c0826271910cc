"""A workbook (XLSX) of one sheet, row by row: equal rows give equal bytes, in every release.

Only what a spreadsheet cannot do without is written, by the standard library and not compressed,
since what a compressor makes depends on its release. Nothing of it depends on the clock.
Source: ECMA-376, part 1: 18.3.1.99 (worksheet), 18.3.1.4 (c), 22.9.2.19 (ST_Xstring); part 2:
packages. docs/decisions/0143-workbooks.md.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO
from xml.sax.saxutils import escape

#: What a sheet of the spreadsheets in use holds: rows, columns, characters (UTF-16) of a cell.
_MOST_ROWS, _MOST_COLUMNS, _MOST_TEXT = 1_048_576, 16_384, 32_767
#: Bytes gathered before a piece is handed on.
_PIECE = 1 << 16
#: Every entry says it is of this day, the first one a ZIP file can name.
_EVERY_DAY = (1980, 1, 1, 0, 0, 0)
#: Characters XML has no way to hold, and text that looks like the way around it.
_UNHEARD = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_LINKS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
#: Name in the package -> content, in their order; the sheet follows them.
_AROUND = {
    "[Content_Types].xml": (
        f'{_XML}<Types xmlns="{_TYPES}">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_KIND}.worksheet+xml"/>'
        "</Types>"
    ),
    "_rels/.rels": (
        f'{_XML}<Relationships xmlns="{_LINKS}"><Relationship Id="rId1" '
        f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        '<sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'{_XML}<Relationships xmlns="{_LINKS}"><Relationship Id="rId1" '
        f'Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
    ),
}


def xlsx_chunks(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """Yield a workbook in memory that stays flat: every cell is text, none runs.

    It is gathered in files without a name, which go with the process. Raises ``ValueError`` for
    a cell or a row that no sheet holds.
    """
    with tempfile.TemporaryFile() as sheet, tempfile.TemporaryFile() as package:
        for piece in _sheet(heading, rows):
            sheet.write(piece)
        _pack(sheet, package)
        package.seek(0)
        while chunk := package.read(_PIECE):
            yield chunk


def _pack(sheet: BinaryIO, package: BinaryIO) -> None:
    with zipfile.ZipFile(package, "w", zipfile.ZIP_STORED) as out:
        for name, content in _AROUND.items():
            out.writestr(_entry(name), content)
        entry = _entry("xl/worksheets/sheet1.xml")
        entry.file_size = sheet.tell()
        sheet.seek(0)
        with out.open(entry, "w") as part:
            while chunk := sheet.read(_PIECE):
                part.write(chunk)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EVERY_DAY)
    # As on every system, not as on the one it is made on.
    entry.create_system = 0
    entry.external_attr = 0o600 << 16
    return entry


def _sheet(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    gathered = [f'{_XML}<worksheet xmlns="{_MAIN}"><sheetData>']
    size = 0
    for number, row in enumerate(_all(heading, rows), 1):
        text = _row(number, row)
        gathered.append(text)
        size += len(text)
        if size > _PIECE:
            yield "".join(gathered).encode()
            gathered, size = [], 0
    gathered.append("</sheetData></worksheet>")
    yield "".join(gathered).encode()


def _all(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    yield heading
    yield from rows


def _row(number: int, row: Sequence[str]) -> str:
    cells = []
    for column, text in enumerate(row, 1):
        if not text:
            continue
        if number > _MOST_ROWS or column > _MOST_COLUMNS or _length(text) > _MOST_TEXT:
            raise ValueError(f"no sheet holds row {number}, column {column}")
        # Blanks around a text are taken for none without the attribute.
        kept = "" if text == text.strip() else ' xml:space="preserve"'
        where = f"{_letters(column)}{number}"
        cells.append(f'<c r="{where}" t="inlineStr"><is><t{kept}>{_text(text)}</t></is></c>')
    return f'<row r="{number}">{"".join(cells)}</row>'


def _text(text: str) -> str:
    if _UNHEARD.search(text):
        text = _UNHEARD.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    return escape(text)


def _length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _letters(column: int) -> str:
    """Return what a column is called.

    >>> _letters(1), _letters(26), _letters(27), _letters(703)
    ('A', 'Z', 'AA', 'AAA')
    """
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
