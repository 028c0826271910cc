"""Where our books and the gateways' lists differ, and when they were compared; read only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.money import Money
from storefront.models import (
    ChargeAttempt,
    Difference,
    GatewayState,
    Invoice,
    Reconciliation,
    Staff,
)
from storefront.models.base import table_of

#: Differences of one list.
MOST = 100


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One difference; ``invoice`` is the public id of the invoice its charge of ours is for."""

    public_id: str
    gateway: str
    kind: str
    reference: str
    gateway_reference: str
    ours: Money | None
    theirs: Money | None
    found_at: datetime
    seen_at: datetime
    resolved_at: datetime | None
    #: Name of who settled it; empty when the comparison did, or nobody yet.
    by: str
    note: str
    invoice: str


@dataclass(frozen=True, slots=True)
class LastComparison:
    """The newest comparison of one account."""

    gateway: str
    account: str
    #: None before the first one that could be done.
    compared_until: datetime | None
    at: datetime | None
    compared: int
    differences: int
    error: str


def open_differences() -> sa.ColumnElement[bool]:
    """Return the condition that a difference waits for somebody."""
    return table_of(Difference).c.resolved_at.is_(None)


def listed(
    session: AnySession, *, is_open: bool, kind: str = "", gateway: str = ""
) -> tuple[DifferenceRow, ...]:
    """Return differences, newest first, that match."""
    table, attempt, invoice = table_of(Difference), table_of(ChargeAttempt), table_of(Invoice)
    person = table_of(Staff)
    statement = (
        sa.select(table, invoice.c.public_id.label("invoice"), person.c.name.label("by"))
        .outerjoin(attempt, attempt.c.public_id == table.c.reference)
        .outerjoin(invoice, invoice.c.id == attempt.c.invoice_id)
        .outerjoin(
            person, table.c.resolved_by == sa.literal("staff:") + sa.cast(person.c.id, sa.String)
        )
        .where(open_differences() if is_open else table.c.resolved_at.is_not(None))
        .order_by(table.c.found_at.desc(), table.c.id.desc())
        .limit(MOST)
    )
    if kind:
        statement = statement.where(table.c.kind == kind)
    if gateway:
        statement = statement.where(table.c.gateway == gateway)
    return tuple(
        DifferenceRow(
            row.public_id,
            row.gateway,
            row.kind,
            row.reference,
            row.gateway_reference,
            _money(row.ours_minor, row.currency),
            _money(row.theirs_minor, row.currency),
            row.found_at,
            row.seen_at,
            row.resolved_at,
            row.by or "",
            row.note,
            row.invoice or "",
        )
        for row in session.execute(statement)
    )


def last_comparisons(
    session: AnySession, accounts: Sequence[tuple[str, str]]
) -> tuple[LastComparison, ...]:
    """Return the newest comparison of each of ``accounts`` (name, account), in their order."""
    run, state = table_of(Reconciliation), table_of(GatewayState)
    newest = sa.select(sa.func.max(run.c.id)).group_by(run.c.gateway, run.c.account)
    runs = {
        (row.gateway, row.account): row
        for row in session.execute(sa.select(run).where(run.c.id.in_(newest)))
    }
    until = {
        (row.gateway, row.account): row.compared_until
        for row in session.execute(
            sa.select(state.c.gateway, state.c.account, state.c.compared_until)
        )
    }
    found = []
    for name, account in accounts:
        row = runs.get((name, account))
        found.append(
            LastComparison(
                name,
                account,
                until.get((name, account)),
                row.at if row else None,
                row.compared if row else 0,
                row.differences if row else 0,
                row.error if row else "",
            )
        )
    return tuple(found)


def count_open(session: AnySession) -> int:
    """Return how many differences wait for somebody."""
    table = table_of(Difference)
    return int(
        session.scalar(sa.select(sa.func.count()).select_from(table).where(open_differences())) or 0
    )


def _money(minor: int | None, currency: str) -> Money | None:
    return None if minor is None else Money(minor, currency)
