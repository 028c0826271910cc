"""Cells that run nothing and lose nothing, and the columns of the generic export."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storefront.adapters.tables import csv_chunks
from storefront.domain.carriers.fields import BoxFacts
from storefront.domain.carriers.generic import FIRST, GENERIC
from storefront.domain.carriers.rows import cells
from storefront.domain.exports import COLUMNS, FIRST_COLUMNS, file_name, plain_cell, safe_cell

LAYOUT = GENERIC.layout

DANGEROUS = "=+-@\t\r\n＝＋－＠"


@given(st.text())
@example("'=1")
@example("''=1")
@example("'tis")
def test_a_cell_gives_back_what_was_put_in(text):
    assert plain_cell(safe_cell(text)) == text


@given(st.text())
@example("=1+1")
def test_no_cell_starts_like_a_formula(text):
    assert not safe_cell(text).startswith(tuple(DANGEROUS))


@pytest.mark.parametrize("sign", DANGEROUS)
def test_each_dangerous_start_is_quoted(sign):
    assert safe_cell(f"{sign}1") == f"'{sign}1"


@pytest.mark.parametrize("text", ["", "Ada", "O'Neill", "1-2", "'tis", " =1", "Größe"])
def test_harmless_cells_stay_as_they_are(text):
    assert safe_cell(text) == text


def test_a_row_has_a_cell_for_each_column():
    (row,) = cells(
        LAYOUT,
        BoxFacts(
            batch="bat_1",
            box="box_1",
            cycle="2027-03",
            kind="replacement",
            quantity=2,
            ship_to={"name": "Ada", "phone": "+49 1", "company": None},
            packing={
                "plan": "Pot",
                "contents": [["A", 2], ["B", 1]],
                "email": "a@b.c",
                "weight_grams": 5,
            },
        ),
    )

    found = dict(zip(COLUMNS, row, strict=True))
    assert (found["name"], found["phone"], found["company"]) == ("Ada", "'+49 1", "")
    assert (found["contents"], found["weight_grams"]) == ("A x 2; B x 1", "5")
    assert (found["quantity"], found["note"]) == ("2", "replacement")


def test_a_file_name_has_nothing_but_plain_signs():
    assert file_name("../Böxe", "2027-03-01", 2) == "exports/B-xe-2027-03-01-batch-2.csv"


def test_what_was_added_stands_behind_what_files_always_had():
    assert COLUMNS[: len(FIRST_COLUMNS)] == FIRST_COLUMNS
    assert LAYOUT.headings == list(COLUMNS)


def test_all_that_is_known_of_a_box_is_in_its_row():
    line = {"sku": "A", "pieces": 2, "grams": 5, "hs_code": "090210", "origin": "CN"}
    line |= {"text": "green tea", "value_minor": 890, "currency": "EUR"}
    box = BoxFacts(
        batch="bat_1",
        box="box_2",
        cycle="2027-03",
        kind="regular",
        quantity=1,
        ship_to={"name": "Ada"},
        packing={
            "plan": "Pot",
            "contents": [["A", 2]],
            "email": "",
            "weight_grams": 10,
            "gift": {"from": "=Grace", "message": "Happy\nbirthday"},
            "answers": [["Milk", "no"], ["Cup", "large"]],
            "price": [2185, 415, "EUR"],
            "customs": [line],
        },
        parcel="box_1",
    )
    (row,) = cells(LAYOUT, box)
    found = dict(zip(COLUMNS, row, strict=True))
    assert {name: found[name] for name in COLUMNS[len(FIRST_COLUMNS) :]} == {
        "gift_from": "'=Grace",
        "gift_message": "Happy birthday",
        "answers": "Milk: no; Cup: large",
        "price": "26.00",
        "price_currency": "EUR",
        "customs": "2 x green tea, HS 090210, CN, 8.90 EUR",
        "customs_total": "17.80 EUR",
        "parcel": "box_1",
    }


GOLDEN = (
    b"batch,box,cycle,plan,quantity,contents,name,company,street,extra,postcode,city,region,"
    b"country,phone,email,weight_grams,note\r\n"
    b'bat_1,box_1,2027-03,Pot,1,A x 1; B x 2,"O\'Neill, ""Ada""",,Lindenweg 4,,07743,'
    b"J\xc3\xa9na,,DE,'+49 1,'=a@b.c,360,\r\n"
)


def test_the_file_is_these_bytes():
    """Other bytes than these would break the check of every batch that was ever exported."""
    box = BoxFacts(
        batch="bat_1",
        box="box_1",
        cycle="2027-03",
        kind="regular",
        quantity=1,
        ship_to={
            "name": 'O\'Neill, "Ada"',
            "street": "Lindenweg 4",
            "postcode": "07743",
            "city": "Jéna",
            "country": "DE",
            "phone": "+49 1",
        },
        packing={
            "plan": "Pot",
            "contents": [["A", 1], ["B", 2]],
            "email": "=a@b.c",
            "weight_grams": 360,
        },
    )

    assert b"".join(csv_chunks(FIRST.headings, cells(FIRST, box))) == GOLDEN
    (row,) = cells(LAYOUT, box)
    assert [row[: len(FIRST_COLUMNS)]] == cells(FIRST, box)
