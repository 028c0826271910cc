"""Which site and payment accounts this database was confirmed for; read only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import Installation
from storefront.models.base import table_of


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What an owner confirmed last; ``accounts`` maps a live gateway's name to its account."""

    site_url: str
    accounts: Mapping[str, str]
    at: datetime | None


def confirmed(session: AnySession) -> Confirmed | None:
    """Return what was confirmed last; None when nothing ever was."""
    table = table_of(Installation)
    row = session.execute(
        sa.select(table.c.site_url, table.c.accounts, table.c.confirmed_at).where(
            # The row may be there for its id alone.
            table.c.confirmed_at.is_not(None)
        )
    ).one_or_none()
    return Confirmed(row.site_url, dict(row.accounts), row.confirmed_at) if row else None
