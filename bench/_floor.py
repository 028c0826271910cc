"""The floor: the rows the engine wrote, once more, by the bare driver.

In batches of 100 with the engine's three commits: the periods opened, the charges sent, the
answers recorded. Nothing is claimed, read, decided or priced.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from bench._engine import Timing
from bench._places import Place
from bench._rows import FIRST, LAST, Batch, written

_MOVE = (
    "UPDATE subscription SET next_on=?, next_number=?, billed_count=?, boxes_billed=?,"
    " renews_at=NULL, version=version+1 WHERE id=? AND version=1"
)
_SETTLE = "UPDATE subscription SET renews_at=?, mrr_minor=?, version=version+1 WHERE id=?"


def write_floor(place: Place, after: str, before: str, target: str) -> Timing:
    """Write into ``target``, a copy of ``before``, what ``after`` has more than it."""
    batches = written(place, after, before)
    connection = place.connect(target)
    begin, mark = ("BEGIN", "%s") if place.kind == "PostgreSQL" else ("BEGIN IMMEDIATE", "?")
    server = place.cpu_seconds()
    start, cpu = time.perf_counter(), time.process_time()
    cursor = connection.cursor()
    for batch in batches:
        for commit in (_open, _send, _record):
            cursor.execute(begin)
            for statement, rows in commit(batch):
                cursor.executemany(statement.replace("?", mark), rows)
            cursor.execute("COMMIT")
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    server = place.cpu_seconds() - server
    connection.close()
    return Timing(sum(len(batch.invoices) for batch in batches), seconds, cpu + server)


Step = tuple[str, Sequence[Any]]


def _open(batch: Batch) -> Iterator[Step]:
    yield _MOVE, [(*row[:4], row[6]) for row in batch.subscriptions]
    yield from _inserts(batch.first, FIRST)


def _send(batch: Batch) -> Iterator[Step]:
    yield "UPDATE charge_attempt SET checks=checks+1 WHERE id=?", batch.attempts


def _record(batch: Batch) -> Iterator[Step]:
    yield "UPDATE charge_attempt SET settles=settles WHERE id=?", batch.attempts
    yield "UPDATE invoice SET paid_minor=paid_minor WHERE id=?", batch.invoices
    yield "UPDATE subscription_period SET paid_at=paid_at WHERE id=?", batch.periods
    yield _SETTLE, [row[4:] for row in batch.subscriptions]
    yield from _inserts(batch.last, LAST)


def _inserts(rows: dict[str, list[Any]], tables: Sequence[str]) -> Iterator[Step]:
    for name in tables:
        if rows[name]:
            marks = ", ".join("?" * len(rows[name][0]))
            yield f"INSERT INTO {name} VALUES ({marks})", rows[name]
