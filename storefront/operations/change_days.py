"""On which day a subscription pays next, as it is and with a period that a change begins today."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date

from storefront.domain.boxes import PaidBox
from storefront.domain.checkout import OrderQuote
from storefront.domain.first_boxes import boxes_of_restart
from storefront.models import Subscription
from storefront.models.base import table_of
from storefront.operations.boxes import slots_of
from storefront.operations.change_costs import Held
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.next_charges import first_charge_of, next_charge_on
from storefront.operations.skips import Coming, read_coming


def pays_next(session: AnySession, row: AnyRow, today: date) -> date:
    """Return when the subscription pays next as it is: a box that is skipped is no payment."""
    return next_charge_on(_coming(session, row, today), today) or max(row.next_on, row.anchor_on)


def pays_next_after(
    session: AnySession,
    row: AnyRow,
    new: Held,
    unsent: Collection[int],
    order: OrderQuote,
    today: date,
) -> date:
    """Return when it pays next once a period of ``new`` began today, as ``order`` says.

    Its boxes are arranged as the change will arrange them: those of ``unsent`` anew, behind the
    cycles that are skipped. A renewal walks on from there, so what is skipped is no payment.
    """
    shipping, group = new.plan.shipping, new.plan.group_id
    if shipping is None or group is None:
        return order.renewal_on
    coming = _coming(session, row, today)
    slots = slots_of(session, [group], today)[group]
    kept = [box for box in coming.boxes if box.id not in unsent]
    taken = {box.cycle_id for box in kept if box.cycle_id}
    skipped = coming.standing.skipped
    later_on = new.plan.first_box_on if new.plan.first_box == "later" else None
    joined = boxes_of_restart(
        slots, (taken, skipped), new.boxes, (today, today), shipping, later_on
    )
    waiting = [box for box in coming.standing.paid if box.id not in unsent]
    standing = replace(
        coming.standing,
        cycles=tuple(slots),
        billing=new.price.interval,
        shipping=shipping,
        renews_on=order.renewal_on,
        anchor_day=order.anchor_day,
        paid=(*waiting, *(PaidBox(0, slot) for slot in joined)),
        taken=frozenset(taken | {slot.id for slot in joined if slot is not None}),
        boxes_left=None,
        ends_on=None,
    )
    return first_charge_of(standing, today) or order.renewal_on


def _coming(session: AnySession, row: AnyRow, today: date) -> Coming:
    [coming] = read_coming(session, table_of(Subscription).c.id == row.id, today)
    return coming
