"""The page on which a merchant says when nothing leaves."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import BoxCycle, Plan
from storefront.runtime import Runtime
from storefront.services.days_off import days_off
from storefront.testing import factories as make
from tests.support.admin import Desk, desk

ADDRESS = "/admin/days-off"


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    make.make_plan(rt)
    return desk(app, rt)


def test_holidays_are_typed_one_a_line_and_shown_again(rt: Runtime, owner: Desk) -> None:
    assert ADDRESS in owner.get("/admin/cycle-groups").text
    page = owner.get(ADDRESS).text
    assert "Sunday" in page

    typed = {"weekdays": ["6", "7"], "holidays": " 2027-03-18\n\n2027-12-24 \n"}
    assert owner.post(ADDRESS, typed).status_code == 303

    off = days_off(rt)
    assert off.holidays == {date(2027, 3, 18), date(2027, 12, 24)}
    assert off.weekdays == {6, 7}
    ships = rt.session.scalar(sa.select(BoxCycle.ship_from).where(BoxCycle.key == "2027-03"))
    rt.session.rollback()
    assert ships == date(2027, 3, 19)
    page = owner.get(ADDRESS).text
    assert "2027-03-18\n2027-12-24" in page
    assert "4 cycles leave on another day." in page
    assert "Days off changed" in owner.get("/admin/log").text


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"weekdays": ["7"], "holidays": "2027-03-18\nEaster"}, "Line 2: enter a day like"),
        ({"weekdays": [str(n) for n in range(1, 8)], "holidays": ""}, "Leave one day on which"),
    ],
)
def test_what_cannot_be_kept_is_said_beside_its_field_and_not_saved(
    rt: Runtime, owner: Desk, typed: dict[str, object], message: str
) -> None:
    answer = owner.post(ADDRESS, typed)
    assert answer.status_code == 422
    assert message in answer.text
    assert days_off(rt).holidays == frozenset()


def test_days_off_that_a_first_box_cannot_wait_for_are_named_and_stay_typed(
    rt: Runtime, owner: Desk
) -> None:
    plan = rt.session.scalars(sa.select(Plan)).one()
    rt.session.rollback()
    make.make_subscription(rt, plan=plan)
    typed = "\n".join((date(2027, 3, 18) + timedelta(days=n)).isoformat() for n in range(30))
    answer = owner.post(ADDRESS, {"weekdays": ["7"], "holidays": typed})
    assert answer.status_code == 422
    text = answer.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Thu 18 March 2027 would leave on Sat 17 April 2027" in text
    assert "pays again on Mon 12 April 2027" in text
    assert typed in answer.text
    assert days_off(rt).holidays == frozenset()
