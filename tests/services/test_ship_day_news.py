"""Days off that move a next box are told to whose it is, once, and not if they are taken back."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from storefront.adapters.failpoints import FailpointReached, arm
from storefront.mails import compose
from storefront.models import Customer, CycleGroup, OutboxMessage, Plan, Subscription
from storefront.models.base import table_of
from storefront.operations.audit import Who
from storefront.runtime import Runtime
from storefront.services.box_notices import tell_ship_days
from storefront.services.days_off import set_days_off
from storefront.services.skips import skip_box
from storefront.testing.clock import FrozenClock
from storefront.testing.factories import make_group, make_plan
from tests.support.admin import make_staff
from tests.support.boxes import cycles_of, make_subscribed
from tests.support.paying import waiting_mails

MARCH = date(2027, 3, 18)


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def group(rt: Runtime) -> CycleGroup:
    return make_group(rt)


@pytest.fixture
def plan(rt: Runtime, group: CycleGroup) -> Plan:
    return make_plan(rt, group=group)


def subscribe(rt: Runtime, plan: Plan) -> Subscription:
    row = make_subscribed(rt, plan, next_on=rt.today())
    rt.session.expunge_all()
    rt.session.rollback()
    return row


def told(rt: Runtime) -> list[tuple[str, str, str]]:
    rows = rt.session.scalars(
        sa.select(OutboxMessage.payload)
        .where(OutboxMessage.topic == "ship_day_moved")
        .order_by(OutboxMessage.id)
    ).all()
    rt.session.rollback()
    return [(row["subscription"], row["was_on"], row["ship_from"]) for row in rows]


def tell(rt: Runtime) -> int:
    return tell_ship_days(rt)["of_ship_days"]


def test_whose_next_box_moves_is_told_once_an_hour_later(
    rt: Runtime, clock: FrozenClock, who: Who, group: CycleGroup, plan: Plan
) -> None:
    ada, skips = subscribe(rt, plan), subscribe(rt, plan)
    assert cycles_of(rt, group)[0].ship_from == MARCH
    assert skips.customer_id is not None
    skip_box(rt, skips.customer_id, skips.public_id, cycles_of(rt, group)[0].public_id)
    set_days_off(rt, who, [MARCH], [7])
    assert tell(rt) == 0
    clock.advance(hours=1)
    assert (tell(rt), tell(rt)) == (1, 0)
    assert told(rt) == [(ada.public_id, "2027-03-18", "2027-03-19")]


def test_what_is_taken_back_within_the_hour_is_told_to_nobody(
    rt: Runtime, clock: FrozenClock, who: Who, plan: Plan
) -> None:
    subscribe(rt, plan)
    set_days_off(rt, who, [MARCH], [7])
    clock.advance(minutes=30)
    set_days_off(rt, who, [], [7])
    clock.advance(hours=2)
    assert (tell(rt), told(rt)) == (0, [])


def test_several_changes_within_the_hour_are_told_as_one_and_a_later_one_again(
    rt: Runtime, clock: FrozenClock, who: Who, plan: Plan
) -> None:
    ada = subscribe(rt, plan)
    next_day = MARCH + timedelta(days=1)
    set_days_off(rt, who, [MARCH], [7])
    set_days_off(rt, who, [MARCH, next_day], [7])
    clock.advance(hours=1)
    assert tell(rt) == 1
    set_days_off(rt, who, [], [7])
    clock.advance(hours=1)
    assert tell(rt) == 1
    days = [("2027-03-18", "2027-03-20"), ("2027-03-20", "2027-03-18")]
    assert told(rt) == [(ada.public_id, *each) for each in days]


def test_a_crash_in_between_tells_nobody_twice_and_forgets_nobody(
    rt: Runtime, clock: FrozenClock, who: Who, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storefront.services.box_notices.SLICE", 2)
    mine = [subscribe(rt, plan).public_id for _number in range(5)]
    set_days_off(rt, who, [MARCH], [7])
    clock.advance(hours=1)
    arm("ship_days.after_slice:raise")
    with pytest.raises(FailpointReached):
        tell(rt)
    arm("")
    rt.session.rollback()
    assert len(told(rt)) == 2
    assert tell(rt) == 3
    assert [one for one, _was, _now in told(rt)] == mine


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en", ("leaves on another day", "planned for Thu 18 March")),
        ("de", ("verlässt uns an einem anderen Tag", "Geplant war Do., 18. März")),
        ("fr", ("part un autre jour", "prévue pour")),
    ],
)
def test_the_mail_says_both_days(
    rt: Runtime,
    clock: FrozenClock,
    who: Who,
    plan: Plan,
    locale: str,
    words: tuple[str, str],
) -> None:
    ada = subscribe(rt, plan)
    table = table_of(Customer)
    mine = table.c.id == ada.customer_id
    rt.session.execute(sa.update(table).where(mine).values(locale=locale))
    rt.session.commit()
    set_days_off(rt, who, [MARCH], [7])
    clock.advance(hours=1)
    tell(rt)
    (waiting,) = waiting_mails(rt, "ship_day_moved")
    mail = compose(rt, waiting)
    rt.session.rollback()
    assert mail is not None
    text = (mail.subject + " " + mail.text).replace("\n", " ").replace("\xa0", " ")
    assert all(one in text for one in words), text
