"""A cycle is called by its month where no other has the same, else by its day."""

from __future__ import annotations

import re
from datetime import date

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.domain.boxes import CycleState
from storefront.models import BoxCycle, CycleGroup, Plan
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.desk import Desk


@pytest.fixture
def weekly(rt: Runtime) -> CycleGroup:
    return make.make_group(
        rt, cycles=4, unit="week", charge_day=1, lock_days=1, ship_days=2, ship_window_days=0
    )


@pytest.fixture
def plan(rt: Runtime, weekly: CycleGroup) -> Plan:
    return make.make_plan(
        rt, code="pot", name="Pot", group=weekly, unit="week", shipping_unit="week"
    )


def cycles_of(rt: Runtime) -> list[BoxCycle]:
    found = list(rt.session.scalars(sa.select(BoxCycle).order_by(BoxCycle.ship_from)))
    rt.session.expunge_all()
    rt.session.rollback()
    return found


@pytest.mark.usefixtures("plan")
def test_cycles_of_one_month_have_names_of_their_own_for_staff(app: Flask, rt: Runtime) -> None:
    desk = Desk(app, rt, "fulfilment")
    cycles = cycles_of(rt)

    page = desk.get("/admin/cycles?show=coming").text + desk.get("/admin/cycles").text
    names = re.findall(r'href="/admin/cycles/\w+">([^<]+)</a>', page)

    assert len(names) == len(set(names)) == len(cycles)
    assert all(any(char.isdigit() for char in name) for name in names)
    last = cycles[-1]
    title = f"Cycle of {last.ship_from.day} {last.ship_from:%b}"
    assert title in desk.get(f"/admin/cycles/{last.public_id}").text


def test_a_recipe_of_a_week_names_it(app: Flask, rt: Runtime, plan: Plan) -> None:
    desk = Desk(app, rt, "fulfilment")
    last = cycles_of(rt)[-1]

    page = desk.get(f"/admin/recipes/{plan.public_id}?cycle={last.public_id}").text

    assert f"Recipe of Pot for {last.ship_from.day} {last.ship_from:%b}" in page


def test_past_boxes_of_one_month_have_names_of_their_own_for_shoppers(
    rt: Runtime, client: FlaskClient, plan: Plan
) -> None:
    for cycle, day in zip(cycles_of(rt), (10, 17), strict=False):
        rt.session.execute(
            sa.update(BoxCycle)
            .where(BoxCycle.id == cycle.id)
            .values(
                key=f"2027-02-{day - 2}",
                charge_on=date(2027, 2, day - 2),
                cutoff_on=date(2027, 2, day - 3),
                lock_on=date(2027, 2, day - 1),
                ship_from=date(2027, 2, day),
                ship_to=date(2027, 2, day),
                state=CycleState.SHIPPED,
            )
        )
        rt.session.commit()
        make.make_recipe(rt, plan, cycle=cycle, variants=[make.make_variant(rt, name="Assam")])

    for page in ("/", "/plans/pot"):
        text = client.get(page).text
        assert "Box of 10 Feb: Assam" in text, page
        assert "Box of 17 Feb: Assam" in text
        assert "Box of February" not in text
