"""Money taken in advance becomes revenue as boxes leave and days pass, to the cent."""

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from storefront.adapters.failpoints import FailpointReached, arm
from storefront.domain.boxes import BoxState
from storefront.domain.ledger import (
    DEFERRED_REVENUE,
    JournalKind,
    earned_days,
    earned_shares,
    next_earning,
)
from storefront.models import Box, LedgerJournal, LedgerSeal, LedgerTransfer, SubscriptionPeriod
from storefront.operations.earning import EarnedBox, deferred_of, earn_boxes, forfeit_boxes
from storefront.operations.ledger import Journal, Transfer, book
from storefront.services.earning import earn_due_days
from storefront.testing import factories


@pytest.fixture(autouse=True)
def _disarm():
    yield
    arm("")


def earned(rt, kind=JournalKind.DAYS_EARNED):
    """Return (shop-local day, amount) of each booking, in order."""
    rows = rt.session.execute(
        sa.select(LedgerJournal.at, LedgerTransfer.amount_minor)
        .join(LedgerTransfer, LedgerTransfer.journal_id == LedgerJournal.id)
        .where(LedgerJournal.kind == kind)
        .order_by(LedgerJournal.id)
    ).all()
    rt.session.rollback()
    return [(rt.day_of(row.at), row.amount_minor) for row in rows]


@pytest.fixture
def member(rt):
    """Somebody who paid 120.00 (100.84 net) for a year of a plan that ships nothing."""
    plan = factories.make_plan(rt, ships=False, amount_minor=12000, unit="year")
    return factories.make_subscription(rt, plan=plan)


def period_of(rt, subscription):
    found = rt.session.scalars(
        sa.select(SubscriptionPeriod).where(SubscriptionPeriod.subscription_id == subscription.id)
    ).first()
    rt.session.expunge(found)
    rt.session.rollback()
    return found


def deferred(rt, period_id):
    found = deferred_of(rt.session, [period_id]).get(period_id, 0)
    rt.session.rollback()
    return found


def test_a_year_without_boxes_is_earned_month_by_month(rt, clock, member):
    period = period_of(rt, member)
    whole = deferred(rt, period.id)
    assert (period.start_on, whole) == (date(2027, 3, 2), 10084)

    assert earn_due_days(rt) == {"periods": 0}
    clock.advance(days=31)
    earn_due_days(rt)
    assert earned(rt) == [(date(2027, 3, 31), 827)]

    clock.advance(days=335)
    earn_due_days(rt)
    booked = earned(rt)
    assert [day.day for day, _ in booked[:3]] == [31, 30, 31]
    assert (len(booked), booked[-1][0]) == (13, date(2028, 3, 1))
    assert (sum(minor for _, minor in booked), deferred(rt, period.id)) == (whole, 0)


def test_days_are_earned_once_however_often_the_job_runs(rt, clock, member):
    clock.advance(days=70)
    assert earn_due_days(rt) == {"periods": 2}
    assert earn_due_days(rt) == {"periods": 0}
    assert len(earned(rt)) == 2


def test_a_kill_before_the_commit_books_nothing(rt, clock, member):
    clock.advance(days=31)
    arm("earning.before_commit:raise")
    with pytest.raises(FailpointReached):
        earn_due_days(rt)
    rt.session.rollback()
    assert earned(rt) == []
    arm("")
    assert earn_due_days(rt) == {"periods": 1}


def test_after_a_credit_only_the_rest_is_earned(rt, clock, member):
    period = period_of(rt, member)
    clock.advance(days=31)
    earn_due_days(rt)
    back = Transfer(DEFERRED_REVENUE, "refunds_due", 9000, "EUR", period_id=period.id)
    book(rt.session, [Journal(JournalKind.CREDIT_NOTE, "crn_1", (back,))], rt.now())
    rt.session.commit()

    clock.advance(days=400)
    earn_due_days(rt)

    assert sum(minor for _, minor in earned(rt)) == 10084 - 9000
    assert deferred(rt, period.id) == 0


def test_a_sealed_day_takes_no_late_booking(rt, clock, member):
    clock.advance(days=40)
    rt.session.add(
        LedgerSeal(day=date(2027, 4, 9), transfers=0, content_hash="x", sealed_at=rt.now())
    )
    rt.session.commit()
    earn_due_days(rt)
    at = rt.session.scalar(
        sa.select(LedgerJournal.at).where(LedgerJournal.kind == JournalKind.DAYS_EARNED)
    )
    assert at == datetime(2027, 4, 10, tzinfo=UTC)


def test_a_period_paid_elsewhere_books_nothing(rt, clock):
    from storefront.testing.population import populate

    plan = factories.make_plan(rt, ships=False)
    populate(rt, plan, factories.price_of(rt, plan), 3, date(2027, 6, 1))
    clock.advance(days=100)
    assert earn_due_days(rt)["periods"] >= 3
    assert (earned(rt), earn_due_days(rt)) == ([], {"periods": 0})


@pytest.fixture
def prepaid(rt):
    """Three boxes paid at once."""
    plan = factories.make_plan(rt, amount_minor=None)
    factories.make_price(rt, plan, amount_minor=7800, count=3)
    return factories.make_subscription(rt, plan=plan)


def boxes_of(rt, subscription):
    found = list(
        rt.session.scalars(
            sa.select(Box).where(Box.subscription_id == subscription.id).order_by(Box.ordinal)
        )
    )
    rt.session.expunge_all()
    rt.session.rollback()
    return found


def leave(rt, boxes, state=BoxState.SHIPPED):
    """Let boxes go: shipped, or canceled and kept the money for."""
    ids = [one.id for one in boxes]
    rt.session.execute(sa.update(Box).where(Box.id.in_(ids)).values(state=state))
    if state is BoxState.CANCELED:
        forfeit_boxes(rt.session, ids, rt.moment())
    else:
        own = [EarnedBox(b.id, b.public_id, b.period_id, b.net_minor, "EUR", None) for b in boxes]
        earn_boxes(rt.session, own, rt.moment())
    rt.session.commit()


def amounts(rt, kind):
    return [minor for _, minor in earned(rt, kind)]


def test_each_box_earns_its_share_and_the_last_leaves_nothing(rt, prepaid):
    boxes = boxes_of(rt, prepaid)
    for box in boxes:
        leave(rt, [box])
    assert amounts(rt, JournalKind.BOX_EARNED) == [box.net_minor for box in boxes]
    assert deferred(rt, boxes[0].period_id) == 0


def test_a_canceled_box_that_is_not_paid_back_is_revenue(rt, prepaid):
    first, second, third = boxes_of(rt, prepaid)
    leave(rt, [first])
    leave(rt, [third], BoxState.CANCELED)
    assert amounts(rt, JournalKind.BOX_FORFEITED) == [third.net_minor]
    leave(rt, [second])
    assert deferred(rt, first.period_id) == 0


def test_a_canceled_box_that_was_credited_is_no_revenue(rt, prepaid):
    first, _second, third = boxes_of(rt, prepaid)
    back = Transfer(
        DEFERRED_REVENUE, "refunds_due", third.net_minor, "EUR", period_id=third.period_id
    )
    book(rt.session, [Journal(JournalKind.CREDIT_NOTE, "crn_1", (back,))], rt.now())
    leave(rt, [third], BoxState.CANCELED)
    assert amounts(rt, JournalKind.BOX_FORFEITED) == []
    leave(rt, [first])
    assert amounts(rt, JournalKind.BOX_EARNED) == [first.net_minor]


@given(
    st.integers(0, 100_000),
    st.lists(st.tuples(st.integers(0, 5000), st.booleans()), min_size=1, max_size=12),
)
def test_whatever_was_credited_the_boxes_earn_exactly_the_rest(rest, boxes):
    left = rest
    for i, (net, forfeited) in enumerate(boxes):
        to_come = [one for one, _ in boxes[i + 1 :]]
        (share,) = earned_shares(left, [net], to_come, forfeited=forfeited)
        assert 0 <= share <= left
        left -= share
    assert left == 0 if boxes[-1][1] is False or sum(n for n, _ in boxes) else left >= 0


@given(
    st.integers(0, 10**9),
    st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    st.integers(1, 800),
)
def test_the_months_of_a_period_earn_exactly_its_price(rest, start, days):
    end = date.fromordinal(start.toordinal() + days)
    left, since, direct = rest, start, 0
    while since < end:
        until = next_earning(since, end)
        step = earned_days(left, since, until, end)
        left, since, direct = left - step, until, direct + 1
        # Never more than half a unit off the straight line, per step made so far.
        straight = rest * (until - start).days / days
        assert abs((rest - left) - straight) <= direct
    assert left == 0
