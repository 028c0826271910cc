"""Formats of our own: everything an export knows, for people and for programs.

Source: docs/decisions/0033-export-of-boxes.md and 0140-formats-are-data.md.
"""

from storefront.domain.carriers.layout import Column, Layout, Preset
from storefront.domain.exports import COLUMNS, FORMAT

_ALL = tuple(Column(name, name) for name in COLUMNS)

#: Opened in spreadsheets, so no cell may run.
GENERIC = Preset(
    Layout(FORMAT, "CSV", _ALL, is_guarded=True, per_box=True),
    source="",
    confidence="own",
)

#: Text stays text in JSON, so nothing is put in front of it.
GENERIC_JSON = Preset(
    Layout("generic_json", "JSON", _ALL, kind="json", per_box=True),
    source="",
    confidence="own",
)

#: A workbook for people. Its bytes depend on the release of the library that writes it, so no
#: batch is kept in it; every cell is text, so none needs an apostrophe.
GENERIC_XLSX = Preset(
    Layout("generic_xlsx", "Excel (XLSX)", _ALL, kind="xlsx", per_box=True),
    source="",
    confidence="own",
)
