"""What lies beside the contents of next boxes: add-ons, and all that replacements hold.

Source: docs/decisions/0164-places-and-free-stock.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.recipe_scopes import Tells
from storefront.models import (
    Addon,
    Box,
    BoxAddition,
    BoxAdditionBox,
    BoxCycle,
    BoxItem,
    Plan,
    SubscriptionAddon,
)
from storefront.models.base import table_of
from storefront.operations.coming_choices import next_rows
from storefront.operations.keys import AnyRow, AnySession

_UNDECIDED = (BoxState.PLANNED, BoxState.HELD)


def lying(session: AnySession, variant_ids: Iterable[int]) -> Sequence[AnyRow]:
    """Return the pieces of add-ons and replacements in boxes that are not packed yet.

    Of the paid boxes of a subscription the next one counts; of later ones only what was bought
    because it was there (0208).
    """
    wanted = set(variant_ids)
    item, box, cycle = table_of(BoxItem), table_of(Box), table_of(BoxCycle)
    table, part = table_of(BoxAddition), table_of(BoxAdditionBox)
    is_later = _is_later(box, cycle)
    soon = (
        sa.select(item.c.variant_id, item.c.quantity)
        .join(box, box.c.id == item.c.box_id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(item.c.variant_id.in_(wanted), box.c.state.in_(_UNDECIDED), ~is_later)
    )
    bought = (
        sa.select(table.c.variant_id, table.c.quantity)
        .join(part, part.c.addition_id == table.c.id)
        .join(box, box.c.id == part.c.box_id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(
            table.c.variant_id.in_(wanted),
            table.c.state == "applied",
            part.c.returned_at.is_(None),
            box.c.state.in_(_UNDECIDED),
            is_later,
        )
    )
    pieces = sa.union_all(soon, bought).subquery()
    return session.execute(
        sa.select(pieces.c.variant_id, sa.func.sum(pieces.c.quantity).label("pieces")).group_by(
            pieces.c.variant_id
        )
    ).all()


def _is_later(box: sa.FromClause, cycle: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the condition that another paid box of the subscription leaves before this one."""
    sooner, at = table_of(Box).alias("sooner"), table_of(BoxCycle).alias("sooner_cycle")
    before = (
        sa.select(sooner.c.id)
        .join(at, at.c.id == sooner.c.cycle_id)
        .where(
            sooner.c.subscription_id == box.c.subscription_id,
            sooner.c.kind == BoxKind.REGULAR,
            sooner.c.state.in_(_UNDECIDED),
            at.c.ship_from < cycle.c.ship_from,
        )
    )
    return sa.and_(box.c.kind == BoxKind.REGULAR, before.exists())


def addons_to_charge(session: AnySession, variant_ids: Iterable[int]) -> Sequence[AnyRow]:
    """Return the pieces that come with next boxes still to be charged, by state and variant.

    Those of every box, and those that come once: they lie in the first box of that payment. Of
    boxes that are paid they lie in the box already.
    """
    table, addon, plan = table_of(SubscriptionAddon), table_of(Addon), table_of(Plan)
    each = next_rows(None, Tells())
    return session.execute(
        sa.select(each.c.state, addon.c.variant_id, sa.func.sum(table.c.quantity).label("pieces"))
        .select_from(table)
        .join(addon, addon.c.id == table.c.addon_id)
        .join(each, each.c.id == table.c.subscription_id)
        .join(plan, plan.c.id == each.c.plan_id)
        .where(
            addon.c.variant_id.in_(set(variant_ids)),
            table.c.ended_at.is_(None),
            each.c.is_paid == 0,
            plan.c.ships.is_(True),
        )
        .group_by(each.c.state, addon.c.variant_id)
    ).all()
