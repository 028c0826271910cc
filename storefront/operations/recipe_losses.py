"""Whose choices fall out of coming boxes when recipes change, and the mail that says so.

A choice holds as far as the recipe offers it. Who writes another recipe is told how many choices
fall out before it is saved; those who made them are told after.
Source: docs/decisions/0150-choosing-contents.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

import sqlalchemy as sa

from storefront.domain.boxes import CycleState
from storefront.domain.packing import RecipeFacts, choose_recipe
from storefront.models import (
    BoxChoice,
    BoxChoiceItem,
    BoxCycle,
    Product,
    ProductVariant,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.choice_losses import Look
from storefront.operations.choosing import OpenBox, open_boxes_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.recipes import recipes_by_cycle
from storefront.operations.skips import read_coming

#: Subscriptions whose boxes are worked out together.
_SLICE = 1000
#: Pieces by variant that do not come, by subscription and cycle.
Fallen = dict[tuple[int, int], Counter[int]]


@dataclass(frozen=True, slots=True)
class Chooser:
    """A subscription's coming box that somebody chose for."""

    subscription: AnyRow
    box: OpenBox
    picks: Mapping[int, int]

    @property
    def key(self) -> tuple[int, int]:
        """The subscription and the cycle."""
        return self.subscription.id, self.box.cycle.id


@dataclass(frozen=True, slots=True)
class Gone:
    """What somebody chose and does not come by the recipe that was written."""

    chooser: Chooser
    #: Names, with how many pieces.
    pieces: tuple[tuple[str, int], ...]
    #: Whether something else can be chosen.
    can_choose: bool


def choosers_of(
    session: AnySession,
    today: date,
    cycle_ids: Sequence[int],
    plan_id: int | None = None,
    ids: Sequence[int] | None = None,
) -> list[Chooser]:
    """Return the boxes of the cycles that are chosen for and not packed, of one plan or all.

    ``ids``: of these subscriptions alone.
    """
    table = table_of(Subscription)
    ids = _choosing(session, cycle_ids) if ids is None else ids
    found: list[Chooser] = []
    for start in range(0, len(ids), _SLICE):
        part = ids[start : start + _SLICE]
        chosen = _chosen(session, part, cycle_ids)
        several = read_coming(session, table.c.id.in_(part), today)
        boxes = open_boxes_of(session, several, today, by_staff=True)
        for coming, own in zip(several, boxes, strict=True):
            found += [
                Chooser(coming.row, box, chosen[coming.row.id, box.cycle.id])
                for box in own
                if (coming.row.id, box.cycle.id) in chosen and plan_id in (None, box.plan_id)
            ]
    return found


def number_fallen(session: AnySession, cycle_id: int, today: date) -> int:
    """Return how many subscriptions chose for a cycle what its recipes do not offer.

    Only who chose something that some recipe of their plan lacks is looked at more closely.
    """
    choice, item, table = table_of(BoxChoice), table_of(BoxChoiceItem), table_of(Subscription)
    plans = session.scalars(
        sa.select(table.c.plan_id)
        .join(choice, choice.c.subscription_id == table.c.id)
        .where(choice.c.cycle_id == cycle_id)
        .distinct()
    ).all()
    if not plans:
        return 0
    recipes = recipes_by_cycle(session, plans, [cycle_id])[cycle_id]
    lacks = [
        sa.and_(table.c.plan_id == plan, item.c.variant_id.not_in(_everywhere(recipes.get(plan))))
        for plan in plans
    ]
    suspects = session.scalars(
        sa.select(table.c.id)
        .join(choice, choice.c.subscription_id == table.c.id)
        .join(item, item.c.choice_id == choice.c.id)
        .where(choice.c.cycle_id == cycle_id, sa.or_(*lacks))
        .distinct()
        .order_by(table.c.id)
    ).all()
    return len(fallen_of(session, choosers_of(session, today, [cycle_id], ids=suspects)))


def _everywhere(recipes: Sequence[RecipeFacts] | None) -> set[int]:
    """Return the variants that every recipe which may pack a box offers."""
    found = recipes or ()
    if any(not one.is_standing and not one.option_key for one in found):
        found = [one for one in found if not one.is_standing]
    offers = [{key for key, _n in one.pool if one.rule} for one in found]
    return set.intersection(*offers) if offers else set()


def open_cycles(session: AnySession, plan_group: int, today: date) -> Sequence[int]:
    """Return the cycles of a group that are not locked."""
    cycle = table_of(BoxCycle)
    return session.scalars(
        sa.select(cycle.c.id).where(
            cycle.c.group_id == plan_group,
            cycle.c.state.in_([CycleState.PLANNED, CycleState.OPEN]),
            cycle.c.lock_on >= today,
        )
    ).all()


def fallen_of(session: AnySession, choosers: Sequence[Chooser]) -> Fallen:
    """Return what of the choices does not come by the recipes as they are written now."""
    if not choosers:
        return {}
    recipes = _recipes(session, choosers)
    every = [one for by_plan in recipes.values() for own in by_plan.values() for one in own]
    look = Look.of(session, sorted({one.subscription.id for one in choosers}), every)
    found: Fallen = {}
    for one in choosers:
        recipe = _recipe(recipes, one.box)
        who = look.subscriber(one.subscription.id)
        pieces = Counter(look.falls_out(recipe, who, one.picks))
        if pieces:
            found[one.key] = pieces
    return found


def gone_since(session: AnySession, choosers: Sequence[Chooser], before: Fallen) -> list[Gone]:
    """Return what falls out by the recipes as they are now, and did not ``before``."""
    after = fallen_of(session, choosers)
    more = {key: pieces - before.get(key, Counter()) for key, pieces in after.items()}
    lost = [one for one in choosers if more.get(one.key)]
    if not lost:
        return []
    names = _names(session, {variant for one in lost for variant in more[one.key]})
    recipes = _recipes(session, lost)
    found = []
    for one in lost:
        recipe = _recipe(recipes, one.box)
        pieces = tuple((names[key], number) for key, number in more[one.key].items())
        found.append(Gone(one, pieces, recipe is not None and recipe.rule is not None))
    return found


def token_of(gone: Sequence[Gone]) -> str:
    """Return what stands for what falls out; empty for nothing."""
    if not gone:
        return ""
    text = repr([(one.chooser.key, one.pieces) for one in gone])
    return sha256(text.encode()).hexdigest()[:32]


def tell_gone(session: AnySession, gone: Sequence[Gone], moment: Moment) -> None:
    """Tell who chose what does not come any more; of the same loss once."""
    enqueue(
        session,
        [_message(one) for one in gone if one.chooser.subscription.customer_id is not None],
        moment.now,
    )


def _message(one: Gone) -> Message:
    row, cycle = one.chooser.subscription, one.chooser.box.cycle
    payload = {
        "subscription": row.public_id,
        "cycle": cycle.public_id,
        "plan": row.plan_name,
        "ship_on": cycle.ship_from.isoformat(),
        "until_on": cycle.cutoff_on.isoformat(),
        "lost": [name for name, _number in one.pieces],
        "can_choose": one.can_choose,
    }
    key = f"choice_gone:{row.public_id}:{cycle.public_id}:{token_of([one])[:12]}"
    return Message("mail", "choice_gone", key, payload, row.customer_id)


def _choosing(session: AnySession, cycle_ids: Sequence[int]) -> Sequence[int]:
    choice = table_of(BoxChoice)
    return session.scalars(
        sa.select(choice.c.subscription_id)
        .where(choice.c.cycle_id.in_(cycle_ids))
        .distinct()
        .order_by(choice.c.subscription_id)
    ).all()


def _recipes(
    session: AnySession, choosers: Sequence[Chooser]
) -> dict[int, dict[int, list[RecipeFacts]]]:
    plans = {one.box.plan_id for one in choosers}
    return recipes_by_cycle(session, plans, {one.box.cycle.id for one in choosers})


def _recipe(
    recipes: Mapping[int, Mapping[int, Sequence[RecipeFacts]]], box: OpenBox
) -> RecipeFacts | None:
    return choose_recipe(recipes[box.cycle.id].get(box.plan_id, ()), box.facts)


def _chosen(
    session: AnySession, subscription_ids: Sequence[int], cycle_ids: Sequence[int]
) -> dict[tuple[int, int], dict[int, int]]:
    choice, item = table_of(BoxChoice), table_of(BoxChoiceItem)
    chosen: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    for row in session.execute(
        sa.select(choice.c.subscription_id, choice.c.cycle_id, item.c.variant_id, item.c.quantity)
        .join(item, item.c.choice_id == choice.c.id)
        .where(choice.c.subscription_id.in_(subscription_ids), choice.c.cycle_id.in_(cycle_ids))
        .order_by(item.c.id)
    ):
        chosen[row.subscription_id, row.cycle_id][row.variant_id] = row.quantity
    return dict(chosen)


def _names(session: AnySession, variants: set[int]) -> dict[int, str]:
    variant, product = table_of(ProductVariant), table_of(Product)
    rows = session.execute(
        sa.select(variant.c.id, sa.func.trim(product.c.name + " " + variant.c.name).label("name"))
        .join(product, product.c.id == variant.c.product_id)
        .where(variant.c.id.in_(variants))
    )
    return {row.id: str(row.name) for row in rows}
