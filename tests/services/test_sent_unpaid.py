"""Ask 2.7: who leaves past due owes nothing for boxes not sent, and still the boxes that were."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront import charges
from storefront.demo.shopping import replace_card
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.money import Money
from storefront.mails import compose
from storefront.models import (
    Box,
    ChargeAttempt,
    CreditNote,
    Customer,
    DunningCase,
    Invoice,
    Plan,
    Refund,
    Subscription,
    SubscriptionEvent,
)
from storefront.models.base import table_of
from storefront.operations import sent_unpaid
from storefront.operations.customer_credit import balance_of, grant_credit
from storefront.operations.keys import AnyRow
from storefront.operations.subscriptions import StaleSubscription
from storefront.operations.tiling import open_invoices
from storefront.queries.invariants import broken
from storefront.queries.pay_links import to_pay
from storefront.runtime import Runtime
from storefront.services import pay_links
from storefront.services.cancellations import Cancellation, cancel, quote_cancellation
from storefront.services.dunning import chase_due
from storefront.services.pauses import pause, quote_pause
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.cards import LOST, REFUSED
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.paying import waiting_mails
from tests.support.visitor import Visitor, customer_with_password

RENEWAL = datetime(2027, 4, 12, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime) -> Iterator[None]:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


def rows(rt: Runtime, model: type) -> list[AnyRow]:
    table = table_of(model)
    found = list(rt.session.execute(sa.select(table).order_by(table.c.id)))
    rt.session.rollback()
    return found


def renewed(
    rt: Runtime, clock: FrozenClock, card: str = "0341", count: int = 1, credit: int = 0
) -> Subscription:
    """Return a subscription whose renewal was asked for, on a plan that ships to late payers."""
    plan = make.make_plan(rt, count=count, past_due_shipping="ship")
    customer = rt.session.get(Customer, customer_with_password(rt, "ada@example.org"))
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    sub = make.make_subscription(rt, plan=plan, customer=customer, card=card)
    if credit:
        grant_credit(rt.session, customer.id, Money(credit, "EUR"), "goodwill", "", rt.moment())
        rt.session.commit()
    while len(rows(rt, Invoice)) < 2:
        clock.advance(days=1)
        run_renewals(rt)
    run_renewals(rt)
    return sub


def pack(rt: Runtime, number: int = 1) -> int:
    """Hand the first boxes of the renewal to the warehouse; returns what they cost."""
    table = table_of(Box)
    newest = rows(rt, Box)[-1].period_id
    boxes = [one for one in rows(rt, Box) if one.period_id == newest][:number]
    ids = [one.id for one in boxes]
    rt.session.execute(sa.update(table).where(table.c.id.in_(ids)).values(state="locked"))
    rt.session.commit()
    return int(sum(one.net_minor + one.tax_minor for one in boxes))


def leave(rt: Runtime, sub: Subscription) -> Cancellation:
    shown = quote_cancellation(rt, sub.customer_id or 0, sub.public_id)
    done = cancel(rt, sub.customer_id or 0, sub.public_id)
    assert shown == done
    return done


def test_a_box_that_was_sent_stays_due_is_named_and_is_tried_no_more(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    sub = renewed(rt, clock)
    pack(rt)
    done = leave(rt, sub)

    invoice = rows(rt, Invoice)[-1]
    assert (invoice.state, invoice.due_minor) == (InvoiceState.OPEN, 2600)
    [(number, amount)] = done.stays_due
    assert number.endswith(str(invoice.number))
    assert (amount, done.dropped, done.at_once) == (Money(2600, "EUR"), None, True)
    assert rows(rt, CreditNote) == []
    assert [case.state for case in rows(rt, DunningCase)] == ["closed"]
    tried, executed = len(rows(rt, ChargeAttempt)), demo_gateway.bank.executed_count()
    for _ in range(30):
        clock.advance(days=1)
        chase_due(rt)
        run_renewals(rt)
    assert len(rows(rt, ChargeAttempt)) == tried
    assert demo_gateway.bank.executed_count() == executed


def test_who_left_can_pay_for_what_was_sent_and_has_left_all_the_same(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    sub = renewed(rt, clock)
    pack(rt)
    leave(rt, sub)
    invoice = rows(rt, Invoice)[-1]
    shown = to_pay(rt.session, invoice.public_id, rt.moment())
    rt.session.rollback()
    assert shown is not None
    assert (shown.standing, shown.amount) == ("owed", Money(2600, "EUR"))
    boxes = len(rows(rt, Box))

    clock.advance(days=3)
    assert replace_card(rt, sub.customer_id or 0, "4242")

    assert rows(rt, Invoice)[-1].state == InvoiceState.PAID
    assert rows(rt, Subscription)[0].state == SubscriptionState.CANCELED
    assert len(rows(rt, Box)) == boxes
    receipt = compose(rt, waiting_mails(rt, "receipt")[-1])
    assert receipt is not None
    assert "€26.00" in receipt.text
    assert "Next charge" not in receipt.text
    assert rows(rt, SubscriptionEvent)[-1].kind == "subscription.recovered"


def test_of_three_boxes_the_one_that_was_sent_stays_due(rt: Runtime, clock: FrozenClock) -> None:
    sub = renewed(rt, clock, count=3)
    sent = pack(rt)
    whole = rows(rt, Invoice)[-1].due_minor
    done = leave(rt, sub)
    assert done.dropped == Money(whole - sent, "EUR")
    assert [amount for _, amount in done.stays_due] == [Money(sent, "EUR")]
    [note] = rows(rt, CreditNote)
    assert (note.total_minor, rows(rt, Invoice)[-1].due_minor) == (whole - sent, sent)


@pytest.mark.parametrize(
    ("credit", "stays", "given_back"),
    [(300, "rest", 0), (1000, 0, 1000)],
    ids=["less than what was sent", "more than what was sent"],
)
def test_credit_pays_for_what_was_sent_and_for_no_box_that_never_comes(
    rt: Runtime, clock: FrozenClock, credit: int, stays: int | str, given_back: int
) -> None:
    sub = renewed(rt, clock, count=3, credit=credit)
    sent = pack(rt)
    whole = rows(rt, Invoice)[-1].total_minor
    done = leave(rt, sub)

    left = sent - credit if stays == "rest" else 0
    assert [amount.minor for _, amount in done.stays_due] == ([left] if left else [])
    assert rows(rt, Invoice)[-1].due_minor == left
    assert done.dropped == Money(whole - credit - left, "EUR")
    balance = balance_of(rt.session, sub.customer_id or 0, "EUR")
    rt.session.rollback()
    assert balance == Money(given_back, "EUR")


def test_a_pause_does_not_credit_what_was_sent(rt: Runtime, clock: FrozenClock) -> None:
    sub = renewed(rt, clock)
    table = table_of(Plan)
    rt.session.execute(sa.update(table).values(pause_unpaid="credit"))
    rt.session.commit()
    pack(rt)
    assert not quote_pause(rt, sub.customer_id or 0, sub.public_id).drops_unpaid
    pause(rt, sub.customer_id or 0, sub.public_id, None)
    leave(rt, sub)
    invoice = rows(rt, Invoice)[-1]
    assert (invoice.state, invoice.due_minor) == (InvoiceState.OPEN, 2600)


def test_a_box_that_is_locked_while_somebody_leaves_is_not_taken_from_the_warehouse(
    rt: Runtime, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sub = renewed(rt, clock, count=3)
    pack(rt)
    owed = open_invoices(rt.session, sub.id)
    shares = sent_unpaid.dropped_of(rt.session, owed, sub.id)
    read = sent_unpaid._boxes

    def and_then_lock(*args: Any) -> dict[int, list[AnyRow]]:
        found = read(*args)
        rt.session.execute(sa.update(table_of(Box)).values(state="locked"))
        return found

    monkeypatch.setattr(sent_unpaid, "dropped_of", lambda *_: shares)
    monkeypatch.setattr(sent_unpaid, "_boxes", and_then_lock)
    with pytest.raises(StaleSubscription):
        sent_unpaid.drop_unsent(rt.session, owed, sub.id, rt.moment())
    rt.session.rollback()


@pytest.mark.parametrize("number", [1, 3])
def test_a_charge_on_its_way_pays_what_stays_due_and_only_the_rest_goes_back(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, number: int
) -> None:
    sub = renewed(rt, clock, count=3)
    sent = pack(rt, number)
    token = rt.session.execute(sa.text("SELECT token FROM payment_method")).scalar_one()
    rt.session.rollback()
    demo_gateway.bank.script(token, [LOST])
    clock.advance(days=4)
    chase_due(rt)
    run_renewals(rt)
    assert rows(rt, ChargeAttempt)[-1].state == "unknown"
    whole = rows(rt, Invoice)[-1].due_minor
    done = leave(rt, sub)
    assert not done.in_flight
    clock.advance(minutes=10)
    charges.look_up_open(rt)
    assert rows(rt, Invoice)[-1].state == InvoiceState.PAID
    assert sum(one.amount_minor for one in rows(rt, Refund)) == whole - sent
    assert rows(rt, Subscription)[0].state == SubscriptionState.CANCELED


def test_a_charge_that_is_refused_after_the_leaving_chases_nobody(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    sub = renewed(rt, clock)
    pack(rt)
    token = rt.session.execute(sa.text("SELECT token FROM payment_method")).scalar_one()
    rt.session.rollback()
    demo_gateway.bank.script(token, [replace(REFUSED, is_lost=True)])
    clock.advance(days=4)
    chase_due(rt)
    run_renewals(rt)
    assert rows(rt, ChargeAttempt)[-1].state == "unknown"
    leave(rt, sub)
    told = len(waiting_mails(rt, "payment_failed"))
    rt.session.rollback()
    clock.advance(minutes=10)
    charges.look_up_open(rt)
    assert rows(rt, ChargeAttempt)[-1].state == "declined"
    assert [case.state for case in rows(rt, DunningCase)] == ["closed"]
    assert rows(rt, Subscription)[0].state == SubscriptionState.CANCELED
    assert len(waiting_mails(rt, "payment_failed")) == told


def test_pages_and_mail_name_what_stays_due(rt: Runtime, clock: FrozenClock, app: Flask) -> None:
    sub = renewed(rt, clock)
    pack(rt)
    owner = Visitor.of(app).sign_in("ada@example.org")
    url = f"/account/subscriptions/{sub.public_id}"
    number = rows(rt, Invoice)[-1].number
    text = f"Invoice {number} stays due: €26.00 for what was sent to you already."
    assert text in owner.get(f"{url}/cancel").text
    owner.post(f"{url}/cancel")
    assert text in owner.get(f"{url}/cancelled").text
    [mail] = [compose(rt, one) for one in waiting_mails(rt, "cancel_confirmed")]
    rt.session.rollback()
    assert mail is not None
    assert text in mail.text
    link = pay_links.link(rt, rows(rt, Invoice)[-1].public_id)
    assert "Pay €26.00" in Visitor.of(app).get(f"/pay/{link}").text


def test_the_last_step_of_the_chase_keeps_what_was_sent_due_as_leaving_does(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    renewed(rt, clock, count=2)
    sent = pack(rt)
    chase_to_the_end(rt, clock)

    invoice = rows(rt, Invoice)[-1]
    assert (invoice.state, invoice.due_minor) == (InvoiceState.OPEN, sent)
    assert [note.total_minor for note in rows(rt, CreditNote)] == [2600 - sent]
    assert [box.state for box in rows(rt, Box)][-2:] == ["locked", "canceled"]
    assert [case.state for case in rows(rt, DunningCase)] == ["lost"]
    [subscription] = rows(rt, Subscription)
    assert (subscription.state, subscription.end_reason) == ("canceled", "unpaid")
    [mail] = waiting_mails(rt, "payment_given_up")
    written = compose(rt, mail)
    assert written is not None
    assert "€13.01 for what was sent stays due." in written.text
    assert "/pay/" in written.text
    tried = len(rows(rt, ChargeAttempt))
    clock.advance(days=30)
    chase_due(rt)
    run_renewals(rt)
    assert len(rows(rt, ChargeAttempt)) == tried
    assert demo_gateway.bank.executed_count() == 1


def test_the_last_step_of_the_chase_credits_all_of_which_nothing_was_sent(
    rt: Runtime, clock: FrozenClock
) -> None:
    renewed(rt, clock)
    chase_to_the_end(rt, clock)
    assert rows(rt, Invoice)[-1].state == InvoiceState.VOID
    assert rows(rt, Box)[-1].state == "canceled"
    assert rows(rt, Subscription)[0].state == SubscriptionState.CANCELED


def chase_to_the_end(rt: Runtime, clock: FrozenClock) -> None:
    while rows(rt, DunningCase)[-1].state == "open":
        clock.advance(days=1)
        chase_due(rt)
