"""What a subscriber may take instead of each product of their next box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import sqlalchemy as sa

from storefront.domain.packing import RecipeFacts
from storefront.domain.swaps import Round, Sort, Swap, SwapBar, may_come, swaps_at
from storefront.models import Product, ProductVariant
from storefront.models.base import table_of
from storefront.operations.choices import avoided_by
from storefront.operations.choosing import OpenBox, recipe_for
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.set_aside import set_aside, stock_left
from storefront.operations.swaps import read_offers, read_swaps


@dataclass(frozen=True, slots=True)
class Alternative:
    """Something offered instead; ``bar`` says why it cannot be taken, None when it can."""

    variant: int
    bar: SwapBar | None


@dataclass(frozen=True, slots=True)
class SwapLine:
    """One product of the recipe, and what may come instead of it."""

    variant: int
    #: Of it in one box, as it is sold.
    pieces: int
    #: What is taken instead by now, None: nothing; and whether that holds from now on.
    instead: int | None
    is_standing: bool
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class SwapOffers:
    """The recipe of one box with everything that may be taken instead."""

    recipe: RecipeFacts
    at: Round
    swaps: tuple[Swap, ...]
    lines: tuple[SwapLine, ...]
    #: Names, prices and pictures by variant.
    facts: Mapping[int, AnyRow]


def swap_offers_for(
    session: AnySession,
    subscription_id: int,
    box: OpenBox,
    *,
    for_update: bool = False,
    lying: Mapping[int, int] = MappingProxyType({}),
    made: Mapping[int, int] | None = None,
) -> SwapOffers | None:
    """Return what may be taken instead in the box, None where nothing can.

    Nothing can where the plan offers nothing, and where the recipe is chosen from. What others
    chose or took instead is taken off what is there. ``for_update`` locks the stock rows.
    Of a packed box, ``lying`` are the pieces that its share of the recipe has taken, and ``made``
    its swaps.
    """
    offered = read_offers(session, [box.plan_id]).get(box.plan_id, ())
    recipe = recipe_for(session, box) if offered else None
    if recipe is None or recipe.rule is not None or not recipe.items:
        return None
    at = Round(box.cycle.ship_from, box.cycle.id)
    swaps = tuple(read_swaps(session, [subscription_id]).get(subscription_id, ()))
    wanted = swaps_at(swaps, at) if made is None else made
    left = stock_left(session, offered, for_update=for_update, lying=lying)
    taken = set_aside(session, offered, subscription_id, box.cycle.id)
    need = Counter(dict(recipe.items))
    for variant, pieces in recipe.items:
        if wanted.get(variant) in offered:
            need[wanted[variant]] += pieces
    there = {
        variant: None if pieces is None else (pieces - taken[variant]) // box.quantity
        for variant, pieces in left.items()
    }
    facts = _facts(session, [*offered, *(variant for variant, _pieces in recipe.items)])
    avoided = avoided_by(session, [subscription_id]).get(subscription_id, frozenset())
    stands = {one.variant: one.is_standing for one in swaps if one.holds_at(at)}
    stands |= {one.variant: False for one in swaps if one.since == at and not one.is_standing}
    lines = []
    for variant, pieces in recipe.items:
        own = wanted.get(variant) if wanted.get(variant) in offered else None
        lines.append(
            SwapLine(
                variant,
                pieces,
                own,
                own is not None and stands.get(variant, False),
                tuple(
                    Alternative(key, _bar(facts[key], there[key], pieces, need, own, avoided))
                    for key in offered
                    if may_come(_sort(facts[variant]), _sort(facts[key]))
                ),
            )
        )
    return SwapOffers(recipe, at, swaps, tuple(lines), facts)


def _sort(row: AnyRow) -> Sort:
    return Sort(row.id, row.category, row.currency, row.price_minor)


def _bar(
    other: AnyRow,
    there: int | None,
    pieces: int,
    need: Mapping[int, int],
    own: int | None,
    avoided: frozenset[str],
) -> SwapBar | None:
    if avoided & frozenset(other.allergens):
        return SwapBar.ALLERGEN
    # What is taken already for this very product is counted in ``need``.
    more = 0 if other.id == own else pieces
    return SwapBar.SOLD_OUT if there is not None and need[other.id] + more > there else None


def _facts(session: AnySession, variants: Sequence[int]) -> dict[int, AnyRow]:
    variant, product = table_of(ProductVariant), table_of(Product)
    rows = session.execute(
        sa.select(
            variant.c.id,
            variant.c.public_id,
            variant.c.sku,
            variant.c.price_minor,
            variant.c.currency,
            product.c.vendor,
            product.c.category,
            product.c.picture,
            product.c.allergens,
            sa.func.trim(product.c.name + " " + variant.c.name).label("name"),
        )
        .join(product, product.c.id == variant.c.product_id)
        .where(variant.c.id.in_(set(variants)))
    )
    return {row.id: row for row in rows}
