"""The keys of the merchant's programs, as a page lists them; read only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import ApiToken, Staff
from storefront.models.base import table_of


@dataclass(frozen=True, slots=True)
class ListedToken:
    """A key without its secret."""

    public_id: str
    name: str
    made_by: str
    created_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


def keys_made_by(session: AnySession, staff_ref: str) -> int:
    """Return how many keys that somebody on the staff made still work."""
    table, staff = table_of(ApiToken), table_of(Staff)
    found = session.scalar(
        sa.select(sa.func.count())
        .select_from(table.join(staff, staff.c.id == table.c.staff_id))
        .where(staff.c.public_id == staff_ref, table.c.revoked_at.is_(None))
    )
    return int(found or 0)


def listed_tokens(session: AnySession, limit: int = 50) -> list[ListedToken]:
    """Return the newest keys, those that work first."""
    table, staff = table_of(ApiToken), table_of(Staff)
    rows = session.execute(
        sa.select(
            table.c.public_id,
            table.c.name,
            staff.c.name.label("made_by"),
            table.c.created_at,
            table.c.used_at,
            table.c.revoked_at,
        )
        .join(staff, staff.c.id == table.c.staff_id)
        .order_by(table.c.revoked_at.is_not(None), table.c.id.desc())
        .limit(limit)
    )
    return [ListedToken(**row._mapping) for row in rows]
