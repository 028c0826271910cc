"""A dispute holds within one message, touches one payment, and lets go without charging."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from storefront.domain.boxes import BoxState
from storefront.domain.disputes import NothingToResume
from storefront.domain.gateways import DisputeRecord, DisputeState
from storefront.domain.invoices import CreditReason
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.money import Money
from storefront.domain.refunds import Way
from storefront.mails import compose
from storefront.models import (
    Box,
    ChargeAttempt,
    Dispute,
    Invoice,
    LedgerTransfer,
    OutboxMessage,
    Refund,
    Subscription,
    SubscriptionEvent,
    SubscriptionPeriod,
)
from storefront.operations.audit import Who
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import cycles, disputes, holds, refunding
from storefront.services.refunds import send_refunds
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.bank import DISPUTE_FEE
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.hooks import send
from tests.support.paying import waiting_mails


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def subscription(rt: Runtime) -> str:
    """A subscription whose first payment brought one box."""
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=30))
    make.make_recipe(rt, plan)
    return str(make.make_subscription(rt, plan=plan).public_id)


def payments(rt: Runtime) -> list[Any]:
    rows = rt.session.execute(sa.select(ChargeAttempt.__table__).order_by(ChargeAttempt.id)).all()
    rt.session.rollback()
    return list(rows)


def dispute(rt: Runtime, client: FlaskClient, bank: Any, payment: str) -> str:
    """Have the card's owner dispute a payment; the bank says so in one message."""
    found = bank.dispute(payment)
    assert send(client, rt, about="dispute", type="dispute", reference=payment).status_code == 200
    return str(found.reference)


def decide(rt: Runtime, client: FlaskClient, bank: Any, reference: str, *, won: bool) -> str:
    """Have the bank decide the one dispute there is; returns our name of it."""
    bank.decide_dispute(reference, won)
    one = rt.session.execute(sa.select(Dispute.__table__)).one()
    payment = rt.session.scalar(
        sa.select(ChargeAttempt.public_id).where(ChargeAttempt.id == one.attempt_id)
    )
    rt.session.rollback()
    assert send(client, rt, about="dispute", type="dispute", reference=payment).status_code == 200
    return str(one.public_id)


def read(rt: Runtime) -> Any:
    row = rt.session.execute(sa.select(Subscription.__table__)).one()
    rt.session.rollback()
    return row


def balance(rt: Runtime, account: str) -> int:
    rows = rt.session.scalars(sa.select(LedgerTransfer)).all()
    total = sum(
        row.amount_minor * ((row.debit == account) - (row.credit == account)) for row in rows
    )
    rt.session.rollback()
    return total


def boxes(rt: Runtime) -> list[tuple[str, str]]:
    rows = rt.session.execute(sa.select(Box.state, Box.problem).order_by(Box.id)).all()
    rt.session.rollback()
    return [(row.state.value, row.problem) for row in rows]


def renewed(rt: Runtime, clock: FrozenClock) -> None:
    """Let time pass until the next payment is done."""
    before = len(payments(rt))
    while len(payments(rt)) == before:
        clock.advance(days=1)
        cycles.plan_ahead(rt)
        run_renewals(rt)


def told(rt: Runtime, topic: str) -> int:
    count = rt.session.scalar(
        sa.select(sa.func.count()).select_from(OutboxMessage).where(OutboxMessage.topic == topic)
    )
    rt.session.rollback()
    return count or 0


def test_who_disputes_a_payment_is_told_once_that_the_boxes_rest_until_the_bank_has_decided(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, subscription: str
) -> None:
    [payment] = payments(rt)
    reference = dispute(rt, client, demo_gateway.bank, payment.public_id)
    send(client, rt, about="dispute", type="dispute", reference=payment.public_id)
    [waiting] = waiting_mails(rt, "dispute_opened")
    assert waiting.customer_id == read(rt).customer_id
    mail = compose(rt, waiting)
    assert mail is not None
    assert mail.subject == "Your boxes rest for now"
    assert "Your bank took our payment of €26.00 back, because you dispute it." in mail.text
    ours = decide(rt, client, demo_gateway.bank, reference, won=True)
    assert f"/account/disputes/{ours}" in mail.text
    # Who reads it now is told of the decision instead.
    assert compose(rt, waiting) is None


def test_one_message_of_a_dispute_books_it_and_holds_subscription_and_box(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, subscription: str
) -> None:
    [payment] = payments(rt)
    before = balance(rt, "clearing:demo")

    dispute(rt, client, demo_gateway.bank, payment.public_id)

    assert balance(rt, "dispute_suspense") == payment.amount_minor
    assert balance(rt, "gateway_fees") == DISPUTE_FEE
    assert balance(rt, "clearing:demo") == before - payment.amount_minor - DISPUTE_FEE
    assert read(rt).hold_reason == "dispute"
    assert read(rt).held_at is not None
    assert boxes(rt) == [("held", "held")]
    kinds = rt.session.scalars(sa.select(SubscriptionEvent.kind).order_by(SubscriptionEvent.id))
    assert {"dispute.opened", "subscription.held"} <= set(kinds.all())
    rt.session.rollback()


def test_the_same_dispute_told_again_changes_nothing(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, subscription: str
) -> None:
    [payment] = payments(rt)
    dispute(rt, client, demo_gateway.bank, payment.public_id)
    version = read(rt).version

    for _again in range(3):
        send(client, rt, about="dispute", reference=payment.public_id)

    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Dispute)) == 1
    rt.session.rollback()
    assert read(rt).version == version
    assert balance(rt, "dispute_suspense") == payment.amount_minor


def test_a_disputed_subscription_is_not_renewed_and_its_box_does_not_leave(
    rt: Runtime,
    client: FlaskClient,
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    subscription: str,
) -> None:
    [payment] = payments(rt)
    dispute(rt, client, demo_gateway.bank, payment.public_id)
    for _day in range(50):
        clock.advance(days=1)
        cycles.plan_ahead(rt)
        cycles.close_cycles(rt)
        run_renewals(rt)
    assert len(payments(rt)) == 1
    assert boxes(rt) == [("held", "held")]


def test_a_dispute_of_an_old_payment_leaves_the_newer_ones_alone(
    rt: Runtime,
    client: FlaskClient,
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    subscription: str,
) -> None:
    for _renewal in range(4):
        renewed(rt, clock)
    second = payments(rt)[1]
    assert len(payments(rt)) == 5

    dispute(rt, client, demo_gateway.bank, second.public_id)

    invoices = rt.session.execute(sa.select(Invoice.id, Invoice.state).order_by(Invoice.id)).all()
    disputed = rt.session.scalars(sa.select(Dispute.attempt_id)).all()
    rt.session.rollback()
    assert [row.state.value for row in invoices] == ["paid"] * 5
    assert disputed == [second.id]
    assert balance(rt, "dispute_suspense") == second.amount_minor
    assert read(rt).hold_reason == "dispute"


def test_after_a_dispute_was_won_nothing_goes_on_before_the_customer_says_so(
    rt: Runtime,
    client: FlaskClient,
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    subscription: str,
) -> None:
    [payment] = payments(rt)
    reference = dispute(rt, client, demo_gateway.bank, payment.public_id)
    ours = decide(rt, client, demo_gateway.bank, reference, won=True)
    assert balance(rt, "dispute_suspense") == 0
    assert balance(rt, "gateway_fees") == DISPUTE_FEE
    assert read(rt).hold_reason == "dispute"
    assert told(rt, "dispute_won") == 1

    row = read(rt)
    assert disputes.resume_by_customer(rt, row.customer_id, "cus", ours) == [subscription]

    assert (read(rt).held_at, read(rt).hold_reason) == (None, None)
    assert boxes(rt) == [("planned", "")]
    with pytest.raises(NothingToResume):
        disputes.resume_by_customer(rt, row.customer_id, "cus", ours)


def test_going_on_charges_no_cycle_that_was_missed(
    rt: Runtime,
    client: FlaskClient,
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    subscription: str,
) -> None:
    [payment] = payments(rt)
    reference = dispute(rt, client, demo_gateway.bank, payment.public_id)
    for _day in range(100):
        clock.advance(days=1)
        cycles.plan_ahead(rt)
        run_renewals(rt)
        cycles.close_cycles(rt)
    ours = decide(rt, client, demo_gateway.bank, reference, won=True)

    disputes.resume_by_customer(rt, read(rt).customer_id, "cus", ours)
    report = run_renewals(rt)

    assert (report.billed, len(payments(rt))) == (0, 1)
    skipped = rt.session.scalars(
        sa.select(SubscriptionPeriod).where(SubscriptionPeriod.reason == "dispute")
    ).all()
    assert len(skipped) >= 2
    assert {period.kind.value for period in skipped} == {"skipped"}
    rt.session.rollback()
    assert read(rt).next_on >= rt.today()
    cycles.plan_ahead(rt)
    row = rt.session.execute(sa.select(Box.__table__)).one()
    rt.session.rollback()
    assert (row.state, row.cycle_id is not None) == (BoxState.PLANNED, True)
    renewed(rt, clock)
    assert len(payments(rt)) == 2


def test_another_customer_cannot_resume_and_an_open_dispute_is_not_for_customers(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, subscription: str
) -> None:
    [payment] = payments(rt)
    dispute(rt, client, demo_gateway.bank, payment.public_id)
    ours = rt.session.scalars(sa.select(Dispute.public_id)).one()
    rt.session.rollback()
    owner = read(rt).customer_id
    with pytest.raises(NothingToResume):
        disputes.resume_by_customer(rt, owner, "cus", ours)
    with pytest.raises(LookupError):
        disputes.resume_by_customer(rt, owner + 1, "cus", ours)


def test_a_lost_dispute_is_a_bad_debt_and_waits_for_the_merchant(
    rt: Runtime, client: FlaskClient, who: Who, demo_gateway: DemoGateway, subscription: str
) -> None:
    [payment] = payments(rt)
    reference = dispute(rt, client, demo_gateway.bank, payment.public_id)
    ours = decide(rt, client, demo_gateway.bank, reference, won=False)
    assert balance(rt, "bad_debt") == payment.amount_minor
    assert balance(rt, "dispute_suspense") == 0
    assert read(rt).hold_reason == "dispute"

    assert disputes.end(rt, who, ours) == [subscription]

    assert read(rt).state == SubscriptionState.CANCELED
    assert read(rt).held_at is None
    assert boxes(rt) == [("canceled", "")]


def test_the_merchant_may_go_on_after_a_lost_dispute(
    rt: Runtime, client: FlaskClient, who: Who, demo_gateway: DemoGateway, subscription: str
) -> None:
    [payment] = payments(rt)
    reference = dispute(rt, client, demo_gateway.bank, payment.public_id)
    ours = decide(rt, client, demo_gateway.bank, reference, won=False)
    assert disputes.resume(rt, who, ours) == [subscription]
    assert (read(rt).state, read(rt).held_at) == (SubscriptionState.ACTIVE, None)


def test_what_staff_release_by_hand_is_not_charged_for_missed_cycles_either(
    rt: Runtime,
    client: FlaskClient,
    clock: FrozenClock,
    who: Who,
    demo_gateway: DemoGateway,
    subscription: str,
) -> None:
    [payment] = payments(rt)
    dispute(rt, client, demo_gateway.bank, payment.public_id)
    clock.advance(days=70)
    assert holds.release(rt, who, subscription)
    assert run_renewals(rt).billed == 0
    assert read(rt).next_on >= rt.today()


def test_a_packed_box_is_held_and_is_packed_again_as_it_was(
    rt: Runtime,
    client: FlaskClient,
    clock: FrozenClock,
    who: Who,
    demo_gateway: DemoGateway,
    subscription: str,
) -> None:
    while boxes(rt) != [("locked", "")]:
        clock.advance(days=1)
        cycles.close_cycles(rt)
    [payment] = payments(rt)
    dispute(rt, client, demo_gateway.bank, payment.public_id)
    assert boxes(rt) == [("held", "held")]
    ours = rt.session.scalars(sa.select(Dispute.public_id)).one()
    rt.session.rollback()
    disputes.resume(rt, who, ours)
    assert boxes(rt) == [("locked", "")]


def test_what_a_packer_was_told_goes_out(
    rt: Runtime,
    client: FlaskClient,
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    subscription: str,
) -> None:
    from storefront.services.fulfilment import export_boxes, exportable_cycles

    while boxes(rt) != [("locked", "")]:
        clock.advance(days=1)
        cycles.close_cycles(rt)
    for cycle in exportable_cycles(rt):
        export_boxes(rt, cycle)
    [payment] = payments(rt)
    dispute(rt, client, demo_gateway.bank, payment.public_id)
    assert boxes(rt) == [("exported", "")]
    assert read(rt).hold_reason == "dispute"


def test_an_inquiry_shows_and_holds_nothing_until_money_is_taken(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, subscription: str, monkeypatch: Any
) -> None:
    [payment] = payments(rt)
    asked: dict[str, Any] = {
        "gateway_reference": "dp_1",
        "charge_reference": payment.public_id,
        "charge_gateway_reference": payment.gateway_reference,
        "state": DisputeState.OPEN,
        "reason": "inquiry",
        "opened_at": datetime(2027, 3, 2, tzinfo=UTC),
        "answer_by": datetime(2027, 3, 12, tzinfo=UTC),
    }
    inquiry = DisputeRecord(**asked, amount=Money(0, "EUR"))
    monkeypatch.setattr(demo_gateway, "disputes", lambda *_: [inquiry])
    send(client, rt, about="dispute", reference=payment.public_id)
    assert told(rt, "dispute_opened") == 0
    assert rt.session.scalars(sa.select(Dispute.amount_minor)).all() == [0]
    rt.session.rollback()
    assert (read(rt).held_at, balance(rt, "dispute_suspense")) == (None, 0)

    taken = DisputeRecord(**asked, amount=Money(payment.amount_minor, "EUR"))
    monkeypatch.setattr(demo_gateway, "disputes", lambda *_: [taken])
    send(client, rt, about="dispute", reference=payment.public_id)
    assert (read(rt).hold_reason, balance(rt, "dispute_suspense")) == (
        "dispute",
        payment.amount_minor,
    )


def test_no_money_of_a_disputed_payment_is_given_back_beside_the_bank(
    rt: Runtime, client: FlaskClient, who: Who, demo_gateway: DemoGateway, subscription: str
) -> None:
    [payment] = payments(rt)
    invoice = rt.session.scalars(sa.select(Invoice.public_id)).one()
    rt.session.rollback()
    line = refunding.offer(rt, invoice).lines[0].head.id
    wish = refunding.Wish({line: 1000}, Way.CARD, CreditReason.REFUND)
    shown = refunding.quote_refund(rt, invoice, wish).quote_hash
    refunding.refund(rt, who, invoice, wish, shown)
    reference = dispute(rt, client, demo_gateway.bank, payment.public_id)

    assert refunding.offer(rt, invoice).ways == {}
    assert send_refunds(rt).done == 0
    decide(rt, client, demo_gateway.bank, reference, won=False)
    assert send_refunds(rt).done == 0
    assert rt.session.scalars(sa.select(Refund.state)).one() == "declined"
    rt.session.rollback()


def test_a_refund_that_waited_goes_out_after_the_dispute_was_won(
    rt: Runtime, client: FlaskClient, who: Who, demo_gateway: DemoGateway, subscription: str
) -> None:
    [payment] = payments(rt)
    invoice = rt.session.scalars(sa.select(Invoice.public_id)).one()
    rt.session.rollback()
    line = refunding.offer(rt, invoice).lines[0].head.id
    wish = refunding.Wish({line: 1000}, Way.CARD, CreditReason.REFUND)
    shown = refunding.quote_refund(rt, invoice, wish).quote_hash
    refunding.refund(rt, who, invoice, wish, shown)
    reference = dispute(rt, client, demo_gateway.bank, payment.public_id)
    decide(rt, client, demo_gateway.bank, reference, won=True)
    assert send_refunds(rt).done == 1


def test_a_dispute_first_heard_of_when_it_was_lost_is_booked_and_holds(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, subscription: str
) -> None:
    [payment] = payments(rt)
    found = demo_gateway.bank.dispute(payment.public_id)
    demo_gateway.bank.decide_dispute(found.reference, False)
    send(client, rt, about="dispute", reference=payment.public_id)
    assert balance(rt, "bad_debt") == payment.amount_minor
    assert read(rt).hold_reason == "dispute"


def test_a_staff_hold_stays_a_staff_hold(
    rt: Runtime, client: FlaskClient, who: Who, demo_gateway: DemoGateway, subscription: str
) -> None:
    holds.hold(rt, who, subscription, "asked on the phone")
    [payment] = payments(rt)
    reference = dispute(rt, client, demo_gateway.bank, payment.public_id)
    ours = decide(rt, client, demo_gateway.bank, reference, won=True)
    with pytest.raises(NothingToResume):
        disputes.resume_by_customer(rt, read(rt).customer_id, "cus", ours)
    assert read(rt).hold_reason == "staff"
    assert timedelta(0) == rt.now() - read(rt).held_at
