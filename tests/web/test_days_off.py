"""The page on which a merchant says when nothing leaves."""

from __future__ import annotations

import re
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


def seen_in(text: str) -> str:
    found = re.search(r'name="seen" value="(\w+)"', text)
    assert found is not None
    return found[1]


def test_holidays_are_typed_one_a_line_and_shown_again(rt: Runtime, owner: Desk) -> None:
    assert ADDRESS in owner.get("/admin/cycle-groups").text
    page = owner.get(ADDRESS).text
    assert "Sunday" in page

    typed = {"weekdays": ["6", "7"], "holidays": " 2027-03-18\n\n2027-12-24 \n"}
    shown = owner.post(ADDRESS, typed)
    assert shown.status_code == 422
    assert days_off(rt).holidays == frozenset()
    assert owner.post(ADDRESS, typed | {"seen": seen_in(shown.text)}).status_code == 303

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


def test_before_saving_the_page_names_the_cycles_that_move_and_what_is_in_them(
    rt: Runtime, owner: Desk
) -> None:
    plan = rt.session.scalars(sa.select(Plan)).one()
    rt.session.rollback()
    make.make_subscription(rt, plan=plan)
    typed = {"weekdays": ["7"], "holidays": "2027-03-18"}
    shown = owner.post(ADDRESS, typed)
    assert shown.status_code == 422
    assert "1 cycle would leave on another day. Nothing is saved yet." in shown.text
    assert "<del>18–20 March</del> <ins>19–21 March</ins>" in shown.text.replace("\xa0", " ")
    assert '<td data-label="Paid boxes in it">1</td>' in shown.text
    assert "2027-03-18</textarea>" in shown.text
    ships = rt.session.scalar(sa.select(BoxCycle.ship_from).where(BoxCycle.key == "2027-03"))
    rt.session.rollback()
    assert ships == date(2027, 3, 18)

    # Another list than the one that was looked at is shown first.
    more = owner.post(
        ADDRESS, {"weekdays": ["6", "7"], "holidays": "2027-03-18", "seen": seen_in(shown.text)}
    )
    assert more.status_code == 422
    assert "other cycles than those you looked at" in more.text
    assert owner.post(ADDRESS, typed | {"seen": seen_in(shown.text)}).status_code == 303
    assert days_off(rt).holidays == {date(2027, 3, 18)}


def test_days_off_that_move_nothing_are_saved_at_once(rt: Runtime, owner: Desk) -> None:
    assert owner.post(ADDRESS, {"weekdays": ["7"], "holidays": "2027-03-20"}).status_code == 303
    assert days_off(rt).holidays == {date(2027, 3, 20)}
