"""Places of plans on the pages of merchant and shopper."""

import re

import pytest

from storefront.services.checkout import Step
from storefront.testing.factories import (
    make_group,
    make_plan,
    make_recipe,
    make_subscription,
    make_variant,
)
from tests.support.boxes import make_subscribed
from tests.support.desk import Desk
from tests.support.orders import begin, choose, order


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def desk(app, rt):
    return Desk(app, rt, "owner")


@pytest.fixture
def plan(rt):
    return make_plan(rt, group=make_group(rt), name="Pot", code="pot")


def set_places(desk, plan, **values):
    data = {f"{plan.public_id}-{name}": value for name, value in values.items()}
    return desk.post(f"/admin/places/{plan.public_id}", data, on="/admin/places")


def test_a_full_plan_is_sold_out_on_its_pages(desk, rt, plan, client):
    assert "Choose Pot" in client.get("/").text
    make_subscribed(rt, plan)
    assert set_places(desk, plan, places="1").status_code == 303

    for path in ("/", "/plans/pot"):
        page = client.get(path).text
        assert "Sold out for now" in page
        assert "Choose Pot" not in page
    assert "0" in desk.get("/admin/places").text.partition("Left to sell")[2][:60]


def test_the_last_place_that_an_order_holds_is_sold_out_at_once(desk, rt, plan, client):
    set_places(desk, plan, places="1")
    assert "Choose Pot" in client.get("/").text
    assert order(rt, begin(rt, plan)).step is Step.PAY

    assert "Sold out for now" in client.get("/").text


def test_who_orders_what_is_gone_is_told_so_and_not_charged(
    desk, rt, plan, clock, demo_gateway, client
):
    set_places(desk, plan, places="1")
    ada, ben = begin(rt, plan), begin(rt, plan, email="ben@example.org")
    placed = order(rt, ada)
    clock.advance(minutes=31)
    assert order(rt, ben).step is Step.PAY
    choose(demo_gateway, placed)
    page = client.get(f"/checkout/{ada}/finish").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    answer = client.post(f"/checkout/{ada}/finish", data={"csrf_token": token})

    assert answer.status_code == 303
    assert "Somebody else took the last one" in client.get(answer.location).text
    assert demo_gateway.bank.executed_count() == 0


def test_a_plan_without_stock_is_sold_out_only_when_it_sells_by_stock(desk, rt, plan, client):
    make_recipe(rt, plan, variants=[make_variant(rt, on_hand=0)])
    assert "Choose Pot" in client.get("/").text

    set_places(desk, plan, places="", sells_by_stock="y")
    assert "Sold out for now" in client.get("/").text
    set_places(desk, plan, places="")
    assert "Choose Pot" in client.get("/").text


@pytest.mark.parametrize("typed", ["0", "-1", "many", "1e9"])
def test_a_number_of_places_that_cannot_be_is_said_beside_the_field(desk, plan, typed):
    answer = set_places(desk, plan, places=typed)

    assert answer.status_code == 422
    assert "Enter a whole number from 1 to 1000000" in answer.text


def test_a_plan_that_is_not_there_is_not_found(desk, plan):
    assert desk.post("/admin/places/plan_none", on="/admin/places").status_code == 404


def test_the_product_says_where_its_pieces_stand(desk, rt, plan):
    tea = make_variant(rt, on_hand=10)
    make_recipe(rt, plan, variants=[tea])
    make_subscription(rt, plan=plan)
    make_subscribed(rt, plan)
    row = next(
        line
        for line in desk.get("/admin/products").text.split('"')
        if line.startswith("/admin/products/prod_")
    )
    page = desk.get(row).text

    for word, number in (
        ("For paid boxes", "1"),
        ("Reserved for running subscribers", "1"),
        ("Held by open orders", "0"),
        ("Free for new sales", "8"),
    ):
        assert f">{number}<" in page.partition(word)[2][:80], word
