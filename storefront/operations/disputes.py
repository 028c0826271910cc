"""Write down what a gateway says of disputes: the books, the hold, the timeline, the mail.

Everything of one dispute is one transaction of the caller. What the gateway says again changes
nothing. Only the disputed payment is touched: other invoices stay as they are.
Source: docs/decisions/0125-disputes.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.charging import AttemptState
from storefront.domain.disputes import KINDS, NOTHING, Standing, moves
from storefront.domain.events import EventKind
from storefront.domain.gateways import DisputeRecord, DisputeState
from storefront.domain.lifecycle import ENDED, HoldReason, SubscriptionState
from storefront.domain.packing import Problem
from storefront.models import (
    Box,
    ChargeAttempt,
    Dispute,
    Invoice,
    InvoiceLine,
    LedgerJournal,
    ParkedWork,
    Plan,
    Price,
    Refund,
    Subscription,
)
from storefront.models.base import public_id, table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.ledger import Journal, Transfer, book
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.subscriptions import SubscriptionChange, change_subscriptions
from storefront.operations.timeline import Entry, record

_KINDS = {
    DisputeState.OPEN: EventKind.DISPUTE_OPENED,
    DisputeState.WON: EventKind.DISPUTE_WON,
    DisputeState.LOST: EventKind.DISPUTE_LOST,
}


def record_disputes(
    session: AnySession, attempt: AnyRow, found: Sequence[DisputeRecord], moment: Moment
) -> int:
    """Write every dispute of one charge as the gateway has it now; returns how many changed.

    ``attempt`` is a row of ``disputed_attempt``. Raises ``StaleSubscription`` when somebody
    changed a subscription meanwhile; the caller then begins again.
    """
    return sum(_record(session, attempt, one, moment) for one in found)


def disputed_attempt(session: AnySession, public: str) -> AnyRow | None:
    """Return a charge with its payer, locked for us; None for one there is not."""
    attempt, invoice = table_of(ChargeAttempt), table_of(Invoice)
    statement = (
        sa.select(attempt, invoice.c.payer_id, invoice.c.public_id.label("invoice_ref"))
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .where(attempt.c.public_id == public)
    )
    if session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(of=attempt)
    return session.execute(statement).one_or_none()


def money_is_disputed(attempt_id: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Return whether the bank holds, or took for good, money of the charge ``attempt_id``."""
    table = table_of(Dispute)
    return sa.exists().where(
        table.c.attempt_id == attempt_id, table.c.amount_minor > 0, table.c.state != "won"
    )


def subscriptions_of(session: AnySession, invoice_id: int) -> list[AnyRow]:
    """Return every subscription with a line on an invoice, with what its periods are made of."""
    line = table_of(InvoiceLine)
    mine = sa.select(line.c.subscription_id).where(line.c.invoice_id == invoice_id)
    return subscriptions_where(session, table_of(Subscription).c.id.in_(mine))


def subscriptions_where(session: AnySession, condition: sa.ColumnElement[bool]) -> list[AnyRow]:
    """Return subscriptions as ``subscriptions_of`` does."""
    table, plan, price = table_of(Subscription), table_of(Plan), table_of(Price)
    return list(
        session.execute(
            sa.select(
                table,
                plan.c.shipping_unit,
                plan.c.shipping_count,
                plan.c.ships,
                price.c.unit,
                price.c.count.label("unit_count"),
            )
            .join(plan, plan.c.id == table.c.plan_id)
            .join(price, price.c.id == table.c.price_id)
            .where(condition)
            .order_by(table.c.id)
        )
    )


def _record(session: AnySession, attempt: AnyRow, found: DisputeRecord, moment: Moment) -> bool:
    table = table_of(Dispute)
    known = session.execute(
        sa.select(table).where(
            table.c.gateway == attempt.gateway,
            table.c.gateway_reference == found.gateway_reference,
        )
    ).one_or_none()
    values = _values(found, known, moment)
    if known is not None and all(getattr(known, name) == to for name, to in values.items()):
        return False
    public = known.public_id if known is not None else public_id("dsp")
    if known is None:
        session.execute(
            sa.insert(table).values(
                public_id=public,
                attempt_id=attempt.id,
                gateway=attempt.gateway,
                gateway_reference=found.gateway_reference,
                currency=found.amount.currency,
                opened_at=found.opened_at,
                **values,
            )
        )
    else:
        session.execute(sa.update(table).where(table.c.id == known.id).values(values))
    before = NOTHING if known is None else _standing(known)
    _book(session, attempt, public, before, found, moment)
    rows = subscriptions_of(session, attempt.invoice_id)
    took = values["amount_minor"] > 0 and found.state is not DisputeState.WON
    if took and (known is None or not known.amount_minor or known.state == DisputeState.WON):
        held = _hold(session, rows, public, moment)
        if held and found.state is DisputeState.OPEN:
            _mail(session, "dispute_opened", public, attempt.payer_id, moment)
    if known is None or known.state != found.state or known.amount_minor != found.amount.minor:
        _tell(session, attempt, public, found, rows, moment)
    if found.state is DisputeState.LOST and values["amount_minor"]:
        _stop_refunds(session, attempt, moment)
    return True


def _values(found: DisputeRecord, known: AnyRow | None, moment: Moment) -> dict[str, Any]:
    # A fee in another currency than the payment is left to the gateway's pay-out statement.
    same = found.fee is not None and found.fee.currency == found.amount.currency
    is_open = found.state is DisputeState.OPEN
    closed_at = known.closed_at if known is not None else None
    return {
        "state": found.state,
        "amount_minor": found.amount.minor,
        "fee_minor": found.fee.minor if found.fee is not None and same else 0,
        "reason": found.reason[:80],
        "answer_by": found.answer_by,
        "closed_at": None if is_open else closed_at or moment.now,
    }


def _standing(row: AnyRow) -> Standing:
    return Standing(DisputeState(row.state), row.amount_minor, row.fee_minor)


def _book(
    session: AnySession,
    attempt: AnyRow,
    public: str,
    before: Standing,
    found: DisputeRecord,
    moment: Moment,
) -> None:
    fee = found.fee.minor if found.fee and found.fee.currency == found.amount.currency else 0
    after = Standing(found.state, found.amount.minor, fee)
    currency = found.amount.currency
    # A journal that names an invoice has its currency.
    invoice = attempt.invoice_id if currency == attempt.currency else None
    transfers = tuple(
        Transfer(debit, credit, minor, currency, attempt.payer_id, invoice)
        for debit, credit, minor in moves(before, after, attempt.gateway)
    )
    journal, kind = table_of(LedgerJournal), KINDS[found.state]
    booked = session.scalar(
        sa.select(sa.func.count()).where(
            journal.c.kind == kind,
            sa.or_(
                journal.c.event_ref == public,
                journal.c.event_ref.startswith(f"{public}.", autoescape=True),
            ),
        )
    )
    reference = f"{public}.{booked + 1}" if booked else public
    book(session, [Journal(kind, reference, transfers)], moment.now)


def _hold(session: AnySession, rows: Sequence[AnyRow], dispute: str, moment: Moment) -> bool:
    """Bill and pack nothing more for these subscriptions; what staff hold stays theirs.

    True if that changed anything for one of them.
    """
    unsent = _unsent(session, [row.id for row in rows])
    held = [
        row
        for row in rows
        if row.hold_reason not in (HoldReason.STAFF, HoldReason.DISPUTE)
        and (SubscriptionState(row.state) not in ENDED or unsent.get(row.id))
    ]
    values = {"held_at": moment.now, "hold_reason": HoldReason.DISPUTE}
    change_subscriptions(session, [SubscriptionChange(row.id, row.version, values) for row in held])
    kept = [box for row in rows for box in unsent.get(row.id, [])]
    _hold_boxes(session, [box.id for box in kept])
    record(
        session,
        [
            Entry(
                row.id,
                row.public_id,
                EventKind.SUBSCRIPTION_HELD,
                data={"reason": HoldReason.DISPUTE.value, "boxes": len(unsent.get(row.id, []))},
                ref=dispute,
            )
            for row in held
        ],
        moment,
    )
    return bool(held)


def _unsent(session: AnySession, subscriptions: Sequence[int]) -> dict[int, list[AnyRow]]:
    """Return the boxes a packer was not told of yet, by subscription."""
    table = table_of(Box)
    rows = session.execute(
        sa.select(table.c.id, table.c.subscription_id)
        .where(
            table.c.subscription_id.in_(subscriptions),
            table.c.state.in_((BoxState.PLANNED, BoxState.LOCKED)),
            table.c.batch_id.is_(None),
        )
        .order_by(table.c.id)
    )
    found: dict[int, list[AnyRow]] = {}
    for row in rows:
        found.setdefault(row.subscription_id, []).append(row)
    return found


def _hold_boxes(session: AnySession, ids: Sequence[int]) -> None:
    table = table_of(Box)
    session.execute(
        sa.update(table)
        .where(
            table.c.id.in_(ids),
            # One that a batch took this moment goes out.
            table.c.state.in_((BoxState.PLANNED, BoxState.LOCKED)),
            table.c.batch_id.is_(None),
        )
        .values(state=BoxState.HELD, problem=Problem.HELD.value)
    )


def _tell(
    session: AnySession,
    attempt: AnyRow,
    dispute: str,
    found: DisputeRecord,
    rows: Sequence[AnyRow],
    moment: Moment,
) -> None:
    data = {
        "dispute": dispute,
        "invoice": attempt.invoice_ref,
        "amount_minor": found.amount.minor,
        "currency": found.amount.currency,
    }
    kind = _KINDS[found.state]
    entries = [Entry(row.id, row.public_id, kind, data=data, ref=dispute) for row in rows]
    record(session, entries, moment)
    held = any(row.hold_reason == HoldReason.DISPUTE for row in rows)
    if found.state is DisputeState.WON and held:
        _mail(session, "dispute_won", dispute, attempt.payer_id, moment)


def _mail(session: AnySession, topic: str, dispute: str, payer_id: int, moment: Moment) -> None:
    key = f"mail:{topic}:{dispute}"
    enqueue(session, [Message("mail", topic, key, {"dispute": dispute}, payer_id)], moment.now)


def _stop_refunds(session: AnySession, attempt: AnyRow, moment: Moment) -> None:
    """The bank gave this money back itself: a refund not sent yet waits for a person."""
    refund = table_of(Refund)
    stopped = session.execute(
        sa.update(refund)
        .where(refund.c.attempt_id == attempt.id, refund.c.state == AttemptState.PLANNED)
        .values(state=AttemptState.DECLINED, answered_at=moment.now, check_at=None)
        .returning(refund.c.public_id)
    ).all()
    if stopped:
        detail = "The customer's bank took this payment back, so the refund was not sent."
        session.execute(
            sa.insert(table_of(ParkedWork)),
            [
                {
                    "kind": "refund",
                    "subject": row.public_id,
                    "reason": "disputed",
                    "detail": detail,
                    "parked_at": moment.now,
                }
                for row in stopped
            ],
        )
