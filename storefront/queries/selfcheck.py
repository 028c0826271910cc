"""What the last look at every invariant found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import SelfCheck
from storefront.models.base import table_of


@dataclass(frozen=True, slots=True)
class Checked:
    """One run of the self-check; ``broken`` holds examples by the id of the invariant."""

    at: datetime
    milliseconds: int
    is_whole: bool
    broken: dict[str, list[str]]


def last_check(session: AnySession) -> Checked | None:
    """Return the newest answer; None before the first night."""
    table = table_of(SelfCheck)
    row = session.execute(
        sa.select(table.c.at, table.c.milliseconds, table.c.is_whole, table.c.broken)
        .order_by(table.c.id.desc())
        .limit(1)
    ).one_or_none()
    return Checked(*row) if row else None
