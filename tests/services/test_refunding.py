"""Refunds by staff: lines and tax to the cent, the way of the money, and what ends with it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.charging import AttemptState
from storefront.domain.invoices import CreditReason, InvoiceState
from storefront.domain.lifecycle import EndReason, SubscriptionState
from storefront.domain.money import Money
from storefront.domain.refunds import (
    Afterwards,
    NothingToRefund,
    RefundChanged,
    RefundTooHigh,
    Way,
    WayNotOffered,
)
from storefront.domain.replacements import Reason
from storefront.models import (
    AuditEntry,
    Box,
    BoxCycle,
    ChargeAttempt,
    CreditNote,
    CreditNoteLine,
    CustomerCredit,
    Invoice,
    LedgerTransfer,
    OutboxMessage,
    Plan,
    ProductVariant,
    Refund,
    Subscription,
)
from storefront.operations.audit import Who
from storefront.operations.stopping import cancel_boxes
from storefront.operations.subscriptions import StaleSubscription
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.credit import give_credit
from storefront.services.cycles import close_cycles
from storefront.services.fulfilment import export_boxes, ship_batch
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront.services.refunds import send_refunds
from storefront.services.renewals import run_renewals
from storefront.services.replacements import Wanted, replace_box
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


def balances(rt: Runtime) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in all_of(rt, LedgerTransfer):
        sums[row.debit] = sums.get(row.debit, 0) + row.amount_minor
        sums[row.credit] = sums.get(row.credit, 0) - row.amount_minor
    return {account: minor for account, minor in sums.items() if minor}


def back(
    rt: Runtime,
    who: Who,
    amount: int | None = None,
    way: Way = Way.CARD,
    afterwards: Afterwards = Afterwards.KEEP,
    reason: CreditReason = CreditReason.REFUND,
) -> str:
    """Refund ``amount`` of the first line of the last invoice, as it is shown."""
    invoice = all_of(rt, Invoice)[-1].public_id
    line = offer(rt, invoice).lines[0]
    wish = Wish({line.head.id: line.left if amount is None else amount}, way, reason, afterwards)
    return refund(rt, who, invoice, wish, quote_refund(rt, invoice, wish).quote_hash)


def test_a_part_goes_back_to_the_card_with_its_tax_and_changes_nothing_else(
    rt: Runtime, who: Who, sub: Subscription
) -> None:
    before = balances(rt)
    note = back(rt, who, 1000)

    (invoice,), (attempt,) = all_of(rt, Invoice), all_of(rt, ChargeAttempt)
    assert (invoice.state, invoice.credited_minor, invoice.paid_minor) == (
        InvoiceState.PAID,
        1000,
        invoice.total_minor - 1000,
    )
    (written,), (line,) = all_of(rt, CreditNote), all_of(rt, CreditNoteLine)
    assert (written.public_id, written.total_minor, written.to) == (note, 1000, "card")
    assert (line.gross_minor, line.tax_minor) == (1000, written.tax_minor)
    assert written.tax_minor == round(1000 * invoice.tax_minor / invoice.total_minor)
    (planned,) = all_of(rt, Refund)
    assert (planned.amount_minor, planned.state) == (1000, AttemptState.PLANNED)
    assert (planned.credit_note_id, attempt.refunded_minor) == (written.id, 1000)
    assert all_of(rt, Subscription)[0].state == SubscriptionState.ACTIVE
    assert {box.state for box in all_of(rt, Box)} == {BoxState.PLANNED}
    assert balances(rt)["refunds_due"] == -1000

    assert send_refunds(rt).done == 1
    after = balances(rt)
    assert "refunds_due" not in after
    assert after["clearing:demo"] == before["clearing:demo"] - 1000
    assert [row.topic for row in all_of(rt, OutboxMessage)].count("refunded") == 1


def test_parts_sum_to_the_whole_and_tax_too_and_then_nothing_is_left(
    rt: Runtime, who: Who, sub: Subscription
) -> None:
    for amount in (1, 333, 1001, None):
        back(rt, who, amount)

    (invoice,) = all_of(rt, Invoice)
    notes = all_of(rt, CreditNote)
    assert sum(note.total_minor for note in notes) == invoice.total_minor
    assert sum(note.tax_minor for note in notes) == invoice.tax_minor
    assert [note.number for note in notes] == list(range(notes[0].number, notes[0].number + 4))
    with pytest.raises(NothingToRefund):
        back(rt, who)


def test_more_than_is_left_is_refused(rt: Runtime, who: Who, sub: Subscription) -> None:
    back(rt, who, 2000)

    with pytest.raises(RefundTooHigh):
        back(rt, who, 601)
    assert len(all_of(rt, CreditNote)) == 1


def test_stopping_now_cancels_unsent_boxes_and_ends_it_with_the_credit_note(
    rt: Runtime, who: Who, sub: Subscription
) -> None:
    back(rt, who, afterwards=Afterwards.STOP_NOW)

    (found,), boxes = all_of(rt, Subscription), all_of(rt, Box)
    assert (found.state, found.end_reason) == (SubscriptionState.CANCELED, EndReason.STAFF)
    assert found.renews_at is None
    assert {box.state for box in boxes} == {BoxState.CANCELED}
    assert balances(rt).get("deferred_revenue", 0) == 0
    assert [entry.action for entry in all_of(rt, AuditEntry)][-1] == "invoice.refunded"


def test_what_is_kept_of_a_stopped_box_is_revenue(rt: Runtime, who: Who, sub: Subscription) -> None:
    back(rt, who, 600, afterwards=Afterwards.STOP_NOW)

    after = balances(rt)
    (invoice,), (note,) = all_of(rt, Invoice), all_of(rt, CreditNote)
    kept = invoice.total_minor - invoice.tax_minor - (note.total_minor - note.tax_minor)
    assert "deferred_revenue" not in after
    assert -after["revenue"] == kept


def test_stopping_at_the_period_end_keeps_boxes_and_ends_later(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription
) -> None:
    back(rt, who, 500, afterwards=Afterwards.PERIOD_END)

    (found,) = all_of(rt, Subscription)
    assert (found.state, found.cancel_on) == (SubscriptionState.ACTIVE, found.next_on)
    assert {box.state for box in all_of(rt, Box)} == {BoxState.PLANNED}
    clock.advance(days=70)
    run_renewals(rt)
    assert all_of(rt, Subscription)[0].state == SubscriptionState.CANCELED
    assert len(all_of(rt, Invoice)) == 1


def test_money_goes_to_credit_and_pays_the_next_renewal(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription
) -> None:
    back(rt, who, 1000, way=Way.CREDIT)

    assert all_of(rt, CustomerCredit)[0].balance_minor == 1000
    assert all_of(rt, Refund) == []
    next_invoice(rt, clock)
    renewal = all_of(rt, Invoice)[-1]
    assert (renewal.applied_minor, renewal.paid_minor) == (1000, renewal.total_minor - 1000)


def test_what_credit_paid_never_goes_to_the_card_but_back_to_credit(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription
) -> None:
    ref = rt.session.scalars(sa.text("SELECT public_id FROM customer")).first()
    rt.session.rollback()
    give_credit(rt, who, ref, Money(2000, "EUR"), "sorry")
    next_invoice(rt, clock)
    renewal = all_of(rt, Invoice)[-1]
    assert (renewal.applied_minor, renewal.paid_minor) == (2000, 600)

    with pytest.raises(RefundTooHigh):
        back(rt, who)
    back(rt, who, 600)
    back(rt, who, way=Way.CREDIT)

    renewal = all_of(rt, Invoice)[-1]
    assert (renewal.credited_minor, renewal.paid_minor, renewal.applied_minor) == (2600, 0, 0)
    assert all_of(rt, CustomerCredit)[0].balance_minor == 2000


def test_money_sent_by_hand_is_booked_to_the_bank(rt: Runtime, who: Who, sub: Subscription) -> None:
    back(rt, who, 700, way=Way.BANK)

    after = balances(rt)
    assert (after["bank"], after.get("refunds_due", 0)) == (-700, 0)
    assert all_of(rt, Refund) == []


def test_what_changed_since_it_was_shown_is_shown_again(
    rt: Runtime, who: Who, sub: Subscription
) -> None:
    invoice = all_of(rt, Invoice)[-1].public_id
    line = offer(rt, invoice).lines[0].head.id
    wish = Wish({line: 500}, Way.CARD, CreditReason.GOODWILL)
    shown = quote_refund(rt, invoice, wish).quote_hash

    refund(rt, who, invoice, wish, shown)
    with pytest.raises(RefundChanged):
        refund(rt, who, invoice, wish, shown)
    assert len(all_of(rt, CreditNote)) == 1


def test_an_ended_subscription_offers_only_to_keep_it(
    rt: Runtime, who: Who, sub: Subscription
) -> None:
    back(rt, who, 100, afterwards=Afterwards.STOP_NOW)

    invoice = all_of(rt, Invoice)[-1].public_id
    assert offer(rt, invoice).afterwards == (Afterwards.KEEP,)
    with pytest.raises(WayNotOffered):
        back(rt, who, 100, afterwards=Afterwards.STOP_NOW)


def test_a_refund_of_an_old_invoice_touches_that_payment_only(
    rt: Runtime, who: Who, clock: FrozenClock, sub: Subscription
) -> None:
    next_invoice(rt, clock)
    old, _new = all_of(rt, Invoice)
    line = offer(rt, old.public_id).lines[0]
    wish = Wish({line.head.id: line.left}, Way.CARD, CreditReason.REFUND)
    refund(rt, who, old.public_id, wish, quote_refund(rt, old.public_id, wish).quote_hash)

    first, second = all_of(rt, ChargeAttempt)
    assert (first.refunded_minor, second.refunded_minor) == (first.amount_minor, 0)
    assert all_of(rt, Invoice)[1].credited_minor == 0


def test_stopping_now_keeps_back_a_box_that_is_to_be_sent_again(
    rt: Runtime, who: Who, sub: Subscription, clock: FrozenClock
) -> None:
    tea = make.make_variant(rt, on_hand=5)
    make.make_recipe(rt, rt.session.get_one(Plan, sub.plan_id), variants=[tea])
    first = all_of(rt, Box)[0]
    cycle = rt.session.get_one(BoxCycle, first.cycle_id)
    ref, days = cycle.public_id, (cycle.lock_on - rt.today()).days + 1
    clock.advance(days=days)
    close_cycles(rt)
    batch = export_boxes(rt, ref)
    assert batch is not None
    ship_batch(rt, batch.public_id)
    wanted = Wanted(Reason.LOST, {tea.public_id: 1}, is_now=True)
    replace_box(rt, first.public_id, wanted, who)

    back(rt, who, afterwards=Afterwards.STOP_NOW)

    states = [box.state for box in all_of(rt, Box)]
    assert states == [BoxState.LOST, BoxState.CANCELED]
    (stock,) = rt.session.execute(sa.select(ProductVariant.on_hand, ProductVariant.committed))
    assert tuple(stock) == (4, 0)


def test_a_box_in_a_published_file_is_not_cancelled_before_it_is_noted_as_exported(
    rt: Runtime, who: Who, sub: Subscription, clock: FrozenClock
) -> None:
    tea = make.make_variant(rt, on_hand=5)
    make.make_recipe(rt, rt.session.get_one(Plan, sub.plan_id), variants=[tea])
    cycle = rt.session.get_one(BoxCycle, all_of(rt, Box)[0].cycle_id)
    ref, days = cycle.public_id, (cycle.lock_on - rt.today()).days + 1
    clock.advance(days=days)
    close_cycles(rt)
    export_boxes(rt, ref)
    # The worker died between the file and its boxes.
    rt.session.execute(sa.update(Box).values(state=BoxState.LOCKED))
    rt.session.commit()
    boxes = all_of(rt, Box)

    with pytest.raises(StaleSubscription):
        cancel_boxes(rt.session, boxes, who, rt.moment())
    rt.session.rollback()
    back(rt, who, afterwards=Afterwards.STOP_NOW)
    assert [box.state for box in all_of(rt, Box)] == [BoxState.LOCKED]
