"""Which plans are full, and where the pieces of a product stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.places import FreeStock, Places
from storefront.models import Plan, PlanPlaces, Product, ProductVariant
from storefront.models.base import table_of
from storefront.operations.capacity import has_capacity
from storefront.operations.moment import Moment
from storefront.operations.places import free_stock, places_of, places_taken
from storefront.operations.waiting import HOURS, in_line


@dataclass(frozen=True, slots=True)
class PlanPlacesRow:
    """One plan with its limits and how far they are used."""

    public_id: str
    name: str
    ships: bool
    places: Places
    #: How long a place is kept for somebody invited from the waiting list.
    invite_hours: int


def full_plans(session: AnySession, moment: Moment) -> frozenset[str]:
    """Return the codes of plans of which nothing more can be sold; one statement without any.

    What is free and somebody waits for is not sold to anybody else.
    """
    plan, table = table_of(Plan), table_of(PlanPlaces)
    codes = {
        row.id: row.code
        for row in session.execute(
            sa.select(plan.c.id, plan.c.code)
            .outerjoin(table, table.c.plan_id == plan.c.id)
            .where(
                plan.c.archived_at.is_(None),
                sa.or_(table.c.id.is_not(None), has_capacity(plan.c.cycle_group_id)),
            )
        )
    }
    if not codes:
        return frozenset()
    return frozenset(codes[key] for key in sold_out(session, codes, moment))


def sold_out(session: AnySession, plan_ids: Iterable[int], moment: Moment) -> set[int]:
    """Return those of the plans of which nothing is left for somebody who comes by.

    What is free again goes to who waits for it, before anybody else.
    """
    left = {key: one.left for key, one in places_of(session, plan_ids, moment).items()}
    roomy = [key for key, many in left.items() if many]
    line = in_line(session, roomy) if roomy else {}
    return {key for key, many in left.items() if many is not None and many <= line.get(key, 0)}


def plan_places(session: AnySession, moment: Moment) -> list[PlanPlacesRow]:
    """Return every plan on sale, in the order of the pricing page."""
    plan, table = table_of(Plan), table_of(PlanPlaces)
    rows = session.execute(
        sa.select(
            plan.c.id,
            plan.c.public_id,
            plan.c.name,
            plan.c.ships,
            sa.func.coalesce(table.c.invite_hours, HOURS).label("invite_hours"),
        )
        .outerjoin(table, table.c.plan_id == plan.c.id)
        .where(plan.c.archived_at.is_(None))
        .order_by(plan.c.position, plan.c.id)
    ).all()
    ids = [row.id for row in rows]
    limited, taken = places_of(session, ids, moment), places_taken(session, ids, moment.now)
    return [
        PlanPlacesRow(
            row.public_id,
            row.name,
            row.ships,
            limited.get(row.id) or Places(None, taken[row.id]),
            int(row.invite_hours),
        )
        for row in rows
    ]


def stock_of_product(session: AnySession, product_ref: str, moment: Moment) -> dict[str, FreeStock]:
    """Return where the pieces of a product's variants stand, by public id of the variant."""
    product, variant = table_of(Product), table_of(ProductVariant)
    names = {
        row.id: row.public_id
        for row in session.execute(
            sa.select(variant.c.id, variant.c.public_id)
            .join(product, product.c.id == variant.c.product_id)
            .where(product.c.public_id == product_ref, variant.c.archived_at.is_(None))
        )
    }
    return {names[key]: one for key, one in free_stock(session, names, moment).items()}
