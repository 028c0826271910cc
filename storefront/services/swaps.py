"""Take something else instead of a product of the next box, and say what may be taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.boxes import BoxState
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.swaps import SwapBar, swap_from, swap_once, swaps_at, take_back
from storefront.models import Box, Plan, ProductVariant, Subscription, SwapOffer
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import raise_version
from storefront.operations.choosing import OpenBox, open_boxes
from storefront.operations.skips import Coming, read_coming
from storefront.operations.swapping import SwapLine, SwapOffers, swap_offers_for
from storefront.operations.swaps import write_swaps
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime

T = TypeVar("T")


class NotFound(DomainError):
    """No such subscription, box or product of this customer."""

    code = "not_found"


class SwapTooLate(DomainError):
    """The box may not change any more, or its turn has not come."""

    code = "swap_too_late"


class NotOffered(DomainError):
    """It may not come instead; ``bar`` is empty where the merchant does not offer it."""

    code = "not_offered"

    def __init__(self, bar: SwapBar | None) -> None:
        super().__init__()
        self.bar = bar


class UnknownInSwaps(DomainError):
    """``what`` (plan or variant) does not exist."""

    code = "unknown_in_swaps"


@dataclass(frozen=True, slots=True)
class Swapped:
    """What is in the box now instead of ``own``; ``instead`` empty: itself."""

    own: str
    instead: str
    is_standing: bool
    until_on: date


def take_instead(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    cycle: str,
    variant: str,
    instead: str,
    *,
    is_standing: bool = False,
    who: Who | None = None,
) -> Swapped:
    """Take ``instead`` of ``variant`` in the next box, or from that box on (``is_standing``).

    ``instead`` the same as ``variant``: the recipe's own; empty: the last swap is taken back.
    Until the last second of the cut-off day; staff do it for the customer until the lock. Nothing
    is charged: only what costs no more is offered. Raises ``NotFound``, ``SwapTooLate`` or
    ``NotOffered``.
    """

    def work() -> Swapped:
        coming, box, offers = _offers(rt, customer_id, subscription, cycle, who)
        line = _line(offers, variant)
        if instead:
            other = _taken(offers, line, instead)
            plan = swap_from if is_standing else swap_once
            after = plan(offers.swaps, offers.at, line.variant, other)
        else:
            after = take_back(offers.swaps, offers.at, line.variant)
        write_swaps(rt.session, coming.row.id, offers.swaps, after, line.pieces, rt.now())
        now = swaps_at(after, offers.at).get(line.variant)
        found = Swapped(
            offers.facts[line.variant].name,
            "" if now is None else offers.facts[now].name,
            is_standing,
            box.cycle.cutoff_on if who is None else box.cycle.lock_on,
        )
        if set(after) != set(offers.swaps):
            _note(rt, coming, box, found, who)
        rt.session.commit()
        return found

    return _changing(rt, work)


def offer_swaps(
    rt: Runtime, plan_ref: str, variant_refs: Sequence[str], who: Who | None = None
) -> None:
    """Let subscribers of the plan take these instead, in this order; none: no swaps.

    What is no longer offered is not packed any more, whoever took it. Raises ``UnknownInSwaps``.
    """

    def work() -> None:
        plan, variant, offer = table_of(Plan), table_of(ProductVariant), table_of(SwapOffer)
        key = rt.session.scalar(
            sa.select(plan.c.id).where(plan.c.public_id == plan_ref).with_for_update()
        )
        if key is None:
            raise UnknownInSwaps(what="plan")
        refs = list(dict.fromkeys(variant_refs))
        rows = rt.session.execute(
            sa.select(variant.c.public_id, variant.c.id).where(variant.c.public_id.in_(refs))
        )
        known = {row.public_id: row.id for row in rows}
        if set(refs) - set(known):
            raise UnknownInSwaps(what="variant")
        rt.session.execute(sa.delete(offer).where(offer.c.plan_id == key))
        if refs:
            rt.session.execute(
                sa.insert(offer),
                [
                    {"plan_id": key, "variant_id": known[ref], "position": place}
                    for place, ref in enumerate(refs)
                ],
            )
        raise_version(rt.session)
        if who is not None:
            after = {"items": refs}
            moment = rt.moment()
            audit.write(rt.session, who.id, "swaps.offered", plan_ref, {}, after, moment, who.ip)
        rt.session.commit()

    _changing(rt, work)


def _offers(
    rt: Runtime, customer_id: int, subscription: str, cycle: str, who: Who | None
) -> tuple[Coming, OpenBox, SwapOffers]:
    table = table_of(Subscription)
    which = sa.and_(table.c.public_id == subscription, table.c.customer_id == customer_id)
    found = read_coming(rt.session, which, rt.today(), for_update=True)
    if not found:
        raise NotFound(subscription=subscription)
    coming = found[0]
    at = next((row for row in coming.cycles.values() if row.public_id == cycle), None)
    if at is None:
        raise NotFound(cycle=cycle)
    boxes = open_boxes(rt.session, coming, rt.today(), by_staff=who is not None)
    if not boxes or boxes[0].cycle.id != at.id or not _holds(rt, boxes[0]):
        raise SwapTooLate(box_on=at.ship_from)
    offers = swap_offers_for(rt.session, coming.row.id, boxes[0], for_update=True)
    if offers is None:
        raise NotFound(cycle=cycle)
    return coming, boxes[0], offers


def _holds(rt: Runtime, box: OpenBox) -> bool:
    """Lock a paid box, and return whether it still is not packed."""
    if box.box_id is None:
        return True
    table = table_of(Box)
    state = rt.session.scalar(
        sa.select(table.c.state).where(table.c.id == box.box_id).with_for_update()
    )
    return state in (BoxState.PLANNED, BoxState.HELD)


def _line(offers: SwapOffers, variant: str) -> SwapLine:
    found = (one for one in offers.lines if offers.facts[one.variant].public_id == variant)
    line = next(found, None)
    if line is None:
        raise NotFound(variant=variant)
    return line


def _taken(offers: SwapOffers, line: SwapLine, instead: str) -> int | None:
    """Return what is taken, None for the recipe's own."""
    if offers.facts[line.variant].public_id == instead:
        return None
    for one in line.alternatives:
        if offers.facts[one.variant].public_id == instead:
            if one.bar is not None:
                raise NotOffered(one.bar)
            return one.variant
    raise NotOffered(None)


def _note(rt: Runtime, coming: Coming, box: OpenBox, found: Swapped, who: Who | None) -> None:
    """Write into the timeline what is in the box instead, by name."""
    data = {
        "cycle": box.cycle.key,
        "ship_on": box.cycle.ship_from.isoformat(),
        "own": found.own,
        "instead": found.instead,
        "from_now_on": found.is_standing,
    }
    actor, ref = (Actor.CUSTOMER, "") if who is None else (Actor.STAFF, who.public_id)
    row, moment = coming.row, rt.moment()
    entry = Entry(row.id, row.public_id, EventKind.BOX_SWAPPED, actor, ref, data)
    record(rt.session, [entry], moment)
    if who is not None:
        audit.write(rt.session, who.id, "swap.saved", row.public_id, {}, data, moment, who.ip)


def _changing(rt: Runtime, work: Callable[[], T]) -> T:
    """Run one whole change; a refusal leaves nothing behind."""
    try:
        return retrying(rt.session, work)
    except DomainError:
        rt.session.rollback()
        raise
