"""Who recommended the shop to whom, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.money import Money
from storefront.models import Customer, Referral
from storefront.models.base import table_of

#: Rows of the report.
SHOWN = 100


@dataclass(frozen=True, slots=True)
class ReferralRow:
    """One friend who came; ``state`` is waiting, granted or refused."""

    giver: str
    giver_name: str
    friend: str
    friend_name: str
    state: str
    reason: str
    given: Money
    at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """How many came, by state, what was given in all, and the latest of them."""

    counts: dict[str, int]
    given: Money
    rows: tuple[ReferralRow, ...]


def report(session: AnySession, currency: str) -> Report:
    """Return the merchant's report in the shop's currency."""
    table, giver = table_of(Referral), table_of(Customer)
    friend = giver.alias()
    totals = session.execute(
        sa.select(
            table.c.state,
            sa.func.count().label("friends"),
            sa.func.sum(table.c.giver_minor + table.c.friend_minor).label("minor"),
        ).group_by(table.c.state)
    ).all()
    rows = session.execute(
        sa.select(
            table.c.state,
            table.c.reason,
            table.c.giver_minor,
            table.c.friend_minor,
            table.c.currency,
            table.c.created_at,
            giver.c.public_id.label("giver"),
            giver.c.name.label("giver_name"),
            friend.c.public_id.label("friend"),
            friend.c.name.label("friend_name"),
        )
        .join(giver, giver.c.id == table.c.giver_id)
        .join(friend, friend.c.id == table.c.friend_id)
        .order_by(table.c.id.desc())
        .limit(SHOWN)
    )
    return Report(
        {row.state: row.friends for row in totals},
        Money(sum(int(row.minor) for row in totals if row.state == "granted"), currency),
        tuple(
            ReferralRow(
                row.giver,
                row.giver_name,
                row.friend,
                row.friend_name,
                row.state,
                row.reason,
                Money(
                    row.giver_minor + row.friend_minor if row.state == "granted" else 0,
                    row.currency,
                ),
                row.created_at,
            )
            for row in rows
        ),
    )


def code_of(session: AnySession, customer_id: int) -> str:
    """Return the code a customer recommends with; empty until it is asked for."""
    table = table_of(Customer)
    code = session.scalar(sa.select(table.c.referral_code).where(table.c.id == customer_id))
    return code or ""


def sent_by(session: AnySession, customer_id: int) -> dict[str, int]:
    """Return how many friends a customer sent, by state."""
    table = table_of(Referral)
    rows = session.execute(
        sa.select(table.c.state, sa.func.count().label("friends"))
        .where(table.c.giver_id == customer_id)
        .group_by(table.c.state)
    )
    return {row.state: row.friends for row in rows}
