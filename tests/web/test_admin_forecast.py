"""The page that says what the next boxes need, and its list for the spreadsheet."""

import csv
import io

import pytest

from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.boxes import cycles_of, make_box
from tests.support.desk import PARTIAL, Desk


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for pages; the query runs on both."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def desk(app, rt):
    return Desk(app, rt, "fulfilment")


@pytest.fixture
def short_tea(rt):
    """Three paid boxes of March with a tea of which two are there."""
    group = make_group(rt)
    plan = make_plan(rt, group=group)
    tea = make_variant(rt, name="=Assam", on_hand=2)
    make_recipe(rt, plan, variants=[tea])
    for _each in range(3):
        make_box(rt, plan, cycles_of(rt, group)[0])
    return tea


def test_the_page_says_how_many_to_buy_and_by_when(desk, short_tea):
    page = desk.get("/admin/forecast?cycles=1")

    assert page.status_code == 200
    assert "What to buy" in page.text
    assert "15" in page.text.partition('id="purchases"')[2], "the lock of March"
    row = page.text.partition("<tbody>")[2]
    assert "3" in row


def test_the_list_is_a_file_without_formulas(desk, short_tea):
    answer = desk.get("/admin/forecast/purchases.csv?cycles=1")
    head, row = csv.reader(io.StringIO(answer.text))

    assert answer.mimetype == "text/csv"
    assert head == ["sku", "product", "on_hand", "committed", "needed", "to_buy", "buy_by"]
    assert row[1].startswith("'=Assam")
    assert row[2:] == ["2", "0", "3", "1", "2027-03-15"]


def test_a_number_of_cycles_that_is_not_offered_is_three(desk, short_tea):
    page = desk.get("/admin/forecast?cycles=999999")

    assert page.status_code == 200
    assert 'aria-current="page"' in page.text
    assert page.text.count("/admin/cycles/") >= 3


def test_a_shop_without_cycles_says_so(desk):
    assert "Nothing is planned yet" in desk.get("/admin/forecast").text


def test_a_tab_answers_with_the_part_alone(desk, short_tea):
    part = desk.get("/admin/forecast?cycles=2", headers=PARTIAL)

    assert part.text.lstrip().startswith('<div id="forecast"')


def test_who_may_not_see_products_does_not_see_the_forecast(app, rt):
    assert Desk(app, rt, "support").get("/admin/forecast").status_code == 403
