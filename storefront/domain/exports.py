"""The generic export of boxes: its columns, what stands in them, and cells that run nothing.

A row is made of what was frozen at the lock and of nothing else, so that a file made again
later is the same byte for byte. Source: docs/decisions/0033-export-of-boxes.md.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

FORMAT = "generic_csv"

COLUMNS = (
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
_ADDRESS = COLUMNS[6:15]

#: A spreadsheet takes such a cell for a formula; those already quoted are quoted once more, so
#: that ``plain_cell`` always gives back what was there. The wide forms are what East Asian
#: keyboards type and some spreadsheets understand.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def safe_cell(text: str) -> str:
    """Return ``text`` so that no spreadsheet runs it: quoted in front where it could be.

    >>> safe_cell("=HYPERLINK(A1)"), safe_cell("Ada"), safe_cell("-"), safe_cell("'=")
    ("'=HYPERLINK(A1)", 'Ada', "'-", "''=")
    """
    return f"'{text}" if _FORMULA.match(text) else text


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


def box_row(
    *,
    batch: str,
    box: str,
    cycle: str,
    kind: str,
    quantity: int,
    ship_to: Mapping[str, Any],
    packing: Mapping[str, Any],
) -> list[str]:
    """Return the cells of one box in the order of ``COLUMNS``.

    ``ship_to`` and ``packing`` are as frozen at the lock; the note names a box that is not one
    of the regular ones.
    """
    values = {
        "batch": batch,
        "box": box,
        "cycle": cycle,
        "plan": packing["plan"],
        "quantity": quantity,
        "contents": contents_text(packing["contents"]),
        "email": packing["email"],
        "weight_grams": packing["weight_grams"],
        "note": "" if kind == "regular" else kind,
    } | {part: ship_to.get(part) or "" for part in _ADDRESS}
    return [safe_cell(str(values[column])) for column in COLUMNS]


def file_name(group: str, cycle: str, number: int) -> str:
    """Return where the file of a cycle's batch stands below the folder of files.

    >>> file_name("monthly", "2027-03", 1)
    'exports/monthly-2027-03-batch-1.csv'
    """
    return f"exports/{_plain(group)}-{_plain(cycle)}-batch-{number}.csv"


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", text).strip("-") or "x"
