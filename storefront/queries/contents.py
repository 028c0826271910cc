"""What is in a box: packed already, or what its recipe says today."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.packing import RecipeFacts, choose_recipe
from storefront.domain.recipe_scopes import BoxFacts
from storefront.domain.swaps import Sort, may_come
from storefront.models import (
    BoxChoice,
    BoxChoiceItem,
    BoxItem,
    ChoiceRule,
    Product,
    ProductVariant,
    Recipe,
    RecipeItem,
    SwapOffer,
)
from storefront.models.base import table_of
from storefront.operations.box_facts import country_of_coming, number_of_coming
from storefront.operations.keys import any_of
from storefront.operations.skips import MOVABLE, Coming
from storefront.operations.swaps import Wishes, wishes_of
from storefront.queries.unwanted import UnwantedBy, read_unwanted


@dataclass(frozen=True, slots=True)
class Contents:
    """What a box holds as far as that is known."""

    pieces: tuple[Piece, ...] = ()
    #: How many pieces the subscriber chooses; 0: none, or it is packed.
    to_choose: int = 0
    #: How many of these are chosen.
    chosen: int = 0
    #: Something else may be taken instead of what the recipe says, or is.
    can_swap: bool = False
    #: What was chosen and cannot come any more, because the recipe is another by now.
    gone: tuple[str, ...] = ()
    #: What the recipe says and the subscriber does not tolerate; with what comes instead, or "".
    without: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """One product in a box: how many, and what its picture is drawn from."""

    name: str
    pieces: int
    sku: str
    #: A silhouette of the still lifes, or None when the product names none.
    kind: str | None
    #: Why nobody may withdraw from it; empty: there is no reason.
    no_withdrawal: str = ""


def next_contents(
    session: AnySession, found: Sequence[Coming], nexts: Mapping[int, Collection[int]]
) -> dict[tuple[int, int], Contents]:
    """Return what the boxes of the cycles in ``nexts`` hold, per subscription and cycle.

    One statement for all of them, and two more where somebody does not tolerate any of it. Packed
    already: its own items. Otherwise the recipe it would be packed by today, and of its pool what
    is chosen.
    """
    wanted = [(one, cycle) for one in found for cycle in nexts.get(one.row.id, ())]
    boxes = {
        (one.row.id, box.cycle_id): box
        for one in found
        for box in one.boxes
        if box.cycle_id is not None and box.cycle_id in nexts.get(one.row.id, ())
    }
    plans = {_plan_of(one, cycle) for one, cycle in wanted}
    cycles = {cycle for _one, cycle in wanted}
    which = {
        "boxes": [box.id for box in boxes.values()],
        "plans": sorted(plans),
        "cycles": sorted(cycles),
        "subscriptions": [one.row.id for one, _cycle in wanted],
    }
    lines = list(session.execute(_lines(), which))
    offered: dict[int, dict[int, Any]] = defaultdict(dict)
    for line in lines:
        if line.plan_id is not None and line.recipe_id is None:
            offered[line.plan_id][line.variant_id] = line
    swapped = _swapped(session, wanted, offered)
    numbers = _numbers(found, nexts, boxes)
    unwanted = read_unwanted(session, {one.row.id for one in found}, lines)
    return {
        (one.row.id, cycle): _contents(
            one,
            cycle,
            boxes.get((one.row.id, cycle)),
            lines,
            offered.get(_plan_of(one, cycle), {}),
            swapped.get((one.row.id, cycle), {}),
            numbers.get((one.row.id, cycle), 0),
            unwanted.of(one.row.id),
        )
        for one, cycle in wanted
    }


def _numbers(
    found: Sequence[Coming], nexts: Mapping[int, Collection[int]], boxes: Mapping[Any, Any]
) -> dict[tuple[int, int], int]:
    """Return which box of its subscription each is, per subscription and cycle."""
    numbers = {}
    for one in found:
        cycles = [one.cycles[key] for key in nexts.get(one.row.id, ()) if key in one.cycles]
        unpaid = 0
        for cycle in sorted(cycles, key=lambda each: (each.ship_from, each.id)):
            numbers[one.row.id, cycle.id] = number_of_coming(one, cycle, unpaid)
            unpaid += (one.row.id, cycle.id) not in boxes
    return numbers


#: What may be taken instead, by variant, with what a line says of its product.
_Offered = Mapping[int, Any]


def _swapped(
    session: AnySession, wanted: Sequence[tuple[Coming, int]], offered: Mapping[int, _Offered]
) -> dict[tuple[int, int], Wishes]:
    """Return what is taken instead, per subscription and cycle."""
    found: dict[tuple[int, int], Wishes] = {}
    for at in {cycle for one, cycle in wanted if _plan_of(one, cycle) in offered}:
        plans = {one.row.id: _plan_of(one, cycle) for one, cycle in wanted if cycle == at}
        found |= {(key, at): own for key, own in wishes_of(session, plans, at).items()}
    return found


def _columns(source: sa.Table, **known: sa.ColumnElement[Any]) -> list[sa.ColumnElement[Any]]:
    """Return the columns that all statements have, with what ``known`` says."""
    variant, product = table_of(ProductVariant), table_of(Product)
    none = sa.literal(None, sa.Integer)
    names = ("box_id", "recipe_id", "plan_id", "cycle_id", "subscription_id", "pieces")
    return [
        *(known.get(name, none).label(name) for name in names),
        known.get("option_key", sa.literal("")).label("option_key"),
        known.get("is_choice", sa.false()).label("is_choice"),
        source.c.id.label("key"),
        source.c.variant_id,
        known.get("quantity", source.c.get("quantity", none)),
        known.get("place", source.c.id).label("place"),
        sa.func.trim(product.c.name + " " + variant.c.name).label("name"),
        variant.c.sku,
        variant.c.price_minor,
        variant.c.currency,
        product.c.picture,
        product.c.category,
        product.c.allergens,
        product.c.no_withdrawal,
    ]


def _with_products(source: sa.Table) -> sa.Join:
    variant, product = table_of(ProductVariant), table_of(Product)
    return source.join(variant, variant.c.id == source.c.variant_id).join(
        product, product.c.id == variant.c.product_id
    )


@cache
def _lines() -> Any:
    """What may lie in ``boxes``, or in those of ``subscriptions`` in ``cycles``; built once."""
    parts = (_frozen(), _planned(), _chosen(), _instead())
    return sa.union_all(*parts).order_by("place", "key")


def _frozen() -> Any:
    """What lies in these boxes: all of one that is packed, the add-ons of one that is not."""
    item = table_of(BoxItem)
    columns = _columns(item, box_id=item.c.box_id)
    return (
        sa.select(*columns).select_from(_with_products(item)).where(any_of(item.c.box_id, "boxes"))
    )


def _planned() -> Any:
    recipe, part, rule = table_of(Recipe), table_of(RecipeItem), table_of(ChoiceRule)
    columns = _columns(
        part,
        recipe_id=recipe.c.id,
        plan_id=recipe.c.plan_id,
        cycle_id=recipe.c.cycle_id,
        option_key=recipe.c.option_key,
        is_choice=part.c.is_choice,
        pieces=rule.c.pieces,
        place=part.c.position,
    )
    whole = _with_products(part).join(recipe, recipe.c.id == part.c.recipe_id)
    return (
        sa.select(*columns)
        .select_from(whole.outerjoin(rule, rule.c.recipe_id == recipe.c.id))
        .where(
            any_of(recipe.c.plan_id, "plans"),
            sa.or_(recipe.c.cycle_id.is_(None), any_of(recipe.c.cycle_id, "cycles")),
        )
    )


def _chosen() -> Any:
    choice, item = table_of(BoxChoice), table_of(BoxChoiceItem)
    columns = _columns(item, cycle_id=choice.c.cycle_id, subscription_id=choice.c.subscription_id)
    return (
        sa.select(*columns)
        .select_from(_with_products(item).join(choice, choice.c.id == item.c.choice_id))
        .where(
            any_of(choice.c.subscription_id, "subscriptions"), any_of(choice.c.cycle_id, "cycles")
        )
    )


def _instead() -> Any:
    """What may be taken instead: the lines of a plan that are of no recipe."""
    offer = table_of(SwapOffer)
    one = sa.literal(1).label("quantity")
    columns = _columns(offer, plan_id=offer.c.plan_id, quantity=one, place=offer.c.position)
    whole = _with_products(offer)
    return sa.select(*columns).select_from(whole).where(any_of(offer.c.plan_id, "plans"))


def _plan_of(coming: Coming, cycle: int) -> int:
    """Return the plan a box was sold under; one that is not paid yet has the next period's."""
    sold = (box.plan_id for box in coming.boxes if box.cycle_id == cycle)
    return int(next(sold, coming.row.plan_id))


def _contents(
    coming: Coming,
    cycle: int,
    box: Any | None,
    lines: Sequence[Any],
    offered: _Offered,
    wishes: Wishes,
    number: int,
    unwanted: UnwantedBy,
) -> Contents:
    lying = tuple(_piece(line) for line in lines if box is not None and line.box_id == box.id)
    if box is not None and box.state not in MOVABLE:
        return Contents(lying)
    recipes: dict[int, list[Any]] = defaultdict(list)
    for line in lines:
        is_own = line.plan_id == _plan_of(coming, cycle) and line.cycle_id in (None, cycle)
        if is_own and line.recipe_id is not None:
            recipes[line.recipe_id].append(line)
    facts = [_facts(own) for own in recipes.values()]
    what = BoxFacts(coming.row.options or {}, country_of_coming(coming), number)
    recipe = choose_recipe(facts, what)
    own = recipes[recipe.id] if recipe else []
    pool = {line.variant_id for line in own if line.is_choice}
    picks = [
        line for line in lines if (line.subscription_id, line.cycle_id) == (coming.row.id, cycle)
    ]
    comes = pool or {line.variant_id for line in own}
    gone = tuple(str(line.name) for line in picks if line.variant_id not in comes)
    without = unwanted.without([line for line in own if line.variant_id not in wishes])
    if not pool:
        fixed = _with_swaps([x for x in own if x.key not in without], offered, wishes)
        can_swap = _can_swap(own, offered, wishes)
        return Contents(
            fixed + lying, can_swap=can_swap, gone=gone, without=tuple(without.values())
        )
    picks = [line for line in picks if line.variant_id in pool]
    fixed = tuple(_piece(x) for x in own if not x.is_choice and x.key not in without)
    # Add-ons lie in a box that is paid for before anything else does.
    return Contents(
        fixed + tuple(_piece(line) for line in picks) + lying,
        own[0].pieces or 0 if own else 0,
        sum(line.quantity for line in picks),
        gone=gone,
        without=tuple(without.values()),
    )


def _can_swap(own: Sequence[Any], offered: _Offered, wishes: Wishes) -> bool:
    """Return whether anything that is offered fits, or is taken already and can be taken back."""
    sorts = [_sort(line) for line in offered.values()]
    return any(
        line.variant_id in wishes or any(may_come(_sort(line), one) for one in sorts)
        for line in own
    )


def _sort(line: Any) -> Sort:
    return Sort(line.variant_id, line.category, line.currency, line.price_minor)


def _with_swaps(own: Sequence[Any], offered: _Offered, wishes: Wishes) -> tuple[Piece, ...]:
    """Return the recipe's pieces, each product once, with what is taken instead."""
    named: dict[int, Any] = {}
    pieces: dict[int, int] = defaultdict(int)
    for line in own:
        key = wishes.get(line.variant_id, line.variant_id)
        pieces[key] += line.quantity
        named.setdefault(key, line if key == line.variant_id else offered[key])
    return tuple(_piece(named[key], number) for key, number in pieces.items())


def _facts(lines: Sequence[Any]) -> RecipeFacts:
    first = lines[0]
    items = tuple((line.variant_id, line.quantity) for line in lines if not line.is_choice)
    pool = tuple((line.variant_id, line.quantity) for line in lines if line.is_choice)
    return RecipeFacts(first.recipe_id, first.cycle_id is None, first.option_key, items, pool=pool)


def _piece(line: Any, pieces: int = 0) -> Piece:
    kind = (line.picture or "").replace("_", "-") or None
    return Piece(line.name, pieces or line.quantity, line.sku, kind, line.no_withdrawal)
