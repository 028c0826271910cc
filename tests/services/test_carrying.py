"""Totals under the gateway's minimum: settled at once, asked for with a later charge."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from storefront.domain.charging import AttemptState
from storefront.domain.invoices import CreditReason, InvoiceState
from storefront.domain.lifecycle import PeriodState, SubscriptionState
from storefront.domain.money import Money
from storefront.domain.refunds import Way, WayNotOffered
from storefront.models import (
    Box,
    CarriedAmount,
    ChargeAttempt,
    Customer,
    Invoice,
    LedgerTransfer,
    PaymentMethod,
    Subscription,
    SubscriptionPeriod,
)
from storefront.operations.audit import Who
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.credit import give_credit
from storefront.services.dunning import chase_due
from storefront.services.methods import Paid, pay_now
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff
from tests.support.days import next_invoice


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=30))
    return make.make_subscription(rt, plan=plan)


def all_of(rt: Runtime, model: Any) -> list[Any]:
    rt.session.rollback()
    rt.session.expire_all()
    return list(rt.session.scalars(sa.select(model).order_by(model.id)))


def leave_cents(rt: Runtime, who: Who, minor: int) -> None:
    """Give so much credit that the next renewal, over 26.00, owes ``minor``."""
    ref = rt.session.scalars(sa.select(Customer.public_id)).one()
    rt.session.rollback()
    give_credit(rt, who, ref, Money(2600 - minor, "EUR"), "test")


def balance(rt: Runtime, account: str) -> int:
    return sum(
        row.amount_minor * ((row.debit == account) - (row.credit == account))
        for row in all_of(rt, LedgerTransfer)
    )


def card(rt: Runtime, demo_gateway: Any, digits: str) -> None:
    token = demo_gateway.bank.token_for(digits)
    rt.session.execute(sa.update(PaymentMethod).values(token=token))
    rt.session.commit()


def test_a_total_under_the_minimum_is_settled_without_the_gateway(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription
) -> None:
    leave_cents(rt, who, 49)
    invoice = next_invoice(rt, clock)

    assert (invoice.state, invoice.paid_minor, invoice.due_minor) == (InvoiceState.PAID, 49, 0)
    assert len(all_of(rt, ChargeAttempt)) == 1
    (carried,) = all_of(rt, CarriedAmount)
    assert (carried.amount_minor, carried.settled_at, carried.attempt_id) == (49, None, None)
    assert balance(rt, "carried_balance") == 49
    (found,) = all_of(rt, Subscription)
    assert (found.state, found.renews_at is not None) == (SubscriptionState.ACTIVE, True)
    assert all_of(rt, SubscriptionPeriod)[-1].state == PeriodState.PAID
    assert len(all_of(rt, Box)) == 2


def test_the_minimum_itself_is_charged(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription
) -> None:
    leave_cents(rt, who, 50)
    next_invoice(rt, clock)

    assert all_of(rt, ChargeAttempt)[-1].amount_minor == 50
    assert all_of(rt, CarriedAmount) == []


def test_the_next_charge_asks_for_it_and_settles_both(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription
) -> None:
    leave_cents(rt, who, 30)
    next_invoice(rt, clock)
    invoice = next_invoice(rt, clock)

    attempt = all_of(rt, ChargeAttempt)[-1]
    assert (attempt.amount_minor, attempt.carried_minor) == (2630, 30)
    assert (attempt.state, attempt.settles) == (AttemptState.SUCCEEDED, True)
    assert (invoice.state, invoice.paid_minor) == (InvoiceState.PAID, 2600)
    (carried,) = all_of(rt, CarriedAmount)
    assert (carried.attempt_id, carried.settled_at is not None) == (attempt.id, True)
    assert balance(rt, "carried_balance") == 0
    next_invoice(rt, clock)
    assert all_of(rt, ChargeAttempt)[-1].amount_minor == 2600


def test_small_totals_add_up_until_the_gateway_takes_them(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription
) -> None:
    for _ in range(2):
        leave_cents(rt, who, 30)
        next_invoice(rt, clock)

    attempt = all_of(rt, ChargeAttempt)[-1]
    assert (attempt.amount_minor, attempt.carried_minor) == (60, 30)
    assert balance(rt, "carried_balance") == 0


def test_a_decline_leaves_it_carried_and_paying_now_asks_for_the_invoice_alone(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription, demo_gateway: Any
) -> None:
    leave_cents(rt, who, 30)
    next_invoice(rt, clock)
    card(rt, demo_gateway, "0341")
    next_invoice(rt, clock)

    declined = all_of(rt, ChargeAttempt)[-1]
    assert (declined.state, declined.carried_minor) == (AttemptState.DECLINED, 30)
    assert all_of(rt, CarriedAmount)[0].settled_at is None
    assert balance(rt, "carried_balance") == 30

    card(rt, demo_gateway, "4242")
    owed = all_of(rt, Invoice)[-1]
    pay_now(rt, owed.payer_id, owed.public_id)
    assert all_of(rt, ChargeAttempt)[-1].amount_minor == 2600
    assert all_of(rt, Subscription)[0].state == SubscriptionState.ACTIVE
    next_invoice(rt, clock)
    assert all_of(rt, ChargeAttempt)[-1].carried_minor == 30
    assert balance(rt, "carried_balance") == 0


@pytest.fixture
def declined(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription, demo_gateway: Any
) -> Invoice:
    """An invoice over 0.30 whose charge, over 0.70 with what was carried, was declined."""
    leave_cents(rt, who, 40)
    next_invoice(rt, clock)
    leave_cents(rt, who, 30)
    card(rt, demo_gateway, "0341")
    invoice = next_invoice(rt, clock)
    attempt = all_of(rt, ChargeAttempt)[-1]
    assert (attempt.amount_minor, attempt.state) == (70, AttemptState.DECLINED)
    card(rt, demo_gateway, "4242")
    return invoice


def test_a_retry_by_the_clock_asks_for_what_was_carried_again(
    rt: Runtime, clock: FrozenClock, declined: Invoice
) -> None:
    for _ in range(5):
        clock.advance(days=1)
        chase_due(rt)

    attempt = all_of(rt, ChargeAttempt)[-1]
    assert (attempt.amount_minor, attempt.carried_minor) == (70, 40)
    assert (attempt.state, attempt.number) == (AttemptState.SUCCEEDED, 2)
    assert balance(rt, "carried_balance") == 0


def test_paying_now_carries_what_no_gateway_would_take(
    rt: Runtime, clock: FrozenClock, declined: Invoice
) -> None:
    asked = len(all_of(rt, ChargeAttempt))

    assert pay_now(rt, declined.payer_id, declined.public_id) is Paid.DONE

    assert len(all_of(rt, ChargeAttempt)) == asked
    assert balance(rt, "carried_balance") == 70
    assert all_of(rt, Subscription)[0].state == SubscriptionState.ACTIVE
    next_invoice(rt, clock)
    assert all_of(rt, ChargeAttempt)[-1].amount_minor == 2670


def back(rt: Runtime, who: Who, invoice: str, amount: int | None, way: Way) -> str:
    line = offer(rt, invoice).lines[0]
    minor = line.left if amount is None else amount
    wish = Wish({line.head.id: minor}, way, CreditReason.GOODWILL)
    return refund(rt, who, invoice, wish, quote_refund(rt, invoice, wish).quote_hash)


def test_a_small_invoice_goes_back_to_credit_until_it_was_charged_for(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription
) -> None:
    leave_cents(rt, who, 30)
    invoice = next_invoice(rt, clock)
    assert offer(rt, invoice.public_id).ways == {Way.CREDIT: 2600}
    back(rt, who, invoice.public_id, 20, Way.CREDIT)

    next_invoice(rt, clock)
    assert all_of(rt, ChargeAttempt)[-1].amount_minor == 2600 - 20 + 30
    assert offer(rt, invoice.public_id).ways[Way.CARD] == 10
    back(rt, who, invoice.public_id, 10, Way.CARD)
    with pytest.raises(WayNotOffered):
        back(rt, who, invoice.public_id, 1, Way.CARD)


def test_an_invoice_nobody_was_charged_for_is_simply_not_asked_for(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription
) -> None:
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=30), amount_minor=30)
    make.make_subscription(rt, plan=plan)
    invoice = all_of(rt, Invoice)[-1]
    assert (invoice.state, invoice.paid_minor) == (InvoiceState.PAID, 30)
    assert len(all_of(rt, ChargeAttempt)) == 1

    back(rt, who, invoice.public_id, None, Way.OPEN)

    assert balance(rt, "carried_balance") == 0
    assert all_of(rt, CarriedAmount)[0].settled_at is not None


def test_the_rules_about_carried_and_refunded_money_find_a_broken_row(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription
) -> None:
    leave_cents(rt, who, 30)
    small = next_invoice(rt, clock).public_id
    charged = next_invoice(rt, clock).public_id
    back(rt, who, charged, 500, Way.CARD)
    back(rt, who, small, 2580, Way.CREDIT)
    rt.session.rollback()
    assert broken(rt.session) == {}

    wrong = {
        "L4-carried": "UPDATE carried_amount SET amount_minor = amount_minor + 1",
        "L4-back": "UPDATE refund SET amount_minor = amount_minor - 1",
        "C3": "UPDATE credit_application SET amount_minor = amount_minor + 9000",
        "M6": (
            "UPDATE charge_attempt SET amount_minor = amount_minor - 600,"
            " refunded_minor = 0 WHERE settles AND carried_minor > 0"
        ),
        "L3-refunds": "UPDATE refund SET state = 'abandoned'",
    }
    for rule, statement in wrong.items():
        rt.session.execute(sa.text(statement))
        assert rule in broken(rt.session), rule
        rt.session.rollback()
