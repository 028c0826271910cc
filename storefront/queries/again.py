"""What somebody who comes back can order: what they had, or what comes nearest to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from storefront.domain.lifecycle import ENDED
from storefront.models import Address, Plan, Price, Subscription
from storefront.models.base import table_of
from storefront.operations.keys import AnySession
from storefront.operations.order_rows import ADDRESS_COLUMNS


@dataclass(frozen=True, slots=True)
class Again:
    """A plan on sale with the price of today, and what was chosen and where it went."""

    plan_id: int
    price_id: int
    plan: str
    #: What they had, when it is not sold any more; else empty.
    instead_of: str
    options: Mapping[str, str]
    address: Mapping[str, str]


def again(session: AnySession, customer_id: int, public_id: str) -> Again | None:
    """Return what to order anew after an ended subscription; None when nothing is on sale.

    The same plan in the same interval, else in another one, else the plan whose price is
    nearest. Raises ``LookupError`` for what is not the customer's or has not ended.
    """
    table, plan, price = table_of(Subscription), table_of(Plan), table_of(Price)
    address = table_of(Address)
    had = session.execute(
        sa.select(
            table.c.plan_id,
            table.c.options,
            plan.c.name,
            price.c.currency,
            price.c.unit,
            price.c.count.label("unit_count"),
            price.c.amount_minor,
            address.c.id.label("address_id"),
            *[address.c[name].label(f"to_{name}") for name in ADDRESS_COLUMNS],
        )
        .join(plan, plan.c.id == table.c.plan_id)
        .join(price, price.c.id == table.c.price_id)
        .outerjoin(address, address.c.id == table.c.address_id)
        .where(
            table.c.public_id == public_id,
            table.c.customer_id == customer_id,
            table.c.state.in_(ENDED),
        )
    ).one_or_none()
    if had is None:
        raise LookupError(public_id)
    other_interval = sa.or_(price.c.unit != had.unit, price.c.count != had.unit_count)
    found = session.execute(
        sa.select(price.c.id, price.c.plan_id, plan.c.name)
        .join(plan, plan.c.id == price.c.plan_id)
        .where(
            price.c.retired_at.is_(None),
            price.c.currency == had.currency,
            price.c.country == "",
            plan.c.archived_at.is_(None),
            sa.or_(plan.c.is_public, plan.c.id == had.plan_id),
        )
        .order_by(
            plan.c.id != had.plan_id,
            other_interval,
            sa.func.abs(price.c.amount_minor - had.amount_minor),
            price.c.id,
        )
        .limit(1)
    ).one_or_none()
    if found is None:
        return None
    same = found.plan_id == had.plan_id
    names = ADDRESS_COLUMNS if had.address_id else ()
    return Again(
        found.plan_id,
        found.id,
        found.name,
        "" if same else had.name,
        dict(had.options) if same else {},
        {name: getattr(had, f"to_{name}") for name in names},
    )
