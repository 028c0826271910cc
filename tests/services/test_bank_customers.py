"""Customers who pay by transfer, extra charges, and open invoices that staff decide about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.charging import AttemptState
from storefront.domain.invoices import InvoiceState, LineKind
from storefront.domain.lifecycle import PeriodState, SubscriptionState
from storefront.domain.money import Money
from storefront.extras import BadExtra, Extra, NotChargeable, Outcome
from storefront.models import (
    AuditEntry,
    Box,
    ChargeAttempt,
    CreditNote,
    Customer,
    Invoice,
    InvoiceLine,
    LedgerTransfer,
    OutboxMessage,
    PaymentMethod,
    Plan,
    ShopSettings,
    Subscription,
    SubscriptionPeriod,
)
from storefront.operations.audit import Who
from storefront.operations.by_hand import ChargeOnItsWay, NotOpen
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import ad_hoc, bank, invoice_desk
from storefront.services.cancellations import cancel, quote_cancellation
from storefront.services.invoice_desk import Then
from storefront.services.methods import Paid, pay_now
from storefront.services.renewals import run_renewals
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
    found = make.make_subscription(rt, plan=plan)
    rt.session.execute(sa.update(ShopSettings).values(bank_details="IBAN DE02 1203"))
    rt.session.commit()
    rt.forget_shop()
    return found


def all_of(rt: Runtime, model: Any) -> list[Any]:
    rt.session.rollback()
    rt.session.expire_all()
    return list(rt.session.scalars(sa.select(model).order_by(model.id)))


def customer(rt: Runtime) -> str:
    found = rt.session.scalars(sa.select(Customer.public_id)).one()
    rt.session.rollback()
    return str(found)


@pytest.fixture
def owed(rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription) -> Invoice:
    """A renewal over 26.00 to be paid by transfer within ten days."""
    assert bank.set_pays_by(rt, who, customer(rt), "bank", 10)
    return next_invoice(rt, clock)


def balance(rt: Runtime, account: str) -> int:
    return sum(
        row.amount_minor * ((row.debit == account) - (row.credit == account))
        for row in all_of(rt, LedgerTransfer)
    )


def mails(rt: Runtime, topic: str) -> int:
    return [row.topic for row in all_of(rt, OutboxMessage)].count(topic)


def test_a_bank_customer_gets_an_invoice_with_a_due_day_and_no_charge(
    rt: Runtime, owed: Invoice
) -> None:
    assert (owed.state, owed.pay_by) == (InvoiceState.OPEN, "bank")
    assert owed.due_on == rt.today() + timedelta(days=10)
    assert len(all_of(rt, ChargeAttempt)) == 1
    assert all_of(rt, Subscription)[0].state == SubscriptionState.ACTIVE
    assert len(all_of(rt, Box)) == 1
    assert mails(rt, "transfer_due") == 1


def test_the_transfer_that_came_settles_it_as_any_payment_does(
    rt: Runtime, who: Who, clock: FrozenClock, owed: Invoice
) -> None:
    with pytest.raises(invoice_desk.OtherAmount):
        invoice_desk.mark_paid(rt, who, owed.public_id, Money(2599, "EUR"))
    invoice_desk.mark_paid(rt, who, owed.public_id, Money(2600, "EUR"), "statement 7")

    paid = all_of(rt, Invoice)[-1]
    assert (paid.state, paid.paid_minor) == (InvoiceState.PAID, 2600)
    payment = all_of(rt, ChargeAttempt)[-1]
    assert (payment.gateway, payment.state, payment.settles) == (
        "manual",
        AttemptState.SUCCEEDED,
        True,
    )
    assert balance(rt, "bank") == 2600
    assert len(all_of(rt, Box)) == 2
    with pytest.raises(NotOpen):
        invoice_desk.mark_paid(rt, who, owed.public_id, Money(2600, "EUR"))
    assert next_invoice(rt, clock).pay_by == "bank"


def test_boxes_of_a_plan_that_ships_to_late_payers_leave_on_the_open_invoice(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription
) -> None:
    rt.session.execute(sa.update(Plan).values(past_due_shipping="ship"))
    rt.session.commit()
    bank.set_pays_by(rt, who, customer(rt), "bank", None)
    invoice = next_invoice(rt, clock)
    assert len(all_of(rt, Box)) == 2
    assert invoice.due_on == rt.today() + timedelta(days=14)

    invoice_desk.mark_paid(rt, who, invoice.public_id, Money(2600, "EUR"))
    assert len(all_of(rt, Box)) == 2


@pytest.mark.parametrize("sent", [1, 3])
def test_who_leaves_still_owes_the_boxes_that_were_sent_before_the_transfer(
    rt: Runtime, who: Who, clock: FrozenClock, sent: int
) -> None:
    plan = make.make_plan(rt, count=3, past_due_shipping="ship")
    sub = make.make_subscription(rt, plan=plan)
    rt.session.execute(sa.update(ShopSettings).values(bank_details="IBAN DE02 1203"))
    rt.session.commit()
    rt.forget_shop()
    bank.set_pays_by(rt, who, customer(rt), "bank", None)
    invoice = next_invoice(rt, clock)
    before, boxes = invoice.due_minor, all_of(rt, Box)[-3:]
    rt.session.execute(
        sa.update(Box).where(Box.id.in_([box.id for box in boxes[:sent]])).values(state="locked")
    )
    rt.session.commit()
    owed = sum(box.net_minor + box.tax_minor for box in boxes[:sent])

    shown = quote_cancellation(rt, sub.customer_id or 0, sub.public_id)
    done = cancel(rt, sub.customer_id or 0, sub.public_id)

    dropped = Money(before - owed, "EUR") if before > owed else None
    assert (shown.dropped, done.dropped, done.at_once) == (dropped, dropped, True)
    left = all_of(rt, Invoice)[-1]
    assert (left.state, left.due_minor) == (InvoiceState.OPEN, owed)
    states = [box.state for box in all_of(rt, Box)[-3:]]
    assert states == [BoxState.LOCKED] * sent + [BoxState.CANCELED] * (3 - sent)
    assert broken(rt.session) == {}
    invoice_desk.mark_paid(rt, who, left.public_id, Money(owed, "EUR"))
    assert all_of(rt, Subscription)[-1].state == SubscriptionState.CANCELED
    assert len(all_of(rt, Box)) == 6


def test_an_overdue_transfer_is_reminded_of_twice(
    rt: Runtime, clock: FrozenClock, owed: Invoice
) -> None:
    sent = []
    for _ in range(25):
        sent.append(bank.remind_overdue(rt).reminded)
        clock.advance(days=1)

    assert [day for day, count in enumerate(sent) if count] == [13, 20]
    assert mails(rt, "transfer_overdue") == 2


def test_a_written_off_invoice_is_bad_debt_of_what_was_delivered(
    rt: Runtime, who: Who, clock: FrozenClock, owed: Invoice
) -> None:
    invoice_desk.give_up(rt, who, owed.public_id, Then.STOP)

    gone = all_of(rt, Invoice)[-1]
    assert (gone.state, gone.written_off_at is not None) == (InvoiceState.UNCOLLECTIBLE, True)
    assert all_of(rt, Subscription)[0].state == SubscriptionState.CANCELED
    # Its box was never made, so the tax alone is lost.
    assert balance(rt, "bad_debt") == gone.tax_minor
    assert balance(rt, "receivable") == 0
    assert [entry.action for entry in all_of(rt, AuditEntry)][-1] == "invoice.written_off"


def test_boxes_not_yet_sent_of_a_written_off_invoice_stay_here(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription
) -> None:
    rt.session.execute(sa.update(Plan).values(past_due_shipping="ship"))
    rt.session.commit()
    bank.set_pays_by(rt, who, customer(rt), "bank", None)
    invoice = next_invoice(rt, clock)

    invoice_desk.give_up(rt, who, invoice.public_id, Then.GO_ON)

    assert all_of(rt, Box)[-1].state == BoxState.CANCELED
    assert next_invoice(rt, clock).state == InvoiceState.OPEN


def test_a_voided_invoice_is_owed_no_more_and_the_next_period_is_billed(
    rt: Runtime, who: Who, clock: FrozenClock, owed: Invoice
) -> None:
    invoice_desk.void(rt, who, owed.public_id, Then.GO_ON)

    gone, (note,) = all_of(rt, Invoice)[-1], all_of(rt, CreditNote)
    assert (gone.state, note.total_minor) == (InvoiceState.VOID, 2600)
    assert all_of(rt, SubscriptionPeriod)[-1].state == PeriodState.VOID
    assert next_invoice(rt, clock).state == InvoiceState.OPEN


def test_a_charge_on_its_way_comes_first(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription, demo_gateway: Any
) -> None:
    token = demo_gateway.bank.token_for("0408")
    rt.session.execute(sa.update(PaymentMethod).values(token=token))
    rt.session.commit()
    invoice = next_invoice(rt, clock)

    with pytest.raises(ChargeOnItsWay):
        invoice_desk.void(rt, who, invoice.public_id, Then.STOP)
    with pytest.raises(ChargeOnItsWay):
        invoice_desk.mark_paid(rt, who, invoice.public_id, Money(2600, "EUR"))


def extra(rt: Runtime, who: Who, sub: Subscription, once: str, minor: int = 990) -> Any:
    wish = Extra("Second teapot", Money(minor, "EUR"), "standard")
    shown = ad_hoc.quote_extra(rt, customer(rt), sub.public_id, wish).quote_hash
    return ad_hoc.charge_extra(rt, who, customer(rt), sub.public_id, wish, shown, once)


def test_something_extra_is_charged_once_on_the_stored_card(
    rt: Runtime, who: Who, sub: Subscription
) -> None:
    before = all_of(rt, Subscription)[0]
    first, second = extra(rt, who, sub, "form-1"), extra(rt, who, sub, "form-1")

    assert (first.outcome, second.outcome) == (Outcome.PAID, Outcome.REPEATED)
    assert second.invoice == first.invoice
    _order, invoice = all_of(rt, Invoice)
    assert (invoice.state, invoice.paid_minor) == (InvoiceState.PAID, 990)
    line = all_of(rt, InvoiceLine)[-1]
    assert (line.kind, line.text, line.period_id) == (LineKind.EXTRA, "Second teapot", None)
    assert line.tax_minor == 158
    after = all_of(rt, Subscription)[0]
    assert (after.next_on, after.state, after.renews_at) == (
        before.next_on,
        before.state,
        before.renews_at,
    )
    assert mails(rt, "extra_charge") == 1


def test_a_declined_extra_stays_open_and_can_be_paid_in_the_account(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription, demo_gateway: Any
) -> None:
    bad, good = (demo_gateway.bank.token_for(each) for each in ("0341", "4242"))
    rt.session.execute(sa.update(PaymentMethod).values(token=bad))
    rt.session.commit()
    charged = extra(rt, who, sub, "form-2")
    assert charged.outcome is Outcome.DECLINED
    assert all_of(rt, Invoice)[-1].state == InvoiceState.OPEN
    assert all_of(rt, Subscription)[0].state == SubscriptionState.ACTIVE

    rt.session.execute(sa.update(PaymentMethod).values(token=good))
    rt.session.commit()
    owed = all_of(rt, Invoice)[-1]
    assert pay_now(rt, owed.payer_id, owed.public_id) is Paid.DONE


def test_something_extra_can_be_paid_after_the_subscription_has_ended(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription, demo_gateway: Any
) -> None:
    bad, good = (demo_gateway.bank.token_for(each) for each in ("0341", "4242"))
    rt.session.execute(sa.update(PaymentMethod).values(token=bad))
    rt.session.commit()
    extra(rt, who, sub, "form-7")
    cancel(rt, sub.customer_id or 0, sub.public_id)
    while all_of(rt, Subscription)[0].state != SubscriptionState.CANCELED:
        clock.advance(days=1)
        run_renewals(rt)
    rt.session.execute(sa.update(PaymentMethod).values(token=good))
    rt.session.commit()

    owed = all_of(rt, Invoice)[-1]
    assert owed.state == InvoiceState.OPEN
    assert pay_now(rt, owed.payer_id, owed.public_id) is Paid.DONE
    assert all_of(rt, Invoice)[-1].state == InvoiceState.PAID


def test_a_bank_customer_gets_an_invoice_for_something_extra(
    rt: Runtime, who: Who, sub: Subscription
) -> None:
    bank.set_pays_by(rt, who, customer(rt), "bank", 5)

    assert extra(rt, who, sub, "form-3").outcome is Outcome.OPEN
    invoice = all_of(rt, Invoice)[-1]
    assert (invoice.pay_by, invoice.due_on) == ("bank", rt.today() + timedelta(days=5))


def test_a_small_extra_is_carried_and_an_ended_subscription_is_never_charged(
    rt: Runtime, who: Who, sub: Subscription
) -> None:
    assert extra(rt, who, sub, "form-4", 30).outcome is Outcome.CARRIED
    with pytest.raises(BadExtra):
        extra(rt, who, sub, "form-5", 0)
    rt.session.execute(sa.update(Subscription).values(held_at=rt.now(), hold_reason="staff"))
    rt.session.commit()
    with pytest.raises(NotChargeable):
        extra(rt, who, sub, "form-6")
    cancel(rt, sub.customer_id, sub.public_id)


def test_a_subscription_that_owes_another_invoice_still_waits_for_that(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription, demo_gateway: Any
) -> None:
    token = demo_gateway.bank.token_for("0341")
    rt.session.execute(sa.update(PaymentMethod).values(token=token))
    rt.session.commit()
    first = next_invoice(rt, clock)
    # As if somebody had let it go on while the first was owed.
    rt.session.execute(sa.update(Subscription).values(state="active", renews_at=rt.now()))
    rt.session.commit()
    second = next_invoice(rt, clock)

    invoice_desk.void(rt, who, second.public_id, Then.GO_ON)
    waiting = all_of(rt, Subscription)[0]
    assert (waiting.state, waiting.renews_at) == (SubscriptionState.PAST_DUE, None)

    invoice_desk.void(rt, who, first.public_id, Then.GO_ON)
    goes_on = all_of(rt, Subscription)[0]
    assert (goes_on.state, goes_on.renews_at is not None) == (SubscriptionState.ACTIVE, True)
