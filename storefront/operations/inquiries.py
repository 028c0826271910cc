"""Write messages of a conversation, and take an erased person's away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.domain.inquiries import Author
from storefront.models import Box, Inquiry, InquiryMessage, Invoice, Subscription
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.outbox import Message

#: To the shop's contact address, and to who asked.
RECEIVED, ANSWERED = "inquiry_received", "inquiry_answered"


def by_once(session: AnySession, once: str) -> str | None:
    """Return the conversation of a message that was sent with a page before."""
    table, message = table_of(Inquiry), table_of(InquiryMessage)
    found: str | None = session.scalar(
        sa.select(table.c.public_id)
        .join(message, message.c.inquiry_id == table.c.id)
        .where(message.c.once == once)
    )
    return found


def find(session: AnySession, ref: str, customer_id: int | None = None) -> AnyRow | None:
    """Return the row of a conversation; with ``customer_id`` only if it is theirs."""
    table = table_of(Inquiry)
    chosen = sa.select(table).where(table.c.public_id == ref)
    if customer_id is not None:
        chosen = chosen.where(table.c.customer_id == customer_id)
    return session.execute(chosen).one_or_none()


def owns(session: AnySession, customer_id: int, kind: str, ref: str) -> bool:
    """Whether a subscription, box or invoice is this customer's."""
    subscription, box, invoice = table_of(Subscription), table_of(Box), table_of(Invoice)
    mine = subscription.c.customer_id == customer_id
    chosen: dict[str, sa.Select[Any]] = {
        "subscription": sa.select(subscription.c.id).where(subscription.c.public_id == ref, mine),
        "box": sa.select(box.c.id)
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .where(box.c.public_id == ref, mine),
        "invoice": sa.select(invoice.c.id).where(
            invoice.c.public_id == ref, invoice.c.payer_id == customer_id
        ),
    }
    return kind in chosen and session.scalar(chosen[kind]) is not None


def insert_inquiry(session: AnySession, **values: Any) -> int:
    """Add a conversation without a message; returns its key."""
    table = table_of(Inquiry)
    made = session.execute(sa.insert(table).values(messages=0, **values).returning(table.c.id))
    return int(made.scalar_one())


def add_message(
    session: AnySession,
    inquiry_id: int,
    number: int,
    author: Author,
    text: str,
    once: str,
    at: datetime,
    staff_id: int | None = None,
) -> None:
    """Write message ``number``; an ``IntegrityError`` where somebody was faster."""
    values = {"inquiry_id": inquiry_id, "number": number, "author": author.value, "text": text}
    session.execute(
        sa.insert(table_of(InquiryMessage)).values(once=once, at=at, staff_id=staff_id, **values)
    )


def set_inquiry(session: AnySession, inquiry_id: int, **values: Any) -> None:
    """Write ``values`` to a conversation."""
    table = table_of(Inquiry)
    session.execute(sa.update(table).where(table.c.id == inquiry_id).values(**values))


def told_shop(ref: str, number: int, email: str, locale: str) -> Message:
    """Return the mail that tells the shop of a message."""
    payload = {"inquiry": ref, "number": number, "to": email, "locale": locale}
    return Message("mail", RECEIVED, f"mail:{RECEIVED}:{ref}:{number}", payload)


def told_customer(ref: str, number: int, customer_id: int) -> Message:
    """Return the mail that brings an answer."""
    payload = {"inquiry": ref, "number": number}
    return Message("mail", ANSWERED, f"mail:{ANSWERED}:{ref}:{number}", payload, customer_id)


def erase_inquiries(session: AnySession, ids: Sequence[int]) -> None:
    """Delete every conversation of these customers; no law asks for them."""
    table, message = table_of(Inquiry), table_of(InquiryMessage)
    theirs = sa.select(table.c.id).where(table.c.customer_id.in_(ids))
    session.execute(sa.delete(message).where(message.c.inquiry_id.in_(theirs)))
    session.execute(sa.delete(table).where(table.c.customer_id.in_(ids)))
