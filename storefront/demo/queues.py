"""What waits in the demo: a late wish for a box that is held back, and people for a place."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import sqlalchemy as sa

from storefront.demo import catalogue, opening
from storefront.demo.cast import CAST, PRESENTS, WAITING
from storefront.demo.people import Shopper
from storefront.demo.shopping import order
from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.late_changes import LateKind
from storefront.domain.lifecycle import SubscriptionState
from storefront.models import Box, BoxCycle, Customer, Subscription
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.runtime import Runtime
from storefront.services.holds import hold
from storefront.services.late_changes import Wish, ask_late
from storefront.services.waiting import NoList, join_list

_NEW_HOME = {"street": "Kupferhammer 21", "postcode": "99084", "city": "Erfurt"}


def hold_one(rt: Runtime) -> None:
    """After the cut-off, keep one box of the round back: its subscriber asked to wait."""
    subscription = table_of(Subscription)
    running = (
        subscription.c.state == SubscriptionState.ACTIVE,
        subscription.c.held_at.is_(None),
        subscription.c.cancel_on.is_(None),
    )
    found = _late_box(rt, *running)
    if found is not None:
        note = "Moves house, asked us to wait for the new address"
        hold(rt, opening.packer_of(rt), found.subscription, note)


def ask_for_new_home(rt: Runtime) -> None:
    """Have the subscriber whose box waits, if one does, ask for it at another address."""
    found = _late_box(rt)
    if found is not None:
        wish = Wish(LateKind.ADDRESS, {**_NEW_HOME, "name": found.name}, "We have moved at last!")
        ask_late(rt, found.customer_id, found.subscription, found.cycle, wish)


def _late_box(rt: Runtime, *conditions: sa.ColumnElement[bool]) -> AnyRow | None:
    """Return a box behind its cut-off that is in no file, one that is held first."""
    box, cycle, customer = table_of(Box), table_of(BoxCycle), table_of(Customer)
    subscription = table_of(Subscription)
    known = [one.email for one in (*CAST, *PRESENTS)]
    found = rt.session.execute(
        sa.select(
            subscription.c.public_id.label("subscription"),
            subscription.c.customer_id,
            customer.c.name,
            cycle.c.public_id.label("cycle"),
        )
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .join(customer, customer.c.id == subscription.c.customer_id)
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .where(
            box.c.kind == BoxKind.REGULAR,
            box.c.state.in_([BoxState.PLANNED, BoxState.HELD, BoxState.LOCKED]),
            box.c.batch_id.is_(None),
            cycle.c.cutoff_on < rt.today(),
            customer.c.email.not_in(known),
            *conditions,
        )
        .order_by(subscription.c.held_at.is_(None), box.c.id.desc())
        .limit(1)
    ).one_or_none()
    rt.session.rollback()
    return found


def fill_limited(rt: Runtime, subscribers: Iterable[Shopper]) -> None:
    """Put a plan with few places on sale, all taken by ``subscribers``, and a private one."""
    opening.open_limited(rt)
    opening.open_private(rt)
    data = catalogue.LIMITED
    for shopper in list(subscribers)[: catalogue.LIMITED_PLACES]:
        also = replace(
            shopper,
            plan=data.code,
            interval=("month", 1),
            card="4242",
            options={},
            code="",
            more=(),
            abandons=False,
        )
        order(rt, also)


def wait_for_places(rt: Runtime) -> None:
    """Have some people leave their e-mail for a place that becomes free."""
    # In a small story too few came to take them all: then nobody has to wait.
    with suppress(NoList):
        for email in WAITING:
            join_list(rt, catalogue.LIMITED.code, email, "en")
