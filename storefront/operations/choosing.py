"""Which box a subscriber may choose for, and what its pool offers them today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import ProjectedBox, ProjectedKind, project
from storefront.domain.choices import Bar, PoolItem, bars
from storefront.domain.packing import RecipeFacts, choose_recipe
from storefront.domain.recipe_scopes import BoxFacts
from storefront.models import Box
from storefront.models.base import table_of
from storefront.operations.box_facts import country_of_coming, number_of_coming
from storefront.operations.choices import (
    Subscriber,
    avoided_by,
    chosen_by,
    pool_items,
    sent_to,
)
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.recipes import recipes_of
from storefront.operations.set_aside import set_aside, stock_left
from storefront.operations.skips import MOVABLE, Coming

#: How many boxes ahead are looked through for one that may still be chosen for.
AHEAD = 6


@dataclass(frozen=True, slots=True)
class OpenBox:
    """A coming box whose contents may still change."""

    #: The row of its cycle.
    cycle: AnyRow
    #: None while it is not paid for.
    box_id: int | None
    plan_id: int
    options: Mapping[str, Any]
    quantity: int
    #: By what else recipes tell it apart.
    country: str
    number: int

    @property
    def facts(self) -> BoxFacts:
        """What decides by which recipe it is packed."""
        return BoxFacts(self.options, self.country, self.number)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a subscriber may choose from for one box."""

    recipe: RecipeFacts
    pool: tuple[PoolItem, ...]
    barred: Mapping[int, Bar]
    subscriber: Subscriber


def open_boxes(
    session: AnySession, coming: Coming, today: date, *, by_staff: bool = False
) -> list[OpenBox]:
    """Return the coming boxes that may still change, soonest first.

    Subscribers change theirs until the last second of the cut-off day, staff until that of the
    lock day. A skipped box and one that is packed are none of them.
    """
    return open_boxes_of(session, [coming], today, by_staff=by_staff)[0]


def open_boxes_of(
    session: AnySession, several: Sequence[Coming], today: date, *, by_staff: bool = False
) -> list[list[OpenBox]]:
    """Return the ``open_boxes`` of each of ``several``; one statement for any number of them."""
    found = [_open_cycles(coming, today, by_staff=by_staff) for coming in several]
    sold = _sold(session, [one.box_id for each in found for one in each if one.box_id is not None])
    return [
        [_open_box(coming, one, sold.get(one.box_id or 0)) for one in each]
        for coming, each in zip(several, found, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Open:
    """A cycle whose box may still change, paid for or not, and which one that is."""

    cycle: AnyRow
    box_id: int | None
    number: int


def _open_cycles(coming: Coming, today: date, *, by_staff: bool) -> list[_Open]:
    """Return what may still change, soonest first."""
    if coming.row.held_at is not None:
        return []
    found, unpaid = [], 0
    for one in project(coming.standing, AHEAD, today):
        cycle = _open_cycle(coming, one, today, by_staff=by_staff)
        if cycle is not None:
            found.append(_Open(cycle, one.box_id, number_of_coming(coming, cycle, unpaid)))
        unpaid += one.kind is ProjectedKind.PLANNED and one.box_id is None
    return found


def _open_cycle(
    coming: Coming, projected: ProjectedBox, today: date, *, by_staff: bool
) -> AnyRow | None:
    if projected.cycle is None or projected.kind is ProjectedKind.SKIPPED:
        return None
    cycle = coming.cycles[projected.cycle.id]
    until: date = cycle.lock_on if by_staff else cycle.cutoff_on
    paid = next((box for box in coming.boxes if box.id == projected.box_id), None)
    movable = paid is None or paid.state in MOVABLE
    return cycle if movable and until >= today else None


def _sold(session: AnySession, box_ids: list[int]) -> dict[int, AnyRow]:
    """Return what was sold as each of these boxes."""
    if not box_ids:
        return {}
    box = table_of(Box)
    rows = session.execute(
        sa.select(box.c.id, box.c.plan_id, box.c.options, box.c.quantity).where(
            box.c.id.in_(box_ids)
        )
    )
    return {row.id: row for row in rows}


def _open_box(coming: Coming, one: _Open, sold: AnyRow | None) -> OpenBox:
    row = coming.row if sold is None else sold
    as_sold = (None if sold is None else sold.id, row.plan_id, row.options or {}, row.quantity)
    return OpenBox(one.cycle, *as_sold, country_of_coming(coming), one.number)


def recipe_for(session: AnySession, box: OpenBox) -> RecipeFacts | None:
    """Return the recipe the box would be packed by today."""
    recipes = recipes_of(session, [box.plan_id], box.cycle.id)
    return choose_recipe(recipes.get(box.plan_id, ()), box.facts)


def offer_for(
    session: AnySession,
    subscription_id: int,
    box: OpenBox,
    *,
    for_update: bool = False,
    lying: Mapping[int, int] = MappingProxyType({}),
) -> Offer | None:
    """Return what the subscriber may choose from, None where the recipe lets nobody choose.

    What others chose is taken off what is there. ``for_update`` locks the stock rows, so that
    the last piece is not promised twice. ``lying``: pieces that a packed box has taken, which
    are there for it still.
    """
    recipe = recipe_for(session, box)
    if recipe is None or recipe.rule is None:
        return None
    variants = [variant for variant, _most in recipe.pool]
    left = stock_left(session, variants, for_update=for_update, lying=lying)
    taken = set_aside(session, variants, subscription_id, box.cycle.id)
    items = pool_items(session, variants)
    fixed = dict(recipe.items)
    pool = tuple(
        replace(
            items[variant],
            most=most,
            left=_times(left[variant], taken[variant], fixed.get(variant, 0), box.quantity),
        )
        for variant, most in recipe.pool
    )
    sent = sent_to(session, [subscription_id], variants, but=box.box_id, at=box.cycle.id)
    subscriber = Subscriber(
        subscription_id,
        avoided_by(session, [subscription_id]).get(subscription_id, frozenset()),
        sent.get(subscription_id, {}),
        chosen_by(session, [subscription_id], box.cycle.id).get(subscription_id),
    )
    barred = bars(recipe.rule, pool, subscriber.avoided, subscriber.sent)
    return Offer(recipe, pool, barred, subscriber)


def _times(left: int | None, taken: int, fixed: int, quantity: int) -> int | None:
    """Return how often a piece fits into a box sold ``quantity`` times; None: always."""
    return None if left is None else max(0, left - taken) // quantity - fixed
