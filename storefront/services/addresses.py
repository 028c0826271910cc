"""Send the boxes of a subscription somewhere else, from the first whose cut-off is not over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.boxes import ProjectedBox, ProjectedKind, project
from storefront.domain.events import Actor, EventKind
from storefront.domain.packing import is_deliverable
from storefront.domain.shipping import is_blocked
from storefront.domain.tax_treatment import Place
from storefront.models import Subscription
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.addresses import (
    NotFound,
    NotServed,
    OtherCountry,
    PostalAddress,
    address_row,
    insert_address,
    is_same,
)
from storefront.operations.audit import Who
from storefront.operations.box_addresses import (
    follow_abroad,
    follow_tax,
    given_addresses,
)
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.shipping import read_zones
from storefront.operations.skips import MOVABLE, Coming, read_coming
from storefront.operations.subscriptions import (
    StaleSubscription,
    SubscriptionChange,
    change_subscriptions,
)
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime

__all__ = [
    "AddressChange",
    "NotFound",
    "NotServed",
    "OtherCountry",
    "PostalAddress",
    "change_address",
    "change_addresses",
    "first_box_after",
]

_TRIES = 4
_AHEAD = 6


@dataclass(frozen=True, slots=True)
class AddressChange:
    """Which boxes go to the new address, by their ship days; None where none is in sight."""

    first_box_on: date | None
    #: A box that is being packed keeps the old address.
    packed_box_on: date | None
    #: So does one whose cut-off is over although nobody packs it yet; and that cut-off.
    closed_box_on: date | None = None
    closed_on: date | None = None
    changed: bool = True
    #: A box that can still go elsewhere alone, and its ship day: the first, or the one asked
    #: for. Named by its cycle; by itself while it has none.
    next_box: str = ""
    next_box_on: date | None = None
    #: Boxes that were given an address alone keep it; whether one of them is not paid for yet.
    own_days: tuple[date, ...] = ()
    own_is_unpaid: bool = False


def first_box_after(
    rt: Runtime, customer_id: int, subscription: str, box: str = ""
) -> AddressChange:
    """Say which box a change made now would be the first for. Raises ``NotFound``.

    ``box`` is what ``next_box`` should be, if that one can still go elsewhere.
    """
    (coming,) = _load(rt, customer_id, [subscription])
    present = address_row(rt.session, coming.row.address_id)
    found = _effect(rt, rt.today(), coming, present, box)
    rt.session.rollback()
    return found


def change_address(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    typed: PostalAddress,
    actor: Actor = Actor.CUSTOMER,
    who: Who | None = None,
) -> AddressChange:
    """Give the subscription a new address row; old documents keep theirs.

    Boxes whose cut-off is over keep the address they had then, whoever asks; ``who`` is the
    staff user, if one does. The same address again changes nothing. Raises ``NotFound``,
    ``NotServed``, ``OtherCountry`` for a gift that its recipient would send abroad, or
    ``NoRate`` where nobody could be invoiced.
    """
    return change_addresses(rt, customer_id, [subscription], typed, actor, who)[0]


def change_addresses(
    rt: Runtime,
    customer_id: int,
    subscriptions: Sequence[str],
    typed: PostalAddress,
    actor: Actor = Actor.CUSTOMER,
    who: Who | None = None,
) -> list[AddressChange]:
    """Do ``change_address`` for several subscriptions of a customer: all of them, or none."""
    if typed.country not in rt.shop.countries:
        raise NotServed(country=typed.country, postcode=typed.postcode)

    def change() -> list[AddressChange]:
        _check_served(rt, typed)
        # In the order of their keys, so that two of us lock them in one order.
        found = _load(rt, customer_id, subscriptions, for_update=True)
        _check_gifts(rt, found, typed, actor)
        # One instant for what is said and for what is written: were it written a moment later,
        # behind the cut-off, the box would go where nobody was told.
        at = rt.moment()
        effects = {one.row.public_id: _change(rt, at, one, typed, actor, who) for one in found}
        if any(effect.changed for effect in effects.values()):
            rt.session.commit()
        else:
            rt.session.rollback()
        return [effects[one] for one in subscriptions]

    for left in range(_TRIES, 0, -1):
        try:
            return retrying(rt.session, change)
        except StaleSubscription:
            if left == 1:
                raise
    raise AssertionError("unreachable: the last try returns or raises")


def _check_served(rt: Runtime, typed: PostalAddress) -> None:
    if is_blocked(read_zones(rt.session), typed.country, typed.postcode):
        rt.session.rollback()
        raise NotServed(country=typed.country, postcode=typed.postcode)


def _check_gifts(rt: Runtime, found: Sequence[Coming], typed: PostalAddress, actor: Actor) -> None:
    """Raise ``OtherCountry`` where a customer would send a gift out of its country."""
    for one in found if actor is Actor.CUSTOMER else ():
        if one.row.is_gift and one.row.country not in (None, typed.country):
            rt.session.rollback()
            raise OtherCountry(country=one.row.country)


def _change(
    rt: Runtime,
    at: Moment,
    coming: Coming,
    typed: PostalAddress,
    actor: Actor,
    who: Who | None,
) -> AddressChange:
    present = address_row(rt.session, coming.row.address_id)
    effect = _effect(rt, at.today, coming, present)
    if not rt.hooks.has("quote_tax"):
        where = Place(typed.country, typed.region, typed.postcode, typed.city)
        rt.shop.taxes.rate_at(where, coming.row.tax_class, at.today)
    if is_same(present, typed):
        return replace(effect, changed=False)
    _write(rt, at, coming.row, present, typed, effect, actor, who)
    return effect


def _write(
    rt: Runtime,
    at: Moment,
    row: AnyRow,
    present: AnyRow | None,
    typed: PostalAddress,
    effect: AddressChange,
    actor: Actor,
    who: Who | None,
) -> None:
    """Write the address, and what was there before: boxes past their cut-off need it."""
    key, ref = insert_address(rt.session, row.customer_id, typed, at.now)
    change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, {"address_id": key})])
    follow_abroad(rt.session, row.id, typed.country, at.today)
    taxes = None if rt.hooks.has("quote_tax") else rt.shop.taxes
    follow_tax(rt.session, row, typed, taxes, at.today, at.now)
    was = present.public_id if present is not None else ""
    first = effect.first_box_on.isoformat() if effect.first_box_on else ""
    data = {"address": ref, "was": was, "city": typed.city, "first_box_on": first}
    by, kind = who.public_id if who else "", EventKind.ADDRESS_CHANGED
    record(rt.session, [Entry(row.id, row.public_id, kind, actor, by, data)], at)
    if who is not None:
        before = {"address": was, "city": present.city if present is not None else ""}
        after = {"address": ref, "city": typed.city}
        audit.write(rt.session, who.id, kind.value, row.public_id, before, after, at, who.ip)


def _load(
    rt: Runtime, customer_id: int, subscriptions: Sequence[str], *, for_update: bool = False
) -> list[Coming]:
    table = table_of(Subscription)
    which = sa.and_(table.c.public_id.in_(subscriptions), table.c.customer_id == customer_id)
    found = read_coming(rt.session, which, rt.today(), for_update=for_update)
    missing = set(subscriptions) - {one.row.public_id for one in found}
    if missing:
        raise NotFound(subscription=min(missing))
    return found


def _effect(
    rt: Runtime, today: date, coming: Coming, present: AnyRow | None, asked: str = ""
) -> AddressChange:
    parts = dict(present._mapping) if present is not None else None
    # A box that could not go anywhere at its cut-off goes to the first address that works.
    keeps = is_deliverable(parts, rt.shop.countries, read_zones(rt.session))
    frozen = {box.id for box in coming.boxes if box.state not in MOVABLE}
    ahead = [
        box
        for box in project(coming.standing, _AHEAD, today)
        if box.kind is not ProjectedKind.SKIPPED
    ]
    packed = next((box for box in ahead if box.box_id in frozen), None)
    rest = [box for box in ahead if box.box_id is None or box.box_id not in frozen]
    closed = [box for box in rest if keeps and box.cycle and box.cycle.cutoff_on < today]
    free = [box for box in rest if box not in closed]
    alone = _own(rt, coming, free)
    first = next((box for box in free if box not in alone), None)
    names = [(_name(coming, box), box) for box in free]
    offered = [pair for pair in names if pair[0] and pair[0] == asked] or names
    ref, then = next((pair for pair in offered if pair[0]), ("", None))
    last = closed[-1].cycle if closed else None
    return AddressChange(
        first.cycle.ship_from if first and first.cycle else None,
        packed.cycle.ship_from if packed and packed.cycle else None,
        last.ship_from if last else None,
        last.cutoff_on if last else None,
        next_box=ref,
        next_box_on=then.cycle.ship_from if then and then.cycle else None,
        own_days=tuple(box.cycle.ship_from for box in alone if box.cycle),
        own_is_unpaid=any(box.box_id is None for box in alone),
    )


def _own(rt: Runtime, coming: Coming, boxes: Sequence[ProjectedBox]) -> list[ProjectedBox]:
    """Return those of the boxes that were given an address alone."""
    own = {box.id for box in coming.boxes if box.address_id is not None}
    given = given_addresses(rt.session, [coming.row.id]).get(coming.row.id, {})
    return [box for box in boxes if box.box_id in own or (box.cycle and box.cycle.id in given)]


def _name(coming: Coming, box: ProjectedBox) -> str:
    """Return what names a box that can go elsewhere alone; empty where nothing is there yet."""
    if box.cycle is not None:
        return str(coming.cycles[box.cycle.id].public_id)
    return next((one.public_id for one in coming.boxes if one.id == box.box_id), "")
