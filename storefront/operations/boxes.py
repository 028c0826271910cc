"""Make the boxes of paid periods and say which cycles a subscription already uses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from storefront.domain.boxes import (
    BoxKind,
    BoxState,
    CycleSlot,
    CycleState,
    assign_cycles,
    feed_period,
)
from storefront.domain.first_boxes import first_boxes
from storefront.domain.money import split_minor
from storefront.domain.periods import Interval
from storefront.models import Box, BoxCycle, BoxSkip
from storefront.models.base import public_ids, table_of
from storefront.operations.addons import fill_boxes
from storefront.operations.bulk import insert_many
from storefront.operations.kept_answers import LateBox, keep_answers
from storefront.operations.kept_places import KeptPlace, kept_places
from storefront.operations.keys import AnySelect, AnySession, any_of, named, reserve
from storefront.operations.moment import Moment

#: Cycles that may still take a box.
JOINABLE = (CycleState.PLANNED, CycleState.OPEN)


class PaidPeriod(NamedTuple):
    """A period whose boxes are now owed; amounts are what its lines cost together."""

    subscription_id: int
    period_id: int
    plan_id: int
    group_id: int
    box_count: int
    quantity: int
    options: Mapping[str, Any]
    line_id: int | None
    net_minor: int
    tax_minor: int
    currency: str
    shipping: Interval
    #: First day of the period; its first box joins no cycle whose cut-off was before it
    #: when the period began with the order itself.
    start_on: date
    is_first: bool
    #: Whether something was billed beside the plan that may lie in its boxes.
    has_addons: bool = False


@dataclass(slots=True)
class CycleUse:
    """Cycles per subscription that hold a regular box, and that were skipped."""

    taken: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    skipped: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))


def slots_of(
    session: AnySession, group_ids: Iterable[int], from_lock: date
) -> dict[int, list[CycleSlot]]:
    """Return the joinable cycles per group that lock on ``from_lock`` or later, in order."""
    asked = {"ids": sorted(set(group_ids)), "from": from_lock}
    rows = named(session.execute(_slots_statement(), asked))
    slots: dict[int, list[CycleSlot]] = defaultdict(list)
    for row in rows:
        slots[row.group_id].append(
            CycleSlot(
                row.id,
                row.charge_on,
                row.cutoff_on,
                row.lock_on,
                row.ship_from,
                row.sells_from,
                row.sells_until,
            )
        )
    return slots


@cache
def _slots_statement() -> AnySelect:
    table = table_of(BoxCycle)
    return (
        sa.select(
            table.c.id,
            table.c.group_id,
            table.c.charge_on,
            table.c.cutoff_on,
            table.c.lock_on,
            table.c.ship_from,
            table.c.sells_from,
            table.c.sells_until,
        )
        .where(
            any_of(table.c.group_id),
            table.c.lock_on >= sa.bindparam("from", type_=table.c.lock_on.type),
            table.c.state.in_(JOINABLE),
        )
        .order_by(table.c.ship_from, table.c.id)
    )


def cycle_use(session: AnySession, subscription_ids: Sequence[int]) -> CycleUse:
    """Return which cycles the subscriptions use or skip; two statements whatever the count."""
    use = CycleUse()
    taken, skipped = _use_statements()
    for subscription, cycle in session.execute(taken, {"ids": subscription_ids}).all():
        use.taken[subscription].add(cycle)
    for subscription, cycle in session.execute(skipped, {"ids": subscription_ids}).all():
        use.skipped[subscription].add(cycle)
    return use


@cache
def _use_statements() -> tuple[AnySelect, AnySelect]:
    box, skip = table_of(Box), table_of(BoxSkip)
    taken = sa.select(box.c.subscription_id, box.c.cycle_id).where(
        any_of(box.c.subscription_id),
        box.c.kind == BoxKind.REGULAR,
        box.c.state != BoxState.CANCELED,
        box.c.cycle_id.is_not(None),
    )
    skipped = sa.select(skip.c.subscription_id, skip.c.cycle_id).where(
        any_of(skip.c.subscription_id)
    )
    return taken, skipped


def make_boxes(session: AnySession, paid: Sequence[PaidPeriod], moment: Moment) -> int:
    """Insert exactly ``box_count`` boxes for each paid period; returns how many.

    A box joins, by order, the first free cycle that is not locked; one for which no cycle
    was generated yet waits without a cycle. The first box of an order that was promised for
    another cycle goes there, one that leaves now after the lock as well. Amounts are split by
    largest remainder, so the boxes of a period sum to its lines.
    """
    paid = [one for one in paid if one.box_count]
    if not paid:
        return 0
    slots = slots_of(session, {one.group_id for one in paid}, moment.today)
    use = cycle_use(session, [one.subscription_id for one in paid])
    kept = kept_places(session, [one.period_id for one in paid if one.is_first])
    total = sum(one.box_count for one in paid)
    publics = iter(public_ids("box", total))
    rows: list[dict[str, Any]] = []
    late: list[LateBox] = []
    for key, (one, ordinal, slot, net, tax) in zip(
        reserve(session, Box, total), _shares(paid, slots, use, kept, moment), strict=True
    ):
        rows.append(
            {
                "id": key,
                "public_id": next(publics),
                "subscription_id": one.subscription_id,
                "period_id": one.period_id,
                "plan_id": one.plan_id,
                "options": dict(one.options),
                "quantity": one.quantity,
                "kind": BoxKind.REGULAR,
                "ordinal": ordinal,
                "cycle_id": slot.id if slot else None,
                "invoice_line_id": one.line_id,
                "net_minor": net,
                "tax_minor": tax,
                "currency": one.currency,
                "state": BoxState.PLANNED,
                "problem": "",
                "created_at": moment.now,
            }
        )
        if slot and one.options and slot.cutoff_on < moment.today:
            late.append(LateBox(rows[-1], slot.ship_from))
    keep_answers(session, late)
    insert_many(session, Box, rows)
    with_addons = {one.period_id for one in paid if one.has_addons}
    if with_addons:
        fill_boxes(session, [row for row in rows if row["period_id"] in with_addons])
    return total


def _shares(
    paid: Sequence[PaidPeriod],
    slots: Mapping[int, list[CycleSlot]],
    use: CycleUse,
    kept: Mapping[int, KeptPlace],
    moment: Moment,
) -> list[tuple[PaidPeriod, int, CycleSlot | None, int, int]]:
    out = []
    for one in paid:
        own = slots.get(one.group_id, [])
        joined = _join(one, own, use, kept.get(one.period_id), moment.today)
        use.taken[one.subscription_id].update(slot.id for slot in joined if slot)
        nets = split_minor(one.net_minor, [1] * one.box_count)
        taxes = split_minor(one.tax_minor, [1] * one.box_count)
        out += [
            (one, ordinal, slot, net, tax)
            for ordinal, (slot, net, tax) in enumerate(zip(joined, nets, taxes, strict=True), 1)
        ]
    return out


def _join(
    one: PaidPeriod,
    slots: Sequence[CycleSlot],
    use: CycleUse,
    kept: KeptPlace | None,
    today: date,
) -> list[CycleSlot | None]:
    taken, skipped = use.taken[one.subscription_id], use.skipped[one.subscription_id]
    if not one.is_first:
        return feed_period(
            slots, taken, skipped, one.box_count, one.start_on, today, shipping=one.shipping
        )
    if kept is not None and (kept.is_now or any(one.id == kept.cycle.id for one in slots)):
        return first_boxes(
            kept.cycle,
            slots,
            taken,
            skipped,
            one.box_count,
            kept.places_from,
            one.shipping,
        )
    # The order was in time for every cycle whose cut-off had not passed on its day.
    in_time = [slot for slot in slots if slot.cutoff_on >= one.start_on]
    return assign_cycles(
        in_time, taken, skipped, one.box_count, today, start=one.start_on, shipping=one.shipping
    )


def without_boxes(session: AnySession, period_ids: Sequence[int]) -> set[int]:
    """Return those of the periods whose boxes are still to be made."""
    table = table_of(Box)
    have = session.execute(
        sa.select(table.c.period_id)
        .where(table.c.period_id.in_(period_ids), table.c.kind == BoxKind.REGULAR)
        .distinct()
    )
    return set(period_ids) - set(have.scalars())
