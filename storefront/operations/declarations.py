"""Find the contract a declaration names, write it down, and take an erased person out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.domain.declarations import words_of
from storefront.domain.lifecycle import ENDED
from storefront.models import (
    Box,
    Checkout,
    Customer,
    Declaration,
    DeclarationOutcome,
    OutboxMessage,
    Shipment,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.erasure_rows import blank_messages, set_values
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.outbox import Message

#: Topic of the acknowledgement.
RECEIPT = "declaration_received"
#: What of a declaration says who it was.
_BLANK = dict.fromkeys(("name", "email", "contract", "reason"), "")


@dataclass(frozen=True, slots=True)
class Contract:
    """What a declaration is about, as far as it can be known."""

    #: Whose e-mail it is; None: nobody's.
    customer_id: int | None = None
    #: Row of the subscription (id, public_id, version, state, held_at, is_gift); None: not found.
    row: AnyRow | None = None
    #: A number that cannot be guessed names it, and the e-mail is its owner's.
    is_sure: bool = False


def find_contract(session: AnySession, email: str, contract: str) -> Contract:
    """Return what a normalised e-mail and the name of a contract lead to; one statement.

    Numbers of orders and subscriptions name one for sure. Without such a number the only one
    that runs is likely meant, and a person decides.
    """
    customer, subscription = table_of(Customer), table_of(Subscription)
    order = table_of(Checkout)
    rows = session.execute(
        sa.select(
            customer.c.id.label("customer_id"),
            subscription.c.id,
            subscription.c.public_id,
            subscription.c.version,
            subscription.c.state,
            subscription.c.held_at,
            subscription.c.is_gift,
            order.c.public_id.label("order_ref"),
        )
        .outerjoin(subscription, subscription.c.customer_id == customer.c.id)
        .outerjoin(order, order.c.id == subscription.c.checkout_id)
        .where(customer.c.email == email)
        .order_by(subscription.c.id)
    ).all()
    if not rows:
        return Contract()
    words, owned = set(words_of(contract)), [row for row in rows if row.id is not None]
    named = [row for row in owned if words & {row.public_id, row.order_ref}]
    if len(named) == 1:
        return Contract(rows[0].customer_id, named[0], is_sure=True)
    running = [row for row in named or owned if row.state not in ENDED]
    likely = running[0] if len(running) == 1 else None
    return Contract(rows[0].customer_id, likely)


def first_left_at(session: AnySession, subscription_id: int) -> datetime | None:
    """Return when the first box of a subscription left the house."""
    box, shipment = table_of(Box), table_of(Shipment)
    left_at: datetime | None = session.scalar(
        sa.select(sa.func.min(shipment.c.shipped_at))
        .join(box, box.c.shipment_id == shipment.c.id)
        .where(box.c.subscription_id == subscription_id)
    )
    return left_at


def by_once(session: AnySession, once: str) -> AnyRow | None:
    """Return the declaration that was sent with a page before."""
    table = table_of(Declaration)
    return session.execute(sa.select(table).where(table.c.once == once)).one_or_none()


def insert_declaration(session: AnySession, values: Mapping[str, Any]) -> None:
    """Write a declaration down."""
    session.execute(sa.insert(table_of(Declaration)).values(blanked_at=None, **values))


def insert_outcome(session: AnySession, declaration_id: int, **values: Any) -> None:
    """Write down what became of a declaration; an ``IntegrityError`` where somebody has."""
    table = table_of(DeclarationOutcome)
    session.execute(sa.insert(table).values(declaration_id=declaration_id, **values))


def receipt(ref: str, email: str, locale: str, customer_id: int | None) -> Message:
    """Return the acknowledgement of a declaration, to the e-mail that was typed."""
    payload = {"declaration": ref, "to": email, "locale": locale}
    return Message("mail", RECEIPT, _receipt_key(ref), payload, customer_id)


def erase_declarations(
    session: AnySession, ids: Sequence[int], keys: Sequence[int], email: str, now: datetime
) -> None:
    """Leave of what somebody declared that it was, when, and of which contract.

    ``ids`` are their accounts, ``keys`` their subscriptions, ``email`` what they were known by.
    """
    table = table_of(Declaration)
    theirs = sa.and_(
        table.c.blanked_at.is_(None),
        sa.or_(
            table.c.customer_id.in_(ids), table.c.subscription_id.in_(keys), table.c.email == email
        ),
    )
    refs = session.scalars(sa.select(table.c.public_id).where(theirs)).all()
    if refs:
        message = table_of(OutboxMessage).c.key
        blank_messages(session, message.in_([_receipt_key(ref) for ref in refs]))
    set_values(session, Declaration, theirs, blanked_at=now, **_BLANK)


def blank_unmatched(session: AnySession, before: datetime, now: datetime, limit: int) -> int:
    """Take the person out of declarations of before an instant that name nobody we know."""
    table = table_of(Declaration)
    old = (
        sa.select(table.c.id)
        .where(
            table.c.blanked_at.is_(None),
            table.c.customer_id.is_(None),
            table.c.received_at < before,
        )
        .order_by(table.c.id)
        .limit(limit)
    )
    done = session.execute(
        sa.update(table)
        .where(table.c.id.in_(old))
        .values(blanked_at=now, **_BLANK)
        .returning(table.c.id)
    )
    return len(done.all())


def _receipt_key(ref: str) -> str:
    return f"mail:{RECEIPT}:{ref}"
