"""The admin's first page: counts that agree with their lists, and what a role does not see."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.charging import AttemptState
from storefront.jobs.work import run_all
from storefront.models import (
    ChargeAttempt,
    DunningCase,
    JobRun,
    OutboxMessage,
    ParkedWork,
    ShopSettings,
)
from storefront.models.base import public_id, table_of
from storefront.queries import worklists
from storefront.runtime import Runtime
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.population import populate
from tests.support.admin import desk
from tests.support.statements import counting

DUE = datetime(2027, 3, 12, 8, 0, tzinfo=UTC)


def rows_of(page: str) -> int:
    body = re.search(r"<tbody>(.*?)</tbody>", page, re.DOTALL)
    return body[1].count("<tr>") if body else 0


@pytest.fixture
def busy(rt: Runtime, clock: FrozenClock) -> None:
    """A shop where something of everything needs a person."""
    plan = make.make_plan(rt)
    price = make.price_of(rt, plan)
    make.make_recipe(rt, plan, variants=[make.make_variant(rt, name="Kukicha", on_hand=2)])
    populate(rt, plan, price, 4, date(2027, 3, 9))
    populate(rt, plan, price, 3, date(2027, 3, 11), card="0002")
    populate(rt, plan, price, 2, date(2027, 3, 12))
    populate(rt, plan, price, 5, date(2027, 3, 14))
    clock.set(datetime(2027, 3, 11, 8, 0, tzinfo=UTC))
    run_renewals(rt)
    clock.set(DUE)
    run_renewals(rt)
    attempt = table_of(ChargeAttempt)
    first = sa.select(sa.func.min(attempt.c.id)).where(attempt.c.state == AttemptState.DECLINED)
    rt.session.execute(
        sa.update(attempt)
        .where(attempt.c.id == first.scalar_subquery())
        .values(state=AttemptState.UNKNOWN, sent_at=DUE - timedelta(hours=2))
    )
    rt.session.execute(
        sa.insert(table_of(ParkedWork)).values(
            kind="renewal", subject="sub_x", reason="DataError", detail="", parked_at=rt.now()
        )
    )
    rt.session.execute(
        sa.insert(table_of(OutboxMessage)).values(
            public_id=public_id("msg"),
            kind="mail",
            topic="receipt",
            key="k",
            payload={},
            state="dead",
            due_at=rt.now(),
            created_at=rt.now(),
            error="550 no such mailbox",
        )
    )
    rt.session.execute(
        sa.insert(table_of(JobRun)).values(
            job="export", started_at=rt.now(), finished_at=rt.now(), report={}, error="disk full"
        )
    )
    rt.session.commit()


@pytest.mark.usefixtures("busy")
def test_every_count_leads_to_a_list_of_that_many(app: Flask, rt: Runtime) -> None:
    counts = worklists.counts(rt.session, rt.moment(), "EUR")
    rt.session.rollback()
    browser = desk(app, rt)
    shown = {code: rows_of(browser.get(f"/admin/today/{code}").text) for code in worklists.LISTS}
    assert shown == {code: counts[code].count for code in worklists.LISTS}
    assert {code for code, count in shown.items() if count} >= {"outage", "unknown", "declined"}
    assert shown["past_due"] == 3


@pytest.mark.usefixtures("busy")
def test_what_needs_a_person_is_on_the_page_with_its_verb(app: Flask, rt: Runtime) -> None:
    page = desk(app, rt).get("/admin/").text
    for words in (
        "4 renewals wait because the shop was down",
        "1 payment with unknown result",
        "1 piece of work failed and waits",
        "1 message was given up",
        "1 job stopped early",
        "Kukicha: 2 left, up to 14 needed",
        "€104.00",
    ):
        assert words in page
    for path in ("/admin/today/outage", "/admin/outbox?state=dead", "/admin/jobs#parked"):
        assert f'href="{path}"' in page


@pytest.mark.usefixtures("busy")
def test_failed_charges_stand_on_the_page_with_their_sum_until_they_are_paid(
    app: Flask, rt: Runtime
) -> None:
    browser = desk(app, rt)
    page = browser.get("/admin/").text
    assert re.search(
        r'href="/admin/today/past_due">3 invoices are past due</a> <b[^>]*>€78.00', page
    )
    case = table_of(DunningCase)
    rt.session.execute(sa.update(case).values(state="recovered", closed_at=rt.now()))
    rt.session.commit()
    assert "past due" not in browser.get("/admin/").text


@pytest.mark.usefixtures("busy")
def test_each_day_of_the_week_counts_what_its_list_shows(app: Flask, rt: Runtime) -> None:
    browser = desk(app, rt)
    page = browser.get("/admin/").text
    days = dict(re.findall(r'href="(/admin/subscribers\?renews=[\d-]+)">(\d+)</a>', page))
    assert days == {"/admin/subscribers?renews=2027-03-14": "5"}
    for path, count in days.items():
        assert rows_of(browser.get(path).text) == int(count)


def test_an_idle_shop_says_so(app: Flask, rt: Runtime) -> None:
    page = desk(app, rt).get("/admin/").text
    assert "Nothing needs you. The kettle is on." in page
    assert "The worker has not run yet" in page
    run_all(rt)
    assert "Late renewals: none." in desk(app, rt, "support").get("/admin/").text


@pytest.mark.usefixtures("busy")
def test_the_whole_page_takes_eight_statements_at_most(app: Flask, rt: Runtime) -> None:
    browser = desk(app, rt)
    with counting() as seen:
        browser.get("/admin/")
    assert len([text for text in seen if text.startswith("SELECT")]) <= 8


@pytest.mark.usefixtures("busy")
def test_what_runs_short_is_listed_with_what_is_missing(app: Flask, rt: Runtime) -> None:
    page = desk(app, rt).get("/admin/today/short-stock").text
    assert "1 product runs short" in page
    assert rows_of(page) == 1
    assert ">12</td>" in page


def test_holding_asks_first_and_leaves_a_bar_on_every_page(app: Flask, rt: Runtime) -> None:
    browser = desk(app, rt)
    asked = browser.get("/admin/hold-charging").text
    assert "No card is charged until you turn it on again." in asked
    assert held_at(rt) is None
    assert browser.post("/admin/hold-charging").status_code == 303
    assert held_at(rt) is not None
    for path in ("/admin/", "/admin/plans", "/admin/subscribers"):
        assert "Charging is on hold since" in browser.get(path).text
    assert browser.post("/admin/resume-charging").status_code == 303
    assert "Charging is on hold since" not in browser.get("/admin/").text


def held_at(rt: Runtime) -> datetime | None:
    found = rt.session.scalar(sa.select(ShopSettings.charging_held_at))
    rt.session.rollback()
    return found


@pytest.mark.usefixtures("busy")
def test_an_outage_is_released_from_its_list(app: Flask, rt: Runtime) -> None:
    browser = desk(app, rt)
    assert "Release 4 and charge" in browser.get("/admin/today/outage").text
    assert browser.post("/admin/release-outage").status_code == 303
    page = browser.get("/admin/").text
    assert "4 subscriptions are released and due now." in page
    assert "wait because the shop was down" not in page


@pytest.mark.usefixtures("busy")
def test_a_role_sees_only_what_it_may_do(app: Flask, rt: Runtime) -> None:
    support = desk(app, rt, "support")
    page = support.get("/admin/").text
    assert "Hold charging" not in page
    assert "wait because the shop was down" not in page
    assert 'href="/admin/plans"' not in page
    assert "1 message was given up" in page
    for path in ("/admin/today/outage", "/admin/hold-charging", "/admin/plans", "/admin/settings"):
        assert support.get(path).status_code == 403
    for path in ("/admin/release-outage", "/admin/hold-charging", "/admin/resume-charging"):
        assert support.post(path).status_code == 403
    packer = desk(app, rt, "fulfilment")
    assert packer.get("/admin/subscribers").status_code == 403
    assert packer.get("/admin/today/paid").status_code == 403


def test_an_unknown_list_is_not_there(app: Flask, rt: Runtime) -> None:
    assert desk(app, rt).get("/admin/today/nothing").status_code == 404
