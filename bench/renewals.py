"""How fast renewals are, beside the same rows written by plain SQL in the same run.

    python3 dev.py bench renewals [--sizes 1000,10000,100000] [--slow] [--database URL]

Each size runs in a process of its own, on a fresh database: so many subscriptions are due at
once, the demo gateway answers at once (or, with ``--slow``, 3,000 after 200 ms each). A worker
ticks for weeks, so its first tick, a hundred others, comes before the clock starts; what that
tick took more than its share is shown as ``first``. The best of ``--rounds`` is shown.

The floor copies the rows the engine wrote, by the driver alone, in the same batches and with the
same commits, onto a copy of the database as it was before. Wall times drift with the machine;
the ratio of one run does not.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
for place in (str(ROOT), str(ROOT / "plugins")):
    if place not in sys.path:
        sys.path.insert(0, place)

DUE = date(2027, 3, 12)
BATCH = 100
#: Renewals of the tick before the measured one, which pays for imports and statements.
FIRST_TICK = 100
SLOW_DUE, SLOW_MS = 3000, 200


@dataclass(frozen=True, slots=True)
class Measured:
    """One size: renewals per second, of the engine and of the floor, and peak memory."""

    due: int
    seconds: float
    cpu_seconds: float
    floor_seconds: float
    floor_cpu_seconds: float
    peak_mib: float
    setup_mib: float
    #: CPU seconds the first tick of the process took for ``FIRST_TICK`` renewals.
    first_cpu_seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--slow", action="store_true", help="also 3,000 with answers after 200 ms")
    parser.add_argument("--in-flight", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=1, help="show the best of so many")
    parser.add_argument("--json", action="store_true", help="print one JSON line instead")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    rows = [_best(options.rounds, size, 0, options.in_flight) for size in sizes]
    slow = _best(options.rounds, SLOW_DUE, SLOW_MS, options.in_flight) if options.slow else None
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        _print(rows, slow, options.in_flight)
    return 0


def measure(due: int, answer_ms: int, in_flight: int) -> Measured:
    """Renew ``due`` subscriptions once and write the floor of the same rows."""
    from storefront.services.renewals import run_renewals

    folder = Path(tempfile.mkdtemp(prefix="storefront-bench-"))
    try:
        app, rt = _shop(folder, answer_ms, in_flight)
        with app.app_context():
            _fill(rt, FIRST_TICK + due)
            rt.clock.advance(days=(DUE - rt.today()).days)
            rt.session.remove()
            cpu = time.process_time()
            run_renewals(rt, limit=FIRST_TICK)
            first = time.process_time() - cpu
            rt.session.remove()
            before = folder / "before.db"
            _copy(folder / "storefront.db", before)
            setup = _peak_mib()
            start, cpu = time.perf_counter(), time.process_time()
            report = run_renewals(rt)
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            peak = _peak_mib()
            assert (report.billed, report.charges.settled) == (due, due), report
            rt.session.remove()
        floor = _floor(folder / "storefront.db", before) if not answer_ms else (0.0, 0.0)
        return Measured(due, seconds, cpu, *floor, peak, setup, first)
    finally:
        shutil.rmtree(folder)


def _shop(folder: Path, answer_ms: int, in_flight: int) -> tuple[Any, Any]:
    from storefront import migrate
    from storefront.app import create_app
    from storefront.extensions import db
    from storefront.settings import Settings
    from storefront.testing.clock import FrozenClock
    from storefront_demo_gateway.gateway import DemoGateway
    from storefront_demo_gateway.quick import QuickBank

    class ForgetfulBank(QuickBank):
        """Keeps nothing, so that the memory measured is the engine's."""

        def charge(self, reference: str, details: dict[str, Any]) -> Any:
            answer = super().charge(reference, details)
            self._charges.clear()
            self._executed.clear()
            return answer

    settings = Settings(
        environment="test",
        secret_key="a secret of the benches, long enough for all",
        data_dir=folder,
        base_url="http://localhost",
        in_flight=in_flight,
    )
    clock = FrozenClock(datetime(2027, 3, 2, 9, 0, tzinfo=UTC))
    app = create_app(settings, clock=clock)
    with app.app_context():
        migrate.upgrade(db.engine)
    rt = app.extensions["storefront"]
    gateway = rt.gateways["demo"]
    assert isinstance(gateway, DemoGateway)
    gateway.bank = ForgetfulBank(answer_ms)
    return app, rt


def _fill(rt: Any, due: int) -> None:
    from storefront.testing import factories
    from storefront.testing.population import populate

    factories.make_shop(rt)
    plan = factories.make_plan(rt)
    populate(rt, plan, factories.price_of(rt, plan), due, DUE)


#: Tables the renewal inserts into, in the order of their foreign keys, first transaction first.
FIRST = (
    "subscription_period",
    "invoice",
    "invoice_line",
    "ledger_journal",
    "ledger_transfer",
    "charge_attempt",
)
SECOND = (
    "ledger_journal",
    "ledger_transfer",
    "box",
    "subscription_event",
    "outbox_message",
    "movement",
)


def _floor(after: Path, before: Path) -> tuple[float, float]:
    """Write what the engine wrote once more, by the driver alone; returns wall and CPU seconds.

    Two transactions and one guarded update per batch of 100, as the engine's.
    """
    from storefront.database import sqlite_module

    driver = sqlite_module()
    source = driver.connect(after)
    rows = {name: _new_rows(source, name, before, driver) for name in {*FIRST, *SECOND}}
    updates = source.execute(
        "SELECT next_on, next_number, billed_count, renews_at, mrr_minor, id FROM subscription"
        " ORDER BY id"
    ).fetchall()
    names = {name: _columns(source, name) for name in rows}
    columns = {name: len(known) for name, known in names.items()}
    source.close()
    batches = _batches(rows, updates, names)
    target = driver.connect(before, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        target.execute(f"PRAGMA {pragma}")
    start, cpu = time.perf_counter(), time.process_time()
    for batch in batches:
        _write_batch(target, batch, columns)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    target.close()
    return seconds, cpu


def _write_batch(target: Any, batch: dict[str, list[Any]], columns: dict[str, int]) -> None:
    def insert(name: str, rows: Sequence[Any]) -> None:
        marks = ", ".join("?" * columns[name])
        target.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)

    half = len(batch["ledger_journal"]) // 2
    thirds = len(batch["ledger_transfer"]) * 2 // 3
    attempts = [(row[0],) for row in batch["charge_attempt"]]
    target.execute("BEGIN IMMEDIATE")
    target.executemany(
        "UPDATE subscription SET next_on=?, next_number=?, billed_count=?, renews_at=NULL,"
        " version=version+1 WHERE id=? AND version=1",
        [(row[0], row[1], row[2], row[5]) for row in batch["subscription"]],
    )
    insert("subscription_period", batch["subscription_period"])
    insert("invoice", batch["invoice"])
    insert("invoice_line", batch["invoice_line"])
    insert("ledger_journal", batch["ledger_journal"][:half])
    insert("ledger_transfer", batch["ledger_transfer"][:thirds])
    insert("charge_attempt", batch["charge_attempt"])
    target.execute("COMMIT")
    target.execute("BEGIN IMMEDIATE")
    target.executemany("UPDATE charge_attempt SET checks=checks+1 WHERE id=?", attempts)
    target.execute("COMMIT")
    target.execute("BEGIN IMMEDIATE")
    target.executemany("UPDATE charge_attempt SET settles=settles WHERE id=?", attempts)
    target.executemany(
        "UPDATE invoice SET paid_minor=paid_minor WHERE id=?",
        [(row[0],) for row in batch["invoice"]],
    )
    target.executemany(
        "UPDATE subscription_period SET paid_at=paid_at WHERE id=?",
        [(row[0],) for row in batch["subscription_period"]],
    )
    target.executemany(
        "UPDATE subscription SET renews_at=?, mrr_minor=?, version=version+1 WHERE id=?",
        [row[3:] for row in batch["subscription"]],
    )
    insert("ledger_journal", batch["ledger_journal"][half:])
    insert("ledger_transfer", batch["ledger_transfer"][thirds:])
    for name in SECOND[2:]:
        insert(name, batch[name])
    target.execute("COMMIT")


def _new_rows(source: Any, name: str, before: Path, driver: Any) -> list[Any]:
    old = driver.connect(before)
    highest = old.execute(f"SELECT coalesce(max(id), 0) FROM {name}").fetchone()[0]
    old.close()
    query = f"SELECT * FROM {name} WHERE id > ? ORDER BY id"
    return list(source.execute(query, (highest,)).fetchall())


def _columns(source: Any, name: str) -> list[str]:
    return [row[1] for row in source.execute(f"PRAGMA table_info({name})")]


def _batches(
    rows: dict[str, list[Any]], updates: list[Any], names: dict[str, list[str]]
) -> list[dict[str, list[Any]]]:
    """Group everything by invoice, so that each batch holds all that belongs to its own."""

    def by(table: str, column: str) -> dict[Any, list[Any]]:
        place, found = names[table].index(column), {}
        for row in rows[table]:
            found.setdefault(row[place], []).append(row)
        return found

    lines, transfers = by("invoice_line", "invoice_id"), by("ledger_transfer", "invoice_id")
    attempts, journals = by("charge_attempt", "invoice_id"), by("ledger_journal", "id")
    periods, boxes = by("subscription_period", "id"), by("box", "period_id")
    events, moves = (by(name, "subscription_id") for name in ("subscription_event", "movement"))
    of_period = names["invoice_line"].index("period_id")
    of_subscription = names["invoice_line"].index("subscription_id")
    changes = {row[-1]: row for row in updates}
    batches = []
    for start in range(0, len(rows["invoice"]), BATCH):
        batch: dict[str, list[Any]] = {name: [] for name in (*rows, "subscription")}
        batch["invoice"] = rows["invoice"][start : start + BATCH]
        batch["outbox_message"] = rows["outbox_message"][start : start + BATCH]
        for invoice in batch["invoice"]:
            key = invoice[0]
            batch["invoice_line"] += lines[key]
            batch["charge_attempt"] += attempts[key]
            batch["ledger_transfer"] += transfers[key]
            for journal in dict.fromkeys(row[1] for row in transfers[key]):
                batch["ledger_journal"] += journals[journal]
            period, subscription = lines[key][0][of_period], lines[key][0][of_subscription]
            batch["subscription_period"] += periods[period]
            batch["box"] += boxes.get(period, [])
            batch["subscription_event"] += events[subscription]
            batch["movement"] += moves.get(subscription, [])
            batch["subscription"].append(changes[subscription])
        batch["ledger_journal"].sort(key=lambda row: (row[1] != "invoice_finalised", row[0]))
        first = {row[0] for row in batch["ledger_journal"] if row[1] == "invoice_finalised"}
        batch["ledger_transfer"].sort(key=lambda row: (row[1] not in first, row[0]))
        batches.append(batch)
    return batches


def _copy(source: Path, target: Path) -> None:
    from storefront.database import sqlite_module

    driver = sqlite_module()
    with driver.connect(source) as one, driver.connect(target) as other:
        one.backup(other)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _best(rounds: int, *arguments: int) -> Measured:
    """Return the round that took the least CPU, beside its own floor."""
    measured = [_apart(measure, *arguments) for _ in range(rounds)]
    return min(measured, key=lambda one: one.cpu_seconds)


def _apart(work: Callable[..., Measured], *arguments: int) -> Measured:
    """Run ``work`` in a fresh process, so that its peak memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def _print(rows: Sequence[Measured], slow: Measured | None, in_flight: int) -> None:
    head = f"{'due':>8} {'renewals/s':>11} {'floor/s':>9} {'ratio':>6}"
    head += f" {'per cpu s':>10} {'floor':>9} {'ratio':>6}"
    print(f"{head} {'peak MiB':>9} {'grew MiB':>9} {'first':>7}")
    for row in rows:
        rate, floor = row.due / row.seconds, row.due / row.floor_seconds
        cpu, floor_cpu = row.due / row.cpu_seconds, row.due / row.floor_cpu_seconds
        first = 1000 * (row.first_cpu_seconds - FIRST_TICK * row.cpu_seconds / row.due)
        print(
            f"{row.due:>8,} {rate:>11,.0f} {floor:>9,.0f} {rate / floor:>6.0%}"
            f" {cpu:>10,.0f} {floor_cpu:>9,.0f} {cpu / floor_cpu:>6.0%}"
            f" {row.peak_mib:>9.1f} {row.peak_mib - row.setup_mib:>9.1f} {first:>4,.0f} ms"
        )
    if slow is not None:
        best = in_flight / (SLOW_MS / 1000)
        rate = slow.due / slow.seconds
        print(
            f"{slow.due:,} with answers after {SLOW_MS} ms, {in_flight} in flight: {rate:,.0f}/s,"
            f" {rate / best:.0%} of what the gateway allows,"
            f" {slow.cpu_seconds / slow.seconds:.0%} of one core"
        )


if __name__ == "__main__":
    raise SystemExit(main())
