"""What somebody who comes back can order: what they had, or what comes nearest to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from storefront.domain.lifecycle import ENDED
from storefront.models import Address, Plan, Price, Subscription
from storefront.models.base import table_of
from storefront.operations.choices import avoided_by
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.order_rows import ADDRESS_COLUMNS
from storefront.operations.sold_prices import sold_to_subscribers


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
    #: What they said not to tolerate.
    avoids: Sequence[str]


def again(session: AnySession, customer_id: int, public_id: str, today: date) -> Again | None:
    """Return what to order anew after an ended subscription; None when nothing is on sale.

    The same plan in the same interval, else in another one, else the plan whose price is
    nearest. Raises ``LookupError`` for what is not the customer's or has not ended.
    """
    table, plan, price = table_of(Subscription), table_of(Plan), table_of(Price)
    address = table_of(Address)
    had = session.execute(
        sa.select(
            table.c.id,
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
    sold = sold_to_subscribers(session, had.currency, had.to_country or "", today, [had.plan_id])

    def distance(row: AnyRow) -> tuple[bool, bool, int, int]:
        other_interval = (row.unit, row.unit_count) != (had.unit, had.unit_count)
        nearness = abs(row.amount_minor - had.amount_minor)
        return row.plan_id != had.plan_id, other_interval, nearness, row.id

    found = min(sold, key=distance, default=None)
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
        sorted(avoided_by(session, [had.id]).get(had.id, ())),
    )
