"""What subscribers take instead of products of their recipes, for slices of boxes.

A swap counts while the merchant offers what is taken instead, and never brings what the
subscriber does not tolerate. Source: docs/decisions/0179-swaps.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.packing import RecipeFacts, choose_recipe
from storefront.domain.recipe_scopes import BoxFacts
from storefront.domain.swaps import Round, Swap, swaps_at
from storefront.models import Box, BoxCycle, BoxSwap, Subscription, SwapOffer
from storefront.models.base import table_of
from storefront.operations.box_facts import columns_of, told_apart
from storefront.operations.choices import avoided_by, pool_items
from storefront.operations.keys import AnyRow, AnySession, any_of

#: By product of the recipe: what is taken instead.
Wishes = Mapping[int, int]
_UNDECIDED = (BoxState.PLANNED, BoxState.HELD)


def read_offers(session: AnySession, plan_ids: Iterable[int]) -> dict[int, tuple[int, ...]]:
    """Return what subscribers of each plan may take instead, in the merchant's order."""
    offer = table_of(SwapOffer)
    found: dict[int, list[int]] = defaultdict(list)
    for row in session.execute(
        sa.select(offer.c.plan_id, offer.c.variant_id)
        .where(offer.c.plan_id.in_(set(plan_ids)))
        .order_by(offer.c.position, offer.c.id)
    ):
        found[row.plan_id].append(row.variant_id)
    return {plan: tuple(variants) for plan, variants in found.items()}


def read_swaps(session: AnySession, subscription_ids: Iterable[int]) -> dict[int, list[Swap]]:
    """Return everything each subscription swapped, whatever became of it."""
    swap, since = table_of(BoxSwap), table_of(BoxCycle)
    until = since.alias()
    found: dict[int, list[Swap]] = defaultdict(list)
    for row in session.execute(
        sa.select(
            swap,
            since.c.ship_from.label("since_on"),
            until.c.ship_from.label("until_on"),
        )
        .join(since, since.c.id == swap.c.from_id)
        .outerjoin(until, until.c.id == swap.c.until_id)
        .where(any_of(swap.c.subscription_id))
        .order_by(swap.c.id),
        # One value, however many share a cycle: SQLite takes 32,766 marks.
        {"ids": sorted(set(subscription_ids))},
    ):
        end = None if row.until_id is None else Round(row.until_on, row.until_id)
        start = Round(row.since_on, row.from_id)
        found[row.subscription_id].append(
            Swap(row.variant_id, row.instead_id, start, row.is_standing, end)
        )
    return dict(found)


def write_swaps(
    session: AnySession,
    subscription_id: int,
    before: Sequence[Swap],
    after: Sequence[Swap],
    pieces: int,
    now: datetime,
) -> None:
    """Turn the rows that say ``before`` into those that say ``after``.

    The caller holds the subscription's row. ``pieces`` of the product are in one box now.
    """
    table = table_of(BoxSwap)
    old = {_key(one): one for one in before}
    new = {_key(one): one for one in after}
    for key, one in old.items():
        variant, cycle, is_standing = key
        mine = sa.and_(
            table.c.subscription_id == subscription_id,
            table.c.variant_id == variant,
            table.c.from_id == cycle,
            table.c.is_standing.is_(is_standing),
        )
        if key not in new:
            session.execute(sa.delete(table).where(mine))
        elif new[key] != one:
            session.execute(
                sa.update(table)
                .where(mine)
                .values(instead_id=new[key].instead, until_id=_id(new[key].until), swapped_at=now)
            )
    for key, one in new.items():
        if key not in old:
            session.execute(
                sa.insert(table).values(
                    subscription_id=subscription_id,
                    variant_id=one.variant,
                    instead_id=one.instead,
                    is_standing=one.is_standing,
                    from_id=one.since.id,
                    until_id=_id(one.until),
                    pieces=pieces,
                    swapped_at=now,
                )
            )


def _key(swap: Swap) -> tuple[int, int, bool]:
    return swap.variant, swap.since.id, swap.is_standing


def _id(at: Round | None) -> int | None:
    return None if at is None else at.id


def wishes_of(
    session: AnySession, plans: Mapping[int, int], cycle_id: int
) -> dict[int, dict[int, int]]:
    """Return by subscription what it takes instead in its box of the cycle.

    ``plans`` names the plan that each subscription's box was sold under. One statement where
    no plan allows swaps.
    """
    offers = read_offers(session, plans.values())
    asked = [key for key, plan in plans.items() if plan in offers]
    swaps = read_swaps(session, asked) if asked else {}
    if not swaps:
        return {}
    at = round_of(session, cycle_id)
    found = {key: swaps_at(own, at) for key, own in swaps.items()}
    avoided = avoided_by(session, found)
    items = pool_items(session, {key for own in found.values() for key in own.values()})
    return {
        key: {
            variant: instead
            for variant, instead in own.items()
            if instead in offers[plans[key]]
            and not items[instead].allergens & avoided.get(key, frozenset())
        }
        for key, own in found.items()
    }


def wishes_for(
    session: AnySession, boxes: Sequence[AnyRow], cycle_id: int
) -> dict[int, dict[int, int]]:
    """Return by box what is taken instead in it; replacements hold what was sent before."""
    regular = [box for box in boxes if box.kind is BoxKind.REGULAR]
    plans = {box.subscription_id: box.plan_id for box in regular}
    found = wishes_of(session, plans, cycle_id)
    return {box.id: found[box.subscription_id] for box in regular if box.subscription_id in found}


def round_of(session: AnySession, cycle_id: int) -> Round:
    """Return the cycle as swaps are ordered by it."""
    cycle = table_of(BoxCycle)
    ship_from = session.execute(sa.select(cycle.c.ship_from).where(cycle.c.id == cycle_id))
    return Round(ship_from.scalar_one(), cycle_id)


def is_swapped_for(box: sa.Table) -> sa.ColumnElement[bool]:
    """The condition that something is wanted instead in the regular ``box``."""
    swap, here = table_of(BoxSwap), table_of(BoxCycle).alias()
    since, until = table_of(BoxCycle).alias(), table_of(BoxCycle).alias()
    stands = sa.and_(
        swap.c.is_standing.is_(True),
        since.c.ship_from <= here.c.ship_from,
        sa.or_(until.c.id.is_(None), until.c.ship_from > here.c.ship_from),
    )
    once = sa.and_(swap.c.is_standing.is_(False), swap.c.from_id == box.c.cycle_id)
    wanted = (
        sa.select(swap.c.id)
        .select_from(swap)
        .join(since, since.c.id == swap.c.from_id)
        .join(here, here.c.id == box.c.cycle_id)
        .outerjoin(until, until.c.id == swap.c.until_id)
        .where(
            swap.c.subscription_id == box.c.subscription_id,
            swap.c.instead_id.is_not(None),
            sa.or_(stands, once),
        )
        .correlate(box)
    )
    return sa.and_(box.c.kind == BoxKind.REGULAR, wanted.exists())


def has_swaps(session: AnySession, cycle_id: int) -> bool:
    """Return whether a box of the cycle still to be decided wants something instead."""
    box = table_of(Box)
    mine = sa.and_(box.c.cycle_id == cycle_id, box.c.state.in_(_UNDECIDED))
    is_any = sa.exists().where(mine, is_swapped_for(box))
    some = sa.exists().select_from(table_of(SwapOffer))
    return bool(session.scalar(sa.select(some))) and bool(session.scalar(sa.select(is_any)))


#: Recipes of each plan.
Recipes = Mapping[int, Sequence[RecipeFacts]]


def moved_pieces(session: AnySession, cycle_id: int, recipes: Recipes) -> Counter[int]:
    """Return the pieces by variant that swaps add to what the recipes of paid boxes need.

    Of boxes of the cycle that are not packed yet; what is not taken counts as less than nothing.
    """
    box, subscription = table_of(Box), table_of(Subscription)
    if not any(recipes.values()) or not read_offers(session, recipes):
        return Counter()
    rows = session.execute(
        sa.select(
            box.c.subscription_id,
            box.c.plan_id,
            box.c.options,
            box.c.quantity,
            *columns_of(box, subscription, told_apart(recipes)),
        )
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .where(box.c.cycle_id == cycle_id, box.c.state.in_(_UNDECIDED), is_swapped_for(box))
    ).all()
    wishes = wishes_of(session, {row.subscription_id: row.plan_id for row in rows}, cycle_id)
    moved: Counter[int] = Counter()
    for row in rows:
        moved.update(_moved(row, recipes, wishes.get(row.subscription_id, {})))
    return moved


def _moved(row: AnyRow, recipes: Recipes, wishes: Wishes) -> Counter[int]:
    facts = BoxFacts(row.options or {}, row.country, row.number)
    recipe = choose_recipe(recipes.get(row.plan_id, ()), facts)
    moved: Counter[int] = Counter()
    if recipe is None or recipe.rule is not None:
        return moved
    for variant, pieces in recipe.items:
        if variant in wishes:
            moved[variant] -= pieces * row.quantity
            moved[wishes[variant]] += pieces * row.quantity
    return moved
