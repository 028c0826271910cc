"""Formats of our own: everything an export knows, for people and for programs.

Source: docs/decisions/0033-export-of-boxes.md and 0140-formats-are-data.md.
"""

from storefront.domain.carriers.layout import Column, Layout, Preset
from storefront.domain.exports import COLUMNS, FIRST_COLUMNS, FORMAT

_ALL = tuple(Column(name, name) for name in COLUMNS)

#: Opened in spreadsheets, so no cell may run.
GENERIC = Preset(
    Layout(FORMAT, "CSV", _ALL, is_guarded=True, per_box=True),
    source="",
    confidence="own",
)

#: What batches were written in that keep no format: it never changes.
FIRST = Layout(
    FORMAT,
    "CSV",
    tuple(Column(name, name) for name in FIRST_COLUMNS),
    is_guarded=True,
    per_box=True,
)

#: Text stays text in JSON, so nothing is put in front of it.
GENERIC_JSON = Preset(
    Layout("generic_json", "JSON", _ALL, kind="json", per_box=True),
    source="",
    confidence="own",
)

#: A workbook for people; every cell is text, so none needs an apostrophe.
GENERIC_XLSX = Preset(
    Layout("generic_xlsx", "Excel (XLSX)", _ALL, kind="xlsx", per_box=True),
    source="",
    confidence="own",
)
