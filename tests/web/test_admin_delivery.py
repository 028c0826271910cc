"""Staff make zones of delivery, try a box on them, and say what boxes weigh."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.money import Money
from storefront.domain.shipping import Area, shipping_cost
from storefront.models import (
    AuditEntry,
    ChoiceRule,
    RecipeItem,
    ShippingArea,
    ShippingBand,
    ShippingZone,
)
from storefront.operations.shipping import read_delivery
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.admin import Desk, desk

NEW = "/admin/delivery/zones/new"
HOME = {
    "name": "Home",
    "countries": ["DE", "AT"],
    "kind": "sent",
    "from_0": "0",
    "cost_0": "3.90",
    "from_1": "5000",
    "cost_1": "9.90",
    "from_2": "1000",
    "cost_2": "5.90",
    "free_from": "60",
}


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    return desk(app, rt)


def counted(rt: Runtime, model: type) -> int:
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(model))
    rt.session.rollback()
    return found or 0


def test_a_zone_is_made_tried_changed_and_removed(rt: Runtime, owner: Desk) -> None:
    assert "Delivery is included" in owner.get("/admin/delivery").text
    assert owner.post(NEW, HOME).status_code == 303
    page = owner.get("/admin/delivery").text
    for shown in ("Home", "Austria; Germany", "from 1,000 g: €5.90", "€60.00"):
        assert shown in page

    trial = owner.get("/admin/delivery?country=AT&postcode=8010&grams=1200&goods=26").text
    assert "€5.90, by the zone Home." in trial
    free = owner.get("/admin/delivery?country=AT&postcode=8010&grams=1200&goods=60").text
    assert "Nothing on top, by the zone Home." in free
    elsewhere = owner.get("/admin/delivery?country=FR&postcode=&grams=1200&goods=").text
    assert "delivery is inside the price" in elsewhere

    ref = read_delivery(rt.session).zones[0].ref
    rt.session.rollback()
    changed = HOME | {"cost_0": "4.50", "from_1": "", "cost_1": "", "postcodes": "FR 97, 98"}
    assert owner.post(f"/admin/delivery/zones/{ref}", changed).status_code == 303
    (zone,) = read_delivery(rt.session).zones
    assert set(zone.areas) == {Area("DE"), Area("AT"), Area("FR", "97"), Area("FR", "98")}
    assert [(one.from_grams, one.amount.minor) for one in zone.tariffs[0].bands] == [
        (0, 450),
        (1000, 590),
    ]
    rt.session.rollback()

    owner.post(f"/admin/delivery/zones/{ref}/remove", {})
    assert "Delivery is included" in owner.get("/admin/delivery").text
    assert counted(rt, ShippingZone) == counted(rt, ShippingArea) == counted(rt, ShippingBand) == 0
    actions = rt.session.scalars(sa.select(AuditEntry.action)).all()
    assert actions.count("shipping.saved") == 2
    assert actions.count("shipping.removed") == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"countries": []}, "Tick a country above or enter postcodes"),
        ({"countries": ["XX"]}, "Choose"),
        ({"cost_0": ""}, "Enter what one box costs"),
        ({"cost_0": "4,9,0"}, "Enter an amount like"),
        ({"cost_1": ""}, "Enter what a box of this weight costs"),
        ({"from_1": ""}, "Enter the weight from which this price holds"),
        ({"from_1": "1000"}, "Another price begins at 1000 g already"),
        ({"from_1": "0"}, "Enter a whole number from 1 to"),
        ({"postcodes": "18565"}, "Begin each line with the country"),
        ({"postcodes": "DE 18565 25846 27498"}, "Separate postcodes by commas"),
    ],
)
def test_a_wrong_zone_is_answered_beside_its_field(
    rt: Runtime, owner: Desk, fields: dict[str, object], message: str
) -> None:
    answer = owner.post(NEW, HOME | fields)
    assert answer.status_code == 422
    assert message in answer.text
    assert 'value="3.90"' in answer.text or "cost_0" in fields
    assert counted(rt, ShippingZone) == 0


def test_a_place_is_in_one_zone_only(rt: Runtime, owner: Desk) -> None:
    make.make_zone(rt, "DE, DE 18565")
    for fields in ({}, {"countries": [], "postcodes": "DE 185 65"}):
        answer = owner.post(NEW, HOME | fields)
        assert answer.status_code == 422
        assert "belongs to another zone" in answer.text
    assert counted(rt, ShippingZone) == 1


def test_a_blocked_zone_needs_no_price(rt: Runtime, owner: Desk) -> None:
    blocked = {"kind": "blocked", "countries": [], "postcodes": "DE 27498"}
    assert owner.post(NEW, blocked).status_code == 303
    assert "not sent there" in owner.get("/admin/delivery").text
    trial = owner.get("/admin/delivery?country=DE&postcode=27498&grams=1&goods=").text
    assert "Nothing is sent there." in trial


def test_other_currencies_of_a_zone_stay(rt: Runtime, owner: Desk) -> None:
    zone = make.make_zone(rt, "DE", currency="CHF")
    owner.post(f"/admin/delivery/zones/{zone.public_id}", HOME)
    zones = read_delivery(rt.session).zones
    assert shipping_cost(zones, "DE", "", 0, Money(1, "CHF")) == Money(490, "CHF")
    assert shipping_cost(zones, "DE", "", 0, Money(1, "EUR")) == Money(390, "EUR")
    rt.session.rollback()


def test_a_recipe_to_choose_from_weighs_what_lies_in_one_box(rt: Runtime, owner: Desk) -> None:
    plan = make.make_plan(rt, code="pot")
    make.make_zone(rt, "*", {0: 390, 1000: 590})
    always = make.make_variant(rt, weight_grams=100)
    teas = [make.make_variant(rt, weight_grams=grams) for grams in (50, 60, 70, 80)]
    recipe = make.make_recipe(rt, plan, variants=[always, *teas])
    ids = [tea.id for tea in teas]
    rt.session.execute(
        sa.update(RecipeItem).where(RecipeItem.variant_id.in_(ids)).values(is_choice=True)
    )
    rt.session.add(ChoiceRule(recipe_id=recipe.id, pieces=2, limits=[]))
    rt.session.commit()

    assert "Its standing recipe weighs 210 g." in owner.get("/admin/delivery/weights").text


def test_an_unknown_zone_is_not_found(owner: Desk) -> None:
    assert owner.get("/admin/delivery/zones/zon_none").status_code == 404
    assert owner.post("/admin/delivery/zones/zon_none", HOME).status_code == 404
    assert owner.post("/admin/delivery/zones/zon_none/remove", {}).status_code == 404


def test_weights_are_kept_by_plan_and_option(rt: Runtime, owner: Desk) -> None:
    plan = make.make_plan(rt, code="pot")
    make.make_options(rt, plan)
    make.make_zone(rt, "*", {0: 390, 1000: 590})
    make.make_recipe(rt, plan, variants=[make.make_variant(rt, weight_grams=900)])
    page = owner.get("/admin/delivery/weights").text
    assert "Its standing recipe weighs 900 g." in page

    wrong = owner.post("/admin/delivery/weights", {"grams-pot": "heavy"})
    assert wrong.status_code == 422
    assert "Enter a whole number" in wrong.text

    assert owner.post("/admin/delivery/weights", {"grams-pot": "950"}).status_code == 303
    assert read_delivery(rt.session).grams("pot", ["size=large"]) == 950
    rt.session.rollback()
    owner.post("/admin/delivery/weights", {"grams-pot": ""})
    assert read_delivery(rt.session).grams("pot") == 0


def test_blocking_where_subscribers_live_names_how_many_and_asks(rt: Runtime, owner: Desk) -> None:
    make.make_subscription(rt)
    blocked = {"kind": "blocked", "countries": ["DE"], "name": "No parcels"}
    asked = owner.post(NEW, blocked)
    assert asked.status_code == 422
    assert "1 running subscription goes to a place" in asked.text
    assert "Save all the same" in asked.text
    assert counted(rt, ShippingZone) == 0

    assert owner.post(NEW, blocked | {"cut_off": "1"}).status_code == 303
    (zone,) = read_delivery(rt.session).zones
    rt.session.rollback()
    assert owner.post(f"/admin/delivery/zones/{zone.ref}", blocked).status_code == 303


def test_removing_a_zone_that_serves_subscribers_names_how_many_and_asks(
    rt: Runtime, owner: Desk
) -> None:
    make.make_subscription(rt)
    make.make_zone(rt, "*", None)
    zone = make.make_zone(rt, "DE", {0: 390})
    url = f"/admin/delivery/zones/{zone.public_id}/remove"
    asked = owner.post(url, {})
    assert asked.status_code == 422
    assert "1 running subscription goes to a place" in asked.text
    assert 'name="cut_off" value="1"' in asked.text
    assert counted(rt, ShippingZone) == 2
    assert owner.post(url, {"cut_off": "1"}).status_code == 303
    assert counted(rt, ShippingZone) == 1


def test_removing_a_zone_that_cuts_nobody_off_asks_nothing(rt: Runtime, owner: Desk) -> None:
    make.make_subscription(rt)
    zone = make.make_zone(rt, "DE", {0: 390})
    assert owner.post(f"/admin/delivery/zones/{zone.public_id}/remove", {}).status_code == 303
    assert counted(rt, ShippingZone) == 0
