"""Who set out to store a card, which of them were declined, and who has to take a break.

A try is written with its set-up. What declines it, the set-up's answer or the charge's, marks it
in the same transaction: so it counts once whoever hears of it first, page, worker or message.
Source: docs/decisions/0247-declined-cards-are-counted.md.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from storefront.domain.card_testing import KEPT, WINDOW, Asker, Limits, free_at
from storefront.models import CardTry, ChargeAttempt, GatewaySetup, Invoice
from storefront.models.base import table_of
from storefront.operations.keys import AnySession, reserve
from storefront.operations.method_removal import take_refused
from storefront.operations.moment import Moment

log = logging.getLogger(__name__)


def note_try(session: AnySession, setup: str, asker: Asker, key: str, now: datetime) -> None:
    """Write who opened the set-up of this public id; ``key`` is the installation's secret."""
    person, sender = asker.hashed(key)
    table, opened = table_of(CardTry), table_of(GatewaySetup)
    setup_id = sa.select(opened.c.id).where(opened.c.public_id == setup).scalar_subquery()
    [number] = reserve(session, CardTry, 1)
    session.execute(
        sa.insert(table).values(
            id=number, setup_id=setup_id, person=person, sender=sender, created_at=now
        )
    )


def note_refused(session: AnySession, setup_id: int, now: datetime) -> None:
    """Count the card of a set-up that was not stored; the second time changes nothing."""
    _decline(session, table_of(CardTry).c.setup_id == setup_id, now)


def note_declined(session: AnySession, attempt_ids: Sequence[int], now: datetime) -> None:
    """Count new cards whose first charge was declined while the customer was there."""
    setup, attempt, invoice = table_of(GatewaySetup), table_of(ChargeAttempt), table_of(Invoice)
    charged = (
        sa.select(setup.c.id)
        .select_from(attempt)
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .where(attempt.c.id.in_(attempt_ids))
    )
    with_it = setup.c.payment_method_id == attempt.c.payment_method_id
    ordered = charged.join(setup, sa.and_(setup.c.checkout_id == invoice.c.checkout_id, with_it))
    # By the payer, which an index knows.
    by_link = charged.join(
        setup,
        sa.and_(
            setup.c.customer_id == invoice.c.payer_id, setup.c.invoice_id == invoice.c.id, with_it
        ),
    )
    _decline(session, table_of(CardTry).c.setup_id.in_(sa.union_all(ordered, by_link)), now)


def _decline(session: AnySession, which: sa.ColumnElement[bool], now: datetime) -> None:
    table = table_of(CardTry)
    session.execute(
        sa.update(table).where(which, table.c.declined_at.is_(None)).values(declined_at=now)
    )


def break_of(
    session: AnySession, asker: Asker, key: str, limits: Limits, now: datetime
) -> datetime | None:
    """Return until when a person or network address may try no card; None if they may."""
    return _break(session, *asker.hashed(key), limits, now)


def break_of_setup(
    session: AnySession, setup_id: int, limits: Limits, now: datetime
) -> datetime | None:
    """Return until when whoever opened a set-up may try no card; None if they may."""
    table = table_of(CardTry)
    row = session.execute(
        sa.select(table.c.person, table.c.sender).where(table.c.setup_id == setup_id)
    ).one_or_none()
    return None if row is None else _break(session, row.person, row.sender, limits, now)


def _break(
    session: AnySession, person: str, sender: str, limits: Limits, now: datetime
) -> datetime | None:
    table = table_of(CardTry)
    waits = []
    for column, value, most in (
        (table.c.person, person, limits.person),
        (table.c.sender, sender, limits.address),
    ):
        if not value:
            continue
        declined = session.scalars(
            sa.select(table.c.declined_at)
            .where(column == value, table.c.declined_at > now - WINDOW)
            .order_by(table.c.declined_at.desc())
            .limit(most)
        ).all()
        waits.append(free_at(declined, most, now))
    return max((wait for wait in waits if wait), default=None)


def warn_of_many(session: AnySession, alarm: int, now: datetime) -> None:
    """Write to the log when so many cards were declined within the hour that staff should look."""
    table = table_of(CardTry)
    many = session.scalar(
        sa.select(sa.func.count()).select_from(table).where(table.c.declined_at > now - WINDOW)
    )
    if many is not None and many >= alarm:
        log.warning(
            "%s new cards were declined within an hour, the alarm is at %s: "
            "somebody may be trying out cards",
            many,
            alarm,
        )


def delete_old(session: AnySession, moment: Moment, limit: int) -> int:
    """Delete tries that count no more, and take away cards that were declined; returns how many.

    After so long nobody goes on with the order in which a card was declined.
    """
    table = table_of(CardTry)
    old = (
        sa.select(table.c.id, table.c.setup_id, table.c.declined_at)
        .where(table.c.created_at < moment.now - KEPT)
        .order_by(table.c.created_at)
        .limit(limit)
    )
    if session.get_bind().dialect.name == "postgresql":
        old = old.with_for_update(skip_locked=True)
    rows = session.execute(old).all()
    declined = [row.setup_id for row in rows if row.declined_at is not None]
    if declined:
        take_refused(session, declined, moment)
    if rows:
        session.execute(sa.delete(table).where(table.c.id.in_([row.id for row in rows])))
    return len(rows)
