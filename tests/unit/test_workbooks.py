"""Workbooks: text comes back as it was, and the bytes are the same in every release."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.adapters.workbooks import xlsx_chunks

PINNED = "8236a33e4106029f85fcf4a6eca05e09d77057777129501341d5fa585e5ead55"
SHEET = "xl/worksheets/sheet1.xml"
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def made(heading: list[str], *rows: list[str]) -> bytes:
    return b"".join(xlsx_chunks(heading, rows))


def cells(data: bytes) -> dict[str, str]:
    """Return place -> text of the sheet, read as the standard says a spreadsheet reads it."""
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        assert book.testzip() is None
        sheet = ET.fromstring(book.read(SHEET))  # noqa: S314 - our own file
    found = {}
    for cell in sheet.iter(f"{MAIN}c"):
        assert cell.get("t") == "inlineStr"
        text = cell.findtext(f"{MAIN}is/{MAIN}t") or ""
        found[str(cell.get("r"))] = re.sub(
            "_x([0-9A-F]{4})_", lambda one: chr(int(one[1], 16)), text
        )
    return found


def test_every_part_is_named_in_the_package_and_is_xml() -> None:
    data = made(["Box"], ["box_1"])

    with zipfile.ZipFile(io.BytesIO(data)) as book:
        names = book.namelist()
        parts = {name: ET.fromstring(book.read(name)) for name in names}  # noqa: S314 - our own
        assert {each.compress_type for each in book.infolist()} == {zipfile.ZIP_STORED}
    named = {one.get("PartName") for one in parts["[Content_Types].xml"]} - {None}
    assert named == {"/xl/workbook.xml", f"/{SHEET}"}
    targets = [one.get("Target") for name in names if name.endswith(".rels") for one in parts[name]]
    assert targets == ["xl/workbook.xml", "worksheets/sheet1.xml"]


def test_cells_stand_where_they_belong_and_empty_ones_are_left_out() -> None:
    found = cells(made(["A"] * 28, ["", "=1+1", *[""] * 25, "0815"], [" Ada\n"]))

    assert found["AB1"] == "A"
    assert {place: text for place, text in found.items() if not place.endswith("1")} == {
        "B2": "=1+1",
        "AB2": "0815",
        "A3": " Ada\n",
    }


@given(TEXT)
def test_every_text_comes_back(text: str) -> None:
    assert cells(made([f"x{text}"])) == {"A1": f"x{text}"}


def test_the_bytes_are_the_same_in_every_release() -> None:
    """A batch is made again years later: this hash is never changed."""
    data = made(["Box", "Name"], ["box_1", "Zoë <Müller> & Söhne"], ["box_2", "_x000D_\x07 "])

    assert (
        hashlib.sha256(data).hexdigest()
        == "8236a33e4106029f85fcf4a6eca05e09d77057777129501341d5fa585e5ead55"
    )


def test_what_no_sheet_holds_is_refused_and_not_cut() -> None:
    assert cells(made(["x" * 32_767]))
    # Such a sign counts for two there.
    for text in ("x" * 32_768, "🍵" * 16_384):
        with pytest.raises(ValueError, match="row 2, column 1"):
            made(["A"], [text])
    with pytest.raises(ValueError, match="row 1, column 16385"):
        made(["A"] * 16_385)
