"""The columns of the generic export of boxes, and cells that run nothing.

What stands in them is in ``domain.carriers``. Source: docs/decisions/0033-export-of-boxes.md.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

FORMAT = "generic_csv"

#: Those that files had at first. Batches from then keep no format and are made again with these.
FIRST_COLUMNS = (
    "batch",
    "box",
    "cycle",
    "plan",
    "quantity",
    "contents",
    "name",
    "company",
    "street",
    "extra",
    "postcode",
    "city",
    "region",
    "country",
    "phone",
    "email",
    "weight_grams",
    "note",
)
#: More comes at the end alone, so that programs which count columns go on working.
COLUMNS = (
    *FIRST_COLUMNS,
    "gift_from",
    "gift_message",
    "answers",
    "price",
    "price_currency",
    "customs",
    "customs_total",
    "parcel",
)

#: A spreadsheet takes such a cell for a formula; those already quoted are quoted once more, so
#: that ``plain_cell`` always gives back what was there. The wide forms are what East Asian
#: keyboards type and some spreadsheets understand.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_HARMLESS = re.compile(r"[+-]?[0-9 ()/.-]*")


def safe_cell(text: str) -> str:
    """Return ``text`` so that no spreadsheet runs it: quoted in front where it could be.

    >>> safe_cell("=HYPERLINK(A1)"), safe_cell("Ada"), safe_cell("-"), safe_cell("'=")
    ("'=HYPERLINK(A1)", 'Ada', "'-", "''=")
    """
    return f"'{text}" if _FORMULA.match(text) else text


def is_formula(text: str) -> bool:
    """Return whether a spreadsheet would run ``text``; a single sign and a number are harmless.

    >>> is_formula("=A1"), is_formula("-"), is_formula("+49 151 23")
    (True, False, False)
    """
    return bool(_FORMULA.match(text)) and not _HARMLESS.fullmatch(text)


def plain_cell(cell: str) -> str:
    """Return what ``safe_cell`` was given.

    >>> plain_cell("'=HYPERLINK(A1)"), plain_cell("'tis"), plain_cell("''=")
    ('=HYPERLINK(A1)', "'tis", "'=")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def contents_text(contents: Sequence[Sequence[Any]]) -> str:
    """Return the contents as one cell.

    >>> contents_text([["ASSAM-50", 2], ["KUKICHA", 1]])
    'ASSAM-50 x 2; KUKICHA x 1'
    """
    return "; ".join(f"{sku} x {pieces}" for sku, pieces in contents)


def file_name(group: str, cycle: str, number: int, kind: str = "csv") -> str:
    """Return where the file of a cycle's batch stands below the folder of files.

    >>> file_name("monthly", "2027-03", 1)
    'exports/monthly-2027-03-batch-1.csv'
    """
    return f"exports/{_plain(group)}-{_plain(cycle)}-batch-{number}.{kind}"


def plain_name(name: str) -> str:
    """Return the name of a format as a part of a file's name: plain letters, digits and hyphens.

    >>> plain_name("Fulfilment Süd (neu)"), plain_name("倉庫")
    ('fulfilment-sud-neu', 'own')
    """
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", letters.lower()).strip("-") or "own"


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", text).strip("-") or "x"
