"""What the networks changed on a stored card: kept, told to its owner, and in its history."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.events import Actor, EventKind
from storefront.domain.gateways import VaultedMethod
from storefront.models import PaymentMethod, Subscription
from storefront.models.base import table_of
from storefront.operations.kept_methods import renew_methods
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.methods import paying_method
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.timeline import Entry, record


def keep_update(session: AnySession, key: int, now: VaultedMethod | None, moment: Moment) -> None:
    """Write the method ``key`` as its gateway has it now; None: it is gone.

    Its owner is told once of each change, and asked for another one when it is gone.
    """
    table = table_of(PaymentMethod)
    statement = sa.select(table).where(table.c.id == key)
    if session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update()
    one = session.execute(statement).one()
    if now is None:
        if one.refused_at is None and one.detached_at is None:
            gone = sa.update(table).where(table.c.id == key).values(refused_at=moment.now)
            session.execute(gone)
            _tell_owner(session, one, "card_gone", f"mail:card_gone:{one.public_id}", moment)
    elif _shown(now) != (one.brand, one.last4, one.exp_month, one.exp_year):
        renew_methods(session, {key: now})
        told = f"mail:card_renewed:{one.public_id}:{now.exp_year}-{now.exp_month}"
        _tell_owner(session, one, "card_renewed", told, moment)
        _log_renewal(session, key, now, moment)


def _shown(method: VaultedMethod) -> tuple[str, str, int | None, int | None]:
    return (method.brand, method.last4, method.exp_month, method.exp_year)


def _tell_owner(session: AnySession, one: AnyRow, topic: str, key: str, moment: Moment) -> None:
    message = Message("mail", topic, key, {"method": one.public_id}, one.customer_id)
    enqueue(session, [message], moment.now)


def _log_renewal(session: AnySession, key: int, now: VaultedMethod, moment: Moment) -> None:
    method, subscription = table_of(PaymentMethod), table_of(Subscription)
    rows = session.execute(
        sa.select(subscription.c.id, subscription.c.public_id)
        .join(method, paying_method(usable=False))
        .where(method.c.id == key, subscription.c.ended_on.is_(None))
    ).all()
    data = {"last4": now.last4}
    kind = EventKind.METHOD_CHANGED
    entries = [Entry(row.id, row.public_id, kind, Actor.WORKER, "", data) for row in rows]
    record(session, entries, moment)
