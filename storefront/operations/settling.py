"""What being paid does: to the invoice, its periods, subscriptions, boxes, mails and books.

The one way an invoice becomes paid, whoever brought the money: a renewal, a checkout, a
retry, a webhook, a look-up, or nothing at all where the total is zero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import sqlalchemy as sa

from storefront.domain.events import Actor, EventKind
from storefront.domain.invoices import DEFERRED_KINDS, InvoiceState, LineKind
from storefront.domain.ledger import CARRIED_BALANCE, RECEIVABLE, JournalKind, clearing
from storefront.domain.lifecycle import (
    ENDED,
    UNCOUNTED_KINDS,
    PeriodKind,
    PeriodState,
    SubscriptionState,
    check_move,
)
from storefront.domain.metrics import MovementKind
from storefront.domain.periods import Interval
from storefront.models import (
    Checkout,
    DunningCase,
    Invoice,
    InvoiceLine,
    Plan,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.added import additions_paid_by, put_in
from storefront.operations.billing import note_billing
from storefront.operations.boxes import PaidPeriod, make_boxes, without_boxes
from storefront.operations.bulk import update_many
from storefront.operations.changes import apply_paid_change, changes_paid_by, open_paid_periods
from storefront.operations.customer_credit import book_set_aside
from storefront.operations.invoices import finalise_offered
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of, named
from storefront.operations.ledger import Journal, Transfer, book
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.subscriptions import SubscriptionChange, change_subscriptions
from storefront.operations.taxes import note_tax_ids
from storefront.operations.timeline import Entry, MrrChange, move, record


class Settlement(NamedTuple):
    """Money that arrived for an invoice; ``amount_minor`` 0 settles a zero total."""

    invoice_id: int
    amount_minor: int
    gateway: str = ""
    #: Public id of the attempt, the event that is booked; empty for a zero total.
    event_ref: str = ""
    #: Paid with the same money: what was carried from earlier invoices.
    carried_minor: int = 0
    #: True: no money came; what is due is asked for with a later charge.
    is_carried: bool = False


def settle_invoices(session: AnySession, settlements: Sequence[Settlement], moment: Moment) -> None:
    """Mark invoices paid with everything that follows, in the caller's transaction.

    Each invoice must be offered or open and owe exactly its settlement's amount. Statements:
    a constant number for any count of invoices.
    """
    if not settlements:
        return
    ids = [one.invoice_id for one in settlements]
    invoices = _invoices(session, ids)
    offered = [row for row in invoices.values() if row.state == InvoiceState.OFFERED]
    # A change is paid by an offered invoice only; renewals need not look for one.
    changes = changes_paid_by(session, [row.id for row in offered]) if offered else {}
    additions = additions_paid_by(session, [row.id for row in offered]) if offered else {}
    open_paid_periods(session, list(changes.values()), moment)
    lines = lines_of(session, ids)
    finalise_offered(session, offered, lines, moment)
    book_set_aside(session, [row.id for row in offered], moment)
    _mark_paid(session, settlements, moment)
    _book_paid(session, settlements, invoices, moment)
    _close_around(session, ids, invoices, moment)
    for invoice_id, change in changes.items():
        apply_paid_change(session, change, invoices[invoice_id], moment)
    for invoice_id, addition in additions.items():
        put_in(session, addition, invoices[invoice_id], moment)
    lines = [line for line in lines if line.invoice_id not in changes]
    periods = periods_of(session, lines)
    _enter_periods(session, periods, lines, invoices, moment)


def _invoices(session: AnySession, ids: Sequence[int]) -> dict[int, AnyRow]:
    rows = named(session.execute(_invoices_statement(), {"ids": ids}))
    return {row.id: row for row in rows}


@cache
def _invoices_statement() -> AnySelect:
    table = table_of(Invoice)
    return sa.select(
        table.c.id,
        table.c.public_id,
        table.c.payer_id,
        table.c.checkout_id,
        table.c.state,
        table.c.currency,
        table.c.total_minor,
        table.c.pay_by,
    ).where(any_of(table.c.id))


def lines_of(session: AnySession, ids: Sequence[int]) -> list[AnyRow]:
    """Return the lines of invoices that were not given up, in their order.

    Of a combined invoice, those of a subscription that left before it was paid are void.
    """
    return named(session.execute(_lines_statement(), {"ids": ids}))


@cache
def _lines_statement() -> AnySelect:
    table = table_of(InvoiceLine)
    return (
        sa.select(
            table.c.id,
            table.c.invoice_id,
            table.c.kind,
            table.c.period_id,
            table.c.gross_minor,
            table.c.tax_minor,
        )
        .where(any_of(table.c.invoice_id), sa.not_(table.c.is_void))
        .order_by(table.c.invoice_id, table.c.position)
    )


def _mark_paid(session: AnySession, settlements: Sequence[Settlement], moment: Moment) -> None:
    rows = [
        {
            "paid_at": moment.now,
            "id": one.invoice_id,
            "state": InvoiceState.OPEN,
            "due_minor": one.amount_minor,
        }
        for one in settlements
    ]
    # The amount is what it owes, so all of that moves from due to paid.
    found = update_many(
        session,
        Invoice,
        rows,
        where=("id", "state", "due_minor"),
        plus="state = 'paid', paid_minor = paid_minor + due_minor, due_minor = 0",
    )
    if found != len(settlements):
        raise RuntimeError("an invoice to settle is not open or owes another amount")


def _book_paid(
    session: AnySession,
    settlements: Sequence[Settlement],
    invoices: dict[int, AnyRow],
    moment: Moment,
) -> None:
    journals = []
    for one in settlements:
        if not one.amount_minor:
            continue
        invoice = invoices[one.invoice_id]
        owner = (invoice.currency, invoice.payer_id, invoice.id)
        if one.is_carried:
            later = Transfer(CARRIED_BALANCE, RECEIVABLE, one.amount_minor, *owner)
            journals.append(Journal(JournalKind.AMOUNT_CARRIED, invoice.public_id, (later,)))
            continue
        account = clearing(one.gateway)
        paid = [Transfer(account, RECEIVABLE, one.amount_minor, *owner)]
        if one.carried_minor:
            paid.append(Transfer(account, CARRIED_BALANCE, one.carried_minor, *owner))
        journals.append(Journal(JournalKind.INVOICE_PAID, one.event_ref, tuple(paid)))
    book(session, journals, moment.now)


def _close_around(
    session: AnySession, ids: Sequence[int], invoices: dict[int, AnyRow], moment: Moment
) -> None:
    """Close the chase and finish the checkout of each paid invoice, with its VAT number."""
    session.execute(_close_cases(), {"ids": ids, "at": moment.now})
    checkouts = {row.checkout_id: row.payer_id for row in invoices.values() if row.checkout_id}
    if checkouts:
        checkout = table_of(Checkout)
        session.execute(
            sa.update(checkout)
            .where(checkout.c.id.in_(checkouts))
            .values(state="done", avoids=[], version=checkout.c.version + 1)
        )
        note_tax_ids(session, checkouts, moment)
        note_billing(session, checkouts)


@cache
def _close_cases() -> sa.UpdateBase:
    case = table_of(DunningCase)
    at = sa.bindparam("at", type_=case.c.closed_at.type)
    return (
        sa.update(case)
        .where(any_of(case.c.invoice_id), case.c.state == "open")
        .values(state="recovered", closed_at=at, next_at=None)
    )


def periods_of(session: AnySession, lines: Sequence[AnyRow]) -> list[AnyRow]:
    """Return the periods that ``lines`` pay for, with what their boxes are made from."""
    ids = sorted({line.period_id for line in lines if line.period_id})
    if not ids:
        return []
    return named(session.execute(_periods_statement(), {"ids": ids}))


@cache
def _periods_statement() -> AnySelect:
    period, subscription, plan = (
        table_of(SubscriptionPeriod),
        table_of(Subscription),
        table_of(Plan),
    )
    return (
        sa.select(
            period.c.id,
            period.c.subscription_id,
            period.c.number,
            period.c.kind,
            period.c.start_on,
            period.c.box_count,
            period.c.mrr_minor,
            period.c.plan_id,
            subscription.c.public_id,
            subscription.c.customer_id,
            subscription.c.state,
            subscription.c.version,
            subscription.c.next_on,
            subscription.c.cancel_on,
            subscription.c.quantity,
            subscription.c.options,
            subscription.c.mrr_minor.label("old_mrr"),
            subscription.c.cohort,
            subscription.c.source,
            plan.c.cycle_group_id,
            plan.c.shipping_unit,
            plan.c.shipping_count,
        )
        .join(subscription, subscription.c.id == period.c.subscription_id)
        .join(plan, plan.c.id == period.c.plan_id)
        .where(any_of(period.c.id))
        .order_by(period.c.id)
    )


def _enter_periods(
    session: AnySession,
    periods: Sequence[AnyRow],
    lines: Sequence[AnyRow],
    invoices: dict[int, AnyRow],
    moment: Moment,
) -> None:
    if not periods:
        return
    session.execute(_pay_periods(), {"ids": [row.id for row in periods], "at": moment.now})
    per_period: dict[int, list[AnyRow]] = defaultdict(list)
    for line in lines:
        if line.period_id:
            per_period[line.period_id].append(line)
    running = [row for row in periods if SubscriptionState(row.state) not in ENDED]
    change_subscriptions(session, [_entered(row, moment) for row in running])
    by_bank = {key for key, row in invoices.items() if row.pay_by == "bank"}
    late = [
        row.id
        for row in running
        if row.state == SubscriptionState.PAST_DUE or per_period[row.id][0].invoice_id in by_bank
    ]
    # Of a late payer the boxes may have gone out before.
    made = set(late) - (without_boxes(session, late) if late else set())
    paid = []
    for row in running:
        if row.id in made:
            continue
        own = per_period[row.id]
        paid.append(paid_period(row, own, invoices[own[0].invoice_id].currency))
    make_boxes(session, paid, moment)
    _tell(session, running, per_period, invoices, moment)
    if len(running) < len(periods):
        left = [row for row in periods if SubscriptionState(row.state) in ENDED]
        _tell_who_left(session, left, per_period, invoices, moment)


@cache
def _pay_periods() -> sa.UpdateBase:
    table = table_of(SubscriptionPeriod)
    at = sa.bindparam("at", type_=table.c.paid_at.type)
    return sa.update(table).where(any_of(table.c.id)).values(state=PeriodState.PAID, paid_at=at)


def _entered(row: AnyRow, moment: Moment) -> SubscriptionChange:
    state = SubscriptionState(row.state)
    if state not in (SubscriptionState.ACTIVE, SubscriptionState.PAUSED):
        is_trial = row.kind == PeriodKind.TRIAL
        entered = SubscriptionState.TRIALING if is_trial else SubscriptionState.ACTIVE
        check_move(state, entered)
        state = entered
    stop = row.cancel_on if row.cancel_on and row.cancel_on < row.next_on else row.next_on
    return SubscriptionChange(
        row.subscription_id,
        row.version,
        {
            "state": state,
            "renews_at": max(moment.start_of(stop), moment.now),
            "mrr_minor": row.mrr_minor,
            "cohort": _cohort(row, moment),
        },
    )


def _cohort(row: AnyRow, moment: Moment) -> str:
    """Return the month of the first payment; a trial and days given are none."""
    if row.cohort or row.kind in UNCOUNTED_KINDS:
        return str(row.cohort)
    return moment.today.strftime("%Y-%m")


def paid_period(row: AnyRow, lines: Sequence[AnyRow], currency: str) -> PaidPeriod:
    """Return what makes the boxes of the period ``row`` that ``lines`` cost."""
    goods = [line for line in lines if LineKind(line.kind) in DEFERRED_KINDS]
    gross = sum(line.gross_minor for line in goods)
    tax = sum(line.tax_minor for line in goods)
    plan_line = next((line.id for line in lines if line.kind == LineKind.PLAN), None)
    return PaidPeriod(
        row.subscription_id,
        row.id,
        row.plan_id,
        row.cycle_group_id or 0,
        row.box_count,
        row.quantity,
        row.options,
        plan_line,
        gross - tax,
        tax,
        currency,
        Interval(row.shipping_unit, row.shipping_count),
        row.start_on,
        row.number == 0,
        any(line.kind == LineKind.ADDON for line in lines),
    )


def _tell_who_left(
    session: AnySession,
    periods: Sequence[AnyRow],
    per_period: dict[int, list[AnyRow]],
    invoices: dict[int, AnyRow],
    moment: Moment,
) -> None:
    """Send who paid after their subscription ended the receipt; nothing of it goes on."""
    entries, mails = [], {}
    for row in periods:
        invoice = invoices[per_period[row.id][0].invoice_id]
        amount = sum(line.gross_minor for line in per_period[row.id])
        data = {"invoice": invoice.public_id, "amount_minor": amount}
        kind = EventKind.SUBSCRIPTION_RECOVERED
        entries.append(
            Entry(row.subscription_id, row.public_id, kind, data=data, ref=invoice.public_id)
        )
        key = f"mail:receipt:{invoice.public_id}"
        about = {"invoice": invoice.public_id, "subscription": row.public_id}
        mails[key] = Message("mail", "receipt", key, about, invoice.payer_id)
    record(session, entries, moment)
    enqueue(session, list(mails.values()), moment.now)


def _tell(
    session: AnySession,
    periods: Sequence[AnyRow],
    per_period: dict[int, list[AnyRow]],
    invoices: dict[int, AnyRow],
    moment: Moment,
) -> None:
    """Write the timeline, the movements and the mails of paid periods."""
    entries, movements = [], []
    mails: dict[str, Message] = {}
    for row in periods:
        invoice = invoices[per_period[row.id][0].invoice_id]
        started = row.state == SubscriptionState.INCOMPLETE
        recovered = row.state == SubscriptionState.PAST_DUE
        kind = (
            EventKind.SUBSCRIPTION_STARTED
            if started
            else EventKind.SUBSCRIPTION_RECOVERED
            if recovered
            else EventKind.SUBSCRIPTION_RENEWED
        )
        amount = sum(line.gross_minor for line in per_period[row.id])
        data = {"invoice": invoice.public_id, "amount_minor": amount}
        actor = Actor.SHOPPER if started else Actor.WORKER
        entries.append(
            Entry(row.subscription_id, row.public_id, kind, actor, data=data, ref=invoice.public_id)
        )
        change = _movement(row, invoice.currency, moment)
        if change:
            movements.append(change)
        topic = "order_confirmed" if started else "receipt"
        if row.kind == PeriodKind.GIFT:
            topic = "gift_ordered"
        key = f"mail:{topic}:{invoice.public_id}"
        about = {"invoice": invoice.public_id, "subscription": row.public_id}
        # One mail for one payment, whatever it paid for.
        mails.setdefault(key, Message("mail", topic, key, about, invoice.payer_id))
    record(session, entries, moment)
    move(session, movements)
    enqueue(session, list(mails.values()), moment.now)


def _movement(row: AnyRow, currency: str, moment: Moment) -> MrrChange | None:
    delta = row.mrr_minor - row.old_mrr
    if row.kind in UNCOUNTED_KINDS:
        return None
    if not row.cohort:
        kind, reason = MovementKind.NEW, "sign_up"
    elif delta == 0:
        return None
    else:
        kind = MovementKind.EXPANSION if delta > 0 else MovementKind.CONTRACTION
        reason = "renewal"
    return MrrChange(
        row.subscription_id,
        kind,
        delta,
        currency,
        row.plan_id,
        row.source,
        row.cohort or moment.today.strftime("%Y-%m"),
        reason,
        moment.today,
    )
