"""What the next cycles need more of than there is: one rule for the first page and the boards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import BoxKind, BoxState, CycleState
from storefront.domain.lifecycle import RUNNING
from storefront.domain.packing import RecipeFacts, choose_recipe, contents_of
from storefront.models import (
    Box,
    BoxChoice,
    BoxChoiceItem,
    BoxCycle,
    BoxItem,
    Plan,
    Product,
    ProductVariant,
    Recipe,
    RecipeItem,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.box_pieces import addons_in, chosen_in
from storefront.operations.keys import AnyRow
from storefront.operations.swaps import moved_pieces
from storefront.queries.cycle_demand import Demand
from storefront.queries.worklists import MOST

_UNDECIDED = (BoxState.PLANNED, BoxState.HELD)


@dataclass(frozen=True, slots=True)
class ShortProduct:
    """A counted variant of which more is needed than there is."""

    #: Public id of its product.
    product: str
    name: str
    sku: str
    on_hand: int
    #: What the boxes there are take; 0 where nobody has counted them one by one.
    so_far: int
    #: The most that can be needed.
    needed: int
    #: More is promised than there is, and made afterwards.
    is_made: bool = False

    @property
    def lacks_now(self) -> bool:
        """Whether the boxes that are there take more than there is."""
        return self.so_far > self.on_hand

    @property
    def missing(self) -> int:
        """Pieces that are missing at most."""
        return self.needed - self.on_hand


def runs_short(
    session: AnySession,
    cycle: AnyRow,
    demand: Demand,
    recipes: Mapping[int, Sequence[RecipeFacts]],
    day: date,
) -> tuple[ShortProduct, ...]:
    """Return what boxes of a cycle that is not locked fall short of.

    Of the cycle that its group locks next, all that ``low_stock`` counts for it as well, so that
    its board says nothing else than the first page.
    """
    so_far = _so_far(session, cycle.id, demand, recipes)
    coming = _coming(day)
    is_next = session.scalar(sa.select(coming.c.id).where(coming.c.id == cycle.id)) is not None
    low = low_stock(session, day, MOST, cycle.group_id, with_made=True) if is_next else ()
    most = {one.sku: one.needed for one in low}
    variant, product = table_of(ProductVariant), table_of(Product)
    rows = session.execute(
        sa.select(
            variant.c.id,
            variant.c.sku,
            variant.c.on_hand,
            variant.c.may_oversell,
            product.c.public_id,
            sa.func.trim(product.c.name + " " + variant.c.name).label("name"),
        )
        .join(product, product.c.id == variant.c.product_id)
        .where(
            sa.or_(variant.c.id.in_(so_far), variant.c.sku.in_(most)),
            variant.c.is_counted.is_(True),
        )
        .order_by(product.c.name, variant.c.id)
    )
    found = (
        ShortProduct(
            row.public_id,
            row.name,
            row.sku,
            row.on_hand,
            so_far[row.id],
            max(so_far[row.id], most.get(row.sku, 0)),
            row.may_oversell,
        )
        for row in rows
    )
    return tuple(one for one in found if one.missing > 0)


def _so_far(
    session: AnySession,
    cycle_id: int,
    demand: Demand,
    recipes: Mapping[int, Sequence[RecipeFacts]],
) -> Counter[int]:
    """Return the pieces by variant that the boxes of a cycle take which are still to be decided.

    Boxes for which nobody chose take what is there, so they fall short of no product.
    """
    needed: Counter[int] = Counter()
    for kind, (_count, sold) in demand.items():
        recipe = choose_recipe(recipes.get(kind.plan_id, ()), kind.facts)
        if kind.undecided and recipe is not None:
            needed.update(dict(contents_of(recipe, sold)))
    # What no recipe names: taken instead, add-ons and what is sent again, chosen.
    needed.update(moved_pieces(session, cycle_id, recipes))
    needed.update(addons_in(session, cycle_id))
    needed.update(chosen_in(session, cycle_id))
    return needed


def low_stock(
    session: AnySession,
    day: date,
    limit: int,
    group_id: int | None = None,
    *,
    with_made: bool = False,
) -> tuple[ShortProduct, ...]:
    """Return what the next cycles need more of than there is, the biggest gap first; one statement.

    Needed: one box for every running subscription and the other boxes that are there, times what
    the recipe of the next cycle that is not locked takes, or the standing recipe where that cycle
    has none; and what was chosen or lies in boxes beside it. Skips lower it, so it is the most
    that can be needed. Of all groups, as they share the shelf; ``group_id`` narrows to what its
    boxes take.
    """
    variant, product, need = table_of(ProductVariant), table_of(Product), _need(day)
    needed = sa.cast(sa.func.sum(need.c.pieces), sa.BigInteger)
    statement = (
        sa.select(
            product.c.public_id.label("product"),
            sa.func.trim(product.c.name + " " + variant.c.name).label("name"),
            variant.c.sku,
            variant.c.on_hand,
            sa.literal(0).label("so_far"),
            needed.label("needed"),
            variant.c.may_oversell.label("is_made"),
        )
        .select_from(need)
        .join(variant, variant.c.id == need.c.variant_id)
        .join(product, product.c.id == variant.c.product_id)
        .where(variant.c.is_counted, sa.or_(~variant.c.may_oversell, sa.literal(with_made)))
        .group_by(
            variant.c.id,
            product.c.public_id,
            product.c.name,
            variant.c.name,
            variant.c.sku,
            variant.c.on_hand,
            variant.c.may_oversell,
        )
        .having(needed > variant.c.on_hand)
        .order_by((needed - variant.c.on_hand).desc(), variant.c.id)
        .limit(limit)
    )
    if group_id is not None:
        own = sa.case((need.c.group_id == group_id, 1), else_=0)
        statement = statement.having(sa.func.max(own) == 1)
    return tuple(ShortProduct(**row._mapping) for row in session.execute(statement))


def _coming(day: date) -> sa.Subquery:
    """Select ``id`` and ``group_id`` of the cycle that each group locks next."""
    cycle = table_of(BoxCycle)
    place = sa.func.row_number().over(
        partition_by=cycle.c.group_id, order_by=(cycle.c.ship_from, cycle.c.id)
    )
    ranked = (
        sa.select(cycle.c.id, cycle.c.group_id, place.label("place"))
        .where(cycle.c.lock_on >= day, cycle.c.state.in_([CycleState.PLANNED, CycleState.OPEN]))
        .subquery()
    )
    found = sa.select(ranked.c.id, ranked.c.group_id).where(ranked.c.place == 1)
    return found.subquery("coming")


def _need(day: date) -> sa.Subquery:
    """Select ``pieces`` of each ``variant_id`` that boxes of a ``group_id`` take at most."""
    recipe, item, plan = table_of(Recipe), table_of(RecipeItem), table_of(Plan)
    box, lying = table_of(Box), table_of(BoxItem)
    coming, packed = _coming(day), _packed(day)
    own, standing = recipe.alias("own"), recipe.c.cycle_id.is_(None)
    has_own = sa.exists().where(
        own.c.plan_id == plan.c.id, own.c.cycle_id == coming.c.id, own.c.option_key == ""
    )
    by_recipe = (
        sa.select(
            item.c.variant_id, plan.c.cycle_group_id.label("group_id"), _times(item, packed.c.many)
        )
        .select_from(item)
        .join(recipe, recipe.c.id == item.c.recipe_id)
        .join(plan, plan.c.id == recipe.c.plan_id)
        .join(packed, packed.c.plan_id == plan.c.id)
        .outerjoin(coming, coming.c.group_id == plan.c.cycle_group_id)
        .where(
            recipe.c.option_key == "",
            # Of a pool the lock takes what is there.
            item.c.is_choice.is_(False),
            sa.or_(recipe.c.cycle_id == coming.c.id, sa.and_(standing, ~has_own)),
        )
    )
    beside = (
        sa.select(lying.c.variant_id, coming.c.group_id, lying.c.quantity.label("pieces"))
        .join(box, box.c.id == lying.c.box_id)
        .join(coming, coming.c.id == box.c.cycle_id)
        .where(box.c.state.in_(_UNDECIDED))
    )
    return sa.union_all(by_recipe, beside, _chosen(coming)).subquery("need")


def _chosen(coming: sa.Subquery) -> sa.Select[Any]:
    """Select what was chosen from a pool for boxes that are there."""
    choice, item, box = table_of(BoxChoice), table_of(BoxChoiceItem), table_of(Box)
    mine = sa.and_(
        box.c.subscription_id == choice.c.subscription_id,
        box.c.cycle_id == choice.c.cycle_id,
        box.c.kind == BoxKind.REGULAR,
        box.c.state.in_(_UNDECIDED),
    )
    return (
        sa.select(item.c.variant_id, coming.c.group_id, _times(item, box.c.quantity))
        .join(choice, choice.c.id == item.c.choice_id)
        .join(coming, coming.c.id == choice.c.cycle_id)
        .join(box, mine)
    )


def _times(item: sa.Table, many: sa.ColumnElement[Any]) -> sa.Label[Any]:
    return (item.c.quantity * many).label("pieces")


def _packed(day: date) -> sa.Subquery:
    """Select how ``many`` boxes of each ``plan_id`` there can be at most."""
    table, box = table_of(Subscription), table_of(Box)
    goes_on = sa.and_(table.c.state.in_(RUNNING), table.c.cancel_on.is_(None))
    coming = _coming(day)
    running = sa.select(table.c.plan_id, table.c.quantity).where(goes_on)
    others = (
        sa.select(box.c.plan_id, box.c.quantity)
        .join(coming, coming.c.id == box.c.cycle_id)
        .join(table, table.c.id == box.c.subscription_id)
        .where(box.c.state.in_(_UNDECIDED), box.c.kind == BoxKind.REGULAR, sa.not_(goes_on))
    )
    each = sa.union_all(running, others).subquery("each_box")
    return (
        sa.select(each.c.plan_id, sa.func.sum(each.c.quantity).label("many"))
        .group_by(each.c.plan_id)
        .subquery("packed")
    )
