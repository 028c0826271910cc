"""Deliver what the outbox holds: mails to the mailer, events to plugins, at least once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

import sqlalchemy as sa

from storefront.adapters.failpoints import failpoint
from storefront.adapters.mail import Mail, MailError
from storefront.charges import is_unlocked
from storefront.database import reading, retrying
from storefront.hooks import Event
from storefront.models import OutboxMessage
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.bulk import update_many
from storefront.operations.keys import AnyRow, AnySelect
from storefront.operations.notices import DEBIT_NOTICE, note_told
from storefront.operations.outbox import LAST_MAIL
from storefront.operations.questions import Question, at_now
from storefront.runtime import Runtime

log = logging.getLogger(__name__)

#: A message is tried this often, with growing pauses (about three days in all), then it is dead.
MAX_TRIES = 10
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=12)
#: How long one worker has for one claim of messages.
LEASE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message on its way out."""

    id: int
    public_id: str
    kind: str
    topic: str
    key: str
    payload: Mapping[str, Any]
    customer_id: int | None
    created_at: datetime


#: Words a mail; None when its subject is gone and nothing is left to say.
Compose = Callable[[Delivery], Mail | None]


@dataclass(slots=True)
class OutboxReport:
    """Messages by how their try ended."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0


def deliver_due(rt: Runtime, compose: Compose, *, limit: int = 200) -> OutboxReport:
    """Deliver up to ``limit`` waiting messages whose time has come, oldest first.

    Claimed with a lease and a fencing number, handed over outside any transaction, then
    noted. A crash in between may deliver one again: at least once, honestly. Those that have
    nothing to say any more are noted together in the end.
    """
    report = OutboxReport()
    if not is_unlocked(rt):
        return report
    silent: list[AnyRow] = []
    for row in retrying(rt.session, partial(_claim, rt, limit)):
        delivery = Delivery(
            row.id,
            row.public_id,
            row.kind,
            row.topic,
            row.key,
            row.payload,
            row.customer_id,
            row.created_at,
        )
        tried = _hand_over(rt, delivery, compose)
        if tried.said_nothing and row.topic != DEBIT_NOTICE:
            silent.append(row)
            continue
        failpoint("outbox.after_send")
        error = tried.error
        dead = bool(error) and (tried.is_permanent or row.tries + 1 >= MAX_TRIES)
        retrying(rt.session, partial(_note, rt, row, error, dead=dead))
        if not error:
            report.delivered += 1
        elif dead:
            report.dead += 1
        else:
            report.failed += 1
    if silent:
        retrying(rt.session, partial(_note_silent, rt, silent))
        report.delivered += len(silent)
    return report


def send_again(rt: Runtime, public_id: str, who: Who | None = None) -> bool:
    """Put a message that is dead, stopped or delivered back; False when there is none."""
    states = ("dead", "stopped", "delivered")
    return _set(rt, public_id, states, who, "message.sent_again", state="waiting", tries=0)


def stop(rt: Runtime, public_id: str, who: Who | None = None) -> bool:
    """Keep a waiting message from being sent; False when it is not waiting."""
    return _set(rt, public_id, ("waiting",), who, "message.stopped", state="stopped")


def _set(
    rt: Runtime,
    public_id: str,
    states: tuple[str, ...],
    who: Who | None,
    action: str,
    **values: Any,
) -> bool:
    def write() -> bool:
        table = table_of(OutboxMessage)
        changed = rt.session.execute(
            sa.update(table)
            .where(table.c.public_id == public_id, table.c.state.in_(states))
            .values(due_at=rt.now(), **values)
            .returning(table.c.id)
        ).all()
        if changed and who is not None:
            after = {"state": values["state"]}
            audit.write(rt.session, who.id, action, public_id, {}, after, rt.moment(), who.ip)
        if values["state"] == "stopped":
            gone = (table.c.public_id == public_id, table.c.topic == LAST_MAIL)
            rt.session.execute(sa.delete(table).where(*gone))
        rt.session.commit()
        return bool(changed)

    return retrying(rt.session, write)


def _claim(rt: Runtime, limit: int) -> list[AnyRow]:
    table, now = table_of(OutboxMessage), rt.now()
    due = _due_messages()
    if rt.session.get_bind().dialect.name == "postgresql":
        due = due.with_for_update(skip_locked=True)
    ids = list(rt.session.scalars(due, {"now": now, "size": limit}))
    rows: list[AnyRow] = []
    if ids:
        rows = list(
            rt.session.execute(
                sa.update(table)
                .where(table.c.id.in_(ids))
                .values(due_at=now + LEASE, fence=table.c.fence + 1)
                .returning(*table.c)
            )
        )
    rt.session.commit()
    return sorted(rows, key=lambda row: row.id)


@cache
def _due_messages() -> AnySelect:
    table = table_of(OutboxMessage)
    return (
        sa.select(table.c.id)
        .where(
            table.c.state == "waiting",
            table.c.due_at <= sa.bindparam("now", type_=table.c.due_at.type),
        )
        .order_by(table.c.due_at, table.c.id)
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )


#: Whether messages are to be delivered.
MESSAGES_DUE = Question(lambda: [_due_messages()], at_now)


@dataclass(frozen=True, slots=True)
class _Try:
    """How handing over went: without ``error`` it went out, unless there was nothing to say."""

    error: str = ""
    #: Trying again is of no use.
    is_permanent: bool = False
    said_nothing: bool = False


def _hand_over(rt: Runtime, delivery: Delivery, compose: Compose) -> _Try:
    try:
        if delivery.kind == "mail":
            with reading():
                mail = compose(delivery)
                rt.session.rollback()
            # No transaction is open while the mail server thinks.
            if mail is None:
                return _Try(said_nothing=True)
            rt.mailer.send(mail)
        else:
            _notify(rt, delivery)
    except MailError as error:
        return _Try(str(error) or "not handed over", error.permanent)
    except Exception as error:
        log.exception("message %s could not be delivered", delivery.public_id)
        return _Try(f"{type(error).__name__}: {error}")
    finally:
        rt.session.rollback()
    return _Try()


def _notify(rt: Runtime, delivery: Delivery) -> None:
    """Hand an event to every observer that has not had it yet.

    Raises the last error after all were asked, so one plugin does not hold back the others;
    who had it is kept in the payload.
    """
    payload = dict(delivery.payload)
    event = Event(
        id=delivery.public_id,
        type=delivery.topic,
        version=1,
        occurred_at=datetime.fromisoformat(payload["occurred_at"]),
        subject=payload["subject"],
        data=payload["data"],
    )
    done = set(payload.get("done", ()))
    failed: Exception | None = None
    for observer in rt.hooks.observers():
        if observer in done:
            continue
        try:
            rt.hooks.notify(observer, event)
        except Exception as error:
            log.exception("plugin %s failed on %s", observer, delivery.topic)
            failed = error
        else:
            done.add(observer)
    if failed is not None:
        table = table_of(OutboxMessage)
        rt.session.rollback()
        rt.session.execute(
            sa.update(table)
            .where(table.c.id == delivery.id)
            .values(payload=payload | {"done": sorted(done)})
        )
        rt.session.commit()
        raise failed


def _note(rt: Runtime, row: AnyRow, error: str, *, dead: bool) -> None:
    table, now = table_of(OutboxMessage), rt.now()
    if not error:
        values: dict[str, Any] = {"state": "delivered", "delivered_at": now, "error": ""}
        if row.topic == DEBIT_NOTICE:
            note_told(rt.session, row.payload["attempt"], rt.notices, rt.moment())
    elif dead:
        values = {"state": "dead", "error": error[:500]}
    else:
        pause = min(FIRST_PAUSE * 2**row.tries, LONGEST_PAUSE)
        values = {"due_at": now + pause, "error": error[:500]}
    mine = (table.c.id == row.id, table.c.fence == row.fence)
    if row.topic == LAST_MAIL and (dead or not error):
        rt.session.execute(sa.delete(table).where(*mine))
    else:
        rt.session.execute(sa.update(table).where(*mine).values(tries=table.c.tries + 1, **values))
    rt.session.commit()


def _note_silent(rt: Runtime, rows: Sequence[AnyRow]) -> None:
    now = rt.now()
    done = [
        {"state": "delivered", "delivered_at": now, "error": "", "id": row.id, "fence": row.fence}
        for row in rows
    ]
    update_many(rt.session, OutboxMessage, done, where=("id", "fence"), plus="tries = tries + 1")
    rt.session.commit()
