"""What a link of a mail shows of one invoice: what for, how much, and what can be done now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.charging import OPEN_ATTEMPTS, AttemptState
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import RUNNING
from storefront.domain.money import Money
from storefront.models import (
    ChargeAttempt,
    DunningCase,
    GatewaySetup,
    Invoice,
    InvoiceLine,
    OutboxMessage,
    PaymentMethod,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.ceilings import PaidNow, tries_today
from storefront.operations.keys import AnyRow
from storefront.operations.method_choice import method_for
from storefront.operations.methods import was_accepted
from storefront.operations.moment import Moment
from storefront.operations.sent_unpaid import pays_for_sent
from storefront.queries.document_groups import subjects_of

#: What can be said of an invoice that somebody wants to pay:
#: ``owed`` it can be paid; ``confirm`` the bank waits for the customer; ``asking`` a charge is on
#: its way; ``paid``; ``void`` nothing is owed any more; ``ended`` its subscription has ended, so
#: nothing is charged; ``held`` somebody looks into a payment first.
Standing = Literal["owed", "confirm", "asking", "paid", "void", "ended", "held"]


@dataclass(frozen=True, slots=True)
class Card:
    """A card that could pay; ``is_usual``: the one that is charged without a choice."""

    public_id: str
    brand: str
    last4: str
    label: str
    kind: str
    is_usual: bool


@dataclass(frozen=True, slots=True)
class ToPay:
    """One invoice as its pay link shows it. No name and no address: links are passed on."""

    invoice: str
    payer_id: int
    subject: str
    amount: Money
    standing: Standing
    paid_at: datetime | None
    #: The bank's reason of the last try that failed; empty when none did.
    reason: str
    #: When that try failed; None when none did.
    declined_at: datetime | None
    next_try_at: datetime | None
    cards: tuple[Card, ...]
    paid_now: PaidNow


def to_pay(session: AnySession, invoice: str, moment: Moment) -> ToPay | None:
    """Return what a pay link shows of an invoice, or None; two statements."""
    table, attempt, case = table_of(Invoice), table_of(ChargeAttempt), table_of(DunningCase)
    line, subscription = table_of(InvoiceLine), table_of(Subscription)
    tried = attempt.alias()
    newest = (
        sa.select(sa.func.max(tried.c.id)).where(tried.c.invoice_id == table.c.id).scalar_subquery()
    )
    own = sa.and_(
        line.c.invoice_id == table.c.id,
        sa.not_(line.c.is_void),
        subscription.c.id == line.c.subscription_id,
    )
    row = session.execute(
        sa.select(
            table.c.public_id,
            table.c.payer_id,
            table.c.state,
            table.c.due_minor,
            table.c.total_minor,
            table.c.currency,
            table.c.paid_at,
            subjects_of(table).label("subject"),
            attempt.c.state.label("attempt"),
            attempt.c.reason,
            sa.func.coalesce(attempt.c.answered_at, attempt.c.created_at).label("tried_at"),
            case.c.next_at,
            case.c.next_action,
            method_for(table).label("method_id"),
            sa.exists().where(own, subscription.c.state.in_(RUNNING)).label("runs"),
            sa.exists().where(own, subscription.c.held_at.is_not(None)).label("is_held"),
            sa.exists()
            .where(line.c.invoice_id == table.c.id, line.c.period_id.is_not(None))
            .label("is_for_time"),
            pays_for_sent(table).label("is_for_sent"),
            *tries_today(table),
        )
        .select_from(table)
        .outerjoin(attempt, attempt.c.id == newest)
        .outerjoin(case, sa.and_(case.c.invoice_id == table.c.id, case.c.state == "open"))
        .where(table.c.public_id == invoice),
        {"day_began": moment.start_of(moment.today)},
    ).one_or_none()
    if row is None:
        return None
    standing = _standing(row)
    is_declined = row.attempt == AttemptState.DECLINED
    minor = row.due_minor if standing not in {"paid", "void"} else row.total_minor
    return ToPay(
        row.public_id,
        row.payer_id,
        row.subject or "",
        Money(minor, row.currency),
        standing,
        row.paid_at,
        (row.reason or "") if is_declined else "",
        row.tried_at if is_declined else None,
        row.next_at if row.next_action == "retry" else None,
        _cards(session, row.payer_id, row.method_id) if standing in {"owed", "confirm"} else (),
        PaidNow(row.tries_with_card, row.tries_in_all),
    )


def _standing(row: AnyRow) -> Standing:
    if row.state == InvoiceState.PAID:
        return "paid"
    if row.state != InvoiceState.OPEN or not row.due_minor:
        return "void"
    if row.is_for_time and not row.runs and not row.is_for_sent:
        return "ended"
    if row.is_held:
        return "held"
    if row.attempt == AttemptState.ACTION_REQUIRED:
        return "confirm"
    return "asking" if row.attempt in OPEN_ATTEMPTS else "owed"


def _cards(session: AnySession, payer_id: int, usual: int | None) -> tuple[Card, ...]:
    table = table_of(PaymentMethod)
    rows = session.execute(
        sa.select(
            table.c.id,
            table.c.public_id,
            table.c.brand,
            table.c.last4,
            table.c.label,
            table.c.kind,
        )
        .where(
            table.c.customer_id == payer_id,
            table.c.detached_at.is_(None),
            table.c.refused_at.is_(None),
            was_accepted(),
        )
        .order_by(sa.case((table.c.id == usual, 0), else_=1), table.c.id)
    )
    return tuple(
        Card(row.public_id, row.brand, row.last4, row.label, row.kind, row.id == usual)
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class CameBack:
    """Somebody back from a bank's or gateway's page."""

    payer_id: int
    invoice: str
    at: datetime
    attempt_id: int | None = None


def back_from_bank(session: AnySession, attempt: str) -> CameBack | None:
    """Return whose charge that was, by its public id."""
    table, invoice = table_of(ChargeAttempt), table_of(Invoice)
    row = session.execute(
        sa.select(table.c.id, table.c.created_at, invoice.c.payer_id, invoice.c.public_id)
        .join(invoice, invoice.c.id == table.c.invoice_id)
        .where(table.c.public_id == attempt)
    ).one_or_none()
    return CameBack(row.payer_id, row.public_id, row.created_at, row.id) if row else None


def back_from_gateway(session: AnySession, setup: str) -> CameBack | None:
    """Return for which invoice a card was to be stored, by the set-up's public id."""
    table, invoice = table_of(GatewaySetup), table_of(Invoice)
    row = session.execute(
        sa.select(table.c.created_at, invoice.c.payer_id, invoice.c.public_id)
        .join(invoice, invoice.c.id == table.c.invoice_id)
        .where(table.c.public_id == setup)
    ).one_or_none()
    return CameBack(row.payer_id, row.public_id, row.created_at) if row else None


@dataclass(frozen=True, slots=True)
class Asked:
    """An invoice whose bank waits for its customer, as staff see it."""

    invoice: str
    amount: Money
    subject: str
    #: When the customer was last written about it; None: not yet.
    mailed_at: datetime | None


def waiting_for_customer(session: AnySession, customer_id: int) -> tuple[Asked, ...]:
    """Return the invoices of a payer that wait for a confirmation, oldest first."""
    table, attempt, message = table_of(Invoice), table_of(ChargeAttempt), table_of(OutboxMessage)
    mailed = (
        sa.select(sa.func.max(sa.func.coalesce(message.c.delivered_at, message.c.created_at)))
        .where(
            message.c.customer_id == table.c.payer_id,
            message.c.topic == "payment_confirm",
            message.c.key.like(
                sa.literal("mail:payment_confirm:").concat(attempt.c.public_id).concat("%")
            ),
        )
        .correlate(table, attempt)
        .scalar_subquery()
    )
    rows = session.execute(
        sa.select(
            table.c.public_id,
            table.c.due_minor,
            table.c.currency,
            subjects_of(table).label("subject"),
            sa.type_coerce(mailed, message.c.created_at.type).label("mailed_at"),
        )
        .join(attempt, attempt.c.invoice_id == table.c.id)
        .where(
            table.c.payer_id == customer_id,
            table.c.state == InvoiceState.OPEN,
            attempt.c.state == AttemptState.ACTION_REQUIRED,
        )
        .order_by(table.c.id)
    )
    return tuple(
        Asked(row.public_id, Money(row.due_minor, row.currency), row.subject or "", row.mailed_at)
        for row in rows
    )
