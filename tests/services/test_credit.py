"""Customers' credit: given, used for the next invoices, never twice, and back once when void."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.invoices import CreditReason, InvoiceState
from storefront.domain.ledger import CREDITS_GRANTED, CUSTOMER_CREDIT, RECEIVABLE
from storefront.domain.money import Money
from storefront.models import (
    ChargeAttempt,
    Checkout,
    CreditApplication,
    CreditMove,
    Customer,
    CustomerCredit,
    Invoice,
    LedgerTransfer,
    Plan,
    Subscription,
)
from storefront.operations.audit import Who
from storefront.operations.checkout import Market, Order, find_checkout, read_order
from storefront.operations.credits import credit_invoices
from storefront.operations.customer_credit import Owing, apply_credit, balance_of
from storefront.queries.credit import credit_of
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.credit import BadCredit, UnknownCustomer, give_credit
from storefront.services.finishing import Outcome, expire_checkouts
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.orders import begin, count, in_parallel, only, paid, quote_hash


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot")


def give(rt: Runtime, who: Who, customer: Customer, minor: int) -> None:
    give_credit(rt, who, customer.public_id, Money(minor, "EUR"), "the tea came late")


def left(rt: Runtime, customer: Customer) -> int:
    minor = balance_of(rt.session, customer.id, "EUR").minor
    rt.session.rollback()
    return minor


def whole(rt: Runtime) -> None:
    found = broken(rt.session)
    rt.session.rollback()
    assert found == {}


def booked(rt: Runtime, debit: str, credit: str) -> int:
    table = LedgerTransfer.__table__
    minor = rt.session.scalar(
        sa.select(sa.func.coalesce(sa.func.sum(table.c.amount_minor), 0)).where(
            table.c.debit == debit, table.c.credit == credit
        )
    )
    rt.session.rollback()
    return int(minor or 0)


def renewed(rt: Runtime, clock: FrozenClock, days: int = 41) -> None:
    clock.advance(days=days)
    run_renewals(rt)


def last_invoice(rt: Runtime) -> sa.Row:
    table = Invoice.__table__
    row = rt.session.execute(sa.select(table).order_by(table.c.id.desc()).limit(1)).one()
    rt.session.rollback()
    return row


@pytest.mark.parametrize(
    ("credit", "charged", "rest"), [(500, 2100, 0), (2600, 0, 0), (5000, 0, 2400), (1, 2599, 0)]
)
def test_credit_pays_the_next_invoice_and_the_card_the_rest(
    rt: Runtime,
    plan: Plan,
    who: Who,
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    credit: int,
    charged: int,
    rest: int,
) -> None:
    customer = make.make_customer(rt)
    make.make_subscription(rt, plan=plan, customer=customer)
    give(rt, who, customer, credit)

    renewed(rt, clock)

    invoice = last_invoice(rt)
    assert (invoice.state, invoice.total_minor) == (InvoiceState.PAID, 2600)
    assert (invoice.applied_minor, invoice.paid_minor) == (2600 - charged, charged)
    assert demo_gateway.bank.executed_total("EUR") == 2600 + charged
    assert count(rt, ChargeAttempt) == 1 + bool(charged)
    assert left(rt, customer) == rest
    assert booked(rt, CREDITS_GRANTED, CUSTOMER_CREDIT) == credit
    assert booked(rt, CUSTOMER_CREDIT, RECEIVABLE) == 2600 - charged
    whole(rt)


def test_the_oldest_credit_is_used_first(
    rt: Runtime, plan: Plan, who: Who, clock: FrozenClock
) -> None:
    customer = make.make_customer(rt)
    make.make_subscription(rt, plan=plan, customer=customer)
    give(rt, who, customer, 300)
    give(rt, who, customer, 5000)

    renewed(rt, clock)

    found = credit_of(rt.session, customer.id)
    rt.session.rollback()
    assert [row.rest.minor for row in found.rows] == [2700, 0]
    assert [row.reason for row in found.rows] == ["the tea came late"] * 2
    assert found.balances == (Money(2700, "EUR"),)


def test_two_subscriptions_renewed_at_once_share_one_credit(
    rt: Runtime, plan: Plan, who: Who, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    customer = make.make_customer(rt)
    make.make_subscription(rt, plan=plan, customer=customer)
    make.make_subscription(rt, plan=plan, customer=customer)
    give(rt, who, customer, 3000)

    renewed(rt, clock)

    applied = rt.session.scalars(
        sa.select(Invoice.__table__.c.applied_minor).order_by(Invoice.__table__.c.id)
    ).all()
    rt.session.rollback()
    assert applied == [0, 0, 2600, 400]
    assert demo_gateway.bank.executed_total("EUR") == 2 * 2600 + 2200
    whole(rt)


def test_ten_invoices_finalised_at_once_never_use_the_same_credit_twice(
    app: Flask, rt: Runtime, plan: Plan, who: Who, clock: FrozenClock
) -> None:
    """Each thread finalises its own customer's invoice with the same payer's credit."""
    customer = make.make_customer(rt)
    for _ in range(10):
        make.make_subscription(rt, plan=plan, customer=customer)
    rt.session.execute(sa.update(Subscription).values(renews_at=None))
    rt.session.commit()
    give(rt, who, customer, 7000)
    rows = rt.session.execute(
        sa.select(Invoice.__table__.c.id, Invoice.__table__.c.public_id).order_by(
            Invoice.__table__.c.id
        )
    ).all()
    rt.session.execute(
        sa.text("UPDATE invoice SET state = 'open', due_minor = 2600, paid_minor = 0")
    )
    rt.session.commit()

    def use(own: Runtime, n: int) -> int:
        owing = Owing(rows[n].id, rows[n].public_id, customer.id, "EUR", 2600)
        applied = apply_credit(own.session, [owing], own.moment())
        own.session.commit()
        return applied.get(owing.id, 0)

    used = in_parallel(app, 10, use)

    assert sorted(used, reverse=True) == [2600, 2600, 1800] + [0] * 7
    assert left(rt, customer) == 0


def test_two_clicks_at_once_give_credit_once(app: Flask, rt: Runtime, who: Who) -> None:
    customer = make.make_customer(rt)
    ref, five = customer.public_id, Money(500, "EUR")
    rt.session.rollback()

    given = in_parallel(
        app, 4, lambda own, _number: give_credit(own, who, ref, five, "late", "once_1")
    )

    assert sorted(given) == [False, False, False, True]
    assert left(rt, customer) == 500


def test_credit_of_a_voided_invoice_comes_back_once(
    rt: Runtime, plan: Plan, who: Who, clock: FrozenClock
) -> None:
    customer = make.make_customer(rt)
    make.make_subscription(rt, plan=plan, customer=customer, card="0341")
    give(rt, who, customer, 500)
    renewed(rt, clock)
    invoice = last_invoice(rt)
    assert (invoice.state, invoice.due_minor, left(rt, customer)) == (InvoiceState.OPEN, 2100, 0)

    for _ in range(2):
        credit_invoices(rt.session, [invoice.id], CreditReason.CANCELLATION, rt.moment())
        rt.session.commit()

    assert left(rt, customer) == 500
    assert last_invoice(rt).applied_minor == 0
    assert booked(rt, RECEIVABLE, CUSTOMER_CREDIT) == 500
    whole(rt)


def signed_in(rt: Runtime, plan: Plan, customer: Customer) -> str:
    return begin(rt, plan, email=customer.email, customer_id=customer.id)


def shown(rt: Runtime, key: str) -> Order:
    row = find_checkout(rt.session, key)
    assert row is not None
    found = read_order(rt.session, row, Market.of(rt.shop), rt.moment())
    rt.session.rollback()
    return found


@pytest.mark.parametrize(("credit", "charged"), [(500, 2100), (2600, 0), (9000, 0)])
def test_a_signed_in_customer_pays_an_order_with_credit(
    rt: Runtime, plan: Plan, who: Who, demo_gateway: DemoGateway, credit: int, charged: int
) -> None:
    customer = make.make_customer(rt)
    give(rt, who, customer, credit)
    key = signed_in(rt, plan, customer)
    assert shown(rt, key).to_pay == Money(charged, "EUR")

    assert paid(rt, demo_gateway, key) is Outcome.DONE

    invoice = last_invoice(rt)
    assert (invoice.state, invoice.applied_minor) == (InvoiceState.PAID, 2600 - charged)
    assert demo_gateway.bank.executed_total("EUR") == charged
    assert left(rt, customer) == max(credit - 2600, 0)
    assert booked(rt, CUSTOMER_CREDIT, RECEIVABLE) == 2600 - charged
    whole(rt)


def test_a_stranger_who_types_the_e_mail_sees_no_credit(
    rt: Runtime, plan: Plan, who: Who, demo_gateway: DemoGateway
) -> None:
    customer = make.make_customer(rt)
    give(rt, who, customer, 500)
    key = begin(rt, plan, email=customer.email)
    assert shown(rt, key).credit is None
    assert paid(rt, demo_gateway, key, "9995") is Outcome.DECLINED
    assert shown(rt, key).credit is None
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert left(rt, customer) == 500


def test_credit_used_elsewhere_meanwhile_is_shown_again_before_paying(
    rt: Runtime, plan: Plan, who: Who, demo_gateway: DemoGateway
) -> None:
    customer = make.make_customer(rt)
    give(rt, who, customer, 500)
    first, second = signed_in(rt, plan, customer), signed_in(rt, plan, customer)
    agreed = quote_hash(rt, second)
    assert paid(rt, demo_gateway, first) is Outcome.DONE
    assert shown(rt, second).to_pay == Money(2600, "EUR")
    assert quote_hash(rt, second) != agreed


def test_a_declined_order_keeps_its_credit_for_the_next_try_and_gives_it_back_in_the_end(
    rt: Runtime, plan: Plan, who: Who, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    customer = make.make_customer(rt)
    give(rt, who, customer, 500)
    key = signed_in(rt, plan, customer)
    assert paid(rt, demo_gateway, key, "9995") is Outcome.DECLINED
    assert left(rt, customer) == 0
    assert shown(rt, key).to_pay == Money(2100, "EUR")
    assert booked(rt, CUSTOMER_CREDIT, RECEIVABLE) == 0

    clock.advance(days=1)
    assert expire_checkouts(rt) == 1

    assert only(rt, Checkout).state == "expired"
    assert left(rt, customer) == 500
    assert only(rt, CreditApplication).given_back_at is not None
    whole(rt)


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (Money(0, "EUR"), "x"),
        (Money(-5, "EUR"), "x"),
        (Money(5, "USD"), "x"),
        (Money(5, "EUR"), " "),
    ],
)
def test_credit_of_nothing_or_without_a_reason_is_refused(
    rt: Runtime, who: Who, amount: Money, reason: str
) -> None:
    customer = make.make_customer(rt)
    with pytest.raises(BadCredit):
        give_credit(rt, who, customer.public_id, amount, reason)
    assert (count(rt, CustomerCredit), count(rt, CreditMove)) == (0, 0)


def test_credit_for_nobody_is_refused(rt: Runtime, who: Who) -> None:
    with pytest.raises(UnknownCustomer):
        give_credit(rt, who, "cus_nobody", Money(500, "EUR"), "x")
