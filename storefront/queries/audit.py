"""The log of what staff did, read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import AuditEntry, Staff
from storefront.models.base import table_of

PAGE = 40


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One thing that was done."""

    id: int
    at: datetime
    name: str
    action: str
    object_ref: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def entries(session: AnySession, *, below: int | None = None) -> list[LogEntry]:
    """Return one page, newest first; ``below`` is the key of the last entry seen."""
    table, staff = table_of(AuditEntry), table_of(Staff)
    statement = (
        sa.select(table, staff.c.name)
        .join(staff, staff.c.id == table.c.staff_id)
        .order_by(table.c.id.desc())
        .limit(PAGE + 1)
    )
    if below is not None:
        statement = statement.where(table.c.id < below)
    return [
        LogEntry(row.id, row.at, row.name, row.action, row.object_ref, row.before, row.after)
        for row in session.execute(statement)
    ]
