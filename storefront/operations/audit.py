"""What staff did, for good: append-only, each entry hashed onto the one before.

Whoever changes, removes or slips in a row of the past breaks the chain from there on, and
``verify`` names the first row that does not fit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from storefront.models import AuditEntry
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment

#: Stands for the shop itself where no row of its own is changed.
SHOP = "shop"
#: What the first entry is hashed onto.
_START = "0" * 64
#: Key of the PostgreSQL advisory lock that puts writers into a row.
_LOCK = 0x73746F7265
_SLICE = 1000


@dataclass(frozen=True, slots=True)
class Who:
    """The staff user who acts, and from where."""

    id: int
    public_id: str
    ip: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """The state of the chain; ``broken_at`` is the key of the first row that does not fit."""

    count: int
    since: datetime | None
    broken_at: int | None

    @property
    def is_unbroken(self) -> bool:
        return self.broken_at is None


def write(
    session: AnySession,
    staff_id: int,
    action: str,
    object_ref: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    moment: Moment,
    ip: str = "",
) -> None:
    """Append one entry in the caller's transaction.

    ``before`` and ``after`` hold what changed, as plain values; others are written as text.
    Writers queue until the commit, so that every entry has exactly one before it: on SQLite
    they do so anyway, on PostgreSQL by an advisory lock.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    table = table_of(AuditEntry)
    previous = session.execute(
        sa.select(table.c.hash).order_by(table.c.id.desc()).limit(1)
    ).scalar_one_or_none()
    values = {
        "at": moment.now,
        "staff_id": staff_id,
        "action": action,
        "object_ref": object_ref,
        "before": _plain(before),
        "after": _plain(after),
        "ip": ip,
        "previous_hash": previous or _START,
    }
    session.execute(sa.insert(table).values(**values, hash=_hash(values)))


def done_before(
    session: AnySession, action: str, object_ref: str, once: str
) -> Mapping[str, Any] | None:
    """Return what the entry of the same form noted, or None: a second click does nothing.

    ``once`` names the form and stands in the entry's ``after``. The caller holds a lock on the
    object, so that two clicks at once follow one another.
    """
    if not once:
        return None
    table = table_of(AuditEntry)
    noted = session.scalars(
        sa.select(table.c.after).where(table.c.object_ref == object_ref, table.c.action == action)
    )
    return next((after for after in noted if after.get("once") == once), None)


def verify(session: AnySession) -> Chain:
    """Read the whole chain in slices and say whether each entry fits the one before."""
    table = table_of(AuditEntry)
    count, since, last, seen = 0, None, _START, 0
    while True:
        rows = session.execute(
            sa.select(table).where(table.c.id > seen).order_by(table.c.id).limit(_SLICE)
        ).all()
        for row in rows:
            since = since or row.at
            if row.previous_hash != last or row.hash != _hash(_values(row)):
                return Chain(count, since, row.id)
            count, last, seen = count + 1, row.hash, row.id
        if len(rows) < _SLICE:
            return Chain(count, since, None)


def _values(row: AnyRow) -> dict[str, Any]:
    return {
        "at": row.at,
        "staff_id": row.staff_id,
        "action": row.action,
        "object_ref": row.object_ref,
        "before": row.before,
        "after": row.after,
        "ip": row.ip,
        "previous_hash": row.previous_hash,
    }


def _hash(values: Mapping[str, Any]) -> str:
    at: datetime = values["at"]
    shown = {**values, "at": at.astimezone(UTC).isoformat(timespec="microseconds")}
    return sha256(_text(shown).encode()).hexdigest()


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` as the database will give them back, so that the hash can be redone."""
    plain: dict[str, Any] = json.loads(_text(values))
    return plain


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, ensure_ascii=True, default=str, separators=(",", ":"))
