"""Messages of gateways as rows: stored once, claimed by one worker, kept until they are done.

Source: docs/decisions/0124-messages-from-gateways.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.domain.gateways import GatewayEvent as Message
from storefront.models import ChargeAttempt, Difference, GatewayEvent, GatewayState, PaymentMethod
from storefront.models.base import public_id, table_of
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.moment import Moment
from storefront.operations.questions import Question, at_now

#: After try n a message that could not be applied waits so long; then it is a person's.
BACK_OFF = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(hours=24),
)
#: So often a thing is looked for that only the gateway has named: our request may still wait
#: for the answer with that name.
TRIES_UNNAMED = 3
#: A worker that claimed a message and died gives it back after this.
LEASE = timedelta(minutes=2)
#: Applied messages are kept for so many days: far longer than any gateway repeats one.
KEPT_DAYS = 90


def store(
    session: AnySession,
    gateway: str,
    account: str,
    message: Message,
    moment: Moment,
    *,
    claim: bool,
) -> int | None:
    """Write a genuine message; None when it was there already. ``claim`` takes it at once."""
    table = table_of(GatewayEvent)
    values = {
        "gateway": gateway,
        "event_id": _short(message.id, 120),
        "kind": _text(message.type, 80),
        "payload": {},
        "state": "waiting",
        "received_at": moment.now,
        "about": message.about,
        "reference": _text(message.reference, 80),
        "gateway_reference": _text(message.gateway_reference, 255),
        "occurred_at": message.occurred_at if message.occurred_at.tzinfo else None,
        "tries": 1 if claim else 0,
        "try_at": moment.now + LEASE if claim else moment.now,
        "error": "",
    }
    insert = _insert(session, table).values(values)
    key: int | None = session.scalar(
        insert.on_conflict_do_nothing(index_elements=["gateway", "event_id"]).returning(table.c.id)
    )
    if key is not None:
        _note(session, gateway, account, {"last_event_at": moment.now})
    return key


def note_refused(
    session: AnySession, gateway: str, account: str, reason: str, moment: Moment
) -> None:
    """Count a message that was forged, old or not for us; nothing else of it is kept."""
    table = table_of(GatewayState)
    _note(
        session,
        gateway,
        account,
        {"refused": table.c.refused + 1, "refused_at": moment.now, "refused_reason": reason[:40]},
        {"refused": 1},
    )


def take(session: AnySession, moment: Moment, limit: int) -> list[AnyRow]:
    """Claim messages whose time has come; no other worker gets them before the lease is over."""
    table = table_of(GatewayEvent)
    due = _due()
    if session.get_bind().dialect.name == "postgresql":
        due = due.with_for_update(skip_locked=True)
    ids = list(session.scalars(due, {"now": moment.now, "size": limit}))
    if not ids:
        return []
    session.execute(
        sa.update(table)
        .where(table.c.id.in_(ids), table.c.state == "waiting")
        .values(tries=table.c.tries + 1, try_at=moment.now + LEASE)
    )
    return read(session, ids)


def read(session: AnySession, ids: Sequence[int]) -> list[AnyRow]:
    """Return messages by key, in the order in which they came."""
    table = table_of(GatewayEvent)
    return list(session.execute(sa.select(table).where(table.c.id.in_(ids)).order_by(table.c.id)))


@cache
def _due() -> AnySelect:
    table = table_of(GatewayEvent)
    return (
        # To the letter as in the index of waiting messages, or SQLite would not use it.
        sa.select(table.c.id)
        .where(
            sa.text("gateway_event.state = 'waiting'"),
            table.c.try_at <= sa.bindparam("now", type_=table.c.try_at.type),
        )
        .order_by(table.c.try_at, table.c.id)
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )


#: Whether messages wait to be applied.
EVENTS_DUE = Question(lambda: [_due()], at_now)


def settle(session: AnySession, row: AnyRow, state: str, error: str, moment: Moment) -> None:
    """End a message as ``applied``, ``orphan`` or ``failed``."""
    applied_at = moment.now if state == "applied" else None
    _set(session, row.id, state=state, error=error[:255], try_at=None, applied_at=applied_at)


def put_off(
    session: AnySession, row: AnyRow, error: str, moment: Moment, at: datetime | None = None
) -> bool:
    """Try a message again ``at`` an instant, else later, each time after longer.

    False when a person has to look.
    """
    if row.tries > len(BACK_OFF):
        settle(session, row, "failed", error, moment)
        return False
    later = moment.now + BACK_OFF[max(row.tries, 1) - 1]
    _set(session, row.id, error=error[:255], try_at=at or later)
    return True


def delete_applied(session: AnySession, moment: Moment, limit: int) -> int:
    """Delete messages that were applied before the last 90 days; returns how many.

    What waits for a person is kept. Only a new day makes more of them due.
    """
    table = table_of(GatewayEvent)
    cut = moment.start_of(moment.today - timedelta(days=KEPT_DAYS))
    old = (
        sa.select(table.c.id)
        # By when it came, for that is in the index; it was applied later.
        .where(table.c.state == "applied", table.c.received_at < cut, table.c.applied_at < cut)
        .order_by(table.c.received_at)
        .limit(limit)
    )
    if session.get_bind().dialect.name == "postgresql":
        old = old.with_for_update(skip_locked=True)
    ids = list(session.scalars(old))
    if ids:
        session.execute(sa.delete(table).where(table.c.id.in_(ids)))
    return len(ids)


def again(session: AnySession, event: int, moment: Moment) -> bool:
    """Let a message that waits for a person be tried anew; False when it does not wait."""
    table = table_of(GatewayEvent)
    found = session.execute(
        sa.update(table)
        .where(table.c.id == event, table.c.state.in_(("orphan", "failed", "waiting")))
        .values(state="waiting", tries=0, try_at=moment.now)
        .returning(table.c.id)
    ).all()
    return bool(found)


def find_attempt(
    session: AnySession, gateway: str, reference: str, at_gateway: str
) -> AnyRow | None:
    """Return a charge by our reference, or by the gateway's own name of it."""
    table = table_of(ChargeAttempt)
    columns = (
        table.c.id,
        table.c.public_id,
        table.c.state,
        table.c.reason,
        table.c.on_session,
        table.c.gateway,
        table.c.account,
        table.c.gateway_reference,
        table.c.currency,
    )
    named = table.c.public_id == reference
    if not reference:
        # To the letter as in the index of charges by their gateways' names.
        named = sa.and_(
            sa.text("charge_attempt.gateway_reference <> ''"),
            table.c.gateway_reference == at_gateway,
        )
    return session.execute(
        sa.select(*columns).where(named, table.c.gateway == gateway).order_by(table.c.id).limit(1)
    ).one_or_none()


def find_methods(session: AnySession, gateway: str, account: str, token: str) -> list[AnyRow]:
    """Return the stored methods with a token that were not taken away."""
    table = table_of(PaymentMethod)
    return list(
        session.execute(
            sa.select(table).where(
                table.c.gateway == gateway,
                table.c.account == account,
                table.c.token == token,
                table.c.detached_at.is_(None),
            )
        )
    )


def note_difference(
    session: AnySession,
    row: AnyRow,
    kind: str,
    reference: str,
    theirs_minor: int,
    currency: str,
    moment: Moment,
) -> None:
    """Put before staff what the gateway took and our books do not have; once."""
    values = {
        "public_id": public_id("dif"),
        "gateway": row.gateway,
        "kind": kind,
        "reference": reference,
        "gateway_reference": row.gateway_reference,
        "ours_minor": None if kind == "missing_here" else 0,
        "theirs_minor": theirs_minor,
        "currency": currency,
        "found_at": moment.now,
        "seen_at": moment.now,
    }
    keys = ["gateway", "kind", "gateway_reference", "reference"]
    insert = _insert(session, table_of(Difference)).values(values)
    session.execute(insert.on_conflict_do_update(index_elements=keys, set_={"seen_at": moment.now}))


def _note(
    session: AnySession,
    gateway: str,
    account: str,
    values: dict[str, Any],
    first: dict[str, Any] | None = None,
) -> None:
    new = {"gateway": gateway, "account": account[:80], **values, **(first or {})}
    insert = _insert(session, table_of(GatewayState)).values(new)
    session.execute(
        insert.on_conflict_do_update(index_elements=["gateway", "account"], set_=values)
    )


def _set(session: AnySession, key: int, **values: object) -> None:
    table = table_of(GatewayEvent)
    session.execute(
        sa.update(table).where(table.c.id == key, table.c.state == "waiting").values(values)
    )


def _insert(session: AnySession, table: sa.Table) -> Any:
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    return (postgresql if is_postgresql else sqlite).insert(table)


def _text(value: str, length: int) -> str:
    """Return a text that both databases can keep."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()[:length]


def _short(value: str, length: int) -> str:
    """Return an id as it is; a longer one by its hash, which tells it from others as well."""
    if len(value) <= length and _text(value, length) == value:
        return value
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
