"""Days that pass in a test, each with its run of the renewals."""

from __future__ import annotations

from datetime import date, timedelta

import sqlalchemy as sa

from storefront.domain.charging import AttemptState
from storefront.models import ChargeAttempt, Invoice, Subscription
from storefront.runtime import Runtime
from storefront.services.renewals import run_renewals
from storefront.testing.clock import FrozenClock

#: When the next charge day comes, and whether a charge waits to be sent.
_AHEAD = sa.select(
    sa.func.min(Subscription.renews_at),
    sa.exists().where(ChargeAttempt.state == AttemptState.PLANNED),
)
#: Days after which a test that waits for an invoice has waited long enough.
_MOST = 400


def renew_until(rt: Runtime, clock: FrozenClock, day: date) -> None:
    """Let every day up to and with ``day`` come, at this hour, each with its run."""
    while (left := (day - rt.today()).days) > 0:
        _let_come(rt, clock, left)


def next_invoice(rt: Runtime, clock: FrozenClock) -> Invoice:
    """Let days pass until a renewal has made the next invoice, and return it."""
    before = _last_invoice(rt)
    while _last_invoice(rt) == before:
        assert _let_come(rt, clock, _MOST), "no renewal falls due"
    found = rt.session.get_one(Invoice, _last_invoice(rt))
    rt.session.refresh(found)
    return found


def next_day(rt: Runtime, clock: FrozenClock) -> None:
    """Let tomorrow come with its run."""
    _let_come(rt, clock, 1)


def _let_come(rt: Runtime, clock: FrozenClock, most: int) -> bool:
    """Let days come, no more than ``most``, up to one with work for its run; whether there is one.

    On most days a run finds nothing to do, and forty of them cost more than the test itself: it
    is left out where no subscription, whatever its state, has a charge day behind it and no
    charge waits to be sent. The scenarios and the simulation run every job on every day.
    """
    rt.session.rollback()
    due_at, is_waiting = rt.session.execute(_AHEAD).one()
    rt.session.rollback()
    days = most + 1
    if due_at is not None:
        days = max(1, -((rt.now() - due_at) // timedelta(days=1)))
    if is_waiting:
        days = 1
    clock.advance(days=min(days, most))
    if days > most:
        return False
    run_renewals(rt)
    return True


def _last_invoice(rt: Runtime) -> int | None:
    key = rt.session.scalar(sa.select(sa.func.max(Invoice.id)))
    rt.session.rollback()
    return key
