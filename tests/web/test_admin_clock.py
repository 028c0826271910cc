"""The demo's clock: walks day by day through the worker's jobs, and only in a demo."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.adapters.clock import DemoClock
from storefront.models import SubscriptionPeriod
from storefront.runtime import Runtime
from storefront.settings import Settings
from storefront.testing import factories as make
from storefront.testing.population import populate
from tests.support.admin import Desk, desk


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, environment="demo")


@pytest.fixture
def clock(tmp_path: Path) -> DemoClock:
    """The demo's own clock, set to the morning of 2 March 2027."""
    moving = DemoClock(tmp_path / "clock")
    moving.move_to(datetime(2027, 3, 2, 9, 0, tzinfo=UTC))
    return moving


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    browser = desk(app, rt)
    browser.get("/admin/clock")
    return browser


def test_it_walks_to_the_charge_day_and_charges(rt: Runtime, owner: Desk) -> None:
    plan = make.make_plan(rt)
    populate(rt, plan, make.price_of(rt, plan), 2, date(2027, 3, 5))
    page = owner.get("/admin/clock").text
    assert "To the next charge day" in page
    assert "Fri 5 March" in page
    done = owner.post("/admin/clock/walk", {"days": "3"}, partial=True)
    assert "Walked 3 days." in done.text
    assert rt.today() == date(2027, 3, 5)
    assert "Renewed" in done.text
    opened = sa.select(sa.func.count()).select_from(SubscriptionPeriod)
    assert rt.session.scalar(opened.where(SubscriptionPeriod.number == 1)) == 2


def test_without_the_script_it_answers_with_a_page_that_can_be_reloaded(owner: Desk) -> None:
    answer = owner.post("/admin/clock/walk", {"days": "1"})
    assert answer.status_code == 303
    assert "since=2027-03-03" in answer.location
    assert "Walked 1 day." in owner.get(answer.location).text


@pytest.mark.parametrize("since", ["0001-01-01", "9999-12-31", "1970-01-01", "soon"])
def test_any_day_in_the_address_is_answered_with_the_page(owner: Desk, since: str) -> None:
    assert owner.get(f"/admin/clock?since={since}").status_code == 200


def test_a_walk_is_one_to_thirty_one_days(rt: Runtime, owner: Desk) -> None:
    for days in ("0", "32", "-1", "x", "²", ""):
        assert owner.post("/admin/clock/walk", {"days": days}).status_code == 422
    assert rt.today() == date(2027, 3, 2)


def test_the_bar_leads_to_the_clock_only_who_may_move_it(app: Flask, owner: Desk) -> None:
    assert "Move the clock" in owner.get("/admin/").text
    assert "Move the clock" not in app.test_client().get("/").text


def test_only_who_may_moves_it(app: Flask, rt: Runtime) -> None:
    support = desk(app, rt, "support")
    assert support.get("/admin/clock").status_code == 403
    assert support.post("/admin/clock/walk", {"days": "1"}).status_code == 403
