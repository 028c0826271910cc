"""Account credit pays for a change of plan as it pays for any next invoice."""

import pytest
import sqlalchemy as sa

from storefront.charges import look_up
from storefront.domain.changes import QuoteChanged
from storefront.domain.invoices import InvoiceState
from storefront.domain.money import Money
from storefront.models import ChargeAttempt, CreditMove, Customer, Invoice, Subscription
from storefront.operations.customer_credit import balance_of
from storefront.queries.invariants import broken
from storefront.services.cancellations import cancel
from storefront.services.changes import change, quote_change
from storefront.services.changes_lapsed import expire_changes
from storefront.services.credit import give_credit
from storefront.testing import factories
from tests.support.admin import make_staff
from tests.support.changing import AGREED, boxes_sent, bring_card, fresh, go, one, wish_of


@pytest.fixture(autouse=True)
def invariants(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def group(rt):
    return factories.make_group(rt, cycles=40)


@pytest.fixture
def sub(rt, group):
    return factories.make_subscription(
        rt, plan=factories.make_plan(rt, group=group, amount_minor=4000, unit="year")
    )


@pytest.fixture
def sixty(rt, group, sub):
    return factories.make_plan(rt, group=group, amount_minor=6000, unit="year", name="Big pot")


def credit(rt, sub, minor):
    customer = one(rt, Customer, sub.customer_id).public_id
    give_credit(rt, make_staff(rt), customer, Money(minor, "EUR"), "sorry")


def left(rt, sub):
    rt.session.rollback()
    return balance_of(rt.session, sub.customer_id, "EUR").minor


def test_credit_pays_a_part_and_the_card_the_rest_as_the_preview_said(
    rt, sub, sixty, clock, demo_gateway
):
    boxes_sent(clock, 3)
    credit(rt, sub, 600)
    before = demo_gateway.bank.executed_total("EUR")

    quote, done = go(rt, sub, sixty)

    assert (quote.from_credit.minor, quote.due_today.minor, done.outcome) == (600, 900, "applied")
    invoice = fresh(rt, Invoice)[-1]
    assert (invoice.total_minor, invoice.applied_minor, invoice.paid_minor) == (1500, 600, 900)
    assert demo_gateway.bank.executed_total("EUR") - before == 900
    assert left(rt, sub) == 0
    assert one(rt, Subscription, sub.id).plan_id == sixty.id


def test_credit_that_is_enough_changes_without_the_gateway(rt, sub, sixty, clock):
    boxes_sent(clock, 3)
    credit(rt, sub, 2000)
    attempts = len(fresh(rt, ChargeAttempt))

    quote, done = go(rt, sub, sixty)

    assert (quote.from_credit.minor, quote.due_today.minor, done.outcome) == (1500, 0, "applied")
    assert len(fresh(rt, ChargeAttempt)) == attempts
    assert fresh(rt, Invoice)[-1].state == InvoiceState.PAID
    assert left(rt, sub) == 500


def test_a_declined_change_gives_its_credit_back_once(rt, sub, sixty, clock, demo_gateway):
    boxes_sent(clock, 3)
    credit(rt, sub, 600)
    bring_card(rt, demo_gateway, "9995")

    _, done = go(rt, sub, sixty)

    assert done.outcome == "declined"
    invoice = fresh(rt, Invoice)[-1]
    assert (invoice.state, invoice.applied_minor) == (InvoiceState.DISCARDED, 0)
    assert left(rt, sub) == 600
    bring_card(rt, demo_gateway, "4242")
    assert go(rt, sub, sixty)[1].outcome == "applied"
    assert left(rt, sub) == 0


def test_credit_is_set_aside_while_the_bank_asks_and_free_when_nobody_confirms(
    rt, sub, sixty, clock, demo_gateway
):
    boxes_sent(clock, 3)
    credit(rt, sub, 600)
    bring_card(rt, demo_gateway, "3220")

    _, done = go(rt, sub, sixty)

    assert (done.outcome, left(rt, sub)) == ("action", 0)
    clock.advance(hours=2)
    assert expire_changes(rt) == 1
    assert left(rt, sub) == 600
    assert [move.rest_minor for move in fresh(rt, CreditMove)] == [600]


def test_who_leaves_while_it_is_paid_keeps_the_credit_and_gets_late_money_back(
    rt, sub, sixty, clock, demo_gateway
):
    boxes_sent(clock, 3)
    credit(rt, sub, 600)
    bring_card(rt, demo_gateway, "0408")
    go(rt, sub, sixty)

    cancel(rt, sub.customer_id, sub.public_id)
    assert left(rt, sub) == 600
    attempt = fresh(rt, ChargeAttempt)[-1]
    look_up(rt, attempt.id)

    assert left(rt, sub) == 600
    assert one(rt, ChargeAttempt, attempt.id).refunded_minor == 900


def test_credit_given_after_the_preview_shows_it_again(rt, sub, sixty, clock):
    boxes_sent(clock, 3)
    wish = wish_of(rt, sub, sixty)
    shown = quote_change(rt, sub.customer_id, sub.public_id, wish)
    credit(rt, sub, 600)

    with pytest.raises(QuoteChanged):
        change(rt, sub.customer_id, sub.public_id, wish, shown.quote_hash, AGREED)
    assert left(rt, sub) == 600


def test_somebody_elses_credit_neither_shows_nor_pays(rt, sub, sixty, clock):
    boxes_sent(clock, 3)
    other = factories.make_customer(rt)
    credit(rt, sub, 600)
    rt.session.execute(sa.text("UPDATE customer_credit SET customer_id = :key"), {"key": other.id})
    rt.session.execute(sa.update(Subscription).values(payer_id=other.id))
    rt.session.commit()

    quote = quote_change(rt, sub.customer_id, sub.public_id, wish_of(rt, sub, sixty))

    assert (quote.from_credit.minor, quote.due_today.minor) == (0, 1500)
    rt.session.execute(
        sa.text("UPDATE customer_credit SET customer_id = :key"), {"key": sub.customer_id}
    )
    rt.session.commit()
