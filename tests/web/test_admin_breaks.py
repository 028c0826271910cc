"""Staff pause, resume and move dates for a customer; each is written into the log."""

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import AuditEntry, Customer, Subscription
from storefront.runtime import Runtime
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import desk


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    return make.make_subscription(rt)


def address(rt: Runtime, sub: Subscription) -> str:
    ref = rt.session.scalar(sa.select(Customer.public_id).where(Customer.id == sub.customer_id))
    rt.session.rollback()
    return f"/admin/subscribers/{ref}"


def now(rt: Runtime) -> sa.Row:
    row = rt.session.execute(sa.select(Subscription.__table__)).one()
    rt.session.rollback()
    return row


def logged(rt: Runtime) -> list[str]:
    rows = rt.session.scalars(sa.select(AuditEntry.action).order_by(AuditEntry.id)).all()
    rt.session.rollback()
    return [row for row in rows if row.startswith("subscription.")]


@pytest.mark.parametrize("partial", [False, True])
def test_staff_pause_and_take_it_back(app: Flask, rt: Runtime, sub: Subscription, partial: bool):
    page, mia = address(rt, sub), desk(app, rt)
    mia.get(page)

    mia.post(f"{page}/{sub.public_id}/pause", {"day": "2027-05-12"}, partial=partial)
    assert now(rt).resumes_on == date(2027, 5, 12)
    assert "Pause from Mon 12 April to Wed 12 May" in mia.get(page).text

    mia.post(f"{page}/{sub.public_id}/drop-pause", partial=partial)
    assert now(rt).pauses_on is None
    assert logged(rt) == ["subscription.pause_planned"] * 2


def test_staff_let_a_paused_subscription_go_on(
    app: Flask, rt: Runtime, clock: FrozenClock, sub: Subscription
):
    page, mia = address(rt, sub), desk(app, rt)
    mia.get(page)
    mia.post(f"{page}/{sub.public_id}/pause", {"day": ""})
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    mia = desk(app, rt, "support")
    mia.get(page)

    mia.post(f"{page}/{sub.public_id}/resume")

    assert now(rt).resumes_on == date(2027, 4, 12)


def test_a_date_that_is_fixed_is_said_to_be(app: Flask, rt: Runtime, sub: Subscription):
    page, mia = address(rt, sub), desk(app, rt)
    mia.get(page)

    answer = mia.post(f"{page}/{sub.public_id}/move-date", {"day": "2027-04-20"}, partial=True)

    assert "leave on the same day here" in answer.text
    assert now(rt).anchor_on == date(2027, 4, 12)


def test_who_may_only_look_pauses_nobody(app: Flask, rt: Runtime, sub: Subscription):
    page, mia = address(rt, sub), desk(app, rt, "fulfilment")
    mia.get(page)

    assert mia.post(f"{page}/{sub.public_id}/pause", {"day": ""}).status_code == 403
    assert now(rt).pauses_on is None
