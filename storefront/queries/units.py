"""The units forecast: boxes and pieces of the next cycles, and what to buy for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.addons import Cadence
from storefront.domain.boxes import BoxKind, BoxState, CycleState
from storefront.domain.lifecycle import ENDED, SubscriptionState
from storefront.domain.metrics import MovementKind
from storefront.domain.units import (
    BoxKey,
    Expected,
    Need,
    Pieces,
    Recipes,
    SoldAs,
    Subscriber,
    expect_boxes,
    leaving_rate,
    pieces_of,
    purchase_of,
)
from storefront.models import (
    Addon,
    Box,
    BoxChoice,
    BoxChoiceItem,
    BoxCycle,
    BoxItem,
    CycleGroup,
    Movement,
    Plan,
    Product,
    ProductVariant,
    Subscription,
    SubscriptionAddon,
)
from storefront.models.base import table_of
from storefront.operations.box_facts import country_of_coming, number_of_coming
from storefront.operations.choices import pool_items
from storefront.operations.keys import AnyRow
from storefront.operations.recipes import recipes_by_cycle
from storefront.operations.skips import UNSENT, Coming, read_coming
from storefront.operations.swaps import moved_pieces, read_offers

#: Cycles ahead that can be asked for.
AHEAD = (1, 2, 3, 6)
#: Days back from today over which leavers are counted.
LOOK_BACK = 90
#: Subscriptions read at a time, so that memory stays the same however many there are.
SLICE = 500
_UNDECIDED = (BoxState.PLANNED, BoxState.HELD)


@dataclass(frozen=True, slots=True)
class CycleForecast:
    """Boxes that one cycle will pack; ``bare`` of them have no recipe yet."""

    public_id: str
    group: str
    key: str
    lock_on: date
    ship_from: date
    paid: int
    planned: int
    #: ``paid`` and those of ``planned`` who stay, in whole boxes.
    expected: int
    bare: int


@dataclass(frozen=True, slots=True)
class PlanForecast:
    """Expected boxes of one plan, in the order of ``Forecast.cycles``."""

    name: str
    expected: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class VariantForecast:
    """What one variant needs, and what is to be bought of it; see ``domain.units.Purchase``."""

    product_ref: str
    name: str
    sku: str
    #: False: it never runs out, so nothing is ever to buy.
    is_counted: bool
    #: Boxes are packed with it all the same: ``on_hand`` may be below zero.
    may_oversell: bool
    #: On the shelf, and beside these in locked boxes.
    on_hand: int
    committed: int
    #: In the order of ``Forecast.cycles``.
    expected: tuple[int, ...]
    needed: int
    to_buy: int
    by: date | None

    @property
    def owed(self) -> int:
        """Pieces that locked boxes were promised and that are still to be made or bought."""
        return max(-self.on_hand, 0)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The next cycles of every group, soonest to ship first."""

    cycles: tuple[CycleForecast, ...]
    plans: tuple[PlanForecast, ...]
    variants: tuple[VariantForecast, ...]
    #: Share of subscribers who leave on one day, as it was used.
    leaving: float

    @property
    def purchases(self) -> tuple[VariantForecast, ...]:
        """What has to be bought, the most urgent first."""
        wanted = [one for one in self.variants if one.to_buy and one.by]
        return tuple(sorted(wanted, key=lambda one: (one.by or date.max, one.name, one.sku)))


def forecast(session: AnySession, today: date, ahead: int) -> Forecast:
    """Return the forecast for the next ``ahead`` cycles of each group.

    A constant number of statements and six for each slice of 500 subscriptions; up to seven more
    for each cycle where a plan allows swaps.
    """
    cycles = _cycles(session, ahead)
    leaving = _leaving(session, today)
    groups = {row.id: row.group_id for row in cycles}
    found = Expected()
    for some in _slices(session, today):
        expect_boxes(_subscribers(session, some), groups, today, leaving, found)
    plans = {key.plan for key in found.boxes}
    recipes = recipes_by_cycle(session, plans, groups)
    items = pool_items(session, _in_pools(recipes))
    pieces = pieces_of(found.boxes, recipes, _chosen(session, list(groups)), items)
    for cycle_id in groups if read_offers(session, plans) else ():
        for variant, moved in moved_pieces(session, cycle_id, recipes.get(cycle_id, {})).items():
            pieces.needs[cycle_id, variant].paid += moved
    for spot, need in found.addons.items():
        pieces.needs[spot].add(need)
    for row in _lying(session, list(groups)):
        pieces.needs[row.cycle_id, row.variant_id].paid += int(row.pieces)
    return Forecast(
        cycles=tuple(_cycle(row, found.boxes, pieces) for row in cycles),
        plans=_plans(session, cycles, found.boxes),
        variants=_variants(session, cycles, pieces.needs),
        leaving=leaving,
    )


def _in_pools(recipes: Recipes) -> set[int]:
    return {
        variant
        for plans in recipes.values()
        for written in plans.values()
        for recipe in written
        for variant, _most in recipe.pool
    }


def _cycles(session: AnySession, ahead: int) -> Sequence[AnyRow]:
    """Return the first ``ahead`` cycles of each group that are not locked."""
    cycle, group = table_of(BoxCycle), table_of(CycleGroup)
    place = sa.func.row_number().over(
        partition_by=cycle.c.group_id, order_by=(cycle.c.ship_from, cycle.c.id)
    )
    # A group whose plans are all gone packs nothing; its cycles would be empty columns.
    is_used = sa.exists().where(table_of(Plan).c.cycle_group_id == cycle.c.group_id)
    ranked = (
        sa.select(cycle, place.label("place"))
        .where(cycle.c.state.in_([CycleState.PLANNED, CycleState.OPEN]), is_used)
        .subquery()
    )
    return session.execute(
        sa.select(ranked, group.c.name.label("group_name"))
        .join(group, group.c.id == ranked.c.group_id)
        .where(ranked.c.place <= ahead)
        .order_by(ranked.c.ship_from, ranked.c.id)
    ).all()


def _leaving(session: AnySession, today: date) -> float:
    """Return the share of subscribers who left per day, over the last 90 days."""
    table, move = table_of(Subscription), table_of(Movement)
    since = today - timedelta(days=LOOK_BACK - 1)
    active = session.scalar(
        sa.select(sa.func.count()).where(table.c.cohort != "", table.c.state.not_in(ENDED))
    )
    days = {since + timedelta(days=n): [0, 0] for n in range(LOOK_BACK)}
    came = (MovementKind.NEW, MovementKind.REACTIVATION)
    for row in session.execute(
        sa.select(move.c.on_day, move.c.kind, sa.func.count().label("number"))
        .where(move.c.on_day.between(since, today), move.c.kind.in_([*came, MovementKind.CHURN]))
        .group_by(move.c.on_day, move.c.kind)
    ):
        days[row.on_day][row.kind == MovementKind.CHURN] += row.number
    return leaving_rate(active or 0, {day: (new, gone) for day, (new, gone) in days.items()}, today)


def _slices(session: AnySession, today: date) -> Iterator[list[Coming]]:
    """Yield every subscription that may still get a box, 500 at a time."""
    table, box = table_of(Subscription), table_of(Box)
    waiting = sa.exists().where(box.c.subscription_id == table.c.id, box.c.state.in_(_UNDECIDED))
    wanted = sa.and_(
        table.c.state.not_in([SubscriptionState.INCOMPLETE, SubscriptionState.EXPIRED]),
        sa.or_(table.c.state.not_in(ENDED), waiting),
    )
    last = 0
    while True:
        ids = session.scalars(
            sa.select(table.c.id).where(wanted, table.c.id > last).order_by(table.c.id).limit(SLICE)
        ).all()
        if not ids:
            return
        yield read_coming(session, table.c.id.in_(ids), today)
        last = ids[-1]


def _subscribers(session: AnySession, some: Sequence[Coming]) -> Iterator[Subscriber]:
    beside = _addons(session, [one.row.id for one in some if one.row.has_addons])
    options = _box_options(session, [one.row.id for one in some])
    for one in some:
        row, own = one.row, beside.get(one.row.id, ())
        country, first = country_of_coming(one), 1 + int(row.brought) + len(one.boxes)
        yield Subscriber(
            standing=one.standing,
            coming=SoldAs(row.plan_id, _options(row.options), row.quantity, country, first),
            paid={
                box.id: SoldAs(
                    box.plan_id, options.get(box.id, ()), box.quantity, country, _number(one, box)
                )
                for box in one.boxes
                if box.state in UNSENT
            },
            addons=tuple((key, n) for key, n, cadence in own if cadence == Cadence.EVERY),
            addons_once=tuple((key, n) for key, n, cadence in own if cadence == Cadence.ONCE),
        )


def _number(coming: Coming, box: AnyRow) -> int:
    cycle = coming.cycles.get(box.cycle_id or 0)
    return 0 if cycle is None else number_of_coming(coming, cycle, 0)


def _options(options: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(group), str(choice)) for group, choice in (options or {}).items()))


def _box_options(session: AnySession, ids: Sequence[int]) -> dict[int, tuple[tuple[str, str], ...]]:
    """Return what was answered for the boxes that are not packed yet, as they were sold."""
    box = table_of(Box)
    rows = session.execute(
        sa.select(box.c.id, box.c.options).where(
            box.c.subscription_id.in_(ids), box.c.state.in_(_UNDECIDED)
        )
    )
    return {row.id: _options(row.options) for row in rows}


def _addons(session: AnySession, ids: Sequence[int]) -> dict[int, list[tuple[int, int, str]]]:
    """Return the pieces still to be billed beside the boxes: (variant, pieces, cadence)."""
    table, addon = table_of(SubscriptionAddon), table_of(Addon)
    found: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
    if not ids:
        return found
    for row in session.execute(
        sa.select(table.c.subscription_id, addon.c.variant_id, table.c.quantity, table.c.cadence)
        .join(addon, addon.c.id == table.c.addon_id)
        .where(
            table.c.subscription_id.in_(ids),
            table.c.ended_at.is_(None),
            addon.c.variant_id.is_not(None),
        )
        .order_by(table.c.id)
    ):
        found[row.subscription_id].append((row.variant_id, row.quantity, row.cadence))
    return found


def _chosen(session: AnySession, cycle_ids: Sequence[int]) -> dict[tuple[int, int], dict[int, int]]:
    """Return the pieces chosen for paid boxes that are not packed yet."""
    choice, item, box = table_of(BoxChoice), table_of(BoxChoiceItem), table_of(Box)
    mine = sa.and_(
        box.c.subscription_id == choice.c.subscription_id, box.c.cycle_id == choice.c.cycle_id
    )
    found: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    for row in session.execute(
        sa.select(
            choice.c.cycle_id,
            box.c.plan_id,
            item.c.variant_id,
            sa.func.sum(item.c.quantity * box.c.quantity).label("pieces"),
        )
        .join(choice, choice.c.id == item.c.choice_id)
        .join(box, mine)
        .where(
            choice.c.cycle_id.in_(cycle_ids),
            box.c.state.in_(_UNDECIDED),
            box.c.kind == BoxKind.REGULAR,
        )
        .group_by(choice.c.cycle_id, box.c.plan_id, item.c.variant_id)
    ):
        found[row.cycle_id, row.plan_id][row.variant_id] = int(row.pieces)
    return found


def _lying(session: AnySession, cycle_ids: Sequence[int]) -> Sequence[AnyRow]:
    """Return what no recipe names: add-ons in paid boxes, and all that a replacement holds."""
    item, box = table_of(BoxItem), table_of(Box)
    return session.execute(
        sa.select(box.c.cycle_id, item.c.variant_id, sa.func.sum(item.c.quantity).label("pieces"))
        .join(box, box.c.id == item.c.box_id)
        .where(box.c.cycle_id.in_(cycle_ids), box.c.state.in_(_UNDECIDED))
        .group_by(box.c.cycle_id, item.c.variant_id)
    ).all()


def _cycle(row: AnyRow, boxes: Mapping[BoxKey, Need], pieces: Pieces) -> CycleForecast:
    total = Need()
    for key, need in boxes.items():
        if key.cycle == row.id:
            total.add(need)
    return CycleForecast(
        public_id=row.public_id,
        group=row.group_name,
        key=row.key,
        lock_on=row.lock_on,
        ship_from=row.ship_from,
        paid=total.paid,
        planned=round(total.planned),
        expected=total.whole,
        bare=pieces.bare[row.id],
    )


def _plans(
    session: AnySession, cycles: Sequence[AnyRow], boxes: Mapping[BoxKey, Need]
) -> tuple[PlanForecast, ...]:
    plan = table_of(Plan)
    totals: dict[tuple[int, int], Need] = defaultdict(Need)
    for key, need in boxes.items():
        totals[key.plan, key.cycle].add(need)
    rows = session.execute(
        sa.select(plan.c.id, plan.c.name)
        .where(plan.c.id.in_({key.plan for key in boxes}))
        .order_by(plan.c.position, plan.c.id)
    )
    return tuple(
        PlanForecast(row.name, tuple(totals[row.id, cycle.id].whole for cycle in cycles))
        for row in rows
    )


def _variants(
    session: AnySession, cycles: Sequence[AnyRow], needs: Mapping[tuple[int, int], Need]
) -> tuple[VariantForecast, ...]:
    variant, product = table_of(ProductVariant), table_of(Product)
    rows = session.execute(
        sa.select(
            variant.c.id,
            variant.c.sku,
            variant.c.is_counted,
            variant.c.may_oversell,
            variant.c.on_hand,
            variant.c.committed,
            product.c.public_id.label("product_ref"),
            sa.func.trim(product.c.name + " " + variant.c.name).label("name"),
        )
        .join(product, product.c.id == variant.c.product_id)
        .where(
            sa.or_(
                variant.c.id.in_({key for _cycle, key in needs}),
                sa.and_(variant.c.on_hand < 0, variant.c.is_counted.is_(True)),
            )
        )
        .order_by(product.c.name, variant.c.id)
    )
    return tuple(_variant(row, cycles, needs) for row in rows)


def _variant(
    row: AnyRow, cycles: Sequence[AnyRow], needs: Mapping[tuple[int, int], Need]
) -> VariantForecast:
    own = [needs.get((cycle.id, row.id), Need()) for cycle in cycles]
    bought = purchase_of(
        row.on_hand, [(cycle.lock_on, need) for cycle, need in zip(cycles, own, strict=True)]
    )
    return VariantForecast(
        product_ref=row.product_ref,
        name=row.name,
        sku=row.sku,
        is_counted=row.is_counted,
        may_oversell=row.may_oversell,
        on_hand=row.on_hand,
        committed=row.committed,
        expected=tuple(need.whole for need in own),
        needed=bought.needed,
        to_buy=bought.to_buy if row.is_counted else 0,
        by=bought.by if row.is_counted else None,
    )
