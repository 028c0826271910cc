"""Mailed links by which an order that was begun is gone on with, on whichever device.

Source: docs/decisions/0238-an-order-is-gone-on-with-by-a-link.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from storefront.models import OutboxMessage
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.outbox import Message, enqueue
from storefront.operations.secrets import ORDER, action_token, read_action_token

TOPIC = "order_later"
#: How long a link works.
KEPT_FOR = timedelta(days=14)
#: How many links are sent for one order.
MOST = 3
#: Stands between the parts of a subject; no public id holds it.
_BETWEEN = "-"


@dataclass(frozen=True, slots=True)
class OrderLink:
    """What a genuine link leads to: an order, and its total in minor units when it was asked for.

    ``total`` is None where there was none.
    """

    order: str
    total: int | None
    is_expired: bool


def order_token(key: str, order: str, total: int | None, until: datetime) -> str:
    """Return the secret of a link to ``order`` that works until ``until``."""
    subject = _BETWEEN.join((order, "" if total is None else str(total)))
    return action_token(key, ORDER, subject, int(until.timestamp()))


def read_order_token(keys: Sequence[str], token: str, now: datetime) -> OrderLink | None:
    """Return what a link leads to; None for one we never made."""
    found = read_action_token(keys, ORDER, token[:300])
    if found is None:
        return None
    order, total = found[0].split(_BETWEEN)
    return OrderLink(order, int(total) if total else None, now.timestamp() >= found[1])


def mail_link(session: AnySession, row: AnyRow, total: int | None, now: datetime) -> bool:
    """Have a link to the order mailed to its e-mail; False where it got as many as it may."""
    table, keys = table_of(OutboxMessage), message_keys([row.public_id])
    sent = session.scalar(sa.select(sa.func.count()).where(table.c.key.in_(keys))) or 0
    if sent >= MOST:
        return False
    payload = {
        "order": row.public_id,
        "to": row.email,
        "locale": row.locale,
        "total": total,
        "until": int((now + KEPT_FOR).timestamp()),
    }
    enqueue(session, [Message("mail", TOPIC, keys[sent], payload)], now)
    return True


def message_keys(orders: Iterable[str]) -> list[str]:
    """Return the keys that the mails with links to ``orders`` have in the outbox."""
    return [f"mail:{TOPIC}:{order}:{n}" for order in orders for n in range(1, MOST + 1)]
