"""What falls out of boxes that were chosen for when their plan or the answers about them change.

Which recipe packs a box follows from these, and a choice holds as far as the recipe offers it. So
who answers anew, or takes another plan, may lose a choice, and is told which.
Source: docs/decisions/0187-answers.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256

import sqlalchemy as sa

from storefront.domain.choices import PoolItem, bars, falls_out
from storefront.domain.packing import RecipeFacts, choose_recipe
from storefront.models import BoxChoice, BoxChoiceItem, Product, ProductVariant
from storefront.models.base import table_of
from storefront.operations.choices import Subscriber, avoided_by, pool_items, sent_to
from storefront.operations.choosing import OpenBox
from storefront.operations.keys import AnySession
from storefront.operations.recipes import recipes_by_cycle


@dataclass(frozen=True, slots=True)
class Loss:
    """Pieces by name that do not come any more in the box that leaves on ``ship_on``."""

    cycle: str
    ship_on: date
    pieces: tuple[tuple[str, int], ...]


#: A box as it is and as it would be; None: there would be none of that cycle.
Changed = tuple[OpenBox, OpenBox | None]


def token_of(losses: Sequence[Loss]) -> str:
    """Return what stands for the losses that were shown; empty for none."""
    if not losses:
        return ""
    return sha256(repr([(one.cycle, one.pieces) for one in losses]).encode()).hexdigest()[:32]


def answered(boxes: Sequence[OpenBox], plan_id: int, answers: Mapping[str, str]) -> list[Changed]:
    """Return the boxes of the plan as they are, and as they would be with these answers."""
    return [
        (box, replace(box, options={**box.options, **answers}))
        for box in boxes
        if box.plan_id == plan_id
    ]


def losses_of(
    session: AnySession,
    subscription_id: int,
    changed: Sequence[Changed],
    avoided_before: frozenset[str] | None = None,
) -> list[Loss]:
    """Return what falls out of boxes that were chosen for when they are ``changed``.

    What did not come before is not counted; ``avoided_before`` is what was not tolerated then,
    None: the same. One statement where nothing was chosen.
    """
    chosen, names = _chosen(session, subscription_id, [box.cycle.id for box, _then in changed])
    found = [pair for pair in changed if pair[0].cycle.id in chosen]
    if not found:
        return []
    plans = {one.plan_id for pair in found for one in pair if one is not None}
    recipes = recipes_by_cycle(session, plans, [box.cycle.id for box, _then in found])
    every = [one for by_plan in recipes.values() for own in by_plan.values() for one in own]
    look = Look.of(session, [subscription_id], every)
    now = look.subscriber(subscription_id)
    was = now if avoided_before is None else replace(now, avoided=avoided_before)

    def lost(who: Subscriber, box: OpenBox | None, cycle_id: int) -> Counter[int]:
        own = recipes[cycle_id].get(box.plan_id, ()) if box else ()
        recipe = choose_recipe(own, box.facts) if box else None
        return Counter(look.falls_out(recipe, who, chosen[cycle_id]))

    losses = []
    for box, then in found:
        more = lost(now, then, box.cycle.id) - lost(was, box, box.cycle.id)
        if more:
            pieces = tuple((names[key], number) for key, number in more.items())
            losses.append(Loss(box.cycle.public_id, box.cycle.ship_from, pieces))
    return losses


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of the products and of who gets them."""

    items: Mapping[int, PoolItem]
    avoided: Mapping[int, frozenset[str]]
    sent: Mapping[int, Mapping[int, date]]

    @classmethod
    def of(
        cls, session: AnySession, subscription_ids: Sequence[int], recipes: Sequence[RecipeFacts]
    ) -> Look:
        """Read it for the subscriptions; one statement for each kind."""
        variants = {key for one in recipes for key, _most in one.pool}
        return cls(
            pool_items(session, variants),
            avoided_by(session, subscription_ids),
            sent_to(session, subscription_ids, variants),
        )

    def subscriber(self, key: int) -> Subscriber:
        """Return for whom the boxes of a subscription are."""
        return Subscriber(key, self.avoided.get(key, frozenset()), self.sent.get(key, {}))

    def falls_out(
        self, recipe: RecipeFacts | None, who: Subscriber, picks: Mapping[int, int]
    ) -> dict[int, int]:
        """Return the pieces of ``picks`` that do not come by the recipe."""
        if recipe is None:
            return dict(picks)
        # Stock is the same whatever is answered.
        pool = [replace(self.items[key], most=most) for key, most in recipe.pool]
        barred = bars(recipe.rule, pool, who.avoided, who.sent) if recipe.rule else {}
        return falls_out(recipe.rule, dict(recipe.items), pool, barred, picks)


def _chosen(
    session: AnySession, subscription_id: int, cycle_ids: Sequence[int]
) -> tuple[dict[int, dict[int, int]], dict[int, str]]:
    """Return the pieces chosen by cycle and variant, and the names of the variants."""
    choice, item = table_of(BoxChoice), table_of(BoxChoiceItem)
    variant, product = table_of(ProductVariant), table_of(Product)
    chosen: dict[int, dict[int, int]] = defaultdict(dict)
    names: dict[int, str] = {}
    for row in session.execute(
        sa.select(
            choice.c.cycle_id,
            item.c.variant_id,
            item.c.quantity,
            sa.func.trim(product.c.name + " " + variant.c.name).label("name"),
        )
        .join(item, item.c.choice_id == choice.c.id)
        .join(variant, variant.c.id == item.c.variant_id)
        .join(product, product.c.id == variant.c.product_id)
        .where(choice.c.subscription_id == subscription_id, choice.c.cycle_id.in_(cycle_ids))
        .order_by(item.c.id)
    ):
        chosen[row.cycle_id][row.variant_id] = row.quantity
        names[row.variant_id] = str(row.name)
    return dict(chosen), names
