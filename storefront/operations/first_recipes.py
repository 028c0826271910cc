"""By which recipe the first box of an order is packed, where it leaves at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import sqlalchemy as sa

from storefront.domain.first_boxes import first_place
from storefront.domain.packing import RecipeFacts
from storefront.models import Plan
from storefront.models.base import table_of
from storefront.operations.first_boxes import rule_of
from storefront.operations.keys import AnySession
from storefront.operations.offers import open_slots, read_plan
from storefront.operations.recipes import recipes_by_cycle


def first_recipes(
    session: AnySession, plan_ids: Iterable[int], today: date
) -> dict[int, Sequence[RecipeFacts]]:
    """Return the recipes, by plan, of the cycle that a box which leaves now joins.

    Only of those plans whose first boxes do; one statement where none does.
    """
    plan, wanted = table_of(Plan), sorted(set(plan_ids))
    found: dict[int, int] = {}
    rows = sa.select(plan.c.id).where(plan.c.id.in_(wanted), plan.c.first_box == "now")
    for plan_id in session.scalars(rows).all() if wanted else ():
        sold = read_plan(session, plan_id)
        slots = open_slots(session, sold.group_id, today)
        place = first_place(slots, today, rule_of(session, sold, today))
        if place is not None:
            found[plan_id] = place.cycle.id
    if not found:
        return {}
    recipes = recipes_by_cycle(session, set(found), found.values())
    return {plan_id: recipes[cycle].get(plan_id, ()) for plan_id, cycle in found.items()}
