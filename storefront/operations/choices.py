"""What subscribers chose, and the pools of a slice of boxes.

Source: docs/decisions/0150-choosing-contents.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.choices import Filled, Limit, PoolItem, Rule, bars, fill
from storefront.domain.packing import RecipeFacts
from storefront.models import (
    AllergyAnswer,
    Box,
    BoxChoice,
    BoxChoiceItem,
    BoxCycle,
    BoxItem,
    ChoiceRule,
    Product,
    ProductVariant,
    Recipe,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession, any_of, reserve
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue

#: Of a box without a cycle nobody knows when; later than never.
_LONG_AGO = date(1, 1, 2)
#: Boxes whose contents a subscriber has had, or is about to.
_SENT = (BoxState.LOCKED, BoxState.EXPORTED, BoxState.SHIPPED, BoxState.DELIVERED)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Whom a box is filled for."""

    id: int
    #: Not tolerated, as answered last.
    avoided: frozenset[str] = frozenset()
    #: Variants of the pool sent before, with the day on which they were last.
    sent: Mapping[int, date] = field(default_factory=dict)
    #: Pieces for one box by variant; None: nothing was chosen.
    chosen: Mapping[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Replaced:
    """A packed box that does not hold all that was chosen for it."""

    box: str
    customer_id: int | None
    lost: tuple[int, ...]
    instead: tuple[int, ...]


@dataclass(slots=True)
class Pools:
    """What filling the boxes of a slice needs to know, read with one statement per table."""

    #: By variant, without what is left of it.
    items: Mapping[int, PoolItem] = field(default_factory=dict)
    subscribers: Mapping[int, Subscriber] = field(default_factory=dict)
    _seen: dict[Any, Filled | None] = field(default_factory=dict)

    def fill(
        self, recipe: RecipeFacts, subscription_id: int, left: Mapping[int, int | None]
    ) -> Filled | None:
        """Fill one box of ``recipe``; ``left`` is how often each variant fits into it.

        None when its pool fills no box. Boxes that start from the same facts are worked out once.
        """
        if recipe.rule is None:
            return Filled({}, {})
        who = self.subscribers.get(subscription_id, Subscriber(subscription_id))
        pool = [
            replace(self.items[variant], most=most, left=left.get(variant))
            for variant, most in recipe.pool
        ]
        chosen = who.chosen or {}
        barred = bars(recipe.rule, pool, who.avoided, who.sent)
        caps = tuple(item.most if item.left is None else min(item.most, item.left) for item in pool)
        again = {
            item.variant: who.sent[item.variant]
            for item in pool
            if item.variant in who.sent and item.variant not in barred
        }
        key = (recipe.id, caps, *(tuple(sorted(one.items())) for one in (barred, chosen, again)))
        if key not in self._seen:
            self._seen[key] = fill(recipe.rule, pool, barred, chosen, again)
        return self._seen[key]

    def origins(self, subscription_id: int, filled: Filled) -> dict[int, str]:
        """Return where each variant of a filled box comes from, as ``box_item.origin``."""
        default = "substitute" if self.lost(subscription_id, filled.kept) else "recipe"
        return dict.fromkeys(filled.added, default) | dict.fromkeys(filled.kept, "choice")

    def lost(self, subscription_id: int, held: Mapping[int, int]) -> tuple[int, ...]:
        """Return the variants of which less is in a box that holds ``held`` than was chosen."""
        chosen = self._chosen(subscription_id) or {}
        return tuple(key for key, n in chosen.items() if held.get(key, 0) < n)

    def note_unheld(
        self, row: AnyRow, held: Sequence[tuple[int, int]], replaced: dict[int, Replaced]
    ) -> None:
        """Note what was chosen for a box and does not come, as its recipe lets nobody choose."""
        pieces = {variant: number // row.quantity for variant, number in held}
        lost = self.lost(row.subscription_id, pieces)
        if lost:
            swapped = replaced[row.id].lost if row.id in replaced else ()
            gone = (*lost, *(key for key in swapped if key not in lost))
            replaced[row.id] = Replaced(row.public_id, row.customer_id, gone, tuple(pieces))

    def asked(self, recipe: RecipeFacts, subscription_id: int) -> dict[int, int]:
        """Return all pieces of the pool that were chosen for one box; none unless it is whole."""
        pool = {variant for variant, _most in recipe.pool}
        asked = dict(self._chosen(subscription_id) or {})
        is_whole = recipe.rule is not None and sum(asked.values()) == recipe.rule.pieces
        return asked if is_whole and asked.keys() <= pool else {}

    def _chosen(self, subscription_id: int) -> Mapping[int, int] | None:
        who = self.subscribers.get(subscription_id)
        return who.chosen if who else None


def read_pools(
    session: AnySession,
    recipes: Iterable[RecipeFacts],
    subscription_ids: Iterable[int],
    cycle_id: int,
) -> Pools:
    """Return the pools of ``recipes`` and what is known of the subscriptions.

    Where no recipe lets anybody choose only what was chosen is read: that does not come.
    """
    choosing = [(one, one.rule) for one in recipes if one.rule is not None]
    variants = {variant for one, _rule in choosing for variant, _most in one.pool}
    ids = set(subscription_ids)
    chosen = chosen_by(session, ids, cycle_id)
    if not variants:
        return Pools(
            subscribers={key: Subscriber(key, chosen=picks) for key, picks in chosen.items()}
        )
    avoided = (
        avoided_by(session, ids) if any(rule.avoids_allergens for _one, rule in choosing) else {}
    )
    sent = (
        sent_to(session, ids, variants, at=cycle_id)
        if any(rule.never_repeats for _one, rule in choosing)
        else {}
    )
    return Pools(
        items=pool_items(session, variants),
        subscribers={
            key: Subscriber(
                key,
                avoided.get(key, frozenset()),
                sent.get(key, {}),
                chosen.get(key),
            )
            for key in ids
        },
    )


def rules_of(session: AnySession, recipe_ids: sa.ColumnElement[bool]) -> dict[int, Rule]:
    """Return the rule of every recipe for which ``recipe_ids`` (over ``recipe``) holds."""
    rule, recipe = table_of(ChoiceRule), table_of(Recipe)
    rows = session.execute(
        sa.select(rule).join(recipe, recipe.c.id == rule.c.recipe_id).where(recipe_ids)
    )
    return {
        row.recipe_id: Rule(
            row.pieces,
            tuple(Limit(one["category"], one["least"], one["most"]) for one in row.limits),
            row.value_minor,
            row.avoids_allergens,
            row.never_repeats,
            row.reminder_days,
        )
        for row in rows
    }


def write_rule(session: AnySession, recipe_id: int, rule: Rule) -> None:
    """Give a recipe without a rule this one."""
    session.execute(
        sa.insert(table_of(ChoiceRule)).values(
            recipe_id=recipe_id,
            pieces=rule.pieces,
            value_minor=rule.value,
            limits=[asdict(limit) for limit in rule.limits],
            avoids_allergens=rule.avoids_allergens,
            never_repeats=rule.never_repeats,
            reminder_days=rule.reminder_days,
        )
    )


def pool_items(session: AnySession, variants: Iterable[int]) -> dict[int, PoolItem]:
    """Return what a rule asks of the ``variants``; ``most`` and ``left`` are for the caller."""
    variant, product = table_of(ProductVariant), table_of(Product)
    rows = session.execute(
        sa.select(variant.c.id, variant.c.price_minor, product.c.category, product.c.allergens)
        .join(product, product.c.id == variant.c.product_id)
        .where(variant.c.id.in_(set(variants)))
    )
    return {
        row.id: PoolItem(
            row.id,
            category=row.category,
            price=row.price_minor or 0,
            allergens=frozenset(row.allergens),
        )
        for row in rows
    }


def chosen_by(
    session: AnySession, subscription_ids: Iterable[int], cycle_id: int
) -> dict[int, dict[int, int]]:
    """Return what each subscription chose for the cycle: pieces for one box by variant."""
    choice, item = table_of(BoxChoice), table_of(BoxChoiceItem)
    found: dict[int, dict[int, int]] = defaultdict(dict)
    for row in session.execute(
        sa.select(choice.c.subscription_id, item.c.variant_id, item.c.quantity)
        .join(item, item.c.choice_id == choice.c.id)
        .where(choice.c.cycle_id == cycle_id, choice.c.subscription_id.in_(set(subscription_ids)))
        .order_by(item.c.id)
    ):
        found[row.subscription_id][row.variant_id] = row.quantity
    return dict(found)


def avoided_by(session: AnySession, subscription_ids: Iterable[int]) -> dict[int, frozenset[str]]:
    """Return what each subscription's newest answer says is not tolerated."""
    answer = table_of(AllergyAnswer)
    rows = session.execute(
        sa.select(answer.c.subscription_id, answer.c.allergens)
        .where(any_of(answer.c.subscription_id))
        .order_by(answer.c.number),
        {"ids": sorted(set(subscription_ids))},
    )
    return {row.subscription_id: frozenset(row.allergens) for row in rows}


def sent_to(
    session: AnySession,
    subscription_ids: Iterable[int],
    variants: Iterable[int],
    *,
    but: int | None = None,
    at: int | None = None,
) -> dict[int, dict[int, date]]:
    """Return which ``variants`` the subscriber of each subscription was sent before, and when last.

    In any box of any subscription of the same customer; ``but`` for this one, and for those of the
    cycle ``at``: boxes of one round are packed together, whichever of them is decided first. When:
    the first day on which its cycle shipped.
    """
    mine, theirs = table_of(Subscription), table_of(Subscription).alias()
    box, item, cycle = table_of(Box), table_of(BoxItem), table_of(BoxCycle)
    ids = set(subscription_ids)
    packed = sa.and_(
        box.c.state.in_(_SENT),
        sa.true() if but is None else box.c.id != but,
        sa.true() if at is None else sa.or_(box.c.cycle_id != at, box.c.cycle_id.is_(None)),
    )
    own = (
        sa.select(box.c.subscription_id.label("id"), item.c.variant_id, cycle.c.ship_from)
        .join(item, item.c.box_id == box.c.id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(box.c.subscription_id.in_(ids), packed)
    )
    # Apart from the own ones, and without asking for the variants, so that each half goes from
    # the subscriber to their boxes by an index, and not from a variant to every box there is.
    others = (
        sa.select(mine.c.id, item.c.variant_id, cycle.c.ship_from)
        .join(theirs, theirs.c.customer_id == mine.c.customer_id)
        .join(box, box.c.subscription_id == theirs.c.id)
        .join(item, item.c.box_id == box.c.id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(mine.c.id.in_(ids), theirs.c.id != mine.c.id, packed)
    )
    rows = session.execute(sa.union(own, others))
    wanted, found = set(variants), defaultdict[int, dict[int, date]](dict)
    for row in rows:
        if row.variant_id in wanted:
            day, last = row.ship_from or _LONG_AGO, found[row.id].get(row.variant_id, _LONG_AGO)
            found[row.id][row.variant_id] = max(day, last)
    return dict(found)


def is_chosen_for(box: sa.Table) -> sa.ColumnElement[bool]:
    """The condition that somebody chose for the regular ``box``."""
    choice = table_of(BoxChoice)
    return sa.and_(
        box.c.kind == BoxKind.REGULAR,
        sa.exists().where(
            choice.c.subscription_id == box.c.subscription_id,
            choice.c.cycle_id == box.c.cycle_id,
        ),
    )


def has_choices(session: AnySession, cycle_id: int) -> bool:
    """Return whether anybody chose for the cycle."""
    choice = table_of(BoxChoice)
    return bool(session.scalar(sa.select(sa.exists().where(choice.c.cycle_id == cycle_id))))


def write_choice(
    session: AnySession,
    subscription_id: int,
    cycle_id: int,
    picks: Mapping[int, int],
    now: datetime,
) -> None:
    """Replace what was chosen for the box; without ``picks`` nothing is chosen any more.

    The caller holds the subscription's row, so that two answers come one after the other.
    """
    choice, item = table_of(BoxChoice), table_of(BoxChoiceItem)
    mine = (choice.c.subscription_id == subscription_id, choice.c.cycle_id == cycle_id)
    key = session.scalar(sa.select(choice.c.id).where(*mine))
    if key is not None:
        session.execute(sa.delete(item).where(item.c.choice_id == key))
    if not picks:
        session.execute(sa.delete(choice).where(*mine))
        return
    if key is None:
        key = reserve(session, BoxChoice, 1)[0]
        session.execute(
            sa.insert(choice).values(
                id=key, subscription_id=subscription_id, cycle_id=cycle_id, chosen_at=now
            )
        )
    else:
        session.execute(sa.update(choice).where(choice.c.id == key).values(chosen_at=now))
    session.execute(
        sa.insert(item),
        [
            {"choice_id": key, "variant_id": variant, "quantity": pieces}
            for variant, pieces in picks.items()
        ],
    )


def write_answer(
    session: AnySession, subscription_id: int, allergens: Sequence[str], now: datetime
) -> bool:
    """Add an answer; nothing is added when it says what the last one said.

    Answers are never changed, so what held for a box that is packed can be looked up. The
    caller holds the subscription's row.
    """
    answer = table_of(AllergyAnswer)
    last: AnyRow | None = session.execute(
        sa.select(answer.c.number, answer.c.allergens)
        .where(answer.c.subscription_id == subscription_id)
        .order_by(answer.c.number.desc())
        .limit(1)
    ).one_or_none()
    words = sorted(set(allergens))
    if words == (list(last.allergens) if last else []):
        return False
    session.execute(
        sa.insert(answer).values(
            subscription_id=subscription_id,
            number=(last.number if last else 0) + 1,
            allergens=words,
            answered_at=now,
        )
    )
    return True


def tell_replaced(session: AnySession, boxes: Sequence[Replaced], moment: Moment) -> None:
    """Tell subscribers what comes instead of what they chose, once per box."""
    named = [one for one in boxes if one.customer_id is not None]
    names = _names(session, {key for one in named for key in (*one.lost, *one.instead)})
    messages = [
        Message(
            "mail",
            "choice_replaced",
            f"choice_replaced:{one.box}",
            {
                "box": one.box,
                "lost": [names[key] for key in one.lost],
                "instead": [names[key] for key in one.instead],
            },
            one.customer_id,
        )
        for one in named
    ]
    enqueue(session, messages, moment.now)


def _names(session: AnySession, variants: Iterable[int]) -> dict[int, str]:
    wanted = set(variants)
    if not wanted:
        return {}
    variant, product = table_of(ProductVariant), table_of(Product)
    rows = session.execute(
        sa.select(variant.c.id, sa.func.trim(product.c.name + " " + variant.c.name).label("name"))
        .join(product, product.c.id == variant.c.product_id)
        .where(variant.c.id.in_(wanted))
    )
    return {row.id: row.name for row in rows}
