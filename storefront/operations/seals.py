"""Seal each finished day of the ledger: a hash over its rows and the seal before.

Whoever changes, removes or slips in a row of the past, around the triggers, breaks the seal of
its day; whoever forges that seal breaks every one after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.models import LedgerJournal, LedgerSeal, LedgerTransfer
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession

#: What the first day is hashed onto.
START = "0" * 64
_CHUNK = 2000


@dataclass(frozen=True, slots=True)
class DayHash:
    """What a UTC day's rows hash to; ``transfers`` is how many they are."""

    day: date
    transfers: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Days whose seals fit, and the first that does not: its day, and what is wrong with it."""

    days: int
    transfers: int
    broken_on: date | None = None
    #: changed, missing_seal, before_the_first or count.
    reason: str = ""
    #: The newest seal, to be kept somewhere else; empty when there is none.
    last_hash: str = ""
    last_day: date | None = None

    @property
    def is_whole(self) -> bool:
        return self.broken_on is None


def bounds(day: date) -> tuple[datetime, datetime]:
    """Return the first instant of a UTC day and of the next."""
    start = datetime.combine(day, time(), UTC)
    return start, start + timedelta(days=1)


def hash_day(session: AnySession, day: date, previous: str) -> DayHash:
    """Hash the rows of ``day`` onto the seal ``previous``; memory stays flat."""
    digest, count = sha256(previous.encode()), 0
    for row in _rows(session, day):
        digest.update(_line(row).encode())
        count += row.transfer_id is not None
    return DayHash(day, count, digest.hexdigest())


def last_seal(session: AnySession) -> tuple[date, str] | None:
    """Return day and hash of the newest seal."""
    table = table_of(LedgerSeal)
    row = session.execute(
        sa.select(table.c.day, table.c.content_hash).order_by(table.c.day.desc()).limit(1)
    ).one_or_none()
    return (row.day, row.content_hash) if row else None


def first_day(session: AnySession) -> date | None:
    """Return the UTC day of the oldest journal."""
    at = session.scalar(sa.select(sa.func.min(table_of(LedgerJournal).c.at)))
    return at.astimezone(UTC).date() if at else None


def write_seal(session: AnySession, made: DayHash, at: datetime) -> bool:
    """Write the seal; False when it is there already or the day has other rows by now."""
    journal, transfer = table_of(LedgerJournal), table_of(LedgerTransfer)
    start, end = bounds(made.day)
    now_there = session.scalar(
        sa.select(sa.func.count())
        .select_from(transfer)
        .join(journal, journal.c.id == transfer.c.journal_id)
        .where(journal.c.at >= start, journal.c.at < end)
    )
    if now_there != made.transfers:
        return False
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    table = table_of(LedgerSeal)
    insert = dialect.insert(table).values(
        day=made.day, transfers=made.transfers, content_hash=made.content_hash, sealed_at=at
    )
    written = session.execute(
        insert.on_conflict_do_nothing(index_elements=["day"]).returning(table.c.day)
    )
    return written.one_or_none() is not None


def verify_seals(
    session: AnySession,
    report: Callable[[int, int], None] | None = None,
    since: date = date.min,
) -> Verdict:
    """Work every seal from ``since`` on out again and name the first day that does not fit."""
    table = table_of(LedgerSeal)
    seals = session.execute(
        sa.select(table).where(table.c.day >= since).order_by(table.c.day)
    ).all()
    before = session.execute(
        sa.select(table.c.day, table.c.content_hash)
        .where(table.c.day < since)
        .order_by(table.c.day.desc())
        .limit(1)
    ).one_or_none()
    first = first_day(session)
    if seals and before is None and first is not None and first < seals[0].day:
        return Verdict(0, 0, first, "before_the_first")
    previous = before.content_hash if before else START
    expected = before.day + timedelta(days=1) if before else None
    count = 0
    for done, seal in enumerate(seals):
        if expected is not None and seal.day != expected:
            return Verdict(done, count, expected, "missing_seal")
        made = hash_day(session, seal.day, previous)
        if made.content_hash != seal.content_hash:
            reason = "count" if made.transfers != seal.transfers else "changed"
            return Verdict(done, count, seal.day, reason)
        previous, expected = seal.content_hash, seal.day + timedelta(days=1)
        count += made.transfers
        if report is not None:
            report(done + 1, len(seals))
    last = seals[-1] if seals else None
    return Verdict(
        len(seals),
        count,
        last_hash=last.content_hash if last else "",
        last_day=last.day if last else None,
    )


def _rows(session: AnySession, day: date) -> Iterator[AnyRow]:
    journal, transfer = table_of(LedgerJournal), table_of(LedgerTransfer)
    start, end = bounds(day)
    statement = (
        sa.select(
            journal.c.id,
            journal.c.kind,
            journal.c.event_ref,
            journal.c.at,
            journal.c.reverses_id,
            transfer.c.id.label("transfer_id"),
            transfer.c.debit,
            transfer.c.credit,
            transfer.c.amount_minor,
            transfer.c.currency,
            transfer.c.customer_id,
            transfer.c.invoice_id,
            transfer.c.period_id,
            transfer.c.box_id,
        )
        .outerjoin(transfer, transfer.c.journal_id == journal.c.id)
        .where(journal.c.at >= start, journal.c.at < end)
        .order_by(journal.c.id, transfer.c.id)
    )
    yield from session.execute(statement, execution_options={"yield_per": _CHUNK})


def _line(row: AnyRow) -> str:
    at = row.at.astimezone(UTC).isoformat(timespec="microseconds")
    cells = (row.id, row.kind.value, row.event_ref, at, *row[4:])
    return "\x1f".join("" if cell is None else str(cell) for cell in cells) + "\n"
