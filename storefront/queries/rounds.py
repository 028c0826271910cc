"""The cycles of plans as the shop window shows them: those to come, and boxes that have left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import sqlalchemy as sa

from storefront.domain.cycles import CycleSlot
from storefront.models import BoxCycle, Product, ProductVariant, Recipe, RecipeItem
from storefront.models.base import table_of
from storefront.operations.boxes import JOINABLE
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of

#: How far back past boxes are shown.
PAST_DAYS = 200
#: A first box is never further away than this.
AHEAD_DAYS = 430


@dataclass(frozen=True, slots=True)
class PastBox:
    """A box that has left: ``items`` are (name, code, kind of picture)."""

    plan_code: str
    plan_name: str
    shipped_on: date
    #: Of its cycle, which tells it from the others.
    key: str
    items: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Rounds:
    """Cycles of groups, with the boxes of them that have left, the last ones first."""

    #: Those that an order may join.
    slots: Mapping[int, list[CycleSlot]]
    #: The one locked last.
    locked_last: Mapping[int, CycleSlot]
    #: Last ship day by cycle.
    ends: Mapping[int, date]
    past: list[PastBox]


def rounds_of(
    session: AnySession, groups: set[int], plans: dict[int, AnyRow], today: date
) -> Rounds:
    """Return the cycles of ``groups`` around ``today``; one statement, none without groups."""
    if not groups:
        return Rounds({}, {}, {}, [])
    slots: dict[int, dict[int, CycleSlot]] = defaultdict(dict)
    locked_last: dict[int, CycleSlot] = {}
    ends: dict[int, date] = {}
    left: dict[tuple[int, int], tuple[AnyRow, list[tuple[str, str, str]]]] = {}
    which = {
        "groups": sorted(groups),
        "plans": sorted(plans),
        "since": today - timedelta(days=PAST_DAYS),
        "until": today + timedelta(days=AHEAD_DAYS),
    }
    for row in session.execute(_statement(), which):
        slot = CycleSlot(
            row.id,
            row.charge_on,
            row.cutoff_on,
            row.lock_on,
            row.ship_from,
            row.sells_from,
            row.sells_until,
        )
        ends[row.id] = row.ship_to
        if row.lock_on > today and row.state in JOINABLE:
            slots[row.group_id][row.id] = slot
        elif row.ship_from <= today and row.plan_id is not None:
            kept = left.setdefault((row.id, row.plan_id), (row, []))
            kept[1].append((row.item, row.sku, row.picture))
        before = locked_last.get(row.group_id)
        if row.lock_on <= today and (before is None or before.lock_on < row.lock_on):
            locked_last[row.group_id] = slot
    past = [
        PastBox(plans[plan_id].code, plans[plan_id].name, row.ship_from, row.key, tuple(items))
        for (_, plan_id), (row, items) in left.items()
    ]
    past.sort(key=lambda box: (box.shipped_on, len(box.items)), reverse=True)
    joinable = {group: list(own.values()) for group, own in slots.items()}
    return Rounds(joinable, locked_last, ends, past)


@cache
def _statement() -> AnySelect:
    """The cycles of ``groups`` between two days with what is in the boxes; built once."""
    cycle, recipe, item = table_of(BoxCycle), table_of(Recipe), table_of(RecipeItem)
    variant, product = table_of(ProductVariant), table_of(Product)
    source = (
        cycle.outerjoin(
            recipe,
            sa.and_(
                recipe.c.cycle_id == cycle.c.id,
                any_of(recipe.c.plan_id, "plans"),
                recipe.c.option_key == "",
            ),
        )
        .outerjoin(item, item.c.recipe_id == recipe.c.id)
        .outerjoin(variant, variant.c.id == item.c.variant_id)
        .outerjoin(product, product.c.id == variant.c.product_id)
    )
    return (
        sa.select(
            cycle.c.id,
            cycle.c.key,
            cycle.c.group_id,
            cycle.c.charge_on,
            cycle.c.cutoff_on,
            cycle.c.lock_on,
            cycle.c.ship_from,
            cycle.c.ship_to,
            cycle.c.sells_from,
            cycle.c.sells_until,
            cycle.c.state,
            recipe.c.plan_id,
            product.c.name.label("item"),
            variant.c.sku,
            product.c.picture,
        )
        .select_from(source)
        .where(
            any_of(cycle.c.group_id, "groups"),
            cycle.c.ship_from >= sa.bindparam("since"),
            cycle.c.ship_from <= sa.bindparam("until"),
        )
        .order_by(cycle.c.ship_from, cycle.c.id, item.c.position, item.c.id)
    )
