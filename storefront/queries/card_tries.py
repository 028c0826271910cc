"""New cards that were declined lately, over the whole shop: how many, by how many, from where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.card_testing import WINDOW
from storefront.models import CardTry
from storefront.models.base import table_of
from storefront.operations.moment import Moment


@dataclass(frozen=True, slots=True)
class Declines:
    """Declined cards of the last hour, and of how many people and network addresses."""

    cards: int
    people: int
    addresses: int
    since: datetime | None


def declined(moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Cards that were declined within the hour."""
    table = table_of(CardTry)
    return sa.select(
        table.c.id,
        sa.literal(None, sa.BigInteger).label("minor"),
        table.c.declined_at.label("at"),
    ).where(table.c.declined_at > moment.now - WINDOW)


def declines(session: AnySession, moment: Moment) -> Declines:
    """Return what the last hour was like; one statement."""
    table = table_of(CardTry)
    row = session.execute(
        sa.select(
            sa.func.count().label("cards"),
            sa.func.count(table.c.person.distinct()).label("people"),
            sa.func.count(sa.func.nullif(table.c.sender, "").distinct()).label("addresses"),
            sa.func.min(table.c.declined_at).label("since"),
        ).where(table.c.declined_at > moment.now - WINDOW)
    ).one()
    return Declines(row.cards, row.people, row.addresses, row.since)
