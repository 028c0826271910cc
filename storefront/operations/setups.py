"""What a gateway is told about the person it is to store a payment method for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.domain.baskets import BasketQuote
from storefront.domain.charging import AttemptState
from storefront.domain.gateways import Gateway
from storefront.domain.lifecycle import RUNNING
from storefront.domain.money import Money
from storefront.models import Customer, GatewaySetup, Price, Subscription
from storefront.models.base import table_of
from storefront.operations.kept_methods import customer_at
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.references import new_references

#: A later charge may take so many times what the order costs each time: extras, a dearer plan
#: and a new price fit in, and the customer agrees anew to anything beyond.
LIMIT_TIMES = 2

#: A set-up in one of these states may still be used by whom it was opened for.
USABLE = (AttemptState.SENT, AttemptState.ACTION_REQUIRED, AttemptState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Payer:
    """Whom a method is stored for; empty where nobody has said."""

    #: Public id, while there is an account.
    customer: str = ""
    #: The gateway's own id of that customer.
    gateway_customer: str = ""
    email: str = ""
    name: str = ""
    country: str = ""


def new_setup(
    session: AnySession,
    gateway: Gateway,
    now: datetime,
    *,
    customer_id: int | None,
    checkout_id: int | None = None,
    subscription_id: int | None = None,
    invoice_id: int | None = None,
) -> str:
    """Write a set-up that its gateway is to be asked for, and return its public id."""
    [reference] = new_references(session, "set", 1, now)
    session.execute(
        sa.insert(table_of(GatewaySetup)).values(
            id=reserve(session, GatewaySetup, 1)[0],
            public_id=reference,
            checkout_id=checkout_id,
            customer_id=customer_id,
            subscription_id=subscription_id,
            invoice_id=invoice_id,
            gateway=gateway.name,
            account=gateway.account,
            state=AttemptState.SENT,
            redirect_url="",
            reason="",
            created_at=now,
        )
    )
    return reference


def payer_of_order(session: AnySession, checkout: AnyRow, gateway: Gateway) -> Payer:
    """Return who orders, in their own words; an account only if they are signed in to it."""
    known = Payer()
    if checkout.customer_id is not None:
        known = payer_of(session, checkout.customer_id, gateway)
    return Payer(
        known.customer,
        known.gateway_customer,
        checkout.email,
        str(checkout.address.get("name", "")),
        str(checkout.address.get("country", "")),
    )


def payer_of(session: AnySession, customer_id: int, gateway: Gateway) -> Payer:
    """Return a customer as their account has them."""
    table = table_of(Customer)
    row = session.execute(
        sa.select(table.c.public_id, table.c.email, table.c.name).where(table.c.id == customer_id)
    ).one()
    known = customer_at(session, customer_id, gateway.name, gateway.account)
    return Payer(row.public_id, known, row.email, row.name)


def currencies_of(session: AnySession, customer_id: int, usual: str) -> list[str]:
    """Return the currencies that a customer pays in; ``usual`` where nothing runs."""
    subscription, price = table_of(Subscription), table_of(Price)
    payer = sa.func.coalesce(subscription.c.payer_id, subscription.c.customer_id)
    found = session.execute(
        sa.select(price.c.currency)
        .join(subscription, subscription.c.price_id == price.c.id)
        .where(payer == customer_id, subscription.c.state.in_(RUNNING))
        .distinct()
        .order_by(price.c.currency)
    )
    return list(found.scalars()) or [usual]


def subscription_paid_by(session: AnySession, customer_id: int, subscription: str) -> int | None:
    """Return the key of a running subscription that the customer pays for; None for any other."""
    table = table_of(Subscription)
    payer = sa.func.coalesce(table.c.payer_id, table.c.customer_id)
    found: int | None = session.execute(
        sa.select(table.c.id).where(
            table.c.public_id == subscription, payer == customer_id, table.c.state.in_(RUNNING)
        )
    ).scalar_one_or_none()
    return found


def limit_of(quote: BasketQuote) -> Money:
    """Return the most that one later charge may take for the boxes of an order."""
    each = [item.full.quote.total for item in quote.items]
    most = max(sum(total.minor for total in each), quote.due_today.minor)
    return Money(most * LIMIT_TIMES, each[0].currency)
