"""What the shop knows about a disputed payment, for the answer to the bank; read only.

Facts as they were kept, nothing worded anew: the consent as it was shown and ticked, boxes with
their parcels, mails that were handed to the mail server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import (
    Box,
    ChargeAttempt,
    Consent,
    Customer,
    Dispute,
    Invoice,
    InvoiceLine,
    OutboxMessage,
    Shipment,
)
from storefront.models.base import table_of

#: Mails and boxes in one file, the newest.
MOST = 200


@dataclass(frozen=True, slots=True)
class Agreed:
    """A consent; ``text_hash`` is the SHA-256 of ``text`` as it was stored with the click."""

    kind: str
    text: str
    text_hash: str
    version: str
    given_at: datetime
    ip: str
    user_agent: str
    #: The button that was pressed, and the words of the page that led to it; empty: not kept.
    button: str
    page: str
    page_hash: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """A box of a disputed subscription that left."""

    box: str
    shipped_at: datetime
    carrier: str
    tracking_number: str
    #: Where it went, as it was printed: name, street and so on.
    ship_to: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Mailed:
    topic: str
    delivered_at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that belongs into one answer."""

    name: str
    email: str
    customer_since: datetime
    paid_at: datetime | None
    was_present: bool
    lines: tuple[str, ...]
    agreed: tuple[Agreed, ...]
    parcels: tuple[Parcel, ...]
    mails: tuple[Mailed, ...]


def evidence(session: AnySession, dispute: str) -> Evidence | None:
    """Return what is known about the payment of a dispute, or None; four statements."""
    table, attempt, invoice = table_of(Dispute), table_of(ChargeAttempt), table_of(Invoice)
    customer = table_of(Customer)
    row = session.execute(
        sa.select(
            invoice.c.id,
            invoice.c.payer_id,
            customer.c.name,
            customer.c.email,
            customer.c.created_at,
            attempt.c.answered_at,
            attempt.c.on_session,
        )
        .select_from(table)
        .join(attempt, attempt.c.id == table.c.attempt_id)
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .join(customer, customer.c.id == invoice.c.payer_id)
        .where(table.c.public_id == dispute)
    ).one_or_none()
    if row is None:
        return None
    line = table_of(InvoiceLine)
    lines = session.execute(
        sa.select(line.c.text, line.c.subscription_id)
        .where(line.c.invoice_id == row.id)
        .order_by(line.c.position)
    ).all()
    subscriptions = sorted({one.subscription_id for one in lines if one.subscription_id})
    return Evidence(
        row.name,
        row.email,
        row.created_at,
        row.answered_at,
        bool(row.on_session),
        tuple(one.text for one in lines),
        _agreed(session, subscriptions),
        _parcels(session, subscriptions),
        _mails(session, row.payer_id),
    )


def _agreed(session: AnySession, subscriptions: list[int]) -> tuple[Agreed, ...]:
    table = table_of(Consent)
    rows = session.execute(
        sa.select(table).where(table.c.subscription_id.in_(subscriptions)).order_by(table.c.id)
    )
    return tuple(
        Agreed(
            row.kind,
            row.text,
            row.text_hash,
            row.text_version,
            row.given_at,
            row.ip,
            row.user_agent,
            row.button,
            row.page,
            row.page_hash,
        )
        for row in rows
    )


def _parcels(session: AnySession, subscriptions: list[int]) -> tuple[Parcel, ...]:
    box, parcel = table_of(Box), table_of(Shipment)
    rows = session.execute(
        sa.select(
            box.c.public_id,
            box.c.ship_to,
            parcel.c.shipped_at,
            parcel.c.carrier,
            parcel.c.tracking_number,
        )
        .join(parcel, parcel.c.id == box.c.shipment_id)
        .where(box.c.subscription_id.in_(subscriptions))
        .order_by(parcel.c.shipped_at.desc(), box.c.id.desc())
        .limit(MOST)
    ).all()
    return tuple(
        Parcel(row.public_id, row.shipped_at, row.carrier, row.tracking_number, row.ship_to)
        for row in reversed(rows)
    )


def _mails(session: AnySession, customer_id: int) -> tuple[Mailed, ...]:
    table = table_of(OutboxMessage)
    rows = session.execute(
        sa.select(table.c.topic, table.c.delivered_at)
        .where(
            table.c.customer_id == customer_id,
            table.c.kind == "mail",
            table.c.delivered_at.is_not(None),
        )
        .order_by(table.c.delivered_at.desc(), table.c.id.desc())
        .limit(MOST)
    ).all()
    return tuple(Mailed(row.topic, row.delivered_at) for row in reversed(rows))
