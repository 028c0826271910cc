"""Renew everything due with one or several workers, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import BrokenBarrierError

from bench._places import Place
from bench._processes import peak_mib
from bench._shop import ON_THE_DAY, make_app

#: Renewals of the tick before the measured one, which pays for imports and statements.
FIRST_TICK = 100
#: After it nobody holds what the dead had claimed, and their questions are looked up.
LEASES_OVER = timedelta(minutes=6)
#: More than two workers can have asked without an answer.
LOOKED_UP = 1_000
#: Seconds a worker may take until it is ready.
_LONGEST_START = 300.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Renewals and what they took; CPU is that of the workers and the server together."""

    renewals: int
    seconds: float
    cpu_seconds: float
    #: Of the largest worker, and by how much it grew in the measured tick.
    peak_mib: float = 0.0
    grew_mib: float = 0.0
    #: CPU milliseconds the first tick of a worker took beyond its share.
    first_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class _Worked:
    billed: int
    settled: int
    began: float
    ended: float
    cpu_seconds: float
    first_cpu_seconds: float
    setup_mib: float
    peak_mib: float


_ready: Barrier


def renew(
    place: Place,
    name: str,
    workers: int,
    answer_ms: float,
    in_flight: int,
    crashed_at: datetime | None = None,
) -> Timing:
    """Let ``workers`` renew at the same time all that is due in the database ``name``.

    ``crashed_at``: others died over it; it goes on when their leases have ended, and what they
    asked and never heard the answer of is looked up first, all of it measured.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(workers + 1)
    each = [(place.url(name), place.folder, answer_ms, in_flight, crashed_at)] * workers
    with context.Pool(workers, initializer=_remember, initargs=(barrier,)) as pool:
        running = pool.starmap_async(_work, each, chunksize=1)
        try:
            barrier.wait(_LONGEST_START)
        except BrokenBarrierError:
            running.get(timeout=1)
            raise
        server = place.cpu_seconds()
        worked = running.get()
        server = place.cpu_seconds() - server
    billed = sum(one.settled for one in worked)
    # What the dead had planned is settled and was billed before.
    assert crashed_at or billed == sum(one.billed for one in worked), worked
    cpu = sum(one.cpu_seconds for one in worked)
    first = sum(one.first_cpu_seconds for one in worked) / workers - FIRST_TICK * cpu / billed
    return Timing(
        renewals=billed,
        seconds=max(one.ended for one in worked) - min(one.began for one in worked),
        cpu_seconds=cpu + server,
        peak_mib=max(one.peak_mib for one in worked),
        grew_mib=max(one.peak_mib - one.setup_mib for one in worked),
        first_ms=1000 * first,
    )


def _remember(barrier: Barrier) -> None:
    global _ready  # noqa: PLW0603 - how a pool hands something to its processes
    _ready = barrier


def _work(
    url: str, folder: Path, answer_ms: float, in_flight: int, crashed_at: datetime | None
) -> _Worked:
    from storefront import charges
    from storefront.extensions import db
    from storefront.jobs.worker import settle_in
    from storefront.services.renewals import run_renewals

    now = crashed_at + LEASES_OVER if crashed_at else ON_THE_DAY
    app, rt = make_app(url, folder, now, answer_ms, in_flight)
    with app.app_context():
        settle_in()
        cpu = time.process_time()
        run_renewals(rt, limit=FIRST_TICK)
        first, setup = time.process_time() - cpu, peak_mib()
        rt.session.remove()
        _ready.wait(_LONGEST_START)
        began, cpu = time.monotonic(), time.process_time()
        found = charges.look_up_open(rt, limit=LOOKED_UP) if crashed_at else charges.Recorded()
        report = run_renewals(rt)
        ended, cpu = time.monotonic(), time.process_time() - cpu
        peak = peak_mib()
        db.session.remove()
        db.engine.dispose()
    billed, settled = report.billed, report.charges.settled + found.settled
    return _Worked(billed, settled, began, ended, cpu, first, setup, peak)
