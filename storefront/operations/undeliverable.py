"""Which renewals wait because nothing is sent to where their next box would go, and their mail.

Nobody is charged for a box that could not leave. It is asked again every hour, so that a renewal
goes on by itself once the address or the zone has changed; a turn that is over meanwhile is left
out and never charged. Source: docs/decisions/0147-shipping-zones.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from storefront.domain.boxes import CycleSlot, slot_for
from storefront.domain.shipping import Zone, is_blocked
from storefront.operations.box_addresses import given_addresses
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue

#: How the keys of the mails begin; subscription and day follow.
KEY = "mail:not_delivered_there:"


def undeliverable(
    session: AnySession,
    rows: Sequence[AnyRow],
    slots: Mapping[int, Sequence[CycleSlot]],
    countries: Sequence[str],
    zones: Sequence[Zone],
) -> frozenset[int]:
    """Return the subscriptions of ``rows`` whose next box goes where nothing is sent.

    That box may have been given an address alone; one statement. Without an address nobody
    can say so: such a box waits at the lock.
    """
    shipped = [row for row in rows if row.ships]
    own = given_addresses(session, [row.id for row in shipped]) if shipped else {}
    found = set()
    for row in shipped:
        slot = slot_for(slots.get(row.cycle_group_id, ()), row.next_on)
        given = own.get(row.id, {}).get(slot.id) if slot is not None else None
        if is_refused(given if given is not None else row, countries, zones):
            found.add(row.id)
    return frozenset(found)


def is_refused(address: AnyRow, countries: Sequence[str], zones: Sequence[Zone]) -> bool:
    """Return whether nothing is sent to the place of ``address``."""
    country = address.country or ""
    if not country:
        return False
    served = not countries or country in countries
    return not served or is_blocked(zones, country, address.postcode or "")


def tell_undeliverable(
    session: AnySession, waiting: Iterable[tuple[AnyRow, date]], moment: Moment
) -> None:
    """Mail who would have been charged, once for each payment that is not taken."""
    mails = [
        Message(
            "mail",
            "not_delivered_there",
            f"{KEY}{row.public_id}:{day.isoformat()}",
            {"subscription": row.public_id, "plan": row.plan_name},
            row.customer_id or row.payer,
        )
        for row, day in waiting
    ]
    enqueue(session, mails, moment.now)
