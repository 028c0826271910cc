"""Holding, releasing and trying again: nothing is charged in between, and once afterwards."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from storefront.models import (
    Box,
    ChargeAttempt,
    OutboxMessage,
    ParkedWork,
    Subscription,
    SubscriptionEvent,
)
from storefront.models.base import table_of
from storefront.operations.audit import Who
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import holds, shop
from storefront.services.cancellations import cancel
from storefront.services.endings import end_passed_over
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.population import populate
from tests.support.admin import make_staff

DUE = datetime(2027, 3, 12, 8, 0, tzinfo=UTC)


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def refs(rt: Runtime) -> list[str]:
    """Three subscriptions that fall due on 12 March."""
    plan = make.make_plan(rt)
    populate(rt, plan, make.price_of(rt, plan), 3, date(2027, 3, 12))
    found = list(rt.session.scalars(sa.select(Subscription.public_id).order_by(Subscription.id)))
    rt.session.rollback()
    return found


def test_a_held_subscription_is_not_charged_until_it_is_released(
    rt: Runtime, clock: FrozenClock, who: Who, refs: list[str]
) -> None:
    assert holds.hold(rt, who, refs[0], "asked on the phone")
    assert not holds.hold(rt, who, refs[0], "again")
    clock.set(DUE)
    assert run_renewals(rt).billed == 2
    assert holds.release(rt, who, refs[0])
    assert not holds.release(rt, who, refs[0])
    assert run_renewals(rt).billed == 1


def test_released_days_later_it_is_charged_and_not_taken_for_an_outage(
    rt: Runtime, clock: FrozenClock, who: Who, refs: list[str]
) -> None:
    holds.hold(rt, who, refs[0], "waits")
    clock.set(DUE)
    clock.advance(days=1)
    run_renewals(rt)
    clock.advance(days=2)
    holds.release(rt, who, refs[0])
    report = run_renewals(rt)
    assert (report.billed, report.held) == (1, 0)


def test_after_an_outage_one_click_releases_everything_once(
    rt: Runtime, clock: FrozenClock, who: Who, refs: list[str]
) -> None:
    clock.set(DUE)
    clock.advance(days=2, hours=12)
    report = run_renewals(rt)
    assert (report.billed, report.held) == (0, 3)
    assert holds.release_outage(rt, who) == 3
    assert holds.release_outage(rt, who) == 0
    assert run_renewals(rt).billed == 3
    assert run_renewals(rt).billed == 0


def test_what_staff_hold_stays_held_when_an_outage_is_released(
    rt: Runtime, clock: FrozenClock, who: Who, refs: list[str]
) -> None:
    holds.hold(rt, who, refs[0], "dispute on the phone")
    clock.set(DUE)
    clock.advance(days=2, hours=12)
    run_renewals(rt)
    assert holds.release_outage(rt, who) == 2
    table = table_of(Subscription)
    still = rt.session.scalars(sa.select(table.c.public_id).where(table.c.held_at.is_not(None)))
    assert list(still) == [refs[0]]


def test_a_parked_renewal_goes_back_into_the_run(
    rt: Runtime, clock: FrozenClock, who: Who, refs: list[str]
) -> None:
    table, work = table_of(Subscription), table_of(ParkedWork)
    one = table.c.public_id == refs[0]
    rt.session.execute(sa.update(table).where(one).values(parked_at=rt.now()))
    key = rt.session.execute(
        sa.insert(work)
        .values(kind="renewal", subject=refs[0], reason="DataError", parked_at=rt.now())
        .returning(work.c.id)
    ).scalar_one()
    rt.session.commit()
    clock.set(DUE)
    clock.advance(days=2, hours=12)
    assert holds.try_again(rt, who, key)
    assert not holds.try_again(rt, who, key)
    report = run_renewals(rt)
    assert (report.billed, report.held) == (1, 2)
    assert rt.session.execute(sa.select(work.c.resolved_by)).scalar_one() == who.public_id


def test_the_timeline_names_who_held_it_and_why(rt: Runtime, who: Who, refs: list[str]) -> None:
    holds.hold(rt, who, refs[0], "card 4111 1111 1111 1111 looked odd")
    event = rt.session.execute(sa.select(table_of(SubscriptionEvent))).one()
    assert (event.kind, event.actor, event.actor_ref) == (
        "subscription.held",
        "staff",
        who.public_id,
    )
    assert "4111 1111" not in event.data["note"]


def test_while_charging_is_held_nothing_is_charged(
    rt: Runtime, clock: FrozenClock, who: Who, refs: list[str]
) -> None:
    assert shop.hold_charging(rt, who)
    assert not shop.hold_charging(rt, who)
    clock.set(DUE)
    assert run_renewals(rt).claimed == 0
    assert shop.resume_charging(rt, who)
    assert run_renewals(rt).billed == len(refs)


def test_an_unknown_subscription_is_refused(rt: Runtime, who: Who) -> None:
    with pytest.raises(holds.UnknownSubscription):
        holds.hold(rt, who, "sub_x", "why")
    with pytest.raises(holds.UnknownSubscription):
        holds.release(rt, who, "sub_x")


def _one(rt: Runtime) -> Subscription:
    rt.session.rollback()
    rt.session.expire_all()
    return rt.session.scalars(sa.select(Subscription)).one()


@pytest.fixture
def leaving(rt: Runtime) -> Subscription:
    """One that is cancelled for 2 April."""
    sub = make.make_subscription(rt)
    cancel(rt, sub.customer_id or 0, sub.public_id)
    return _one(rt)


def _set_aside(rt: Runtime, who: Who, ref: str, how: str) -> None:
    if how == "charging held":
        shop.hold_charging(rt, who)
    elif how == "held":
        holds.hold(rt, who, ref, "dispute on the phone")
    else:
        rt.session.execute(sa.update(table_of(Subscription)).values(parked_at=rt.now()))
        rt.session.commit()


@pytest.mark.parametrize("how", ["held", "parked", "charging held"])
def test_who_leaves_ends_on_the_day_whatever_is_kept_back(
    rt: Runtime, clock: FrozenClock, who: Who, leaving: Subscription, how: str
) -> None:
    _set_aside(rt, who, leaving.public_id, how)
    sent = rt.session.scalar(sa.select(sa.func.count()).select_from(ChargeAttempt))
    clock.set(datetime(2027, 4, 1, 12, 0, tzinfo=UTC))
    assert end_passed_over(rt) == 0

    clock.set(datetime(2027, 4, 2, 9, 0, tzinfo=UTC))
    assert run_renewals(rt).ended == 0
    assert (end_passed_over(rt), end_passed_over(rt)) == (1, 0)

    ended = _one(rt)
    assert (ended.state, ended.ended_on) == ("canceled", date(2027, 4, 2))
    assert (ended.renews_at, ended.mrr_minor) == (None, 0)
    topics = rt.session.scalars(sa.select(OutboxMessage.topic)).all()
    assert topics.count("ended") == 1
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(ChargeAttempt)) == sent
    assert broken(rt.session) == {}


def test_what_nothing_keeps_back_is_left_to_the_renewal_run(
    rt: Runtime, clock: FrozenClock, leaving: Subscription
) -> None:
    clock.set(datetime(2027, 4, 2, 9, 0, tzinfo=UTC))
    assert end_passed_over(rt) == 0
    assert run_renewals(rt).ended == 1


def test_an_ended_subscription_stays_held_so_its_paid_box_waits_for_the_release(
    rt: Runtime, clock: FrozenClock, who: Who, leaving: Subscription
) -> None:
    holds.hold(rt, who, leaving.public_id, "dispute on the phone")
    clock.set(datetime(2027, 4, 2, 9, 0, tzinfo=UTC))
    end_passed_over(rt)
    assert _one(rt).held_at is not None
    assert rt.session.scalars(sa.select(Box.state)).all() == ["planned"]

    assert holds.release(rt, who, leaving.public_id)

    released = _one(rt)
    assert (released.state, released.held_at, released.renews_at) == ("canceled", None, None)
    assert run_renewals(rt).claimed == 0
