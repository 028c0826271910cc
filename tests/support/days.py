"""Days that pass in a test, each with its run of the renewals."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from storefront.domain.charging import AttemptState
from storefront.models import ChargeAttempt, Invoice, Subscription
from storefront.runtime import Runtime
from storefront.services.renewals import run_renewals
from storefront.testing.clock import FrozenClock


def renew_until(rt: Runtime, clock: FrozenClock, day: date) -> None:
    """Let every day up to and with ``day`` come, at this hour, each with its run."""
    while rt.today() < day:
        next_day(rt, clock)


def next_invoice(rt: Runtime, clock: FrozenClock) -> Invoice:
    """Let days pass until a renewal has made the next invoice, and return it."""
    before = _last_invoice(rt)
    while _last_invoice(rt) == before:
        next_day(rt, clock)
    found = rt.session.get_one(Invoice, _last_invoice(rt))
    rt.session.refresh(found)
    return found


def next_day(rt: Runtime, clock: FrozenClock) -> None:
    """Let tomorrow come with its run.

    On most days a run finds nothing to do, and forty of them cost more than the test itself: it
    is left out where no subscription, whatever its state, has a charge day behind it and no
    charge waits to be sent. The scenarios and the simulation run every job on every day.
    """
    rt.session.rollback()
    clock.advance(days=1)
    due = sa.exists().where(Subscription.renews_at <= rt.now())
    waiting = sa.exists().where(ChargeAttempt.state == AttemptState.PLANNED)
    is_needed = rt.session.scalar(sa.select(due | waiting))
    rt.session.rollback()
    if is_needed:
        run_renewals(rt)


def _last_invoice(rt: Runtime) -> int | None:
    key = rt.session.scalar(sa.select(sa.func.max(Invoice.id)))
    rt.session.rollback()
    return key
