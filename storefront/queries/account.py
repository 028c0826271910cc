"""What a customer sees of their subscriptions: the next box, the ones after it, what is owed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import (
    BoxState,
)
from storefront.domain.commitment import boxes_owed
from storefront.domain.events import Actor
from storefront.domain.least_terms import least_allowed
from storefront.domain.lifecycle import ENDED, HoldReason, SubscriptionState
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.pricing import Quote
from storefront.domain.shipping import Delivery, Zone, is_blocked
from storefront.domain.skip_limits import SkipLimits
from storefront.domain.tax_treatment import TaxRules
from storefront.models import (
    Subscription,
    SubscriptionEvent,
)
from storefront.models.base import table_of
from storefront.operations.box_addresses import given_addresses
from storefront.operations.discounts import Place, resting
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.skip_room import skip_limits
from storefront.operations.skips import MOVABLE, Coming, read_coming
from storefront.queries.box_rows import BoxRow, box_rows, ship_days
from storefront.queries.contents import Contents, Piece, next_contents
from storefront.queries.next_payment import Costs, delivery_in, next_priced, read_costs
from storefront.queries.shortages import Lack, lacks_of

_LAST_BOXES = 4


@dataclass(frozen=True, slots=True)
class Choosing:
    """The first box that may still change, where its contents are chosen or swapped, or were."""

    cycle: str
    ship_from: date
    #: How many pieces are chosen, and how many of them by now; 0: swapped at most.
    pieces: int
    chosen: int
    can_swap: bool
    #: What was chosen and cannot come any more, because the recipe is another by now.
    gone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pays:
    """By what a subscription is paid from the next payment on, to compare it with other prices."""

    subscription_id: int
    plan_id: int
    price_id: int
    currency: str
    #: Of its address; empty without one.
    country: str
    is_inclusive: bool
    #: Other amounts come first.
    has_phases: bool
    has_addons: bool
    #: Boxes of it were or are left out.
    has_skips: bool


@dataclass(frozen=True, slots=True)
class PastBox:
    """A box that left, or came to nothing."""

    ship_from: date
    state: str
    carrier: str = ""
    tracking: str = ""
    lacks: tuple[Lack, ...] = ()


@dataclass(frozen=True, slots=True)
class SubscriptionView:
    """One subscription with its coming boxes."""

    public_id: str
    plan: str
    plan_code: str
    state: str
    price: Money
    interval: Interval
    pays: Pays
    #: Plan, price and interval from the next payment on; None while they stay.
    then: tuple[str, Money, Interval] | None
    quantity: int
    is_ended: bool
    is_held: bool
    #: Held by hand or by a withdrawal, not by a dispute.
    is_held_by_shop: bool
    #: Nothing is sent to its address now: boxes that would go there are not charged.
    is_cut_off: bool
    #: A pause that is wanted or runs, and when it ends by itself.
    pauses_on: date | None
    resumes_on: date | None
    #: Boxes agreed to at least, and how many of them are still to come.
    min_boxes: int
    boxes_owed: int
    #: It ends by itself after this many more payments' boxes, or on that day.
    boxes_left: int | None
    ends_on: date | None
    cancel_on: date | None
    canceled_at: datetime | None
    ended_on: date | None
    next_on: date
    next_charge_on: date | None
    next_amount: Money | None
    #: The part of it that is for delivery; None where that is in the plan's price.
    next_delivery: Money | None
    ships: bool
    #: Boxes leave once a month or less often, so the month's name tells them apart.
    is_monthly: bool
    #: Its boxes leave on days of its own, so that the next can be sent on another.
    has_own_dates: bool
    address: str
    address_ref: str
    #: What pays, as ``gateway_words.method_name`` reads it; ``method_ref`` is empty without any.
    kind: str
    brand: str
    last4: str
    label: str
    method_ref: str
    #: The box shown large, the ones after it, and the first that may still be changed.
    next_box: BoxRow | None
    later: tuple[BoxRow, ...]
    changeable: BoxRow | None
    choosing: Choosing | None
    #: What is in the box shown large: in words, and as (code, kind) for its picture.
    contents: tuple[Piece, ...]
    pictures: tuple[tuple[str, str | None], ...]
    #: What ran out when that box was packed.
    lacks: tuple[Lack, ...]
    #: What the recipe of the next box says and does not come as asked, with what comes instead.
    without: tuple[tuple[str, str], ...]
    past: tuple[PastBox, ...]
    #: How often its boxes may be skipped.
    skip_limits: SkipLimits
    #: Codes at work with the payments they still lower (None: all), and those that can be
    #: taken off, for they lowered nothing yet.
    discounts: tuple[tuple[str, int | None], ...]
    removable: tuple[str, ...]
    #: Those that do not fit what is paid for next, so that they lower nothing.
    resting: tuple[str, ...]
    #: Names of discounts without a code that lower the next payment.
    gifts: tuple[str, ...]

    @property
    def boxes(self) -> tuple[BoxRow, ...]:
        return ((self.next_box,) if self.next_box else ()) + self.later


def subscription(
    session: AnySession,
    customer_id: int,
    public_id: str,
    moment: Moment,
    taxes: TaxRules,
    delivery: Delivery | None = None,
) -> SubscriptionView | None:
    """Return one subscription of the customer, or None."""
    table = table_of(Subscription)
    which = sa.and_(
        table.c.customer_id == customer_id, table.c.public_id == public_id, is_shown(table)
    )
    found = read_coming(session, which, moment.today)
    return next(iter(_read_views(session, found, moment, taxes, delivery)), None)


def is_shown(table: sa.Table) -> sa.ColumnElement[bool]:
    """Orders that were never paid for are no subscriptions to a customer."""
    hidden = [SubscriptionState.INCOMPLETE, SubscriptionState.EXPIRED]
    return table.c.state.not_in(hidden)


def _read_views(
    session: AnySession,
    found: Sequence[Coming],
    moment: Moment,
    taxes: TaxRules,
    delivery: Delivery | None,
) -> list[SubscriptionView]:
    if not found:
        return []
    costs = read_costs(session, found, taxes, delivery)
    given = given_addresses(session, [one.row.id for one in found if one.row.has_given_addresses])
    return views_of(session, found, moment, costs, given, lacks_of(session, packed_of(found)))


def packed_of(found: Sequence[Coming]) -> set[int]:
    """Return the boxes whose contents are settled."""
    return {box.id for one in found for box in one.boxes if box.state not in MOVABLE}


def views_of(
    session: AnySession,
    found: Sequence[Coming],
    moment: Moment,
    costs: Costs,
    given: Mapping[int, Mapping[int, AnyRow]],
    lacks: Mapping[int, tuple[Lack, ...]],
) -> list[SubscriptionView]:
    """Return the subscriptions as they are shown; one statement, for what is in the boxes.

    ``given`` are the addresses of single boxes, ``lacks`` is what boxes lack, both by key.
    """
    rows = {one.row.id: box_rows(one, costs, moment, given.get(one.row.id, {})) for one in found}
    charges = {one.row.id: next_priced(one, costs, moment) for one in found}
    contents = next_contents(
        session, found, {one.row.id: _cycles_shown(one, rows[one.row.id]) for one in found}
    )
    return [
        _view(
            one,
            rows[one.row.id],
            charges[one.row.id],
            {cycle: each for (key, cycle), each in contents.items() if key == one.row.id},
            costs.discounts,
            costs.delivery.zones,
            costs.taxes.seller_country,
            lacks,
        )
        for one in found
    ]


def _view(
    coming: Coming,
    boxes: Sequence[BoxRow],
    charge: tuple[date, Quote] | None,
    contents: Mapping[int, Contents],
    discounts: Mapping[int, Sequence[AnyRow]],
    zones: Sequence[Zone],
    home: str,
    lacks: Mapping[int, tuple[Lack, ...]],
) -> SubscriptionView:
    row = coming.row
    mine = discounts.get(row.id, ())
    place = Place(
        row.plan_code, Interval(row.unit, row.unit_count), row.country or home, row.next_on
    )
    first = _first_shown(boxes)
    held = contents.get(_cycle_of(coming, first) or 0, Contents())
    each = coming.standing.shipping if row.ships else coming.standing.billing
    least = least_allowed(row.min_boxes, each, row.country or "", row.region or "")
    after = [box for box in boxes if box is not first]
    return SubscriptionView(
        public_id=row.public_id,
        plan=row.now_plan_name,
        plan_code=row.now_plan_code,
        state=_state(row),
        price=Money(row.now_amount_minor * row.now_quantity, row.currency),
        interval=Interval(row.now_unit, row.now_count),
        pays=Pays(
            row.id,
            row.plan_id,
            row.next_price_id,
            row.currency,
            row.country or "",
            row.tax_inclusive,
            bool(row.phases),
            row.has_addons,
            row.has_skips,
        ),
        then=_then(row),
        quantity=row.now_quantity,
        is_ended=row.state in ENDED,
        is_held=row.held_at is not None,
        is_held_by_shop=row.held_at is not None and row.hold_reason == HoldReason.STAFF,
        is_cut_off=row.ships and is_blocked(zones, row.country or "", row.postcode or ""),
        pauses_on=row.pauses_on,
        resumes_on=row.resumes_on,
        min_boxes=least,
        boxes_owed=boxes_owed(row.boxes_billed, least),
        boxes_left=coming.standing.boxes_left,
        ends_on=row.ends_on,
        cancel_on=row.cancel_on,
        canceled_at=row.canceled_at,
        ended_on=row.ended_on,
        next_on=max(row.next_on, row.anchor_on),
        next_charge_on=charge[0] if charge else None,
        next_amount=charge[1].total if charge else None,
        next_delivery=delivery_in(charge[1]) if charge else None,
        ships=row.ships,
        is_monthly=coming.standing.shipping.months is not None,
        has_own_dates=all(slot.charge_on is None for slot in coming.standing.cycles),
        address=", ".join(part for part in (row.street, row.city) if part),
        address_ref=row.address_ref or "",
        kind=row.method_kind or "card",
        brand=row.brand or "",
        last4=row.last4 or "",
        label=row.method_label or "",
        method_ref=row.method_ref or "",
        next_box=first,
        later=tuple(after),
        changeable=next((b for b in boxes if b.can_change or b.can_undo), None),
        choosing=_choosing(coming, boxes, contents),
        contents=held.pieces,
        pictures=tuple((piece.sku, piece.kind) for piece in held.pieces),
        lacks=_lacks(coming, _cycle_of(coming, first), lacks),
        without=held.without,
        past=_past(coming, lacks),
        skip_limits=skip_limits(coming),
        discounts=tuple((one.code, one.cycles_left) for one in mine if not one.is_automatic),
        removable=tuple(one.code for one in mine if not one.is_automatic and not one.is_counted),
        resting=resting(mine, place),
        gifts=tuple(
            one.code for one in mine if one.is_automatic and one.from_billed <= row.billed_count + 1
        ),
    )


def _then(row: AnyRow) -> tuple[str, Money, Interval] | None:
    if (row.next_price_id, row.quantity) == (row.now_price_id, row.now_quantity):
        return None
    price = Money(row.amount_minor * row.quantity, row.currency)
    return row.plan_name, price, Interval(row.unit, row.unit_count)


def _state(row: AnyRow) -> str:
    if row.state in ENDED:
        return "canceled"
    if row.held_at is not None:
        return "held"
    return "ending" if row.cancel_on else SubscriptionState(row.state).value


def _first_shown(boxes: Sequence[BoxRow]) -> BoxRow | None:
    """The first box; a skip stays there only as long as it can be taken back."""
    return next((box for box in boxes if box.state != "skipped" or box.can_undo), None)


def _lacks(
    coming: Coming, cycle_id: int | None, lacks: Mapping[int, tuple[Lack, ...]]
) -> tuple[Lack, ...]:
    """Return what the subscription's box of a cycle lacks."""
    boxes = (box.id for box in coming.boxes if cycle_id and box.cycle_id == cycle_id)
    return next((lacks[key] for key in boxes if key in lacks), ())


def _past(coming: Coming, lacks: Mapping[int, tuple[Lack, ...]]) -> tuple[PastBox, ...]:
    waiting = {box.id for box in coming.standing.paid}
    rows = [
        PastBox(
            ship_days(box, coming.cycles[box.cycle_id])[0] or date.min,
            _past_state(box),
            box.carrier or "",
            box.tracking_number or "",
            lacks.get(box.id, ()),
        )
        for box in coming.boxes
        if box.id not in waiting and box.cycle_id in coming.cycles
    ]
    return tuple(sorted(rows, key=lambda one: one.ship_from, reverse=True)[:_LAST_BOXES])


def _past_state(box: AnyRow) -> str:
    # Handed over and its days are past: it is on its way, though nobody said so.
    return "shipped" if box.state == BoxState.EXPORTED else BoxState(box.state).value


def _choosing(
    coming: Coming, boxes: Sequence[BoxRow], contents: Mapping[int, Contents]
) -> Choosing | None:
    box = next((one for one in boxes if one.can_change), None)
    held = contents.get(_cycle_of(coming, box) or 0)
    if box is None or box.ship_from is None or held is None:
        return None
    if not (held.to_choose or held.can_swap or held.gone):
        return None
    parts = (held.to_choose, held.chosen, held.can_swap, held.gone)
    return Choosing(box.cycle, box.ship_from, *parts)


def _cycles_shown(coming: Coming, rows: Sequence[BoxRow]) -> set[int]:
    """Return the cycles of the box shown large and of the first that may still change."""
    changeable = next((one for one in rows if one.can_change), None)
    found = {_cycle_of(coming, _first_shown(rows)), _cycle_of(coming, changeable)}
    return {cycle for cycle in found if cycle is not None}


def _cycle_of(coming: Coming, box: BoxRow | None) -> int | None:
    if box is None:
        return None
    return next((row.id for row in coming.cycles.values() if row.public_id == box.cycle), None)


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of a subscription's timeline; words are the page's."""

    at: datetime
    kind: str
    actor: str
    data: Mapping[str, Any]


def timeline(
    session: AnySession, public_id: str, limit: int = 40, *, since: datetime | None = None
) -> list[Happening]:
    """Return what happened to a subscription, newest first. The caller knows whose it is.

    ``since`` is when its customer claimed it, as a gift: that it waited is not theirs to read.
    """
    event, table = table_of(SubscriptionEvent), table_of(Subscription)
    rows = session.execute(
        sa.select(event.c.at, event.c.kind, event.c.actor, event.c.data)
        .join(table, table.c.id == event.c.subscription_id)
        .where(table.c.public_id == public_id, *_from(event, since))
        .order_by(event.c.id.desc())
        .limit(limit)
    )
    return [Happening(row.at, row.kind, row.actor, row.data) for row in rows]


def _from(event: sa.Table, since: datetime | None) -> list[sa.ColumnElement[bool]]:
    """Limit to what came with the claim or after it, not the moves of boxes that came before."""
    if since is None:
        return []
    with_it = sa.and_(event.c.at == since, event.c.actor == Actor.CUSTOMER.value)
    return [sa.or_(event.c.at > since, with_it)]
