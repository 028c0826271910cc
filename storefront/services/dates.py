"""Send the next box now, or move the day of the next payment.

Nothing is charged here: the grid moves, and the renewal run bills the new day as it bills
every other. Source: docs/decisions/0089-another-date.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.database import reading
from storefront.domain.boxes import project, slot_for
from storefront.domain.dates import DateNotMovable, reach, why_not_now
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.renewals import ONE_CHARGE_PER
from storefront.models import Subscription
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.changes import open_changes
from storefront.operations.continuing import earliest_day
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.skips import Coming, read_coming
from storefront.operations.subscriptions import (
    SubscriptionChange,
    change_subscriptions,
    decide_again,
)
from storefront.operations.tiling import (
    bring_term_end,
    last_period,
    open_invoices,
    start_next_on,
)
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime


class NotFound(DomainError):
    """No such subscription of this customer."""

    code = "not_found"


@dataclass(frozen=True, slots=True)
class DateQuote:
    """What can be done about the next date, ``charge_on`` now, and what speaks against it."""

    subscription: str
    charge_on: date
    #: Why the date cannot change at all; then nothing else is offered.
    refused: str
    #: Why no box can be sent now, with the day that says more; empty: it can.
    not_now: str
    not_now_on: date | None
    #: When a box sent now leaves.
    ships_on: date | None
    #: First and last day the payment can move to.
    first: date
    last: date


def quote_dates(rt: Runtime, customer_id: int, subscription: str) -> DateQuote:
    """Say which dates the next box and its payment can have. Raises ``NotFound``."""
    with reading():
        try:
            return _quote(rt, _load(rt, customer_id, subscription))
        finally:
            rt.session.rollback()


def why_not(rt: Runtime, customer_id: int, subscription: str, day: date) -> str:
    """Return why ``move_date`` would refuse ``day``, "" if it would not. Raises ``NotFound``."""
    with reading():
        try:
            coming = _load(rt, customer_id, subscription)
            quote = _quote(rt, coming)
            return quote.refused or why_not_on(coming, quote, day)
        finally:
            rt.session.rollback()


def send_now(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    *,
    actor: Actor = Actor.CUSTOMER,
    who: Who | None = None,
) -> DateQuote:
    """Start the next period today: its box goes with the next packing day, the grid from here.

    Returns what was agreed to. Raises ``NotFound`` or ``DateNotMovable``.
    """

    def change() -> DateQuote:
        coming = _load(rt, customer_id, subscription, for_update=True)
        quote = _quote(rt, coming)
        reason = quote.refused or quote.not_now
        if reason:
            raise DateNotMovable(reason=reason, on=quote.not_now_on)
        _start_on(rt, coming, quote, rt.today(), actor, who)
        rt.session.commit()
        return quote

    return decide_again(rt.session, change)


def move_date(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    day: date,
    *,
    actor: Actor = Actor.CUSTOMER,
    who: Who | None = None,
) -> DateQuote:
    """Have the next payment on ``day``; the days up to it are given, or given up.

    Returns how the date stands then. Raises ``NotFound`` or ``DateNotMovable``.
    """

    def change() -> DateQuote:
        coming = _load(rt, customer_id, subscription, for_update=True)
        quote = _quote(rt, coming)
        reason = quote.refused or why_not_on(coming, quote, day)
        if reason:
            raise DateNotMovable(reason=reason, on=day)
        if day != quote.charge_on:
            _start_on(rt, coming, quote, day, actor, who)
        found = _quote(rt, _load(rt, customer_id, subscription))
        rt.session.commit()
        return found

    return decide_again(rt.session, change)


def why_not_on(coming: Coming, quote: DateQuote, day: date) -> str:
    """Return why the payment cannot be on ``day``: its box would meet another, or too far."""
    if not quote.first <= day <= quote.last:
        return "out_of_reach"
    slot = slot_for(coming.standing.cycles, day)
    if slot is not None and slot.id in coming.standing.taken:
        return "taken"
    return "skipped" if slot is not None and slot.id in coming.standing.skipped else ""


def _load(rt: Runtime, customer_id: int, subscription: str, *, for_update: bool = False) -> Coming:
    table = table_of(Subscription)
    which = sa.and_(table.c.public_id == subscription, table.c.customer_id == customer_id)
    found = read_coming(rt.session, which, rt.today(), for_update=for_update)
    if not found:
        raise NotFound(subscription=subscription)
    return found[0]


def _quote(rt: Runtime, coming: Coming) -> DateQuote:
    row, today, standing = coming.row, rt.today(), coming.standing
    charge_on = max(row.next_on, row.anchor_on)
    refused = _refused(rt, coming, charge_on)
    last = last_period(rt.session, row)
    not_now, on = _not_now(rt, coming, last)
    slot = slot_for(standing.cycles, today)
    ships_on = slot.ship_from if slot is not None and not not_now else None
    first, latest = reach(row.next_on, charge_on, standing.shipping, last.start_on, today)
    # What follows a gift would be put behind it again.
    first = max(first, earliest_day(rt.session, row.id) or first)
    return DateQuote(row.public_id, charge_on, refused, not_now, on, ships_on, first, latest)


def _refused(rt: Runtime, coming: Coming, charge_on: date) -> str:
    row, standing = coming.row, coming.standing
    if not row.ships:
        return "no_boxes"
    if any(slot.charge_on is not None for slot in standing.cycles):
        return "calendar"
    checks = (
        ("cancelled", row.cancel_on is not None),
        ("held", row.held_at is not None),
        ("unpaid", row.state == SubscriptionState.PAST_DUE),
        ("state", row.state != SubscriptionState.ACTIVE),
        ("pausing", row.pauses_on is not None),
        ("due", charge_on <= rt.today()),
    )
    reason = next((code for code, holds in checks if holds), "")
    if reason:
        return reason
    if open_invoices(rt.session, row.id):
        return "unpaid"
    if any(one.invoice_id for one in open_changes(rt.session, row.id)):
        return "waiting"
    planned = (box for box in project(standing, len(standing.paid) + 1, rt.today()))
    return "" if any(box.charge_on for box in planned) else "over"


def _not_now(rt: Runtime, coming: Coming, last: AnyRow) -> tuple[str, date | None]:
    today, moment = rt.today(), rt.moment()
    paid = [b for b in coming.standing.paid if b.cycle is None or b.cycle.lock_on >= today]
    if paid:
        return "paid_box", min((b.cycle.ship_from for b in paid if b.cycle), default=None)
    if last.start_on >= today or moment.now - last.opened_at < ONE_CHARGE_PER:
        return "too_soon", today + timedelta(days=1)
    return why_not_now(coming.standing.cycles, coming.standing.skipped, today)


def _start_on(
    rt: Runtime, coming: Coming, quote: DateQuote, day: date, actor: Actor, who: Who | None
) -> None:
    """Let the next billed period start on ``day``, with a grid of its own from there."""
    row, moment = coming.row, rt.moment()
    values: dict[str, Any] = {"anchor_on": day, "anchor_day": day.day}
    if day < row.next_on:
        last = last_period(rt.session, row)
        values |= start_next_on(rt.session, row, last, day, moment)
        bring_term_end(rt.session, row.id, quote.charge_on, day)
        values["renews_at"] = max(moment.start_of(day), moment.now)
    change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, values)])
    data = {"from": quote.charge_on.isoformat(), "to": day.isoformat()}
    _note(rt, row, data, moment, actor, who)


def _note(
    rt: Runtime, row: AnyRow, data: dict[str, str], moment: Moment, actor: Actor, who: Who | None
) -> None:
    kind = EventKind.DATE_MOVED
    record(rt.session, [Entry(row.id, row.public_id, kind, actor, data=data)], moment)
    if who is not None:
        before, after = {"charge_on": data["from"]}, {"charge_on": data["to"]}
        audit.write(rt.session, who.id, kind.value, row.public_id, before, after, moment, who.ip)
