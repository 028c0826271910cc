"""Reading a file of running subscribers: nothing is guessed, every bad cell is named."""

from datetime import date

import pytest

from storefront.domain.periods import Interval
from storefront.domain.product_files import FileEmpty
from storefront.domain.subscriber_rows import (
    COLUMNS,
    Finding,
    Level,
    MissingColumns,
    read_subscribers,
    turn_after,
)

TODAY = date(2027, 3, 2)
ROW = {
    "source": "woo",
    "id": "1001",
    "email": "Ada@Example.org",
    "name": "Ada Lovelace",
    "street": "Lindenweg 4",
    "postcode": "07743",
    "city": "Jena",
    "country": "de",
    "plan": "pot",
    "interval": "1 month",
    "next_charge_on": "2027-04-12",
    "gateway": "demo",
    "gateway_method": "demo_4242_abc",
}


def file_of(*rows, columns=None):
    names = columns or list(dict.fromkeys([*ROW, *[name for row in rows for name in row]]))
    lines = [";".join(names)]
    lines += [";".join(f'"{({**ROW, **row}).get(name, "")}"' for name in names) for row in rows]
    return "\n".join(lines).encode()


def read(*rows):
    return read_subscribers(file_of(*rows), "EUR", TODAY, ("en", "de", "fr"))


def test_a_row_is_read_as_it_stands():
    more = {
        "amount": "26,00",
        "quantity": "2",
        "options": "size=large; taste=dark",
        "started_on": "2025-01-31",
        "locale": "DE",
        "billed_elsewhere": "yes",
    }

    file = read(more)

    assert file.findings == ()
    (row,) = file.rows
    assert (row.row, row.source, row.ref, row.email) == (2, "woo", "1001", "ada@example.org")
    assert (row.interval, row.amount_minor, row.quantity) == (Interval("month"), 2600, 2)
    assert row.options == {"size": "large", "taste": "dark"}
    assert (row.next_charge_on, row.started_on) == (date(2027, 4, 12), date(2025, 1, 31))
    assert (row.address["country"], row.locale, row.is_billed_elsewhere) == ("DE", "de", True)


@pytest.mark.parametrize(
    ("cells", "column", "code", "right"),
    [
        ({"email": "ada"}, "email", "not_an_email", ""),
        ({"plan": ""}, "plan", "missing", ""),
        ({"next_charge_on": "12.04.2027"}, "next_charge_on", "not_a_day", ""),
        ({"next_charge_on": "2027-02-30"}, "next_charge_on", "not_a_day", ""),
        ({"next_charge_on": "2027-01-31"}, "next_charge_on", "has_come", "2027-03-31"),
        ({"next_charge_on": "2027-03-02"}, "next_charge_on", "has_come", "2027-04-02"),
        ({"next_charge_on": "9999-12-31"}, "next_charge_on", "too_far", "2030-03-04"),
        ({"interval": "monthly"}, "interval", "not_an_interval", ""),
        ({"interval": "0 month"}, "interval", "not_an_interval", ""),
        ({"amount": "1.234"}, "amount", "too_fine", ""),
        ({"currency": "XYZ"}, "currency", "not_a_currency", "EUR"),
        ({"quantity": "0"}, "quantity", "not_a_quantity", "1 – 1000"),
        ({"options": "large"}, "options", "not_options", ""),
        ({"started_on": "2027-03-03"}, "started_on", "in_future", "2027-03-02"),
        ({"status": "cancelled"}, "status", "unknown_word", "active, paused"),
        ({"status": "paused"}, "paused_until", "missing", ""),
        ({"paused_until": "2027-05-01"}, "paused_until", "not_paused", ""),
        ({"status": "paused", "paused_until": "2027-03-01"}, "paused_until", "pause_over", ""),
        ({"locale": "it"}, "locale", "unknown_word", "en, de, fr"),
        ({"last4": "42"}, "last4", "not_last4", ""),
        ({"billed_elsewhere": "maybe"}, "billed_elsewhere", "unknown_word", "yes, no"),
    ],
)
def test_a_cell_that_cannot_be_read_leaves_its_row_out_and_says_what_would_be_right(
    cells, column, code, right
):
    file = read({"id": "1"}, {"id": "2", **cells})

    assert [row.ref for row in file.rows] == ["1"]
    (finding,) = file.findings
    assert (finding.row, finding.column, finding.code, finding.right) == (3, column, code, right)
    assert finding.level is Level.ERROR


def test_a_pause_that_ends_after_the_next_charge_is_named():
    paused = {"status": "paused", "paused_until": "2027-05-01"}

    assert read(paused).findings[0].code == "before_pause_ends"
    assert read({**paused, "next_charge_on": "2027-05-01"}).findings == ()


def test_a_card_number_is_refused_and_shown_with_its_last_digits_only():
    (finding,) = read({"gateway_method": "4242424242424242"}).findings

    assert finding.code == "card_number"
    assert "42424242" not in finding.value


def test_an_id_is_taken_once_and_a_card_by_one_customer_only():
    file = read(
        {"id": "1"},
        {"id": "1", "email": "b@example.org", "gateway_method": "other"},
        {"id": "2", "email": "c@example.org"},
        {"id": "3", "quantity": "2"},
    )

    assert [row.ref for row in file.rows] == ["1", "3"]
    assert file.findings == (
        Finding(3, "id", "id_twice", "1", "2"),
        Finding(4, "gateway_method", "others_card", "demo_4242_abc"),
    )


def test_a_heading_without_the_needed_columns_is_refused_by_name():
    with pytest.raises(MissingColumns) as refused:
        read_subscribers(b"id,email\n1,a@b.c\n", "EUR", TODAY, ("en",))

    assert refused.value.params["missing"] == [
        name for name, needed in COLUMNS.items() if needed and name not in ("id", "email")
    ]


def test_headings_may_have_capitals_spaces_and_another_order():
    names = list(reversed(ROW))
    data = file_of({}, columns=names)
    heading, rest = data.split(b"\n", 1)

    spelled = heading.replace(b"_", b" ").title()
    file = read_subscribers(spelled + b"\n" + rest, "EUR", TODAY, ("en",))

    assert (len(file.rows), file.findings) == (1, ())


def test_a_row_with_a_cell_too_many_is_left_out_whole():
    data = file_of({}) + b"\n" + file_of({}).split(b"\n")[1] + b';"x"'

    file = read_subscribers(data, "EUR", TODAY, ("en",))

    assert [one.code for one in file.findings] == ["too_many_cells"]
    assert len(file.rows) == 1


def test_a_file_without_rows_is_refused():
    with pytest.raises(FileEmpty):
        read_subscribers(file_of(), "EUR", TODAY, ("en",))


@pytest.mark.parametrize("year", [1, 1999, 2026])
def test_the_next_turn_of_a_past_day_is_after_today(year):
    turn = turn_after(date(year, 1, 31), Interval("month"), TODAY)

    assert turn == date(2027, 3, 31)
