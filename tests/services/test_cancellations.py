"""Leaving: at the end of paid time, while something is owed, and in the middle of a renewal."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from storefront import charges
from storefront.adapters import failpoints
from storefront.adapters.failpoints import FailpointReached
from storefront.domain.invoices import CreditReason
from storefront.models import (
    Box,
    BoxSkip,
    ChargeAttempt,
    Coupon,
    CreditApplication,
    CreditMove,
    CreditNote,
    CustomerCredit,
    DunningCase,
    Invoice,
    InvoiceLine,
    LedgerTransfer,
    Movement,
    OutboxMessage,
    Redemption,
    Refund,
    Subscription,
    SubscriptionDiscount,
    SubscriptionPeriod,
)
from storefront.operations.credits import credit_invoices
from storefront.runtime import Runtime
from storefront.services.cancellations import (
    CancelTooLate,
    NotFound,
    cancel,
    quote_cancellation,
    undo_cancel,
)
from storefront.services.renewals import run_renewals
from storefront.services.skips import skip_box
from storefront.testing.clock import FrozenClock
from storefront.testing.factories import make_code, make_customer, make_subscription
from storefront_demo_gateway.cards import DOWN, LOST
from storefront_demo_gateway.gateway import DemoGateway

RENEWAL = datetime(2027, 4, 12, 9, 0, tzinfo=UTC)


def only(rt: Runtime, model: type, *where: sa.ColumnElement[bool]):
    """Return the one row of ``model``, detached."""
    row = rt.session.scalars(sa.select(model).where(*where)).one()
    rt.session.expunge(row)
    rt.session.rollback()
    return row


def count(rt: Runtime, model: type, *where: sa.ColumnElement[bool]) -> int:
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(model).where(*where))
    rt.session.rollback()
    return found or 0


def mails(rt: Runtime) -> list[str]:
    rows = rt.session.scalars(
        sa.select(OutboxMessage.topic)
        .where(OutboxMessage.kind == "mail")
        .order_by(OutboxMessage.id)
    )
    found = list(rows)
    rt.session.rollback()
    return found


def balance(rt: Runtime, account: str) -> int:
    """Return debits minus credits of an account."""
    table = LedgerTransfer
    debit = sa.select(sa.func.coalesce(sa.func.sum(table.amount_minor), 0)).where(
        table.debit == account
    )
    credit = sa.select(sa.func.coalesce(sa.func.sum(table.amount_minor), 0)).where(
        table.credit == account
    )
    found = (rt.session.scalar(debit) or 0) - (rt.session.scalar(credit) or 0)
    rt.session.rollback()
    return int(found)


def renewal_invoice(rt: Runtime) -> Invoice:
    """Return the newest invoice."""
    row = rt.session.scalars(sa.select(Invoice).order_by(Invoice.id.desc()).limit(1)).one()
    rt.session.expunge(row)
    rt.session.rollback()
    return row


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Ordered on 2 March; renews on 12 April, its free days begin on 2 April."""
    return make_subscription(rt)


@pytest.fixture
def chased(rt: Runtime, clock: FrozenClock) -> Subscription:
    """A subscription whose renewal of 12 April was declined."""
    made = make_subscription(rt, card="0341")
    clock.set(RENEWAL)
    run_renewals(rt)
    run_renewals(rt)
    return made


@pytest.fixture
def disarm() -> Iterator[None]:
    yield
    failpoints.arm("")


def leave(rt: Runtime, sub: Subscription, **values: str):
    return cancel(rt, sub.customer_id or 0, sub.public_id, **values)


def test_cancelling_ends_it_with_the_paid_time_and_charges_nothing_more(
    rt: Runtime, clock: FrozenClock, sub: Subscription, demo_gateway: DemoGateway
) -> None:
    outcome = leave(rt, sub)
    assert not outcome.at_once
    assert outcome.ends_on == date(2027, 4, 2)
    assert only(rt, Subscription).state == "active"
    clock.set(datetime(2027, 4, 2, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    ended = only(rt, Subscription)
    assert (ended.state, ended.end_reason, ended.ended_on) == (
        "canceled",
        "voluntary",
        date(2027, 4, 2),
    )
    assert ended.renews_at is None
    clock.set(RENEWAL)
    run_renewals(rt)
    assert demo_gateway.bank.executed_count() == 1


def test_a_paid_box_still_ships_and_is_named(rt: Runtime, sub: Subscription) -> None:
    outcome = leave(rt, sub)
    assert outcome.boxes == (date(2027, 3, 18),)
    assert only(rt, Box).state == "planned"


def test_the_receipt_is_queued_with_the_click(rt: Runtime, sub: Subscription) -> None:
    leave(rt, sub)
    message = only(rt, OutboxMessage, OutboxMessage.topic == "cancel_confirmed")
    assert message.payload["ends_on"] == "2027-04-02"
    assert message.payload["boxes"] == ["2027-03-18"]
    assert message.customer_id == sub.customer_id


def test_churn_is_counted_on_the_day_paid_time_ends(
    rt: Runtime, clock: FrozenClock, sub: Subscription
) -> None:
    leave(rt, sub)
    assert count(rt, Movement, Movement.kind == "churn") == 0
    clock.set(datetime(2027, 4, 5, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    churn = only(rt, Movement, Movement.kind == "churn")
    assert churn.on_day == date(2027, 4, 2)
    assert churn.reason == "voluntary"
    assert rt.session.scalar(sa.select(sa.func.sum(Movement.delta_minor))) == 0


def test_a_second_click_gives_the_same_answer_and_no_second_mail(
    rt: Runtime, clock: FrozenClock, sub: Subscription
) -> None:
    first = leave(rt, sub)
    clock.advance(minutes=1)
    again = leave(rt, sub)
    assert not again.changed
    assert (again.ends_on, again.received_at) == (first.ends_on, first.received_at)
    assert mails(rt).count("cancel_confirmed") == 1


def test_the_quote_is_what_happens(rt: Runtime, sub: Subscription) -> None:
    before = quote_cancellation(rt, sub.customer_id or 0, sub.public_id)
    assert before == leave(rt, sub)


def test_taking_it_back_goes_on_as_before(
    rt: Runtime, clock: FrozenClock, sub: Subscription, demo_gateway: DemoGateway
) -> None:
    leave(rt, sub)
    clock.set(datetime(2027, 4, 1, 21, 59, tzinfo=UTC))
    assert undo_cancel(rt, sub.customer_id or 0, sub.public_id)
    assert not undo_cancel(rt, sub.customer_id or 0, sub.public_id)
    clock.set(RENEWAL)
    run_renewals(rt)
    run_renewals(rt)
    assert demo_gateway.bank.executed_count() == 2


def test_it_cannot_be_taken_back_on_the_day_it_ends(
    rt: Runtime, clock: FrozenClock, sub: Subscription
) -> None:
    leave(rt, sub)
    clock.set(datetime(2027, 4, 1, 22, 0, tzinfo=UTC))
    with pytest.raises(CancelTooLate):
        undo_cancel(rt, sub.customer_id or 0, sub.public_id)


def test_what_somebody_leaving_writes_keeps_no_card_number(rt: Runtime, sub: Subscription) -> None:
    leave(rt, sub, why="price", note="take 4242 4242 4242 4242 off")
    row = rt.session.execute(
        sa.text("SELECT data FROM subscription_event WHERE kind = 'subscription.cancel_planned'")
    ).scalar_one()
    assert "4242 4242 4242" not in str(row)
    assert "price" in str(row)


def test_leaving_while_past_due_drops_the_unsent_box_and_ends_today(
    rt: Runtime, clock: FrozenClock, chased: Subscription
) -> None:
    assert only(rt, Subscription).state == "past_due"
    quote = quote_cancellation(rt, chased.customer_id or 0, chased.public_id)
    outcome = leave(rt, chased)
    assert quote == outcome
    assert outcome.at_once
    assert outcome.dropped is not None
    assert outcome.dropped.minor == 2600
    ended = only(rt, Subscription)
    assert (ended.state, ended.ended_on) == ("canceled", date(2027, 4, 12))
    invoice = renewal_invoice(rt)
    assert (invoice.state, invoice.due_minor, invoice.credited_minor) == ("void", 0, 2600)
    assert only(rt, CreditNote).total_minor == 2600
    assert only(rt, DunningCase).state == "closed"
    assert balance(rt, "receivable") == 0
    assert mails(rt)[-1] == "cancel_confirmed"
    assert "ended" not in mails(rt)


def test_nothing_is_tried_after_leaving_while_past_due(
    rt: Runtime, clock: FrozenClock, chased: Subscription, demo_gateway: DemoGateway
) -> None:
    leave(rt, chased)
    before = count(rt, ChargeAttempt)
    clock.advance(days=30)
    run_renewals(rt)
    assert count(rt, ChargeAttempt) == before
    assert demo_gateway.bank.executed_count() == 1


def test_a_cancel_between_planned_and_sent_charges_nothing(
    rt: Runtime,
    clock: FrozenClock,
    sub: Subscription,
    demo_gateway: DemoGateway,
    disarm: None,
) -> None:
    clock.set(datetime(2027, 4, 5, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    clock.set(RENEWAL)
    failpoints.arm("renewal.after_planned:raise")
    with pytest.raises(FailpointReached):
        run_renewals(rt)
    failpoints.arm("")
    rt.session.rollback()
    planned = only(rt, ChargeAttempt, ChargeAttempt.state == "planned")
    outcome = leave(rt, sub)
    assert outcome.at_once
    run_renewals(rt)
    assert only(rt, ChargeAttempt, ChargeAttempt.id == planned.id).state == "abandoned"
    assert renewal_invoice(rt).state == "void"
    assert demo_gateway.bank.executed_count() == 1


def test_money_that_arrives_after_leaving_is_sent_back(
    rt: Runtime, clock: FrozenClock, sub: Subscription, demo_gateway: DemoGateway
) -> None:
    token = rt.session.execute(sa.text("SELECT token FROM payment_method")).scalar_one()
    rt.session.rollback()
    demo_gateway.bank.script(token, [LOST])
    clock.set(datetime(2027, 4, 5, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    clock.set(RENEWAL)
    run_renewals(rt)
    assert only(rt, ChargeAttempt, ChargeAttempt.number == 1, ChargeAttempt.settles.is_(False))
    outcome = leave(rt, sub)
    assert outcome.in_flight
    assert outcome.at_once
    assert only(rt, Subscription).state == "canceled"
    clock.advance(minutes=10)
    charges.look_up_open(rt)
    attempt = only(rt, ChargeAttempt, ChargeAttempt.settles.is_(False))
    assert (attempt.state, attempt.refunded_minor) == ("succeeded", 2600)
    assert only(rt, Refund).amount_minor == 2600
    assert only(rt, Subscription).state == "canceled"
    assert count(rt, Box) == 1
    assert balance(rt, "receivable") == 0


def test_a_charge_that_never_happened_leaves_nothing_behind(
    rt: Runtime, clock: FrozenClock, sub: Subscription, demo_gateway: DemoGateway
) -> None:
    token = rt.session.execute(sa.text("SELECT token FROM payment_method")).scalar_one()
    rt.session.rollback()
    demo_gateway.bank.script(token, [DOWN])
    clock.set(datetime(2027, 4, 5, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    clock.set(RENEWAL)
    run_renewals(rt)
    leave(rt, sub)
    for _ in range(3):
        clock.advance(days=2)
        charges.look_up_open(rt)
        run_renewals(rt)
    assert demo_gateway.bank.executed_count() == 1
    assert count(rt, Refund) == 0
    assert count(rt, DunningCase, DunningCase.state == "open") == 0


def test_a_skip_waits_for_an_undo_and_goes_with_the_end(
    rt: Runtime, clock: FrozenClock, sub: Subscription
) -> None:
    cycle = rt.session.execute(
        sa.text("SELECT public_id FROM box_cycle WHERE key = '2027-05'")
    ).scalar_one()
    rt.session.rollback()
    skip_box(rt, sub.customer_id or 0, sub.public_id, cycle)
    leave(rt, sub)
    assert count(rt, BoxSkip) == 1
    clock.set(datetime(2027, 4, 2, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    assert count(rt, BoxSkip) == 0


def test_a_void_invoice_gives_its_coupon_use_back_once(rt: Runtime, clock: FrozenClock) -> None:
    make_code(rt, "SPRING", duration="cycles", cycles=3)
    sub = make_subscription(rt, card="0341", code="SPRING")
    clock.set(RENEWAL)
    run_renewals(rt)
    run_renewals(rt)
    left = only(rt, SubscriptionDiscount).cycles_left
    used = only(rt, Coupon).used
    leave(rt, sub)
    assert only(rt, SubscriptionDiscount).cycles_left == left + 1
    assert only(rt, Coupon).used == used
    assert count(rt, Redemption, Redemption.given_back_at.is_not(None)) == 1
    assert balance(rt, "receivable") == 0


def test_a_void_invoice_gives_applied_credit_back_once(rt: Runtime, chased: Subscription) -> None:
    invoice = renewal_invoice(rt)
    credit = CustomerCredit(customer_id=chased.customer_id, currency="EUR", balance_minor=100)
    rt.session.add(credit)
    rt.session.flush()
    move = CreditMove(
        customer_credit_id=credit.id,
        amount_minor=700,
        rest_minor=100,
        origin="goodwill",
        at=rt.now(),
    )
    rt.session.add(move)
    rt.session.flush()
    rt.session.add(
        CreditApplication(
            credit_move_id=move.id, invoice_id=invoice.id, amount_minor=600, at=rt.now()
        )
    )
    rt.session.execute(
        sa.update(Invoice).where(Invoice.id == invoice.id).values(applied_minor=600, due_minor=2000)
    )
    rt.session.commit()
    for _ in range(2):
        credit_invoices(rt.session, [invoice.id], CreditReason.VOID, rt.moment())
        rt.session.commit()
    assert only(rt, CustomerCredit).balance_minor == 700
    assert only(rt, CreditMove).rest_minor == 700
    voided = renewal_invoice(rt)
    assert (voided.state, voided.applied_minor, voided.credited_minor) == ("void", 0, 2600)
    assert count(rt, CreditNote) == 1


def test_an_invoice_waits_for_the_answer_to_a_charge_that_was_sent(
    rt: Runtime, clock: FrozenClock, sub: Subscription, demo_gateway: DemoGateway
) -> None:
    token = rt.session.execute(sa.text("SELECT token FROM payment_method")).scalar_one()
    rt.session.rollback()
    demo_gateway.bank.script(token, [LOST])
    clock.set(datetime(2027, 4, 5, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    clock.set(RENEWAL)
    run_renewals(rt)
    invoice = renewal_invoice(rt)
    credited = credit_invoices(rt.session, [invoice.id], CreditReason.VOID, rt.moment())
    rt.session.commit()
    assert (credited.done, credited.waiting) == ((), (invoice.id,))
    assert renewal_invoice(rt).state == "open"


def test_the_period_of_a_void_invoice_is_void_and_its_line_free(
    rt: Runtime, chased: Subscription
) -> None:
    leave(rt, chased)
    newest = rt.session.scalars(
        sa.select(SubscriptionPeriod).order_by(SubscriptionPeriod.id.desc()).limit(1)
    ).one()
    assert newest.state == "void"
    lines = rt.session.scalars(
        sa.select(InvoiceLine).where(InvoiceLine.period_id == newest.id)
    ).all()
    assert all(line.is_void for line in lines)


def test_another_customers_subscription_is_not_there(rt: Runtime, sub: Subscription) -> None:
    stranger = make_customer(rt)
    with pytest.raises(NotFound):
        cancel(rt, stranger.id, sub.public_id)
    with pytest.raises(NotFound):
        undo_cancel(rt, stranger.id, sub.public_id)
