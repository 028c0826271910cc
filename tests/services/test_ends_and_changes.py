"""What follows a term, and when a subscription is over, before and after a change of plan."""

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.domain.changes import QuoteChanged
from storefront.domain.lifecycle import EndReason, SubscriptionState
from storefront.models import Invoice, Plan, ScheduledChange, Subscription
from storefront.queries import change as changes_seen
from storefront.queries.invariants import broken
from storefront.services.cancellations import cancel, undo_cancel
from storefront.services.changes import change, quote_change, withdraw
from storefront.testing import factories
from tests.support.changing import AGREED, fresh, go, one, wish_of
from tests.support.days import renew_until


@pytest.fixture(autouse=True)
def invariants(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def group(rt):
    return factories.make_group(rt, cycles=40)


@pytest.fixture
def falling(rt, group):
    """Three boxes for 74.10, then a box at a time for 27.00."""
    plan = factories.make_plan(rt, group=group, amount_minor=7410, count=3, at_term_end="monthly")
    factories.make_price(rt, plan, amount_minor=2700)
    return plan


@pytest.fixture
def endless(rt, group):
    return factories.make_plan(rt, group=group, amount_minor=9000, count=3, name="Endless")


def amounts(rt):
    return [one.total_minor for one in fresh(rt, Invoice)]


def after_terms(rt):
    return [
        (one.state, one.effective_on)
        for one in fresh(rt, ScheduledChange, ScheduledChange.kind == "plan")
    ]


def test_a_cancellation_taken_back_keeps_what_follows_the_term(rt, falling, clock):
    sub = factories.make_subscription(rt, plan=falling)

    cancel(rt, sub.customer_id, sub.public_id)
    assert undo_cancel(rt, sub.customer_id, sub.public_id)
    renew_until(rt, clock, date(2027, 7, 12))

    assert amounts(rt) == [7410, 2700, 2700]


def test_what_follows_a_term_is_no_change_to_be_taken_back(rt, falling, clock):
    sub = factories.make_subscription(rt, plan=falling)

    assert changes_seen.waiting(rt.session, sub.customer_id, sub.public_id) is None
    assert not withdraw(rt, sub.customer_id, sub.public_id)
    renew_until(rt, clock, date(2027, 6, 12))

    assert amounts(rt) == [7410, 2700]


def test_a_change_that_is_taken_back_leaves_what_follows_the_term(rt, falling, endless, clock):
    sub = factories.make_subscription(rt, plan=falling)
    _, done = go(rt, sub, endless, when="boundary")
    assert done.outcome == "scheduled"

    assert withdraw(rt, sub.customer_id, sub.public_id)
    renew_until(rt, clock, date(2027, 6, 12))

    assert amounts(rt) == [7410, 2700]


def test_a_change_at_the_term_s_end_goes_before_what_would_follow(rt, falling, endless, clock):
    sub = factories.make_subscription(rt, plan=falling)
    go(rt, sub, endless, when="boundary")

    renew_until(rt, clock, date(2027, 9, 12))

    assert amounts(rt) == [7410, 9000, 9000]
    assert [state for state, _ in after_terms(rt)] == ["withdrawn"]
    assert one(rt, Subscription, sub.id).plan_id == endless.id


def test_a_change_of_today_replaces_what_follows_the_term(rt, falling, endless, clock):
    sub = factories.make_subscription(rt, plan=falling)
    _, done = go(rt, sub, endless)
    assert done.outcome == "applied"

    renew_until(rt, clock, date(2027, 6, 12))

    assert amounts(rt) == [7410, 9000 - 7410, 9000]


@pytest.mark.parametrize("when", ["now", "boundary"])
def test_a_term_changed_to_falls_to_a_box_at_a_time(rt, group, falling, clock, when):
    plan = factories.make_plan(rt, group=group, amount_minor=2600)
    sub = factories.make_subscription(rt, plan=plan)

    go(rt, sub, falling, when=when)
    renew_until(rt, clock, date(2027, 8, 12))

    first, then = [2600, 7410 - 2600, 2700], [2600, 7410, 2700]
    assert amounts(rt)[:3] == (first if when == "now" else then)
    assert one(rt, Subscription, sub.id).price_id == factories_price(rt, falling, 2700)


def factories_price(rt, plan, minor):
    return next(
        row.id
        for row in rt.session.execute(
            sa.text("SELECT id, amount_minor FROM price WHERE plan_id = :plan"), {"plan": plan.id}
        )
        if row.amount_minor == minor
    )


def test_a_term_begun_anew_falls_later(rt, falling, clock):
    sub = factories.make_subscription(rt, plan=falling)
    clock.advance(days=20)

    _, done = go(rt, sub, quantity=2, when="restart")

    assert done.outcome == "applied"
    (kept,) = after_terms(rt)
    assert kept == ("waiting", one(rt, Subscription, sub.id).next_on)


def test_three_boxes_and_stop_changed_to_an_endless_plan_goes_on(rt, group, endless, clock):
    plan = factories.make_plan(rt, group=group, amount_minor=7410, count=3, at_term_end="stop")
    sub = factories.make_subscription(rt, plan=plan)
    go(rt, sub, endless, when="boundary")

    renew_until(rt, clock, date(2027, 9, 12))

    row = one(rt, Subscription, sub.id)
    assert (row.state, row.max_boxes) == (SubscriptionState.ACTIVE, None)
    assert amounts(rt) == [7410, 9000, 9000]


def test_an_endless_plan_changed_to_three_boxes_and_stop_ends(rt, group, endless, clock):
    plan = factories.make_plan(rt, group=group, amount_minor=8000, count=3, at_term_end="stop")
    sub = factories.make_subscription(rt, plan=endless)
    go(rt, sub, plan, when="boundary")

    renew_until(rt, clock, date(2027, 9, 12))

    row = one(rt, Subscription, sub.id)
    assert (row.state, row.end_reason) == (SubscriptionState.CANCELED, EndReason.COMPLETED)
    assert (amounts(rt), row.max_boxes) == ([9000, 8000], 6)


@pytest.mark.parametrize(
    ("days", "when", "most"), [(0, "now", 3), (20, "now", 3), (20, "restart", 4)]
)
def test_a_change_of_today_ends_as_the_new_plan_does(rt, group, endless, clock, days, when, most):
    plan = factories.make_plan(
        rt, group=group, amount_minor=9900, count=3, at_term_end="stop", min_boxes=2
    )
    sub = factories.make_subscription(rt, plan=endless)
    clock.advance(days=days)

    _, done = go(rt, sub, plan, when=when)

    assert done.outcome == "applied"
    row = one(rt, Subscription, sub.id)
    assert (row.max_boxes, row.min_boxes) == (most, most - 1)
    renew_until(rt, clock, row.next_on)
    assert one(rt, Subscription, sub.id).end_reason == EndReason.COMPLETED


def test_boxes_agreed_to_are_not_got_round_by_a_change(rt, group, clock):
    plan = factories.make_plan(rt, group=group, amount_minor=2600, min_boxes=6)
    free = factories.make_plan(rt, group=group, amount_minor=2700, ends_on=date(2028, 1, 1))
    sub = factories.make_subscription(rt, plan=plan)

    go(rt, sub, free)

    row = one(rt, Subscription, sub.id)
    assert (row.plan_id, row.min_boxes, row.ends_on) == (free.id, 6, date(2028, 1, 1))


def test_more_of_the_same_leaves_its_end(rt, group, clock):
    plan = factories.make_plan(rt, group=group, amount_minor=2600, max_boxes=4)
    sub = factories.make_subscription(rt, plan=plan)
    go(rt, sub, quantity=2)
    assert one(rt, Subscription, sub.id).max_boxes == 4


@pytest.mark.parametrize("days", [0, 20])
@pytest.mark.parametrize("when", ["now", "restart", "boundary"])
@pytest.mark.parametrize(
    "values",
    [
        {"count": 3, "at_term_end": "stop", "min_boxes": 2, "amount_minor": 9900},
        {"count": 1, "max_boxes": 4, "min_boxes": 3, "amount_minor": 9100},
        {"count": 1, "ends_on": date(2028, 5, 1), "amount_minor": 9100},
    ],
)
def test_the_end_that_is_shown_is_the_end_that_is_written(
    rt, group, endless, clock, days, when, values
):
    plan = factories.make_plan(rt, group=group, **values)
    sub = factories.make_subscription(rt, plan=endless)
    clock.advance(days=days)

    quote, _ = go(rt, sub, plan, when=when)
    if not quote.at_once:
        renew_until(rt, clock, quote.effective_on)

    row = one(rt, Subscription, sub.id)
    assert row.plan_id == plan.id
    assert (quote.ends.least, quote.ends.most, quote.ends.on) == (
        row.min_boxes,
        row.max_boxes,
        row.ends_on,
    )


def test_a_plan_that_ends_otherwise_meanwhile_is_shown_again(rt, group, endless, clock):
    plan = factories.make_plan(rt, group=group, amount_minor=9900, min_boxes=2)
    sub = factories.make_subscription(rt, plan=endless)
    wish = wish_of(rt, sub, plan)
    shown = quote_change(rt, sub.customer_id, sub.public_id, wish).quote_hash
    for values in ({"min_boxes": 3}, {"max_boxes": 8}, {"ends_on": date(2028, 5, 1)}):
        rt.session.execute(sa.update(Plan).where(Plan.id == plan.id).values(**values))
        rt.session.commit()
        with pytest.raises(QuoteChanged):
            change(rt, sub.customer_id, sub.public_id, wish, shown, AGREED)
        shown = quote_change(rt, sub.customer_id, sub.public_id, wish).quote_hash
