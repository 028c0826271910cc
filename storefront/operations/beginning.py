"""Write the row an order begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.models import Address, Checkout, Customer
from storefront.models.base import public_id, table_of
from storefront.operations.billing import parts_of
from storefront.operations.checkout import expires_at
from storefront.operations.choices import avoided_by
from storefront.operations.continuing import GiftEnd
from storefront.operations.keys import AnySession
from storefront.operations.order_items import BoxWish
from storefront.operations.order_rows import ADDRESS_COLUMNS


@dataclass(frozen=True, slots=True)
class Start:
    """What is known when a plan is chosen; ``source`` is where the shopper came from."""

    plan_id: int
    price_id: int
    options: Mapping[str, str] = field(default_factory=dict)
    customer_id: int | None = None
    email: str = ""
    address: Mapping[str, str] = field(default_factory=dict)
    #: What they said before not to tolerate; the pages of the order show it.
    avoids: Sequence[str] = ()
    locale: str = ""
    source: Mapping[str, str] = field(default_factory=dict)
    #: VAT number of a signed-in customer, with its state.
    tax_id: tuple[str, str] = ("", "")
    #: Who sent the shopper.
    referrer_id: int | None = None
    #: As ``checkout.addons`` has them.
    addons: Sequence[Mapping[str, Any]] = ()
    #: Boxes beside the first.
    more: Sequence[BoxWish] = ()
    #: Public id of the gift that its recipient goes on from; empty for any other order.
    continues: str = ""
    quantity: int = 1
    #: Whom the invoice is made out to, as typed before; else that of a signed-in customer.
    billing: Mapping[str, Any] = field(default_factory=dict)


def write_checkout(session: AnySession, start: Start, now: datetime) -> tuple[str, int]:
    """Write an open order; returns its public id and its key."""
    key = public_id("chk")
    quote: dict[str, Any] = {}
    if start.customer_id:
        # Whose credit may pay, whatever e-mail is typed later.
        quote["owner"] = start.customer_id
    if start.continues:
        quote["continues"] = start.continues
    table = table_of(Checkout)
    made = session.execute(
        sa.insert(table)
        .values(
            public_id=key,
            state="open",
            plan_id=start.plan_id,
            price_id=start.price_id,
            quantity=start.quantity,
            options=dict(start.options),
            addons=[dict(one) for one in start.addons],
            more=[one.kept() for one in start.more],
            email=start.email,
            address=dict(start.address),
            billing=parts_of(start.billing) or _billing_of(session, start.customer_id),
            avoids=sorted(set(start.avoids)),
            tax_id=start.tax_id[0],
            tax_id_state=start.tax_id[1],
            customer_id=start.customer_id,
            locale=start.locale,
            referrer_id=start.referrer_id,
            quote=quote,
            quote_hash="",
            consent={},
            source=dict(start.source),
            gateway="",
            created_at=now,
            expires_at=expires_at(now),
            version=1,
        )
        .returning(table.c.id)
    )
    return key, int(made.scalar_one())


def _billing_of(session: AnySession, customer_id: int | None) -> dict[str, str]:
    if customer_id is None:
        return {}
    table = table_of(Customer)
    return parts_of(session.scalar(sa.select(table.c.billing).where(table.c.id == customer_id)))


def start_after(session: AnySession, end: GiftEnd, price_id: int) -> Start:
    """Return how its recipient begins to go on where a gift ends: the same box, to where it went.

    Without what they do not tolerate, as they said of the gift. The gift has been claimed.
    """
    row, customer, address = end.row, table_of(Customer), table_of(Address)
    who = session.execute(
        sa.select(
            customer.c.email, customer.c.name, customer.c.tax_id, customer.c.tax_id_state
        ).where(customer.c.id == row.customer_id)
    ).one()
    to = session.execute(
        sa.select(*[address.c[name] for name in ADDRESS_COLUMNS]).where(
            address.c.id == row.address_id
        )
    ).one_or_none()
    return Start(
        row.plan_id,
        price_id,
        dict(row.options),
        row.customer_id,
        who.email,
        dict(to._mapping) if to is not None else {"name": who.name},
        sorted(avoided_by(session, [row.subscription_id]).get(row.subscription_id, ())),
        tax_id=(who.tax_id, who.tax_id_state),
        continues=row.public_id,
        quantity=row.quantity,
    )
