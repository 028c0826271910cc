"""Formats of shipping tools: what they hold, what does not fit, and that nothing is cut."""

import csv
import html
import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storefront.adapters.tables import box_chunks, csv_chunks, json_chunks
from storefront.adapters.workbooks import xlsx_chunks
from storefront.domain.carriers.fields import (
    BOX_FIELDS,
    FIELDS,
    BoxFacts,
    phone_digits,
    street_parts,
)
from storefront.domain.carriers.layout import Column, Layout, layout_of
from storefront.domain.carriers.presets import PRESETS
from storefront.domain.carriers.rows import cells, findings, has_limits, objects

BOX = BoxFacts(
    batch="bat_1",
    box="box_1",
    cycle="2027-03",
    kind="regular",
    quantity=1,
    ship_to={
        "name": "Ada Löw",
        "street": "Lindenweg 4a",
        "postcode": "07743",
        "city": "Jena",
        "region": "TH",
        "country": "DE",
        "phone": "+49 (3641) 12-34",
    },
    packing={
        "plan": "Pot",
        "email": "ada@example.org",
        "contents": [["ASSAM", 2], ["KUKICHA", 1]],
        "weight_grams": 1250,
    },
    locked_on=date(2027, 3, 15),
)


def box_with(**parts):
    return replace(BOX, ship_to={**BOX.ship_to, **parts})


def codes(code, box):
    return [(each.column, each.code) for each in findings(PRESETS[code].layout, box)]


def written(layout, box):
    data = b"".join(
        csv_chunks(
            [column.heading for column in layout.columns],
            cells(layout, box),
            delimiter=layout.delimiter,
            encoding=layout.encoding,
        )
    )
    text = io.StringIO(data.decode(layout.encoding), newline="")
    return list(csv.DictReader(text, delimiter=layout.delimiter))


@pytest.mark.parametrize("code", PRESETS)
def test_every_preset_names_fields_that_exist_and_columns_once(code):
    layout = PRESETS[code].layout

    assert {column.source for column in layout.columns} <= {"", *FIELDS}
    headings = [column.heading for column in layout.columns]
    assert len(headings) == len(set(headings))
    assert set(PRESETS[code].typed) <= set(headings)
    assert layout.code == code
    assert len(code) <= 24


@pytest.mark.parametrize("code", [code for code, each in PRESETS.items() if each.is_ready])
def test_an_ordinary_box_fits_every_ready_preset(code):
    assert codes(code, BOX) == []


@pytest.mark.parametrize("code", PRESETS)
def test_a_layout_survives_being_kept_in_a_batch(code):
    layout = PRESETS[code].layout

    assert layout_of(json.loads(json.dumps(layout.as_data()))) == layout


def test_click_and_drop_gets_three_letters_kilograms_and_digits():
    (row,) = written(PRESETS["royal_mail"].layout, BOX)

    assert row["Country"] == "DEU"
    assert row["Weight"] == "1.250"
    assert row["Phone"] == "004936411234"
    assert row["Date"] == "15/03/27"


def test_tools_get_weights_and_values_of_what_is_declared():
    line = {"sku": "ASSAM", "pieces": 2, "grams": 500, "hs_code": "090240", "origin": "IN",
            "text": "tea", "value_minor": 890, "currency": "GBP"}  # fmt: skip
    packing = {**BOX.packing, "grams": [500, 250], "customs": [line]}

    first, second = written(PRESETS["shipstation"].layout, replace(BOX, packing=packing))
    (mail,) = written(PRESETS["royal_mail"].layout, replace(BOX, packing=packing))

    assert (first["Unit Weight"], first["HS Tariff"]) == ("17.64", "090240")
    assert (second["Unit Weight"], second["HS Tariff"]) == ("8.82", "")
    assert [mail[name] for name in ("Sub-total", "Total", "Currency Code")] == [
        "17.80",
        "17.80",
        "GBP",
    ]
    (home,) = written(PRESETS["royal_mail"].layout, BOX)
    assert home["Total"] == home["Currency Code"] == ""


def test_dhl_gets_its_columns_in_order_in_windows_characters_with_the_number_apart():
    layout = PRESETS["dhl_de"].layout

    (row,) = written(layout, BOX)

    assert list(row)[7:14] == [
        "RECV_NAME1",
        "RECV_NAME2",
        "RECV_STREET",
        "RECV_HOUSENUMBER",
        "RECV_PLZ",
        "RECV_CITY",
        "RECV_COUNTRY",
    ]
    assert (row["RECV_STREET"], row["RECV_HOUSENUMBER"]) == ("Lindenweg", "4a")
    assert (row["RECV_NAME1"], row["RECV_COUNTRY"]) == ("Ada Löw", "DEU")


@pytest.mark.parametrize("code", ["shipstation", "shippo", "shipwire"])
def test_a_format_with_a_row_for_each_product_repeats_the_address(code):
    rows = cells(PRESETS[code].layout, BOX)

    assert len(rows) == 2
    assert [row.count("Lindenweg 4a") for row in rows] == [1, 1]
    assert [("ASSAM" in row, "2" in row) for row in rows] == [(True, True), (False, False)]


def test_a_row_of_a_product_names_it_and_a_gift_brings_its_words_in_one_line():
    gift = {"from": "Ben", "message": "Happy birthday!\nYours, Ben"}
    named = {**BOX.packing, "names": ["Assam 50 g", "Kukicha"], "gift": gift}
    rows = written(PRESETS["shipstation"].layout, replace(BOX, packing=named))

    assert [(row["SKU"], row["Name"]) for row in rows] == [
        ("ASSAM", "Assam 50 g"),
        ("KUKICHA", "Kukicha"),
    ]
    assert {row["Gift Message"] for row in rows} == {"Happy birthday! Yours, Ben"}
    box = replace(BOX, packing=named)
    assert BOX_FIELDS["contents_named"](box) == "2 x Assam 50 g; 1 x Kukicha"
    assert BOX_FIELDS["gift_from"](box) == "Ben"


def test_a_long_name_of_a_plan_holds_no_box_back_at_pirate_ship():
    plan = "Single estate teas of the month, large"
    assert codes("pirate_ship", replace(BOX, packing={**BOX.packing, "plan": plan})) == []


@pytest.mark.parametrize(
    ("code", "parts", "expected"),
    [
        ("royal_mail", {"name": "Ада"}, ("Full name", "roman")),
        ("royal_mail", {"phone": "12 ext. 3"}, ("Phone", "digits")),
        ("royal_mail", {"street": "x" * 101}, ("Address Line 1", "too_long")),
        ("royal_mail", {"postcode": ""}, ("Postcode", "missing")),
        ("royal_mail", {"company": "=1+1"}, ("Company Name", "formula")),
        ("dhl_de", {"city": "ירושלים"}, ("RECV_CITY", "charset")),
        ("dhl_de", {"street": "Postfach"}, ("RECV_HOUSENUMBER", "missing")),
        ("dpd_be", {"street": "x" * 36}, ("recipient_street", "too_long")),
        ("shipwire", {"phone": ""}, ("[ship_to_phone]", "missing")),
        ("shippo", {"company": "Tea\nand Sons"}, ("Company", "line_break")),
    ],
)
def test_what_does_not_fit_is_told_with_its_column(code, parts, expected):
    assert codes(code, box_with(**parts)) == [expected]


def test_a_finding_names_the_signs_that_the_file_cannot_hold():
    (found,) = findings(PRESETS["dhl_de"].layout, box_with(city="Jena™ ロ"))

    assert (found.signs, found.source, found.value) == ("ロ", "city", "Jena™ ロ")


def test_the_generic_format_takes_every_box_so_none_is_looked_at():
    nasty = box_with(name="=1", street="", city="ロ\n", phone="@")

    assert codes("generic_csv", nasty) == codes("generic_json", nasty) == []
    assert [code for code in PRESETS if not has_limits(PRESETS[code].layout)] == [
        "generic_csv",
        "generic_json",
        "generic_xlsx",
    ]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=120)


@given(st.sampled_from(sorted(PRESETS)), TEXT, TEXT, TEXT)
@example("dhl_de", "Ada; Löw", '"quoted"', "Weg 4")
@example("dpd_be", "=1", "x" * 36, "-")
def test_a_box_is_told_or_written_whole(code, name, city, street):
    """Either something is said about it, or every cell comes back as it was put in."""
    layout = PRESETS[code].layout
    box = box_with(name=name, city=city, street=street)
    if layout.kind != "csv" or findings(layout, box):
        return

    rows = written(layout, box)

    texts = [
        [BOX_FIELDS[one.source](box) for one in layout.columns if one.source in BOX_FIELDS]
        for _row in rows
    ]
    plain = [
        [row[one.heading] for one in layout.columns if one.source in BOX_FIELDS] for row in rows
    ]
    if layout.is_guarded:
        plain = [
            [cell[1:] if cell != text else cell for cell, text in zip(row, own, strict=True)]
            for row, own in zip(plain, texts, strict=True)
        ]
    assert plain == texts


@given(TEXT)
def test_json_gives_back_what_was_put_in(name):
    layout = PRESETS["generic_json"].layout

    data = b"".join(json_chunks({"batch": "bat_1"}, objects(layout, box_with(name=name))))

    read = json.loads(data)
    assert (read["batch"], read["rows"][0]["name"]) == ("bat_1", name)


def sheet_of(data):
    """Return the texts of a workbook's sheet in their order, and whether any cell is a formula."""
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    texts = re.findall(r"<t[^>]*>(.*?)</t>", sheet, re.DOTALL)
    return [html.unescape(text) for text in texts], "<f>" in sheet


def test_a_workbook_holds_texts_and_runs_nothing():
    box = box_with(name="=1+1", company="@SUM(A1)", street="+49", city="Jéna ロ")

    data = b"".join(box_chunks(PRESETS["generic_xlsx"].layout, {}, [box]))

    texts, has_formula = sheet_of(data)
    assert {"=1+1", "@SUM(A1)", "+49", "Jéna ロ", "ASSAM x 2; KUKICHA x 1"} <= set(texts)
    assert not has_formula


def test_equal_boxes_make_equal_workbooks():
    layout = PRESETS["generic_xlsx"].layout

    made = [b"".join(box_chunks(layout, {}, [BOX, BOX])) for _ in range(2)]

    assert made[0] == made[1]


def test_a_text_no_sheet_holds_is_refused_and_not_cut():
    with pytest.raises(ValueError, match="row 2, column 1"):
        list(xlsx_chunks(["A"], [["x" * 40_000]]))


def test_json_of_no_rows_is_json():
    assert json.loads(b"".join(json_chunks({}, []))) == {"rows": []}


@pytest.mark.parametrize(
    ("street", "parts"),
    [
        ("Lindenweg 4", ("Lindenweg", "4")),
        ("Straße des 17. Juni 135", ("Straße des 17. Juni", "135")),
        ("Am Markt 3-5", ("Am Markt", "3-5")),
        ("Weg 7 b", ("Weg", "7 b")),
        ("12 bis rue Haute", ("rue Haute", "12 bis")),
        ("221B Baker Street", ("Baker Street", "221B")),
        ("Packstation 123", ("Packstation", "123")),
        ("Schloss", ("Schloss", "")),
        ("", ("", "")),
    ],
)
def test_the_house_number_is_told_apart_where_it_can_be(street, parts):
    assert street_parts(street) == parts


def test_a_phone_number_keeps_what_is_no_digit():
    assert phone_digits("0151/23 45") == "01512345"
    assert phone_digits("call me") == "callme"


def test_a_typed_text_stands_in_every_row():
    layout = Layout("own", "Own", (Column("PRODUCT", text="PAK02.DEU"), Column("Name", "name")))

    assert cells(layout, BOX) == [["PAK02.DEU", "Ada Löw"]]


def test_a_mark_for_people_goes_before_the_file_once_and_only_where_it_was_asked_for():
    plain = Layout("own", "Own", (Column("Name", "name"),))
    marked = replace(plain, is_marked=True)

    data = b"".join(box_chunks(marked, {}, [BOX] * 20_000))

    assert data == b"\xef\xbb\xbf" + b"".join(box_chunks(plain, {}, [BOX] * 20_000))
    assert data.count(b"\xef\xbb\xbf") == 1
    assert layout_of(marked.as_data()) == marked
    # Batches from before have layouts without it, and stay byte for byte.
    assert "is_marked" not in plain.as_data()
    assert not any(each.layout.is_marked for each in PRESETS.values())
    windows = replace(marked, encoding="cp1252")
    assert b"".join(box_chunks(windows, {}, [BOX])).startswith(b"Name")
