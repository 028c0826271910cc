"""Read the product export of another shop: which kind it is, and its products.

Tolerant of encoding (UTF-8, UTF-16, Windows-1252), delimiter (comma, semicolon, tab, bar) and
the order of columns; strict about everything else. Source: docs/decisions/0034-product-files.md.
"""

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from storefront.domain import shopify_products, woocommerce_products
from storefront.domain.errors import DomainError
from storefront.domain.product_rows import ProductData, Row, RowIssue, with_skus

MOST_BYTES = 20 * (1 << 20)
MOST_ROWS = 50_000
_DELIMITERS = ",;\t|"


class FileKind(StrEnum):
    """Whose export it is."""

    SHOPIFY = "shopify"
    WOOCOMMERCE = "woocommerce"


class FileRefused(DomainError):
    """The file as a whole cannot be read; ``params`` hold what the message needs."""

    code = "file_refused"


class FileTooBig(FileRefused):
    """More than ``limit`` bytes (``size``)."""

    code = "file_too_big"


class TooManyRows(FileRefused):
    """More than ``limit`` rows."""

    code = "too_many_rows"


class FileEmpty(FileRefused):
    """No product rows."""

    code = "file_empty"


class NotText(FileRefused):
    """No text file, such as a spreadsheet's own format."""

    code = "not_text"


class UnknownHeading(FileRefused):
    """The first row is not the heading of a known export; ``found`` is what it holds."""

    code = "unknown_heading"


class BrokenTable(FileRefused):
    """The table breaks off in ``row``: an open quote, or a cell that never ends."""

    code = "broken_table"


_Reader = Callable[[Iterable[Row], str], tuple[list[ProductData], list[RowIssue]]]
#: Kind, headings by our names, columns it needs, reader.
_KINDS: tuple[tuple[FileKind, Mapping[str, tuple[str, ...]], Sequence[str], _Reader], ...] = (
    (
        FileKind.SHOPIFY,
        shopify_products.HEADINGS,
        shopify_products.NEEDED,
        shopify_products.read,
    ),
    (
        FileKind.WOOCOMMERCE,
        woocommerce_products.HEADINGS,
        woocommerce_products.NEEDED,
        woocommerce_products.read,
    ),
)


@dataclass(frozen=True, slots=True)
class ProductFile:
    """What a file holds: the products that are in order, and what is wrong with the others."""

    kind: FileKind
    encoding: str
    row_count: int
    products: tuple[ProductData, ...]
    issues: tuple[RowIssue, ...] = field(default=())


def read_products(data: bytes, currency: str) -> ProductFile:
    """Return the products in ``data``, amounts in minor units of ``currency``.

    Raises a ``FileRefused``; a single bad row is an issue instead and leaves out its product.
    """
    if len(data) > MOST_BYTES:
        raise FileTooBig(size=len(data), limit=MOST_BYTES)
    text, encoding = decode(data)
    table = read_table(text)
    heading = next(table, (0, []))[1]
    kind, names, reader = _detect(heading)
    counted: list[int] = []
    products, issues = reader(_rows(table, heading, names, counted), currency)
    if not counted:
        raise FileEmpty
    kept, clashes = with_skus(products)
    issues = sorted([*issues, *clashes], key=lambda issue: issue.row)
    return ProductFile(kind, encoding, len(counted), tuple(kept), tuple(issues))


def decode(data: bytes) -> tuple[str, str]:
    """Return the text of ``data`` and its encoding. Raises ``NotText`` and ``FileEmpty``."""
    if not data.strip():
        raise FileEmpty
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        candidates = ["utf-16"]
    else:
        candidates = ["utf-8-sig", "cp1252"]
    for encoding in candidates:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text, encoding
    raise NotText


def read_table(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (row as a spreadsheet counts, cells), the heading first."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    number = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BrokenTable(row=number + 1) from error
        number += 1
        yield number, cells


def _delimiter(text: str) -> str:
    """Return the sign that separates most headings; quoted headings are not looked into."""
    line = text.lstrip().split("\n", 1)[0]
    outside = "".join(line.split('"')[::2])
    return max(_DELIMITERS, key=outside.count)


def _detect(heading: Sequence[str]) -> tuple[FileKind, dict[str, int], _Reader]:
    """Return the kind of file and the place of each column we know."""
    places = {" ".join(name.lower().split()): at for at, name in reversed([*enumerate(heading)])}
    for kind, known, needed, reader in _KINDS:
        found = {
            ours: places[name] for ours, names in known.items() for name in names if name in places
        }
        if all(ours in found for ours in needed):
            return kind, found, reader
    shown = [name.strip() for name in heading if name.strip()]
    raise UnknownHeading(found=[name[:40] for name in shown[:6]])


def _rows(
    table: Iterator[tuple[int, list[str]]],
    heading: Sequence[str],
    places: Mapping[str, int],
    counted: list[int],
) -> Iterator[Row]:
    headings = {ours: heading[at].strip() for ours, at in places.items()}
    for number, cells in table:
        if not any(cell.strip() for cell in cells):
            continue
        counted.append(number)
        if len(counted) > MOST_ROWS:
            raise TooManyRows(limit=MOST_ROWS)
        row = Row(
            number,
            {ours: cells[at] if at < len(cells) else "" for ours, at in places.items()},
            headings,
        )
        if len(cells) > len(heading) and any(cell.strip() for cell in cells[len(heading) :]):
            row.complain(next(iter(places)), "too_many_cells", str(len(cells)))
        yield row
