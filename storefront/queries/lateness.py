"""What waits for the owner because nothing ran when it fell due; read only."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.money import Money
from storefront.operations.moment import Moment
from storefront.queries.worklists import Counted, outage, since_yesterday


def late_renewals(session: AnySession, moment: Moment, currency: str) -> Counted:
    """Count them, with their sum at list prices and since when the oldest waits."""
    part = outage(moment, since_yesterday(moment)).subquery()
    row = session.execute(
        sa.select(
            sa.func.count().label("many"),
            sa.func.coalesce(sa.func.sum(part.c.minor), 0).label("minor"),
            sa.func.min(part.c.at).label("at"),
        ).select_from(part)
    ).one()
    return Counted(row.many, Money(int(row.minor), currency), row.at)
