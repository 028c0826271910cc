"""Extra charges kept as drafts: nothing is asked before they are finalised, and then once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.invoices import InvoiceState
from storefront.domain.money import Money
from storefront.extras import BadExtra, Extra, ExtraChanged, NotChargeable, Outcome
from storefront.models import (
    AuditEntry,
    ChargeAttempt,
    Customer,
    CustomerCredit,
    Invoice,
    InvoiceLine,
    LedgerJournal,
    NumberSeries,
    OutboxMessage,
    ShopSettings,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.audit import Who
from storefront.operations.document_checks import changed_invoices
from storefront.queries import invoices as account_invoices
from storefront.queries.documents import document, issued_between
from storefront.queries.extra_drafts import draft, drafts
from storefront.queries.invariants import broken
from storefront.queries.profile import holdings
from storefront.runtime import Runtime
from storefront.services import bank, extra_drafts, taxes
from storefront.services.credit import give_credit
from storefront.services.extra_drafts import DraftChanged
from storefront.services.renewals import run_renewals
from storefront.services.taxes import RateDraft
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff

TEAPOT = Extra("Second teapot", Money(990, "EUR"), "standard")
CUP = Extra("A cup", Money(500, "EUR"), "reduced")


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


def all_of(rt: Runtime, model: Any) -> list[Any]:
    rt.session.rollback()
    rt.session.expire_all()
    return list(rt.session.scalars(sa.select(model).order_by(model.id)))


def customer(rt: Runtime) -> str:
    return str(all_of(rt, Customer)[0].public_id)


def mails(rt: Runtime, topic: str) -> int:
    return [row.topic for row in all_of(rt, OutboxMessage)].count(topic)


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


@pytest.fixture
def ref(rt: Runtime, who: Who, sub: Subscription) -> str:
    """A draft over a second teapot."""
    return extra_drafts.save_draft(rt, who, customer(rt), sub.public_id, TEAPOT, "form-1")


def version(rt: Runtime, ref: str) -> str:
    found = draft(rt.session, ref)
    rt.session.rollback()
    assert found is not None
    return found.version


def finalise(rt: Runtime, who: Who, ref: str) -> Any:
    shown = extra_drafts.quote_draft(rt, ref).quote_hash
    return extra_drafts.finalise_draft(rt, who, ref, shown)


def count(rt: Runtime, model: Any) -> int:
    return len(all_of(rt, model))


def test_a_draft_draws_no_number_books_nothing_and_asks_nobody(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription
) -> None:
    before = [count(rt, each) for each in (LedgerJournal, ChargeAttempt, OutboxMessage)]
    next_number = sa.select(NumberSeries.next_number).where(NumberSeries.code == "INV")
    series = rt.session.scalar(next_number)
    rt.session.rollback()

    ref = extra_drafts.save_draft(rt, who, customer(rt), sub.public_id, TEAPOT, "form-1")
    clock.advance(days=3)
    run_renewals(rt)

    assert before == [count(rt, each) for each in (LedgerJournal, ChargeAttempt, OutboxMessage)]
    assert rt.session.scalar(next_number) == series
    kept = all_of(rt, Invoice)[-1]
    assert (kept.public_id, kept.state, kept.number) == (ref, InvoiceState.DRAFT, None)
    assert [each.text for each in drafts(rt.session)] == ["Second teapot"]


def test_the_customer_and_the_accountant_never_see_a_draft(
    rt: Runtime, clock: FrozenClock, sub: Subscription, ref: str
) -> None:
    payer, now = sub.customer_id or 0, rt.now()
    listed = account_invoices.invoices(rt.session, payer, rt.today())
    assert ref not in [row.public_id for row in listed.rows]
    assert document(rt.session, ref) is None
    assert document(rt.session, ref, payer) is None
    assert account_invoices.owed(rt.session, payer, rt.moment()) is None
    assert holdings(rt.session, payer).invoices == 1
    assert ref not in issued_between(rt.session, now - timedelta(days=9), now + timedelta(days=9))


def test_a_form_sent_twice_saves_one_draft(
    rt: Runtime, who: Who, sub: Subscription, ref: str
) -> None:
    again = extra_drafts.save_draft(rt, who, customer(rt), sub.public_id, TEAPOT, "form-1")
    other = extra_drafts.save_draft(rt, who, customer(rt), sub.public_id, TEAPOT, "form-2")

    assert again == ref
    assert other != ref
    assert len(drafts(rt.session)) == 2


def test_a_draft_is_changed_freely_and_finalised_as_it_stands_then(
    rt: Runtime, who: Who, ref: str
) -> None:
    extra_drafts.change_draft(rt, who, ref, CUP, version(rt, ref))
    kept = draft(rt.session, ref)
    assert kept is not None
    assert (kept.text, kept.amount.minor, kept.tax_class) == ("A cup", 500, "reduced")

    assert finalise(rt, who, ref).outcome is Outcome.PAID

    invoice, line = all_of(rt, Invoice)[-1], all_of(rt, InvoiceLine)[-1]
    assert (invoice.public_id, invoice.state, invoice.paid_minor) == (ref, InvoiceState.PAID, 500)
    assert (line.text, line.tax_rate_bp, line.tax_minor) == ("A cup", 700, 33)
    assert "extra" not in invoice.snapshot
    assert invoice.snapshot["buyer"]["email"]
    assert changed_invoices(rt.session, invoice.finalised_at, 9) == []
    assert mails(rt, "extra_charge") == 1
    assert [row.action for row in all_of(rt, AuditEntry)][-3:] == [
        "invoice.draft_saved",
        "invoice.draft_changed",
        "invoice.extra",
    ]


def test_tax_and_day_are_those_of_the_day_it_is_finalised(
    rt: Runtime, who: Who, clock: FrozenClock, ref: str
) -> None:
    seen = extra_drafts.quote_draft(rt, ref)
    day = rt.today() + timedelta(days=2)
    taxes.add_rate(rt, who, RateDraft("DE", "", "standard", Decimal("21"), day))
    assert extra_drafts.quote_draft(rt, ref) == seen
    clock.advance(days=2)

    with pytest.raises(ExtraChanged):
        extra_drafts.finalise_draft(rt, who, ref, seen.quote_hash)
    finalise(rt, who, ref)

    invoice, line = all_of(rt, Invoice)[-1], all_of(rt, InvoiceLine)[-1]
    assert (seen.tax.minor, line.tax_minor, line.tax_rate_bp) == (158, 172, 2100)
    assert invoice.tax_point_on == line.service_from == rt.today()
    assert invoice.finalised_at == rt.now()


def test_a_double_click_finalises_once(rt: Runtime, who: Who, ref: str) -> None:
    shown = extra_drafts.quote_draft(rt, ref).quote_hash
    first = extra_drafts.finalise_draft(rt, who, ref, shown)
    second = extra_drafts.finalise_draft(rt, who, ref, shown)

    assert (first.outcome, second.outcome) == (Outcome.PAID, Outcome.REPEATED)
    assert first.invoice == second.invoice == ref
    assert count(rt, ChargeAttempt) == 2
    assert mails(rt, "extra_charge") == 1


def test_who_comes_second_sees_the_new_state(rt: Runtime, who: Who, ref: str) -> None:
    seen, shown = version(rt, ref), extra_drafts.quote_draft(rt, ref).quote_hash
    extra_drafts.change_draft(rt, who, ref, CUP, seen)

    with pytest.raises(DraftChanged):
        extra_drafts.change_draft(rt, who, ref, TEAPOT, seen)
    with pytest.raises(DraftChanged):
        extra_drafts.discard_draft(rt, who, ref, seen)
    with pytest.raises(ExtraChanged):
        extra_drafts.finalise_draft(rt, who, ref, shown)
    rt.session.rollback()
    assert [each.text for each in drafts(rt.session)] == ["A cup"]

    finalise(rt, who, ref)
    with pytest.raises(DraftChanged) as late:
        extra_drafts.discard_draft(rt, who, ref, seen)
    assert late.value.params["state"] == "paid"


def test_a_discarded_draft_stays_as_it_is_and_is_never_charged(
    rt: Runtime, who: Who, ref: str
) -> None:
    seen, shown = version(rt, ref), extra_drafts.quote_draft(rt, ref).quote_hash
    for _ in range(2):
        extra_drafts.discard_draft(rt, who, ref, seen)

    with pytest.raises(DraftChanged):
        extra_drafts.finalise_draft(rt, who, ref, shown)
    with pytest.raises(DraftChanged):
        extra_drafts.change_draft(rt, who, ref, CUP, seen)
    rt.session.rollback()
    kept = all_of(rt, Invoice)[-1]
    assert (kept.state, kept.number) == (InvoiceState.DISCARDED, None)
    assert drafts(rt.session) == ()
    with pytest.raises(sa.exc.DBAPIError, match="frozen"):
        rt.session.execute(sa.update(table_of(Invoice)).values(total_minor=1, due_minor=1))
    rt.session.rollback()
    assert [row.action for row in all_of(rt, AuditEntry)].count("invoice.draft_discarded") == 1


def test_a_number_at_a_draft_is_refused_by_the_database(rt: Runtime, ref: str) -> None:
    table = table_of(Invoice)
    with pytest.raises(sa.exc.IntegrityError):
        rt.session.execute(sa.update(table).where(table.c.public_id == ref).values(number=77))
    rt.session.rollback()


def test_a_draft_that_was_booked_is_found(rt: Runtime, who: Who, ref: str) -> None:
    table = table_of(LedgerJournal)
    rt.session.execute(
        sa.insert(table).values(kind="invoice_finalised", event_ref=ref, at=rt.now())
    )
    assert broken(rt.session)["I3-draft"] == [ref]
    rt.session.rollback()


def test_a_bank_customer_gets_the_invoice_when_it_is_finalised(
    rt: Runtime, who: Who, clock: FrozenClock, ref: str
) -> None:
    bank.set_pays_by(rt, who, customer(rt), "bank", 5)
    clock.advance(days=1)

    assert finalise(rt, who, ref).outcome is Outcome.OPEN
    invoice = all_of(rt, Invoice)[-1]
    assert (invoice.pay_by, invoice.due_on) == ("bank", rt.today() + timedelta(days=5))
    assert count(rt, ChargeAttempt) == 1


def test_a_subscription_on_hold_keeps_drafts_and_charges_none(
    rt: Runtime, who: Who, ref: str, sub: Subscription
) -> None:
    shown = extra_drafts.quote_draft(rt, ref).quote_hash
    rt.session.execute(sa.update(Subscription).values(held_at=rt.now(), hold_reason="staff"))
    rt.session.commit()

    with pytest.raises(NotChargeable):
        extra_drafts.quote_draft(rt, ref)
    with pytest.raises(NotChargeable):
        extra_drafts.finalise_draft(rt, who, ref, shown)
    rt.session.rollback()
    extra_drafts.change_draft(rt, who, ref, CUP, version(rt, ref))
    assert [each.text for each in drafts(rt.session)] == ["A cup"]


def test_what_could_not_be_charged_is_not_saved(
    rt: Runtime, who: Who, sub: Subscription, ref: str
) -> None:
    for wrong in (
        Extra("", Money(990, "EUR"), "standard"),
        Extra("Cup", Money(0, "EUR"), "standard"),
        Extra("Cup", Money(990, "USD"), "standard"),
        Extra("Cup", Money(990, "EUR"), "luxury"),
    ):
        with pytest.raises(BadExtra):
            extra_drafts.save_draft(rt, who, customer(rt), sub.public_id, wrong, "form-9")
        with pytest.raises(BadExtra):
            extra_drafts.change_draft(rt, who, ref, wrong, version(rt, ref))
    with pytest.raises(LookupError):
        extra_drafts.finalise_draft(rt, who, "inv_nobody", "x")
    rt.session.rollback()
    assert len(drafts(rt.session)) == 1


def test_credit_pays_a_draft_when_it_is_finalised_and_not_before(
    rt: Runtime, who: Who, ref: str
) -> None:
    give_credit(rt, who, customer(rt), Money(2000, "EUR"), "broken cup")
    assert all_of(rt, CustomerCredit)[0].balance_minor == 2000

    assert finalise(rt, who, ref).outcome is Outcome.PAID
    assert all_of(rt, CustomerCredit)[0].balance_minor == 1010
    assert count(rt, ChargeAttempt) == 1


def test_of_two_staff_at_once_one_finalises_and_the_other_sees_it(
    app: Flask, rt: Runtime, who: Who, ref: str
) -> None:
    shown = extra_drafts.quote_draft(rt, ref).quote_hash

    def click(_number: int) -> Outcome:
        with app.app_context():
            return extra_drafts.finalise_draft(rt, who, ref, shown).outcome

    with ThreadPoolExecutor(3) as pool:
        outcomes = sorted(pool.map(click, range(3)))

    assert outcomes == [Outcome.PAID, Outcome.REPEATED, Outcome.REPEATED]
    assert count(rt, ChargeAttempt) == 2
    assert all_of(rt, Invoice)[-1].paid_minor == 990
