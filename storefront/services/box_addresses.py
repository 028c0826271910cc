"""Send one box somewhere else until its cut-off, whether it is paid for or still to come."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.boxes import BoxKind, ProjectedKind, project
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.packing import Problem
from storefront.domain.shipping import is_blocked
from storefront.models import Box, BoxCycle, Subscription
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.addresses import (
    NotFound,
    NotServed,
    OtherCountry,
    OtherTax,
    PostalAddress,
    TooLate,
    address_row,
    insert_address,
    is_same,
)
from storefront.operations.audit import Who
from storefront.operations.box_addresses import (
    give_address,
    given_addresses,
    hold_box,
    same_tax,
    send_made_box,
)
from storefront.operations.keys import AnyRow
from storefront.operations.shipping import read_zones
from storefront.operations.skips import MOVABLE, Coming, read_coming
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime

__all__ = [
    "NotFound",
    "NotServed",
    "OtherCountry",
    "OtherTax",
    "PostalAddress",
    "TooLate",
    "change_box_address",
    "send_box",
]

#: So many boxes ahead the account shows, and lets go elsewhere.
_AHEAD = 6


def change_box_address(
    rt: Runtime,
    customer_id: int,
    box: str,
    typed: PostalAddress,
    actor: Actor = Actor.CUSTOMER,
    who: Who | None = None,
) -> bool:
    """Do ``send_box`` for a box that is made, also while no cycle is there for it."""

    def change() -> bool:
        subscription, cycle = _cycle_of(rt, customer_id, box)
        target = _target(rt, customer_id, subscription, cycle, box)
        return _send(rt, target, typed, actor, who)

    return retrying(rt.session, change)


def send_box(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    cycle: str,
    typed: PostalAddress | None,
    actor: Actor = Actor.CUSTOMER,
    who: Who | None = None,
) -> bool:
    """Send the box of ``cycle`` to ``typed``, and all others where they go anyway.

    Paid for or not, it costs nothing on top, so it stays where the tax is that of the
    subscription; the subscription's own address, or None, ends it. False when it goes there
    already. Raises ``NotFound``, ``NotServed``, ``OtherCountry``, ``OtherTax``, and ``TooLate``
    after the cut-off, unless it could not go anywhere.
    """

    def change() -> bool:
        return _send(rt, _target(rt, customer_id, subscription, cycle), typed, actor, who)

    return retrying(rt.session, change)


@dataclass(frozen=True, slots=True)
class _Target:
    """One box that is to go elsewhere; subscription and box are locked."""

    coming: Coming
    #: None while none was generated for it.
    cycle: AnyRow | None
    #: None while it is not made.
    box: AnyRow | None
    given_id: int | None

    @property
    def present_id(self) -> int | None:
        own = self.box.address_id if self.box is not None else None
        key: int | None = own or self.given_id or self.coming.row.address_id
        return key


def _cycle_of(rt: Runtime, customer_id: int, box: str) -> tuple[str, str]:
    """Return subscription and cycle of a box. Raises ``NotFound``."""
    table, mine, cycle = table_of(Box), table_of(Subscription), table_of(BoxCycle)
    row = rt.session.execute(
        sa.select(mine.c.public_id.label("subscription"), cycle.c.public_id.label("cycle"))
        .select_from(table.join(mine, mine.c.id == table.c.subscription_id))
        .outerjoin(cycle, cycle.c.id == table.c.cycle_id)
        .where(
            table.c.public_id == box,
            table.c.kind == BoxKind.REGULAR,
            mine.c.customer_id == customer_id,
        )
    ).one_or_none()
    if row is None:
        rt.session.rollback()
        raise NotFound(box=box)
    return row.subscription, row.cycle or ""


def _target(rt: Runtime, customer_id: int, subscription: str, cycle: str, box: str = "") -> _Target:
    table = table_of(Subscription)
    which = sa.and_(table.c.public_id == subscription, table.c.customer_id == customer_id)
    found = read_coming(rt.session, which, rt.today(), for_update=True)
    if not found:
        rt.session.rollback()
        raise NotFound(subscription=subscription)
    coming = found[0]
    at = next((one for one in coming.cycles.values() if one.public_id == cycle), None)
    if at is None and not box:
        rt.session.rollback()
        raise NotFound(cycle=cycle)
    key = coming.row.id
    made = hold_box(rt.session, key, at.id if at is not None else None, box)
    given = given_addresses(rt.session, [key]).get(key, {}).get(at.id) if at is not None else None
    return _Target(coming, at, made, given.id if given is not None else None)


def _send(
    rt: Runtime, target: _Target, typed: PostalAddress | None, actor: Actor, who: Who | None
) -> bool:
    row = target.coming.row
    usual = address_row(rt.session, row.address_id)
    present = address_row(rt.session, target.present_id)
    refused = _refused(rt, target, usual, typed)
    if refused is not None:
        rt.session.rollback()
        raise refused
    wanted = None if typed is None or is_same(usual, typed) else typed
    goes_there = is_same(present, wanted) if wanted else target.present_id == row.address_id
    if goes_there:
        rt.session.rollback()
        return False
    key, ref, city = None, "", usual.city if usual is not None else ""
    if wanted is not None:
        key, ref = insert_address(rt.session, row.customer_id, wanted, rt.now())
        city = wanted.city
    if target.cycle is not None:
        give_address(rt.session, row.id, target.cycle.id, key, rt.now())
    elif target.box is not None:
        send_made_box(rt.session, target.box.id, key)
    _note(rt, target, present, {"address": ref, "city": city}, actor, who)
    rt.session.commit()
    return True


def _note(
    rt: Runtime,
    target: _Target,
    present: AnyRow | None,
    then: dict[str, str],
    actor: Actor,
    who: Who | None,
) -> None:
    row, kind, moment = target.coming.row, EventKind.BOX_ADDRESS_CHANGED, rt.moment()
    now = {
        "address": present.public_id if present is not None else "",
        "city": present.city if present is not None else "",
    }
    box = target.box.public_id if target.box is not None else ""
    day = target.cycle.ship_from.isoformat() if target.cycle is not None else ""
    data = {"box": box, "ship_on": day, "was": now["address"], **then}
    by = who.public_id if who is not None else ""
    record(rt.session, [Entry(row.id, row.public_id, kind, actor, by, data)], moment)
    if who is not None:
        of = box or row.public_id
        audit.write(rt.session, who.id, kind.value, of, now, then, moment, who.ip)


def _refused(
    rt: Runtime, target: _Target, usual: AnyRow | None, typed: PostalAddress | None
) -> DomainError | None:
    """Return why the box cannot go to ``typed``, None for where all others go."""
    if typed is not None:
        served = typed.country in rt.shop.countries
        if not served or is_blocked(read_zones(rt.session), typed.country, typed.postcode):
            return NotServed(country=typed.country, postcode=typed.postcode)
    if not _may_move(rt, target, typed):
        return TooLate()
    if typed is None or usual is None:
        return None
    if typed.country != usual.country:
        return OtherCountry(country=usual.country)
    taxes = None if rt.hooks.has("quote_tax") else rt.shop.taxes
    kind = target.coming.row.tax_class
    if target.box is None and not same_tax(usual, typed, kind, taxes, rt.today()):
        return OtherTax(country=usual.country)
    return None


def _may_move(rt: Runtime, target: _Target, typed: PostalAddress | None) -> bool:
    """Return whether the box may still go elsewhere, or is one that is to come at all."""
    box, cycle = target.box, target.cycle
    # A box says its cut-off itself: its cycle may be of a group that the plan is no more in.
    cutoff = box.cutoff_on if box is not None else cycle.cutoff_on if cycle is not None else None
    over = cutoff is not None and cutoff < rt.today()
    if box is not None:
        return box.state in MOVABLE and (not over or box.problem == Problem.NO_ADDRESS)
    if over or cycle is None:
        return False
    ahead = project(target.coming.standing, _AHEAD, rt.today())
    comes = (one for one in ahead if one.kind is not ProjectedKind.SKIPPED)
    # A skipped one comes again when its skip is taken back, so what it was given can go.
    return typed is None or any(one.cycle and one.cycle.id == cycle.id for one in comes)
