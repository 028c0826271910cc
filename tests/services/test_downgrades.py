"""Downgrades by staff, and refunds before and after a change."""

import pytest
import sqlalchemy as sa

from storefront.charges import look_up
from storefront.domain.changes import ConsentMissing, NotChangeable
from storefront.domain.invoices import CreditReason, InvoiceState
from storefront.domain.refunds import Way
from storefront.models import (
    Box,
    ChargeAttempt,
    CreditMove,
    CreditNote,
    Invoice,
    InvoiceLine,
    Refund,
    ScheduledChange,
    ShopSettings,
    Subscription,
    SubscriptionPeriod,
)
from storefront.queries.invariants import broken
from storefront.services import refunding
from storefront.services.changes import quote_change
from storefront.services.downgrades import downgrade, quote_downgrade
from storefront.testing import factories
from tests.support.admin import make_staff
from tests.support.changing import (
    AGREED,
    boxes_sent,
    bring_card,
    fresh,
    go,
    one,
    wish_of,
)


@pytest.fixture(autouse=True)
def invariants(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def group(rt):
    return factories.make_group(rt, cycles=40)


@pytest.fixture
def forty(rt, group):
    return factories.make_plan(rt, group=group, amount_minor=4000, unit="year")


@pytest.fixture
def sixty(rt, group, forty):
    return factories.make_plan(rt, group=group, amount_minor=6000, unit="year", name="Big pot")


@pytest.fixture
def sub(rt, forty):
    return factories.make_subscription(rt, plan=forty)


@pytest.fixture
def who(rt):
    return make_staff(rt)


def move_down(rt, who, sub, plan, agreed=None, **values):
    wish = wish_of(rt, sub, plan, **values)
    quote = quote_downgrade(rt, sub.public_id, wish)
    return quote, downgrade(rt, who, sub.public_id, wish, quote.quote_hash, agreed)


def test_a_downgrade_by_staff_makes_credit_and_no_invoice_below_zero(rt, who, group, sub, clock):
    less = factories.make_plan(rt, group=group, amount_minor=2800, unit="year")
    boxes_sent(clock, 3)

    quote, notes = move_down(rt, who, sub, less)

    assert (quote.credit.minor, len(notes)) == (900, 1)
    assert [(one.total_minor, one.state) for one in fresh(rt, Invoice)] == [
        (4000, InvoiceState.PAID),
        (0, InvoiceState.PAID),
    ]
    (note,) = fresh(rt, CreditNote)
    assert (note.total_minor, note.to, note.reason) == (900, "credit", "change")
    (move,) = fresh(rt, CreditMove)
    assert (move.origin, move.rest_minor, move.credit_note_id) == ("change", 900, note.id)
    plans = [box.plan_id for box in fresh(rt, Box)]
    assert plans == [sub.plan_id] * 3 + [less.id] * 9


def test_an_upgrade_after_a_downgrade_credits_no_more_than_is_left(
    rt, who, group, sub, sixty, clock
):
    less = factories.make_plan(rt, group=group, amount_minor=2800, unit="year")
    boxes_sent(clock, 3)
    move_down(rt, who, sub, less)

    quote = quote_change(rt, sub.customer_id, sub.public_id, wish_of(rt, sub, sixty))

    assert quote.credit.minor == 2100
    # The nine that the downgrade gave back pay a part of it.
    assert (quote.from_credit.minor, quote.due_today.minor) == (900, 1500)


def test_a_year_left_for_three_months_gives_the_rest_back_as_credit(rt, who, group, sub, clock):
    short = factories.make_plan(rt, group=group, amount_minor=1200, count=3)
    boxes_sent(clock, 3)
    with pytest.raises(ConsentMissing):
        move_down(rt, who, sub, short)
    rt.session.rollback()

    quote, _ = move_down(rt, who, sub, short, AGREED)

    assert quote.credit.minor == 1800
    old, new = fresh(rt, SubscriptionPeriod)
    assert (old.end_on, new.start_on, new.box_count) == (rt.today(), rt.today(), 3)
    assert sum(one.rest_minor for one in fresh(rt, CreditMove)) == 1800


def test_staff_cannot_downgrade_to_something_dearer(rt, sub, sixty):
    with pytest.raises(NotChangeable):
        quote_downgrade(rt, sub.public_id, wish_of(rt, sub, sixty))


def test_refunds_after_an_upgrade_never_return_more_than_was_paid(rt, sub, sixty, clock):
    boxes_sent(clock, 3)
    go(rt, sub, sixty)

    first, second = (refunding.offer(rt, one.public_id) for one in fresh(rt, Invoice))

    # Thirty of the first forty pay for boxes of the new plan; ten paid for boxes sent.
    assert (first.left, second.left) == (1000, 4500)
    assert first.left + second.left == 4000 + 1500


def test_a_refund_before_an_upgrade_is_not_credited_again(rt, who, sub, sixty, clock):
    boxes_sent(clock, 3)
    paid = fresh(rt, Invoice)[0].public_id
    line = fresh(rt, InvoiceLine)[0].id
    wish = refunding.Wish({line: 2000}, Way.CREDIT, CreditReason.GOODWILL)
    shown = refunding.quote_refund(rt, paid, wish).quote_hash
    refunding.refund(rt, who, paid, wish, shown)

    quote, _ = go(rt, sub, sixty)

    # Twenty are left of forty; nine of twelve boxes are unused: fifteen.
    assert quote.credit.minor == 1500
    assert (quote.from_credit.minor, quote.due_today.minor) == (2000, 1000)


@pytest.mark.parametrize("way", ["sum", "line"])
def test_the_tax_of_a_downgrade_is_rounded_as_the_shop_says(rt, who, group, way):
    rt.session.execute(sa.update(ShopSettings).values(tax_rounding=way))
    rt.session.commit()
    rt.forget_shop()
    plan = factories.make_plan(rt, group=group, amount_minor=5000)
    less = factories.make_plan(rt, group=group, amount_minor=1000)
    for each in (plan, less):
        factories.make_options(rt, each, code="size", choices=[("l", "L", 1000)])
    sub = factories.make_subscription(rt, plan=plan, options={"size": "l"})

    move_down(rt, who, sub, less)

    charges = [one for one in fresh(rt, InvoiceLine) if one.kind == "proration_charge"]
    assert [one.gross_minor for one in charges] == [1000, 1000]
    alone, together = round(1000 * 19 / 119), round(2000 * 19 / 119)
    assert 2 * alone != together
    tax = sum(one.tax_minor for one in charges)
    assert tax == (2 * alone if way == "line" else together)


def test_a_refund_while_the_bank_thinks_makes_the_payment_of_an_upgrade_surplus(
    rt, who, sub, sixty, clock, demo_gateway
):
    boxes_sent(clock, 3)
    bring_card(rt, demo_gateway, "0408")
    _, done = go(rt, sub, sixty)
    assert done.outcome == "waiting"
    paid, line = fresh(rt, Invoice)[0].public_id, fresh(rt, InvoiceLine)[0].id
    wish = refunding.Wish({line: 2000}, Way.CREDIT, CreditReason.GOODWILL)
    shown = refunding.quote_refund(rt, paid, wish).quote_hash
    refunding.refund(rt, who, paid, wish, shown)

    look_up(rt, fresh(rt, ChargeAttempt)[-1].id)

    row = one(rt, Subscription, sub.id)
    assert (row.plan_id, row.renews_at is None) == (sub.plan_id, False)
    assert [refund.amount_minor for refund in fresh(rt, Refund)] == [1500]
    assert fresh(rt, Invoice)[-1].state is InvoiceState.DISCARDED
    assert fresh(rt, ScheduledChange)[0].state == "withdrawn"
    assert fresh(rt, InvoiceLine)[0].credited_minor == 2000
