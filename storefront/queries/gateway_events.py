"""What came from gateways, what was refused, and what waits for a person; read only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import ChargeAttempt, Difference, Dispute, GatewayEvent, GatewayState
from storefront.models.base import table_of
from storefront.queries import disputes
from storefront.queries.differences import open_differences

#: Messages of one list.
MOST = 100
#: Charges were sent so much later than the last message came: the door may be shut.
SILENT_AFTER = timedelta(hours=12)
#: States of messages that a person should see.
STUCK = ("failed", "orphan")


@dataclass(frozen=True, slots=True)
class GatewayMessages:
    """One gateway account, as far as messages go."""

    gateway: str
    account: str
    last_event_at: datetime | None
    refused: int
    refused_at: datetime | None
    refused_reason: str
    waiting: int
    failed: int
    orphans: int
    #: When a charge was last sent to it.
    last_sent_at: datetime | None

    @property
    def is_silent(self) -> bool:
        """Charges are sent and no message comes: they are then settled by asking, and later."""
        if self.last_sent_at is None or self.last_event_at is None:
            return False
        return self.last_sent_at - self.last_event_at > SILENT_AFTER


@dataclass(frozen=True, slots=True)
class EventRow:
    """One message that waits, or that a person should see."""

    id: int
    gateway: str
    event_id: str
    kind: str
    about: str
    reference: str
    gateway_reference: str
    state: str
    error: str
    tries: int
    received_at: datetime
    try_at: datetime | None


def gateways(
    session: AnySession, accounts: Sequence[tuple[str, str]]
) -> tuple[GatewayMessages, ...]:
    """Return each of ``accounts`` (name, account) with what came of it, in their order."""
    state, event, attempt = (table_of(one) for one in (GatewayState, GatewayEvent, ChargeAttempt))
    states = {(row.gateway, row.account): row for row in session.execute(sa.select(state))}
    counted = session.execute(
        sa.select(event.c.gateway, event.c.state, sa.func.count().label("many"))
        .where(event.c.state != "applied")
        .group_by(event.c.gateway, event.c.state)
    )
    counts = {(row.gateway, row.state): int(row.many) for row in counted}
    found = []
    for name, account in accounts:
        row = states.get((name, account))
        newest = (
            sa.select(attempt.c.sent_at)
            .where(attempt.c.gateway == name, attempt.c.sent_at.is_not(None))
            .order_by(attempt.c.id.desc())
            .limit(1)
        )
        found.append(
            GatewayMessages(
                gateway=name,
                account=account,
                last_event_at=row.last_event_at if row else None,
                refused=row.refused if row else 0,
                refused_at=row.refused_at if row else None,
                refused_reason=row.refused_reason if row else "",
                waiting=counts.get((name, "waiting"), 0),
                failed=counts.get((name, "failed"), 0),
                orphans=counts.get((name, "orphan"), 0),
                last_sent_at=session.scalar(newest),
            )
        )
    return tuple(found)


def listed(session: AnySession, state: str) -> tuple[EventRow, ...]:
    """Return messages that are ``waiting``, ``failed`` or ``orphan``, newest first."""
    table = table_of(GatewayEvent)
    columns = [table.c[name] for name in EventRow.__dataclass_fields__]
    rows = session.execute(
        sa.select(*columns).where(table.c.state == state).order_by(table.c.id.desc()).limit(MOST)
    )
    return tuple(EventRow(**{**row._mapping, "about": row.about.value}) for row in rows)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of gateways waits for a person."""

    disputes: int
    #: The next day by which a bank wants an answer.
    answer_by: datetime | None
    failed: int
    orphans: int
    #: Where our books and a gateway's list differ.
    differences: int


def waiting(session: AnySession) -> Waiting:
    """Return how much waits; one statement."""
    event, table = table_of(GatewayEvent), table_of(Dispute)
    needs = disputes.waits()

    def messages(state: str) -> sa.ScalarSelect[int]:
        return sa.select(sa.func.count()).where(event.c.state == state).scalar_subquery()

    row = session.execute(
        sa.select(
            sa.select(sa.func.count()).select_from(table).where(needs).scalar_subquery().label("d"),
            sa.select(sa.func.min(table.c.answer_by)).where(needs).scalar_subquery().label("by"),
            messages("failed").label("failed"),
            messages("orphan").label("orphans"),
            sa.select(sa.func.count())
            .select_from(table_of(Difference))
            .where(open_differences())
            .scalar_subquery()
            .label("differences"),
        )
    ).one()
    return Waiting(row.d, row.by, row.failed, row.orphans, row.differences)
