"""The worker process: APScheduler wakes it, the database decides what is due.

Only ticks live in the scheduler's memory. A tick that comes late does all that was due; one
that comes while the last still runs is dropped; two workers never work the same row.
"""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Sequence
from types import FrameType

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.schedulers.blocking import BlockingScheduler
from flask import Flask

from storefront.adapters.clock import SystemClock
from storefront.jobs.ticker import Ticker
from storefront.jobs.work import (
    BOX_NOTICES,
    CARD_ENDS,
    CHOICE_REMINDERS,
    CLOSE_CYCLES,
    COMPARISON,
    CONTINUING,
    DUNNING,
    EARN,
    ERASURES,
    EXPIRE,
    EXPORT,
    FORGET_METHODS,
    GATEWAY_EVENTS,
    GIFTS,
    LOOK_UPS,
    OLD_MESSAGES,
    OUTBOX,
    PAPERS,
    PARCEL_EVENTS,
    PLAN_CYCLES,
    PRICE_CHANGES,
    PROVIDERS,
    REFERRALS,
    REFUND_RETURNS,
    REFUNDS,
    REMINDERS,
    RENEWALS,
    RETENTION,
    SEAL,
    SELF_CHECK,
    SHIP_DAYS,
    TAX_IDS,
    TIDY_FILES,
    TRANSFERS,
    WAITING,
    WITHDRAWALS,
    Job,
)
from storefront.runtime import Runtime

log = logging.getLogger(__name__)

#: Tick name -> its jobs in order, and seconds between ticks.
TICKS: dict[str, tuple[Sequence[Job], int]] = {
    "charges": (
        (LOOK_UPS, EXPIRE, TAX_IDS, PRICE_CHANGES, RENEWALS, DUNNING, REFUNDS, REFERRALS),
        30,
    ),
    "reminders": (
        (
            REMINDERS,
            CARD_ENDS,
            CHOICE_REMINDERS,
            BOX_NOTICES,
            GIFTS,
            CONTINUING,
            TRANSFERS,
            WITHDRAWALS,
            REFUND_RETURNS,
            FORGET_METHODS,
            OLD_MESSAGES,
            ERASURES,
            RETENTION,
        ),
        900,
    ),
    "boxes": ((PLAN_CYCLES, CLOSE_CYCLES, EXPORT, WAITING, SHIP_DAYS), 60),
    # On its own: drawing some thousand pages keeps no mail and no lock waiting.
    "papers": ((PAPERS,), 10),
    # Before the outbox: what a message of a gateway settles is told at once.
    "messages": ((GATEWAY_EVENTS, PARCEL_EVENTS, OUTBOX), 5),
    # On its own: a provider that answers slowly keeps nothing else waiting.
    "parcels": ((PROVIDERS,), 30),
    # Each is done once a day; the order matters, since a sealed day takes no more bookings.
    "books": ((EARN, SEAL, SELF_CHECK), 900),
    # Once a day as well, on its own: a long list of a gateway keeps nothing else waiting.
    "comparison": ((COMPARISON,), 900),
    # Nothing younger than a day goes, and the files of all years are walked through for it.
    "files": ((TIDY_FILES,), 86_400),
}


def run(app: Flask) -> None:
    """Tick until SIGTERM or Ctrl-C; the tick that runs is finished first."""
    scheduler = BlockingScheduler(timezone="UTC")
    add_ticks(scheduler, app)

    def stop(number: int, _frame: FrameType | None) -> None:
        log.info("signal %s: finishing what runs", number)
        scheduler.shutdown(wait=False)

    signal.signal(signal.SIGTERM, stop)
    settle_in()
    try:
        scheduler.start()
    except KeyboardInterrupt:
        log.info("interrupted")


def settle_in() -> None:
    """Keep what the program consists of out of every later look for garbage.

    A process that works for weeks would else walk through all its modules, tables and
    statements again and again: each time as long as a hundred renewals take.
    """
    gc.collect()
    gc.freeze()


def run_in_thread(app: Flask) -> BackgroundScheduler:
    """Tick in a thread of this process, for the one-process demo; the caller shuts it down."""
    scheduler = BackgroundScheduler(timezone="UTC")
    add_ticks(scheduler, app)
    scheduler.start()
    return scheduler


def add_ticks(scheduler: BaseScheduler, app: Flask) -> None:
    """Add the ticks with the only options under which none is lost or doubled.

    ``misfire_grace_time=None``: a late tick still runs (the default drops it after 1 s).
    """
    for name, (jobs, seconds) in TICKS.items():
        scheduler.add_job(
            tick,
            "interval",
            args=(app, Ticker(jobs)),
            id=name,
            seconds=seconds,
            next_run_time=SystemClock().now(),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )


def tick(app: Flask, ticker: Ticker) -> None:
    """Do what is due of the jobs of ``ticker``, in a context and session of their own."""
    with app.app_context():
        rt: Runtime = app.extensions["storefront"]
        ticker.tick(rt)
