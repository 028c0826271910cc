"""Send the boxes of a subscription somewhere else, from the first whose cut-off is not over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.boxes import ProjectedKind, project
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.packing import Problem, is_deliverable
from storefront.domain.shipping import is_blocked
from storefront.domain.tax_treatment import Place
from storefront.models import Address, Box, BoxCycle, Subscription
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.keys import AnyRow
from storefront.operations.shipping import read_zones
from storefront.operations.skips import MOVABLE, Coming, read_coming
from storefront.operations.subscriptions import (
    StaleSubscription,
    SubscriptionChange,
    change_subscriptions,
)
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime

_TRIES = 4
_AHEAD = 6


class NotFound(DomainError):
    """No such subscription of this customer."""

    code = "not_found"


class OtherCountry(DomainError):
    """One box alone, and a gift, stay in ``country``, whose tax was paid with them."""

    code = "other_country"


class TooLate(DomainError):
    """The cut-off of the box is over, or it is being packed."""

    code = "too_late"


class NotServed(DomainError):
    """We do not deliver to ``country``, or not to this postcode there."""

    code = "country_not_served"


@dataclass(frozen=True, slots=True)
class PostalAddress:
    """An address as typed, each part cut to the length of its column."""

    name: str
    street: str
    postcode: str
    city: str
    country: str
    company: str = ""
    extra: str = ""
    #: Asked for where the rate of tax depends on it, or the carrier needs it.
    region: str = ""
    #: For the carrier.
    phone: str = ""


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
    #: The first box that is made and can still go elsewhere alone, and its ship day.
    next_box: str = ""
    next_box_on: date | None = None
    #: A box that was given an address alone keeps it.
    own_box_on: date | None = None


def first_box_after(rt: Runtime, customer_id: int, subscription: str) -> AddressChange:
    """Say which box a change made now would be the first for. Raises ``NotFound``."""
    (coming,) = _load(rt, customer_id, [subscription])
    found = _effect(rt, coming, _present(rt, coming.row.address_id))
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
        effects = {one.row.public_id: _change(rt, one, typed, actor, who) for one in found}
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


def change_box_address(
    rt: Runtime,
    customer_id: int,
    box: str,
    typed: PostalAddress,
    actor: Actor = Actor.CUSTOMER,
    who: Who | None = None,
) -> bool:
    """Send one box that is paid for to ``typed``, and all others where they go anyway.

    It costs nothing on top, so it stays in the country whose tax was paid; the subscription's
    own address ends it. False when it goes there already. Raises ``NotFound``, ``NotServed``,
    ``OtherCountry``, and ``TooLate`` after the cut-off, unless it could not go anywhere.
    """

    def change() -> bool:
        row = _box(rt, customer_id, box)
        refused = _refused(rt, row, typed)
        if refused is not None:
            rt.session.rollback()
            raise refused
        usual = _present(rt, row.usual_id)
        present = _present(rt, row.address_id) if row.address_id else usual
        if _is_same(present, typed):
            rt.session.rollback()
            return False
        is_usual = _is_same(usual, typed)
        key, ref = (None, "") if is_usual else _insert(rt, row.customer_id, typed)
        _write_box(rt, row, key)
        was = present.public_id if present is not None else ""
        data = {"box": box, "address": ref, "was": was, "city": typed.city}
        by, kind = who.public_id if who else "", EventKind.BOX_ADDRESS_CHANGED
        entry = Entry(row.subscription_id, row.ref, kind, actor, by, data)
        record(rt.session, [entry], rt.moment())
        if who is not None:
            before = {"address": was, "city": present.city if present is not None else ""}
            after = {"address": ref, "city": typed.city}
            audit.write(rt.session, who.id, kind.value, box, before, after, rt.moment(), who.ip)
        rt.session.commit()
        return True

    return retrying(rt.session, change)


def _box(rt: Runtime, customer_id: int, ref: str) -> AnyRow:
    """Return the box, locked, with what decides where it may go. Raises ``NotFound``."""
    box, table = table_of(Box), table_of(Subscription)
    address, cycle = table_of(Address), table_of(BoxCycle)
    row = rt.session.execute(
        sa.select(
            box.c.id,
            box.c.subscription_id,
            box.c.state,
            box.c.problem,
            box.c.address_id,
            table.c.public_id.label("ref"),
            table.c.customer_id,
            table.c.address_id.label("usual_id"),
            address.c.country,
            cycle.c.cutoff_on,
        )
        .join(table, table.c.id == box.c.subscription_id)
        .outerjoin(address, address.c.id == table.c.address_id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(box.c.public_id == ref, table.c.customer_id == customer_id)
        .with_for_update(of=box)
    ).one_or_none()
    if row is None:
        rt.session.rollback()
        raise NotFound(box=ref)
    return row


def _refused(rt: Runtime, row: AnyRow, typed: PostalAddress) -> DomainError | None:
    """Return why the box cannot go to ``typed``."""
    served = typed.country in rt.shop.countries
    if not served or is_blocked(read_zones(rt.session), typed.country, typed.postcode):
        return NotServed(country=typed.country, postcode=typed.postcode)
    over = row.cutoff_on is not None and row.cutoff_on < rt.today()
    if row.state not in MOVABLE or (over and row.problem != Problem.NO_ADDRESS):
        return TooLate()
    if row.country not in (None, typed.country):
        return OtherCountry(country=row.country)
    return None


def _write_box(rt: Runtime, row: AnyRow, address_id: int | None) -> None:
    """Write where the box goes, unless it was packed meanwhile. Raises ``TooLate``."""
    table = table_of(Box)
    done = rt.session.execute(
        sa.update(table)
        .where(table.c.id == row.id, table.c.state == row.state)
        .values(address_id=address_id)
        .returning(table.c.id)
    )
    if done.one_or_none() is None:
        rt.session.rollback()
        raise TooLate


def _change(
    rt: Runtime, coming: Coming, typed: PostalAddress, actor: Actor, who: Who | None
) -> AddressChange:
    present = _present(rt, coming.row.address_id)
    effect = _effect(rt, coming, present)
    if not rt.hooks.has("quote_tax"):
        where = Place(typed.country, typed.region, typed.postcode, typed.city)
        rt.shop.taxes.rate_at(where, coming.row.tax_class, rt.today())
    if _is_same(present, typed):
        return replace(effect, changed=False)
    _write(rt, coming.row, present, typed, effect, actor, who)
    return effect


def _write(
    rt: Runtime,
    row: AnyRow,
    present: AnyRow | None,
    typed: PostalAddress,
    effect: AddressChange,
    actor: Actor,
    who: Who | None,
) -> None:
    """Write the address, and what was there before: boxes past their cut-off need it."""
    key, ref = _insert(rt, row.customer_id, typed)
    change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, {"address_id": key})])
    was = present.public_id if present is not None else ""
    first = effect.first_box_on.isoformat() if effect.first_box_on else ""
    data = {"address": ref, "was": was, "city": typed.city, "first_box_on": first}
    by, kind = who.public_id if who else "", EventKind.ADDRESS_CHANGED
    record(rt.session, [Entry(row.id, row.public_id, kind, actor, by, data)], rt.moment())
    if who is not None:
        before = {"address": was, "city": present.city if present is not None else ""}
        after = {"address": ref, "city": typed.city}
        moment = rt.moment()
        audit.write(rt.session, who.id, kind.value, row.public_id, before, after, moment, who.ip)


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


def _effect(rt: Runtime, coming: Coming, present: AnyRow | None) -> AddressChange:
    today = rt.today()
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
    own = {box.id for box in coming.boxes if box.address_id is not None}
    free = [box for box in rest if box not in closed]
    first = next((box for box in free if box.box_id not in own), None)
    alone = next((box for box in free if box.box_id in own), None)
    made = {box.id: box.public_id for box in coming.boxes}
    then = next((box for box in free if box.box_id is not None), None)
    last = closed[-1].cycle if closed else None
    return AddressChange(
        first.cycle.ship_from if first and first.cycle else None,
        packed.cycle.ship_from if packed and packed.cycle else None,
        last.ship_from if last else None,
        last.cutoff_on if last else None,
        next_box=made[then.box_id] if then and then.box_id is not None else "",
        next_box_on=then.cycle.ship_from if then and then.cycle else None,
        own_box_on=alone.cycle.ship_from if alone and alone.cycle else None,
    )


def _present(rt: Runtime, address_id: int | None) -> AnyRow | None:
    table = table_of(Address)
    return rt.session.execute(sa.select(table).where(table.c.id == address_id)).one_or_none()


def _is_same(present: AnyRow | None, typed: PostalAddress) -> bool:
    return present is not None and all(
        present._mapping[name] == value for name, value in asdict(typed).items()
    )


def _insert(rt: Runtime, customer_id: int, typed: PostalAddress) -> tuple[int, str]:
    ref = public_id("adr")
    key = rt.session.execute(
        sa.insert(table_of(Address))
        .values(
            public_id=ref,
            customer_id=customer_id,
            created_at=rt.now(),
            **asdict(typed),
        )
        .returning(table_of(Address).c.id)
    ).scalar_one()
    return key, ref
