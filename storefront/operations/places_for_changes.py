"""Whether a running subscription can go over to a plan of which there is not enough for all.

By the rule of orders: what is left, less those who wait for it and are not invited yet. Source:
docs/decisions/0265-changes-take-places.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from storefront.models import Customer, Plan, PlanPlaces, Price
from storefront.models.base import table_of
from storefront.operations.catalogue import raise_version
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment
from storefront.operations.places import places_of
from storefront.operations.waiting import email_of, in_line, invited_to, take_off_list


def lock_places(session: AnySession, price: str) -> bool:
    """Lock the limits of the plan of a price; False where it has none of its own.

    First of all in a change, as in an order: the last place goes to one of any number.
    """
    limits = table_of(PlanPlaces)
    plan = sa.select(table_of(Price).c.plan_id).where(table_of(Price).c.public_id == price)
    found = sa.select(limits.c.id).where(limits.c.plan_id.in_(plan)).with_for_update()
    return session.execute(found).first() is not None


def has_room(
    session: AnySession,
    customer_id: int,
    before: tuple[int, int],
    after: tuple[int, int],
    moment: Moment,
) -> bool:
    """Return whether (plan, boxes at a time) ``before`` can become ``after`` for a customer."""
    plan_id, boxes = after
    more = boxes - (before[1] if before[0] == plan_id else 0)
    places = places_of(session, [plan_id], moment).get(plan_id) if more > 0 else None
    if places is None:
        return True
    if _is_same_group(session, before[0], plan_id) and more <= before[1]:
        # Their boxes have a place in the cycles already.
        places = replace(places, by_cycle=None)
    if places.left is None:
        return True
    left = places.left - in_line(session, [plan_id])[plan_id]
    return left + len(invited_of(session, [plan_id], customer_id, moment.now)) >= more


def invited_of(
    session: AnySession, plan_ids: Iterable[int], customer_id: int, now: datetime
) -> set[int]:
    """Return the plans of which a place is kept for the customer's e-mail."""
    return invited_to(session, plan_ids, email_of(Customer, customer_id), now)


def place_taken(session: AnySession, plan_id: int, customer_id: int) -> None:
    """Note that a change took a place: its owner waits no more, and the pages are made anew."""
    customer = table_of(Customer)
    email = session.scalar(sa.select(customer.c.email).where(customer.c.id == customer_id))
    if email:
        take_off_list(session, email, [plan_id])
    raise_version(session)


def _is_same_group(session: AnySession, one: int, other: int) -> bool:
    plan = table_of(Plan)
    groups = sa.select(plan.c.cycle_group_id).where(plan.c.id.in_([one, other])).distinct()
    return len(session.scalars(groups).all()) == 1
