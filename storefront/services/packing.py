"""Say what goes into boxes, and give boxes that were held back another chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.boxes import BoxState, CycleState
from storefront.domain.choices import Rule, fill
from storefront.domain.errors import DomainError
from storefront.domain.recipe_scopes import KEY_LENGTH, key_of, scope_of
from storefront.models import (
    Box,
    BoxCycle,
    ChoiceRule,
    Plan,
    ProductVariant,
    Recipe,
    RecipeItem,
)
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import raise_version
from storefront.operations.choices import pool_items, rules_of, write_rule
from storefront.operations.keys import AnyRow
from storefront.operations.packing import Decided, boxes_to_decide, decide_boxes
from storefront.operations.recipe_losses import (
    Gone,
    choosers_of,
    fallen_of,
    gone_since,
    open_cycles,
    tell_gone,
    token_of,
)
from storefront.runtime import Runtime

_SLICE = 100
_AFTER_LOCK = (CycleState.LOCKED, CycleState.SHIPPED, CycleState.CLOSED)


class UnknownInRecipe(DomainError):
    """``what`` (plan, cycle or variant) does not exist."""

    code = "unknown_in_recipe"


class NothingToCopy(DomainError):
    """No earlier cycle has a recipe for this plan."""

    code = "nothing_to_copy"


class NothingToFill(DomainError):
    """No choice from the pool keeps to the rule, or there is a pool without a rule."""

    code = "nothing_to_fill"


class TooManyAnswers(DomainError):
    """The names of the answers are together longer than a recipe has room for."""

    code = "too_many_answers"


class OverlappingRecipe(DomainError):
    """Some boxes would fit the recipe and another alike; ``option_key`` is that of the other."""

    code = "overlapping_recipe"

    def __init__(self, option_key: str) -> None:
        super().__init__(option=option_key)
        self.option_key = option_key


class ChoicesFallOut(DomainError):
    """What subscribers chose for coming boxes would not come: ``gone``."""

    code = "choices_fall_out"

    def __init__(self, gone: Sequence[Gone]) -> None:
        super().__init__()
        self.gone = tuple(gone)


class CycleNotLocked(DomainError):
    """Boxes are decided when their cycle locks, not before."""

    code = "cycle_not_locked"


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A variant and how many of it go into one box; in the pool, how many may be chosen."""

    variant_ref: str
    pieces: int
    is_choice: bool = False


def save_recipe(
    rt: Runtime,
    plan_ref: str,
    cycle_ref: str | None,
    option_key: str,
    ingredients: Sequence[Ingredient],
    who: Who | None = None,
    rule: Rule | None = None,
    *,
    shown: str | None = None,
) -> int:
    """Replace a recipe: for one cycle, or standing (``cycle_ref`` None).

    ``option_key`` names the boxes it is for, as ``recipe_scopes.key_of`` does; empty: every box.
    Without ingredients there is no such recipe any more, and the next less specific one holds.
    ``rule`` says how subscribers choose from those that are a choice. Boxes that are locked keep
    what they have. Raises ``UnknownInRecipe``, ``TooManyAnswers``, ``OverlappingRecipe``, and
    ``NothingToFill`` when no choice keeps to it.
    """
    option_key = key_of(scope_of(option_key))
    if len(option_key) > KEY_LENGTH:
        raise TooManyAnswers(most=KEY_LENGTH)
    try:
        plan_id, cycle_id = _ids(rt, plan_ref, cycle_ref)
        variants = _variants(rt, [one.variant_ref for one in ingredients])
        items = [(variants[one.variant_ref], one.pieces, one.is_choice) for one in ingredients]
        _check_pool(rt, items, rule)
        if items:
            _check_alone(rt, plan_id, cycle_id, [option_key])
    except DomainError:
        rt.session.rollback()
        raise
    with _asking(rt, plan_id, cycle_id, shown) as told:
        _write(rt, plan_id, cycle_id, option_key, items, rule)
    raise_version(rt.session)
    _note(
        rt,
        who,
        "recipe.saved",
        plan_ref,
        {
            "cycle": cycle_ref or "",
            "option": option_key,
            "items": [[one.variant_ref, one.pieces] for one in ingredients],
            "choose": rule.pieces if rule else 0,
        },
    )
    rt.session.commit()
    return len(told)


def copy_recipes(
    rt: Runtime,
    plan_ref: str,
    cycle_ref: str,
    who: Who | None = None,
    *,
    shown: str | None = None,
) -> str:
    """Give the cycle the recipes that the plan had in its last earlier cycle with any.

    Where no earlier cycle has one, the standing recipes are copied. Recipes of the cycle that
    exist already are replaced. Returns the key of the cycle copied from, empty for standing.
    Raises ``UnknownInRecipe``, ``NothingToCopy``, ``OverlappingRecipe``, and ``ChoicesFallOut`` as
    ``save_recipe`` does.
    """
    try:
        plan_id, cycle_id = _ids(rt, plan_ref, cycle_ref)
        source = _earlier(rt, plan_id, cycle_id or 0)
        if source is None:
            raise NothingToCopy(plan=plan_ref)
        recipes = _keys(rt, plan_id, source.id)
        _check_alone(rt, plan_id, cycle_id, [one.option_key for one in recipes])
    except DomainError:
        rt.session.rollback()
        raise
    with _asking(rt, plan_id, cycle_id, shown):
        _copy(rt, plan_id, cycle_id, recipes)
    raise_version(rt.session)
    _note(rt, who, "recipe.copied", plan_ref, {"cycle": cycle_ref, "from": source.key})
    rt.session.commit()
    return str(source.key)


def _copy(rt: Runtime, plan_id: int, cycle_id: int | None, recipes: Sequence[AnyRow]) -> None:
    recipe, item = table_of(Recipe), table_of(RecipeItem)
    for one in recipes:
        items = rt.session.execute(
            sa.select(item.c.variant_id, item.c.quantity, item.c.is_choice)
            .where(item.c.recipe_id == one.id)
            .order_by(item.c.position, item.c.id)
        )
        copied = [(row.variant_id, row.quantity, row.is_choice) for row in items]
        rule = rules_of(rt.session, recipe.c.id == one.id).get(one.id)
        _write(rt, plan_id, cycle_id, one.option_key, copied, rule)


@contextmanager
def _asking(
    rt: Runtime, plan_id: int, cycle_id: int | None, shown: str | None
) -> Iterator[list[Gone]]:
    """Tell whose choice falls out by what is written meanwhile, or write none of it and raise.

    Yields the list they are put into.
    """
    plan, today = table_of(Plan), rt.today()
    group = rt.session.scalar(sa.select(plan.c.cycle_group_id).where(plan.c.id == plan_id))
    cycles = open_cycles(rt.session, group, today) if group else []
    wanted = [key for key in cycles if cycle_id in (None, key)]
    choosers = choosers_of(rt.session, today, wanted, plan_id)
    before = fallen_of(rt.session, choosers)
    told: list[Gone] = []
    yield told
    told += gone_since(rt.session, choosers, before)
    if told and shown is not None and shown != token_of(told):
        rt.session.rollback()
        raise ChoicesFallOut(told)
    tell_gone(rt.session, told, rt.moment())


def retry_boxes(
    rt: Runtime,
    cycle_ref: str,
    box_refs: Sequence[str] | None = None,
    who: Who | None = None,
) -> Decided:
    """Decide held boxes of a locked cycle again: all, or those of ``box_refs``.

    What was missing has been added meanwhile (an address, a recipe, stock, the release of a
    hold); a box for which it still is missing stays held. Raises ``UnknownInRecipe`` and
    ``CycleNotLocked``.
    """
    cycle, box = table_of(BoxCycle), table_of(Box)
    found = rt.session.execute(
        sa.select(cycle.c.id, cycle.c.state).where(cycle.c.public_id == cycle_ref)
    ).one_or_none()
    held = sa.select(box.c.id).where(box.c.state == BoxState.HELD).order_by(box.c.id)
    if found is not None:
        held = held.where(box.c.cycle_id == found.id)
    if box_refs is not None:
        held = held.where(box.c.public_id.in_(box_refs))
    ids = list(rt.session.scalars(held)) if found is not None else []
    rt.session.rollback()
    if found is None:
        raise UnknownInRecipe(what="cycle")
    if found.state not in _AFTER_LOCK:
        raise CycleNotLocked(cycle=cycle_ref)
    countries, done = rt.shop.countries, Decided()
    for start in range(0, len(ids), _SLICE):
        part = ids[start : start + _SLICE]
        done.add(_retry_slice(rt, found.id, part, countries))
    if done.total:
        after = {"locked": done.locked, "held": dict(done.held)}
        _note(rt, who, "boxes.retried", cycle_ref, after)
        rt.session.commit()
    return done


def _retry_slice(
    rt: Runtime, cycle_id: int, ids: Sequence[int], countries: Sequence[str]
) -> Decided:
    def work() -> Decided:
        rows = boxes_to_decide(rt.session, cycle_id, BoxState.HELD, _SLICE, ids=ids)
        decided = decide_boxes(rt.session, rows, cycle_id, countries, rt.moment())
        rt.session.commit()
        return decided

    return retrying(rt.session, work)


def _note(rt: Runtime, who: Who | None, action: str, subject: str, after: dict[str, Any]) -> None:
    """Write what a staff user did, in the caller's transaction."""
    if who is not None:
        audit.write(rt.session, who.id, action, subject, {}, after, rt.moment(), who.ip)


def _ids(rt: Runtime, plan_ref: str, cycle_ref: str | None) -> tuple[int, int | None]:
    plan, cycle = table_of(Plan), table_of(BoxCycle)
    plan_row = rt.session.execute(
        sa.select(plan.c.id, plan.c.cycle_group_id).where(plan.c.public_id == plan_ref)
    ).one_or_none()
    if plan_row is None:
        raise UnknownInRecipe(what="plan")
    if cycle_ref is None:
        return plan_row.id, None
    cycle_id = rt.session.scalar(
        sa.select(cycle.c.id).where(
            cycle.c.public_id == cycle_ref, cycle.c.group_id == plan_row.cycle_group_id
        )
    )
    if cycle_id is None:
        raise UnknownInRecipe(what="cycle")
    return plan_row.id, cycle_id


def _variants(rt: Runtime, refs: Sequence[str]) -> dict[str, int]:
    table = table_of(ProductVariant)
    rows = rt.session.execute(
        sa.select(table.c.public_id, table.c.id).where(table.c.public_id.in_(refs))
    )
    found = {row.public_id: row.id for row in rows}
    if set(refs) - set(found):
        raise UnknownInRecipe(what="variant")
    return found


def _check_pool(rt: Runtime, items: Sequence[tuple[int, int, bool]], rule: Rule | None) -> None:
    """Raise ``NothingToFill`` unless some choice keeps to the rule while all is in stock."""
    pool = {variant: pieces for variant, pieces, is_choice in items if is_choice}
    if rule is None and not pool:
        return
    known = pool_items(rt.session, pool)
    offered = [replace(known[variant], most=most) for variant, most in pool.items()]
    if rule is None or fill(rule, offered, {}, {}) is None:
        raise NothingToFill


def _keys(rt: Runtime, plan_id: int, cycle_id: int | None) -> list[AnyRow]:
    """Return the recipes of a plan for one cycle, or the standing ones."""
    recipe = table_of(Recipe)
    mine = recipe.c.cycle_id.is_(None) if cycle_id is None else recipe.c.cycle_id == cycle_id
    rows = sa.select(recipe.c.id, recipe.c.option_key).where(recipe.c.plan_id == plan_id, mine)
    return list(rt.session.execute(rows))


def _check_alone(rt: Runtime, plan_id: int, cycle_id: int | None, wanted: Sequence[str]) -> None:
    """Raise ``OverlappingRecipe`` where no rule tells one of ``wanted`` from one that stays."""
    plan = table_of(Plan)
    # One at a time: two staff must not write two that overlap.
    mine = sa.select(plan.c.id).where(plan.c.id == plan_id).with_for_update(key_share=True)
    rt.session.execute(mine)
    for one in _keys(rt, plan_id, cycle_id):
        other = scope_of(one.option_key)
        if one.option_key not in wanted and any(scope_of(key).ties_with(other) for key in wanted):
            raise OverlappingRecipe(one.option_key)


def _earlier(rt: Runtime, plan_id: int, cycle_id: int) -> AnyRow | None:
    """Return (id, key) of the last cycle before this one with a recipe; id None: standing."""
    recipe, cycle = table_of(Recipe), table_of(BoxCycle)
    ship_from = sa.select(cycle.c.ship_from).where(cycle.c.id == cycle_id).scalar_subquery()
    before = rt.session.execute(
        sa.select(cycle.c.id, cycle.c.key)
        .join(recipe, recipe.c.cycle_id == cycle.c.id)
        .where(recipe.c.plan_id == plan_id, cycle.c.ship_from < ship_from)
        .order_by(cycle.c.ship_from.desc(), cycle.c.id.desc())
        .limit(1)
    ).one_or_none()
    if before is not None:
        return before
    return rt.session.execute(
        sa.select(sa.null().label("id"), sa.literal("").label("key"))
        .select_from(recipe)
        .where(recipe.c.plan_id == plan_id, recipe.c.cycle_id.is_(None))
        .limit(1)
    ).one_or_none()


def _write(
    rt: Runtime,
    plan_id: int,
    cycle_id: int | None,
    option_key: str,
    items: Sequence[tuple[int, int, bool]],
    rule: Rule | None,
) -> None:
    recipe, item = table_of(Recipe), table_of(RecipeItem)
    scope = recipe.c.cycle_id.is_(None) if cycle_id is None else recipe.c.cycle_id == cycle_id
    known = rt.session.scalar(
        sa.select(recipe.c.id).where(
            recipe.c.plan_id == plan_id, scope, recipe.c.option_key == option_key
        )
    )
    if known is not None:
        rt.session.execute(sa.delete(item).where(item.c.recipe_id == known))
        rules = table_of(ChoiceRule)
        rt.session.execute(sa.delete(rules).where(rules.c.recipe_id == known))
        if not items:
            rt.session.execute(sa.delete(recipe).where(recipe.c.id == known))
    if not items:
        return
    if known is None:
        made: Any = rt.session.execute(
            sa.insert(recipe).values(
                public_id=public_id("rec"),
                plan_id=plan_id,
                cycle_id=cycle_id,
                option_key=option_key,
            )
        )
        known = made.inserted_primary_key[0]
    rt.session.execute(
        sa.insert(item),
        [
            {
                "recipe_id": known,
                "variant_id": variant,
                "quantity": pieces,
                "position": position,
                "is_choice": is_choice,
            }
            for position, (variant, pieces, is_choice) in enumerate(items)
        ],
    )
    if rule is not None:
        write_rule(rt.session, known, rule)
