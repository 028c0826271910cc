"""The next box now, or its payment on another day; leaving with boxes agreed to."""

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from storefront.domain.dates import DateNotMovable
from storefront.domain.lifecycle import PeriodKind, SubscriptionState
from storefront.models import AuditEntry, Box, BoxCycle, ScheduledChange, Subscription
from storefront.models import SubscriptionPeriod as Period
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel, undo_cancel
from storefront.services.dates import move_date, quote_dates, send_now
from storefront.services.pauses import pause
from storefront.services.renewals import run_renewals
from storefront.services.skips import skip_box
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    assert not any(broken(rt.session).values())
    rt.session.rollback()


@pytest.fixture
def weekly(rt: Runtime):
    """Packed on Thursdays, cut-off on Wednesdays."""
    return make.make_group(
        rt,
        unit="week",
        charge_day=None,
        anchor_on=date(2027, 2, 25),
        cycles=60,
        cutoff_days=1,
        lock_days=0,
        ship_days=1,
    )


@pytest.fixture
def rolling(rt: Runtime, weekly) -> Subscription:
    """Ordered on 2 March, so it renews on the 2nd; its first box leaves on 5 March."""
    return make.make_subscription(rt, plan=make.make_plan(rt, group=weekly))


def at(clock: FrozenClock, month: int, day: int) -> None:
    clock.set(datetime(2027, month, day, 9, 0, tzinfo=UTC))


def days_until(rt: Runtime, clock: FrozenClock, day: date) -> None:
    while rt.today() < day:
        clock.advance(days=1)
        run_renewals(rt)


def periods(rt: Runtime) -> list[tuple[str, date, date]]:
    rows = rt.session.execute(
        sa.select(Period.kind, Period.start_on, Period.end_on).order_by(Period.number)
    ).all()
    rt.session.rollback()
    return [(PeriodKind(row.kind).value, row.start_on, row.end_on) for row in rows]


def ships(rt: Runtime) -> list[date]:
    rows = rt.session.scalars(
        sa.select(BoxCycle.ship_from).join(Box, Box.cycle_id == BoxCycle.id).order_by(Box.id)
    ).all()
    rt.session.rollback()
    return list(rows)


def me(sub: Subscription) -> tuple[int, str]:
    return sub.customer_id or 0, sub.public_id


def test_the_next_box_goes_with_the_next_packing_day_and_is_paid_today(
    rt: Runtime, clock: FrozenClock, rolling: Subscription, demo_gateway: DemoGateway
):
    at(clock, 3, 16)

    assert send_now(rt, *me(rolling)).ships_on == date(2027, 3, 19)
    run_renewals(rt)

    assert demo_gateway.bank.executed_count() == 2
    assert ships(rt) == [date(2027, 3, 5), date(2027, 3, 19)]
    assert periods(rt) == [
        ("billed", date(2027, 3, 2), date(2027, 3, 16)),
        ("billed", date(2027, 3, 16), date(2027, 4, 16)),
    ]


@pytest.mark.parametrize(
    ("day", "reason"), [(2, "paid_box"), (3, "paid_box"), (11, "too_late"), (18, "too_late")]
)
def test_no_box_is_sent_now_when_one_waits_or_the_cut_off_is_over(
    rt: Runtime, clock: FrozenClock, rolling: Subscription, day: int, reason: str
):
    at(clock, 3, day)

    assert quote_dates(rt, *me(rolling)).not_now == reason
    with pytest.raises(DateNotMovable, match=reason):
        send_now(rt, *me(rolling))


def test_a_second_click_sends_no_second_box(
    rt: Runtime, clock: FrozenClock, rolling: Subscription, demo_gateway: DemoGateway
):
    at(clock, 3, 16)
    send_now(rt, *me(rolling))
    with pytest.raises(DateNotMovable, match="due"):
        send_now(rt, *me(rolling))
    run_renewals(rt)
    with pytest.raises(DateNotMovable, match="paid_box"):
        send_now(rt, *me(rolling))
    assert demo_gateway.bank.executed_count() == 2


def test_a_later_day_gives_the_days_between(
    rt: Runtime, clock: FrozenClock, rolling: Subscription, demo_gateway: DemoGateway
):
    assert move_date(rt, *me(rolling), date(2027, 4, 20)).charge_on == date(2027, 4, 20)

    days_until(rt, clock, date(2027, 4, 20))

    assert periods(rt)[1:] == [
        ("free", date(2027, 4, 2), date(2027, 4, 20)),
        ("billed", date(2027, 4, 20), date(2027, 5, 20)),
    ]
    assert demo_gateway.bank.executed_count() == 2


def test_an_earlier_day_bills_no_day_twice(
    rt: Runtime, clock: FrozenClock, rolling: Subscription, demo_gateway: DemoGateway
):
    at(clock, 3, 10)
    move_date(rt, *me(rolling), date(2027, 3, 23))

    days_until(rt, clock, date(2027, 3, 23))

    assert periods(rt) == [
        ("billed", date(2027, 3, 2), date(2027, 3, 23)),
        ("billed", date(2027, 3, 23), date(2027, 4, 23)),
    ]
    assert demo_gateway.bank.executed_count() == 2


def test_a_day_moves_there_and_back(rt: Runtime, rolling: Subscription):
    move_date(rt, *me(rolling), date(2027, 4, 20))
    found = move_date(rt, *me(rolling), date(2027, 4, 2))

    assert (found.charge_on, found.last) == (date(2027, 4, 2), date(2027, 5, 2))


@pytest.mark.parametrize("day", [date(2027, 3, 2), date(2027, 5, 3), date(2028, 4, 2)])
def test_a_day_out_of_reach_is_refused(rt: Runtime, rolling: Subscription, day: date):
    with pytest.raises(DateNotMovable, match="out_of_reach"):
        move_date(rt, *me(rolling), day)


def test_no_payment_moves_to_a_day_whose_box_is_there_already(rt: Runtime, rolling: Subscription):
    with pytest.raises(DateNotMovable, match="taken"):
        move_date(rt, *me(rolling), date(2027, 3, 3))


def test_on_a_calendar_every_date_is_the_shops(rt: Runtime):
    sub = make.make_subscription(rt)

    assert quote_dates(rt, *me(sub)).refused == "calendar"
    with pytest.raises(DateNotMovable, match="calendar"):
        move_date(rt, *me(sub), date(2027, 4, 20))


def test_who_pauses_or_leaves_moves_no_date(rt: Runtime, rolling: Subscription):
    pause(rt, *me(rolling), None)
    assert quote_dates(rt, *me(rolling)).refused == "pausing"
    cancel(rt, *me(rolling))
    assert quote_dates(rt, *me(rolling)).refused == "cancelled"


def test_the_end_of_a_term_comes_with_an_earlier_payment(
    rt: Runtime, clock: FrozenClock, weekly, demo_gateway: DemoGateway
):
    plan = make.make_plan(rt, group=weekly, amount_minor=7000, count=3, at_term_end="monthly")
    make.make_price(rt, plan, amount_minor=2700)
    sub = make.make_subscription(rt, plan=plan)
    at(clock, 5, 25)

    move_date(rt, *me(sub), date(2027, 5, 27))

    change = rt.session.scalars(sa.select(ScheduledChange.effective_on)).one()
    rt.session.rollback()
    assert change == date(2027, 5, 27)
    days_until(rt, clock, date(2027, 5, 27))
    assert demo_gateway.bank.executed_total("EUR") == 9700


@pytest.fixture
def bound(rt: Runtime) -> Subscription:
    """Somebody who agreed to three boxes, the first of them paid."""
    return make.make_subscription(rt, plan=make.make_plan(rt, min_boxes=3))


def state(rt: Runtime) -> tuple[str, date | None]:
    row = rt.session.execute(sa.select(Subscription.__table__)).one()
    rt.session.rollback()
    return SubscriptionState(row.state).value, row.ended_on


def test_who_agreed_to_three_boxes_gets_and_pays_three(
    rt: Runtime, clock: FrozenClock, bound: Subscription, demo_gateway: DemoGateway
):
    done = cancel(rt, *me(bound))
    assert (done.ends_on, done.boxes_owed, done.at_once) == (date(2027, 6, 12), 2, False)

    days_until(rt, clock, date(2027, 7, 12))

    assert state(rt) == ("canceled", date(2027, 6, 12))
    assert (demo_gateway.bank.executed_count(), len(ships(rt))) == (3, 3)


def test_a_skip_puts_the_end_off_but_not_the_boxes(
    rt: Runtime, clock: FrozenClock, bound: Subscription, demo_gateway: DemoGateway
):
    april = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == "2027-04"))
    cycle = april.one()
    rt.session.rollback()
    skip_box(rt, *me(bound), cycle)
    cancel(rt, *me(bound))

    days_until(rt, clock, date(2027, 8, 12))

    assert state(rt) == ("canceled", date(2027, 7, 12))
    assert demo_gateway.bank.executed_count() == 3


def test_after_the_last_box_agreed_to_leaving_is_as_for_everybody(
    rt: Runtime, clock: FrozenClock, bound: Subscription
):
    days_until(rt, clock, date(2027, 5, 13))

    assert cancel(rt, *me(bound)).ends_on == date(2027, 6, 12)
    assert undo_cancel(rt, *me(bound))


def test_staff_let_somebody_go_early_and_it_is_written_down(
    rt: Runtime, clock: FrozenClock, bound: Subscription, demo_gateway: DemoGateway
):
    done = cancel(rt, *me(bound), early=make_staff(rt))
    assert (done.ends_on, done.boxes_owed) == (date(2027, 4, 2), 0)

    actions = rt.session.scalars(sa.select(AuditEntry.action)).all()
    rt.session.rollback()
    assert "subscription.let_go_early" in actions
    days_until(rt, clock, date(2027, 4, 12))
    assert demo_gateway.bank.executed_count() == 1
    assert state(rt)[0] == "canceled"


def test_a_trial_binds_nobody(rt: Runtime):
    sub = make.make_subscription(rt, plan=make.make_plan(rt, min_boxes=3, trial_days=14))

    assert cancel(rt, *me(sub)).boxes_owed == 0


def test_who_is_bound_and_owes_still_owes_after_leaving(rt: Runtime, clock: FrozenClock):
    sub = make.make_subscription(rt, plan=make.make_plan(rt, min_boxes=3), card="0341")
    at(clock, 4, 12)
    run_renewals(rt)
    run_renewals(rt)

    done = cancel(rt, *me(sub))

    assert (done.at_once, done.dropped, state(rt)[0]) == (False, None, "past_due")
