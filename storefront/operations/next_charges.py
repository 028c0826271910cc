"""On which day the next payment of a subscription is taken."""

from __future__ import annotations

from datetime import date

from storefront.domain.boxes import Standing, boxes_per_period, project
from storefront.domain.lifecycle import BILLABLE, SubscriptionState
from storefront.domain.renewals import is_pausing
from storefront.operations.keys import AnyRow
from storefront.operations.skips import Coming


def next_charge_on(coming: Coming, today: date) -> date | None:
    """Return the day of the next payment, after skips and pauses; None when none will be.

    It may lie behind the boxes that are shown, of a long prepaid term for example.
    """
    row, standing = coming.row, coming.standing
    if not row.ships:
        return _without_boxes(row)
    return first_charge_of(standing, today)


def first_charge_of(standing: Standing, today: date) -> date | None:
    """Return the day of the next payment for boxes; None when none will be."""
    if standing.renews_on is None:
        return None
    waiting = len(standing.paid) + len(standing.skipped)
    ahead = waiting + boxes_per_period(standing.billing, standing.shipping) + 1
    boxes = project(standing, ahead, today)
    return next((box.charge_on for box in boxes if box.charge_on), None)


def _without_boxes(row: AnyRow) -> date | None:
    """Return the next payment's day of a plan that ships nothing; None when there is none."""
    day: date | None = max(row.next_on, row.anchor_on)
    paused = row.state == SubscriptionState.PAUSED
    if SubscriptionState(row.state) not in BILLABLE and not (paused and row.pauses_on):
        return None
    if day is not None and is_pausing(row.pauses_on, row.resumes_on, day):
        day = row.resumes_on
    last = min((end for end in (row.cancel_on, row.ends_on) if end), default=None)
    return None if day is None or (last is not None and day >= last) else day
