"""Data for customs: frozen with boxes that cross a border, listed while it is missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.carriers.fields import BOX_FIELDS, BoxFacts, item_fields
from storefront.domain.carriers.layout import Column, Layout
from storefront.domain.carriers.rows import cells
from storefront.models import (
    AuditEntry,
    Box,
    BoxCycle,
    Plan,
    ProductVariant,
    ShopSettings,
    Staff,
)
from storefront.operations.audit import Who
from storefront.runtime import Runtime
from storefront.services.cycles import close_cycles
from storefront.services.fulfilment import export_boxes
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.parcel_addresses import correct_parcel_address
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import Desk, desk

ZURICH = {"country": "CH", "postcode": "8001", "city": "Zürich"}
TYPED = {"hs_code": "0902.10", "origin": "JP", "text": "green tea"}


@pytest.fixture
def tea(rt: Runtime) -> ProductVariant:
    make.make_shop(rt, countries=["DE", "CH"])
    return make.make_variant(rt, name="Sencha", sku="TEA", weight_grams=70, price_minor=890)


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    return desk(app, rt)


def lock_two(rt: Runtime, tea: ProductVariant, clock: FrozenClock) -> None:
    """Lock a box to Jena and one to Zürich, each with two tins."""
    plan = make.make_plan(rt)
    ref = rt.session.scalars(sa.select(Plan.public_id).where(Plan.id == plan.id)).one()
    rt.session.rollback()
    save_recipe(rt, ref, None, "", [Ingredient(tea.public_id, 2)])
    make.make_subscription(rt, plan=plan)
    make.make_subscription(rt, plan=plan, address=ZURICH)
    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    assert close_cycles(rt).boxes.locked == 2


def packings(rt: Runtime) -> list[dict[str, Any]]:
    found = rt.session.scalars(sa.select(Box.packing).order_by(Box.id)).all()
    rt.session.rollback()
    return [dict(one or {}) for one in found]


def test_only_a_box_that_crosses_a_border_carries_lines(
    rt: Runtime, tea: ProductVariant, owner: Desk, clock: FrozenClock
) -> None:
    owner.post(f"/admin/delivery/customs/{tea.public_id}", TYPED)
    lock_two(rt, tea, clock)
    home, abroad = packings(rt)
    assert "customs" not in home
    assert abroad["customs"] == [
        {
            "sku": "TEA", "pieces": 2, "grams": 70, "hs_code": "090210", "origin": "JP",
            "text": "green tea", "value_minor": 890, "currency": "EUR",
        }
    ]  # fmt: skip


def test_what_is_missing_is_listed_before_the_export_and_filled_in(
    app: Flask, rt: Runtime, tea: ProductVariant, clock: FrozenClock
) -> None:
    lock_two(rt, tea, clock)
    owner = desk(app, rt)
    page = owner.get("/admin/delivery/customs").text
    assert "1 locked box lacks data for customs" in page
    assert "TEA: HS code, country of origin, what it is" in page
    rt.session.execute(sa.update(Box).values(problem="no_fit"))
    rt.session.commit()

    assert owner.post(f"/admin/delivery/customs/{tea.public_id}", TYPED).status_code == 303
    page = owner.get("/admin/delivery/customs").text
    assert "green tea" in page
    assert "lacks data for customs" not in page
    home, abroad = packings(rt)
    assert "customs" not in home
    assert abroad["customs"][0]["hs_code"] == "090210"
    # The worker tries it again; the other misses nothing that was filled in.
    assert sorted(rt.session.scalars(sa.select(Box.problem))) == ["", "no_fit"]
    actions = rt.session.scalars(sa.select(AuditEntry.action)).all()
    rt.session.rollback()
    assert actions.count("product.customs") == 1


def test_what_was_exported_stays_as_it_was_written(
    app: Flask, rt: Runtime, tea: ProductVariant, clock: FrozenClock
) -> None:
    lock_two(rt, tea, clock)
    cycle = rt.session.scalars(
        sa.select(BoxCycle.public_id).join(Box, Box.cycle_id == BoxCycle.id).distinct()
    ).one()
    rt.session.rollback()
    export_boxes(rt, cycle)
    before = packings(rt)
    answer = desk(app, rt).post(f"/admin/delivery/customs/{tea.public_id}", TYPED)
    assert answer.location.endswith("/admin/delivery/customs")
    assert packings(rt) == before


def test_a_parcel_put_right_into_another_area_is_declared_anew(
    app: Flask, rt: Runtime, tea: ProductVariant, clock: FrozenClock
) -> None:
    desk(app, rt).post(f"/admin/delivery/customs/{tea.public_id}", TYPED)
    lock_two(rt, tea, clock)
    staff = rt.session.execute(sa.select(Staff.id, Staff.public_id)).first()
    home = rt.session.scalars(sa.select(Box.public_id).order_by(Box.id)).first() or ""
    rt.session.rollback()
    assert staff is not None
    who = Who(staff.id, staff.public_id, "192.0.2.1")

    correct_parcel_address(rt, who, home, {"postcode": "27498", "city": "Helgoland"})
    there, _abroad = packings(rt)
    correct_parcel_address(rt, who, home, {"street": "Am Falm 2"})
    still, _abroad = packings(rt)
    correct_parcel_address(rt, who, home, {"postcode": "07743", "city": "Jena"})
    back, _abroad = packings(rt)

    assert [line["hs_code"] for line in there["customs"]] == ["090210"]
    assert (still, back) == (there, {k: v for k, v in there.items() if k != "customs"})
    assert (back["grams"], back["weight_grams"]) == ([70], 140)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hs_code": "0902"}, "Enter 6, 8 or 10 digits"),
        ({"origin": "XX"}, "Choose one from the list"),
        ({"text": "x" * 61}, "Use 60 characters or fewer"),
    ],
)
def test_a_wrong_entry_is_answered_beside_its_field(
    rt: Runtime, tea: ProductVariant, owner: Desk, fields: dict[str, str], message: str
) -> None:
    answer = owner.post(f"/admin/delivery/customs/{tea.public_id}", TYPED | fields)
    assert answer.status_code == 422
    assert message in answer.text
    kept = rt.session.scalars(sa.select(ProductVariant.hs_code)).all()
    rt.session.rollback()
    assert set(kept) == {""}


def test_it_is_for_who_may_manage_products(app: Flask, rt: Runtime, tea: ProductVariant) -> None:
    support = desk(app, rt, "support")
    assert support.get("/admin/delivery/customs").status_code == 403
    assert desk(app, rt).get("/admin/delivery/customs/var_none").status_code == 404
    assert rt.session.scalar(sa.select(ShopSettings.seller_country)) == "DE"
    rt.session.rollback()


def test_formats_may_have_columns_of_customs() -> None:
    line = {
        "sku": "TEA", "pieces": 2, "grams": 70, "hs_code": "090210", "origin": "JP",
        "text": "green tea", "value_minor": 890, "currency": "EUR",
    }  # fmt: skip
    packing = {"plan": "Pot", "email": "", "contents": [["TEA", 2]], "weight_grams": 140}
    abroad = BoxFacts("b", "x", "c", "regular", 1, {}, {**packing, "customs": [line]})
    home = BoxFacts("b", "y", "c", "regular", 1, {}, packing)
    names = ("sku", "hs_code", "origin_country", "customs_text", "customs_value", "grams_of_sku")
    columns = tuple(Column(name, name) for name in names)
    layout = Layout("own", "Own", columns, per_item=True)
    assert cells(layout, abroad) == [["TEA", "090210", "JP", "green tea", "8.90", "70"]]
    assert cells(layout, home) == [["TEA", "", "", "", "", ""]]
    assert BOX_FIELDS["customs"](abroad) == "2 x green tea, HS 090210, JP, 8.90 EUR"
    assert BOX_FIELDS["customs_total"](abroad) == "17.80 EUR"
    parts = ("customs_total_value", "customs_total_currency")
    assert [BOX_FIELDS[name](abroad) for name in parts] == ["17.80", "EUR"]
    pounds = {**abroad.packing["customs"][0], "currency": "GBP"}
    mixed = replace(abroad, packing={**abroad.packing, "customs": [*abroad.customs, pounds]})
    assert [BOX_FIELDS[name](mixed) for name in parts] == ["", ""]
    kept = replace(home, packing={**packing, "grams": [70]})
    assert item_fields(kept, "TEA", 2)["grams_of_sku"] == "70"
    assert item_fields(kept, "TEA", 2)["ounces_of_sku"] == "2.47"
    assert (BOX_FIELDS["customs"](home), BOX_FIELDS["customs_total"](home)) == ("", "")


def test_what_customs_will_lack_is_said_before_the_lock_and_by_the_check(
    rt: Runtime, tea: ProductVariant, owner: Desk, clock: FrozenClock
) -> None:
    plan = make.make_plan(rt)
    ref = rt.session.scalars(sa.select(Plan.public_id).where(Plan.id == plan.id)).one()
    rt.session.rollback()
    save_recipe(rt, ref, None, "", [Ingredient(tea.public_id, 2)])
    make.make_subscription(rt, plan=plan)
    make.make_subscription(rt, plan=plan, address=ZURICH)
    cycle = rt.session.scalars(sa.select(BoxCycle.public_id).join(Box)).first()
    rt.session.execute(sa.update(BoxCycle).where(BoxCycle.public_id == cycle).values(state="open"))
    rt.session.commit()
    said = "1 box goes through customs and may hold products without data for it: TEA"
    pages = (f"/admin/cycles/{cycle}", "/admin/delivery/customs")
    assert [said in owner.get(page).text for page in pages] == [True, True]

    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    assert close_cycles(rt).boxes.locked == 2
    # That session is over by then.
    owner.sign_in(rt, rt.session.scalars(sa.select(Staff.id)).one())
    assert [said in owner.get(page).text for page in pages] == [False, False]
    check = owner.get(f"/admin/cycles/{cycle}/check?format=shipstation").text
    assert "1 box goes through customs without a tariff number" in check

    owner.post(f"/admin/delivery/customs/{tea.public_id}", TYPED)
    check = owner.get(f"/admin/cycles/{cycle}/check?format=shipstation").text
    assert "goes through customs" not in check


def test_data_known_in_time_or_boxes_inside_the_area_are_no_matter(
    rt: Runtime, tea: ProductVariant, owner: Desk
) -> None:
    plan = make.make_plan(rt)
    ref = rt.session.scalars(sa.select(Plan.public_id).where(Plan.id == plan.id)).one()
    rt.session.rollback()
    save_recipe(rt, ref, None, "", [Ingredient(tea.public_id, 2)])
    make.make_subscription(rt, plan=plan)
    rt.session.execute(sa.update(BoxCycle).values(state="open"))
    rt.session.commit()
    assert "goes through customs" not in owner.get("/admin/delivery/customs").text
    make.make_subscription(rt, plan=plan, address=ZURICH)
    rt.session.execute(sa.update(BoxCycle).values(state="open"))
    rt.session.commit()
    assert "goes through customs" in owner.get("/admin/delivery/customs").text
    owner.post(f"/admin/delivery/customs/{tea.public_id}", TYPED)
    assert "goes through customs" not in owner.get("/admin/delivery/customs").text
