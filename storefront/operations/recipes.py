"""Read recipes with their items, pools and rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from storefront.domain.choices import Rule
from storefront.domain.packing import RecipeFacts
from storefront.models import Recipe, RecipeItem
from storefront.models.base import table_of
from storefront.operations.choices import rules_of
from storefront.operations.keys import AnyRow, AnySession


def recipes_of(
    session: AnySession, plan_ids: Iterable[int], cycle_id: int | None
) -> dict[int, list[RecipeFacts]]:
    """Return the recipes of the plans that are standing or of the cycle, with their items."""
    return {
        plan: [facts for _cycle, facts in own]
        for plan, own in _read(session, plan_ids, [] if cycle_id is None else [cycle_id]).items()
    }


def recipes_by_cycle(
    session: AnySession, plan_ids: Iterable[int], cycle_ids: Iterable[int]
) -> dict[int, dict[int, list[RecipeFacts]]]:
    """Return by cycle what ``recipes_of`` returns for it; two statements for all of them."""
    wanted = sorted(set(cycle_ids))
    found = _read(session, plan_ids, wanted)
    return {
        cycle: {
            plan: [facts for own, facts in recipes if own in (None, cycle)]
            for plan, recipes in found.items()
        }
        for cycle in wanted
    }


def _read(
    session: AnySession, plan_ids: Iterable[int], cycle_ids: Sequence[int]
) -> dict[int, list[tuple[int | None, RecipeFacts]]]:
    """Return by plan its recipes with the cycle each is for."""
    recipe, item = table_of(Recipe), table_of(RecipeItem)
    wanted = sa.and_(
        recipe.c.plan_id.in_(set(plan_ids)),
        sa.or_(recipe.c.cycle_id.is_(None), recipe.c.cycle_id.in_(cycle_ids)),
    )
    rows = session.execute(
        sa.select(
            recipe.c.id,
            recipe.c.plan_id,
            recipe.c.cycle_id,
            recipe.c.option_key,
            item.c.variant_id,
            item.c.quantity,
            item.c.is_choice,
        )
        .join(item, item.c.recipe_id == recipe.c.id)
        .where(wanted)
        .order_by(recipe.c.id, item.c.position, item.c.id)
    ).all()
    rules = rules_of(session, wanted) if any(row.is_choice for row in rows) else {}
    parts: dict[int, dict[int, list[AnyRow]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        parts[row.plan_id][row.id].append(row)
    return {
        plan: [(own[0].cycle_id, _recipe(own, rules.get(key))) for key, own in recipes.items()]
        for plan, recipes in parts.items()
    }


def _recipe(rows: Sequence[AnyRow], rule: Rule | None) -> RecipeFacts:
    """Return the recipe whose items ``rows`` are, in its order."""
    first = rows[0]
    return RecipeFacts(
        first.id,
        first.cycle_id is None,
        first.option_key,
        tuple((row.variant_id, row.quantity) for row in rows if not row.is_choice),
        rule,
        tuple((row.variant_id, row.quantity) for row in rows if row.is_choice),
    )
