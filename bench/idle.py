"""What a tick costs when nothing is due, with a few subscriptions and with very many.

    python3 dev.py bench idle [--subscriptions 10000,1000000] [--postgresql] [--plans]

All of them are paid and due in a month. Shown are the median milliseconds of a tick, by the clock
and of this process's CPU, how many statements it asked, and which large tables they read whole, by
the database's own plan: there must be none, or the exit code is 1. Below each tick are its jobs,
as they run when a question says yes or their time has come. Each is done once unmeasured, then
``--rounds`` times. That a run is noted, in one small transaction, is shown apart.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from bench._multiply import multiply
from bench._places import Place, a_place
from bench._plans import Asked, whole_reads
from bench._shop import OPENED, make_app, prepare

#: Rows that are filled through the product; the rest are copies of them.
SEED = 1000
FIRST_DUE = date(2027, 4, 1)
TICKS_ASKED = ("charges", "messages", "boxes", "reminders")


def main() -> int:
    """Measure what the options say and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subscriptions", default="10000,1000000")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--postgresql", action="store_true", help="on a server of its own")
    parser.add_argument("--database", metavar="URL", help="of a PostgreSQL server to measure on")
    parser.add_argument("--plans", action="store_true", help="print the plan of every statement")
    options = parser.parse_args()
    found = False
    with a_place(options.database, options.postgresql) as place:
        for count in map(int, options.subscriptions.split(",")):
            found |= _measure(place, count, options.rounds, options.plans)
    return int(found)


def _measure(place: Place, count: int, rounds: int, plans: bool) -> bool:
    """Print every job with ``count`` subscriptions; True when a large table was read whole."""
    from storefront.extensions import db

    name = f"idle{count}"
    place.create(name)
    days = [FIRST_DUE + timedelta(days=day) for day in range(20)]
    prepare(place.url(name), place.folder, SEED, days)
    app, rt = make_app(place.url(name), place.folder, OPENED)
    with app.app_context():
        start = time.perf_counter()
        multiply(db.engine, count // SEED - 1)
        place.analyse(name)
        filled = time.perf_counter() - start
        print(f"{place.kind}, {count:,} subscriptions, none due (filled in {filled:.0f} s)")
        found = _ticks(rt, db.engine, rounds, plans)
        db.session.remove()
        db.engine.dispose()
    return found


def _ticks(rt: Any, engine: sa.Engine, rounds: int, plans: bool) -> bool:
    from storefront.jobs.ticker import Ticker
    from storefront.jobs.work import Job, run_job
    from storefront.jobs.worker import TICKS

    found = False
    print(f"  {'':>29} {'median ms':>10} {'CPU ms':>8} {'statements':>11}  large tables read whole")
    for tick in TICKS_ASKED:
        ticker = Ticker(TICKS[tick][0])
        ticker.tick(rt)
        works = [(f"tick: {tick}", ticker.tick), *((f"  {x.name}", x.run) for x in ticker.jobs)]
        for name, work in works:
            work(rt)
            rt.session.rollback()
            with _asked(engine) as statements:
                work(rt)
                rt.session.rollback()
            took, cpu = _median(rt, work, rounds)
            read = whole_reads(engine, statements, plans)
            found |= bool(read)
            tables = ", ".join(sorted(read)) or "none"
            _line(name, took, cpu, f"{len(statements):>11}  {tables}")
    nothing = Job("nothing", lambda _rt: None)
    _line("note of one run", *_median(rt, lambda rt: run_job(rt, nothing), rounds))
    return found


def _line(name: str, took: float, cpu: float, rest: str = "") -> None:
    print(f"  {name:<29} {took:>10.2f} {cpu:>8.2f} {rest}".rstrip(), flush=True)


def _median(rt: Any, work: Callable[[Any], Any], rounds: int) -> tuple[float, float]:
    """Return the median milliseconds of ``work``, by the clock and of CPU."""
    times, cpus = [], []
    for _ in range(rounds):
        start, cpu = time.perf_counter(), time.process_time()
        work(rt)
        rt.session.rollback()
        times.append(time.perf_counter() - start)
        cpus.append(time.process_time() - cpu)
    return 1000 * statistics.median(times), 1000 * statistics.median(cpus)


@contextmanager
def _asked(engine: sa.Engine) -> Iterator[list[Asked]]:
    """Collect the statements asked inside the block, with their parameters."""
    statements: list[Asked] = []

    def note(
        _connection: Any, _cursor: Any, text: str, values: Any, _context: Any, many: bool
    ) -> None:
        if not many and not text.startswith("PRAGMA") and not text.startswith("BEGIN"):
            statements.append((text, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


if __name__ == "__main__":
    raise SystemExit(main())
