"""Builders with the dullest valid defaults; a test names only what it is about.

Each builder commits and returns detached rows, so that a test holds no lock and may ask them
anything. They write through the engine's own operations wherever money is involved: a
running subscription has paid its first period at the demo gateway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Any, cast

import sqlalchemy as sa

from storefront.database import reading
from storefront.domain.gateways import VaultedMethod
from storefront.models import Address, Checkout, Customer, PaymentMethod, Plan, Subscription
from storefront.models.base import public_id, table_of
from storefront.operations.beginning import Start
from storefront.operations.checkout import Market, read_order
from storefront.runtime import Runtime
from storefront.services.checkout import Agreement, change_delivery, place_order, start_checkout
from storefront.services.coupons import use_code
from storefront.services.finishing import Outcome, finish_checkout
from storefront.testing.catalogue import (
    make_addon,
    make_code,
    make_cycles,
    make_group,
    make_options,
    make_plan,
    make_price,
    make_recipe,
    make_shop,
    make_variant,
    price_of,
    save,
)
from storefront.testing.delivery import make_zone
from storefront.testing.repeating import repeatable
from storefront_demo_gateway.bank import Bank
from storefront_demo_gateway.gateway import DemoGateway

__all__ = [
    "Days",
    "demo_gateway_of",
    "make_addon",
    "make_address",
    "make_code",
    "make_customer",
    "make_cycles",
    "make_group",
    "make_method",
    "make_options",
    "make_plan",
    "make_price",
    "make_recipe",
    "make_shop",
    "make_subscription",
    "make_variant",
    "make_zone",
    "price_of",
    "save",
]

_numbers = count(1)


@repeatable
def make_customer(rt: Runtime, **values: Any) -> Customer:
    """Return a customer with an address of their own to write to."""
    defaults: dict[str, Any] = {
        "public_id": public_id("cus"),
        "email": f"ada{next(_numbers)}@example.org",
        "name": "Ada Lovelace",
        "created_at": rt.now(),
    }
    customer = Customer(**defaults | values)
    save(rt, customer)
    return customer


@repeatable
def make_address(rt: Runtime, customer: Customer, **values: Any) -> Address:
    """Return a German address of ``customer``."""
    defaults: dict[str, Any] = {
        "public_id": public_id("adr"),
        "customer_id": customer.id,
        "name": customer.name,
        "street": "Lindenweg 4",
        "postcode": "07743",
        "city": "Jena",
        "country": "DE",
        "created_at": rt.now(),
    }
    address = Address(**defaults | values)
    save(rt, address)
    return address


@repeatable
def make_method(
    rt: Runtime, customer: Customer, *, card: str = "4242", **values: Any
) -> PaymentMethod:
    """Return a demo card of ``customer`` that the demo bank knows, as the default method."""
    gateway = demo_gateway_of(rt)
    bank = cast(Bank, gateway.bank)
    vaulted = VaultedMethod(bank.token_for(card), "visa", card, 4, 2034)
    defaults: dict[str, Any] = {
        "public_id": public_id("pm"),
        "customer_id": customer.id,
        "gateway": gateway.name,
        "account": gateway.account,
        "token": vaulted.token,
        "brand": vaulted.brand,
        "last4": vaulted.last4,
        "exp_month": vaulted.exp_month,
        "exp_year": vaulted.exp_year,
        "fingerprint": f"card-{next(_numbers)}",
        "is_default": True,
        "created_at": rt.now(),
    }
    method = PaymentMethod(**defaults | values)
    save(rt, method)
    return method


@repeatable
def make_subscription(
    rt: Runtime,
    *,
    plan: Plan | None = None,
    customer: Customer | None = None,
    card: str = "4242",
    code: str = "",
    options: Mapping[str, str] | None = None,
    address: Mapping[str, str] | None = None,
) -> Subscription:
    """Return a running subscription: ordered and paid through the checkout's own services.

    ``card`` is the demo card it goes on with ("0341" is declined at renewals); ``code`` a
    promotion code there is. Raises ``RuntimeError`` when the order does not go through.
    """
    plan = plan or make_plan(rt)
    customer = customer or make_customer(rt)
    key = start_checkout(rt, Start(plan.id, price_of(rt, plan).id, options or {}))
    ship_to = {
        "name": customer.name,
        "street": "Lindenweg 4",
        "postcode": "07743",
        "city": "Jena",
        "country": "DE",
    }
    change_delivery(rt, key, customer.email, {**ship_to, **(address or {})})
    if code:
        use_code(rt, key, code)
    with reading():
        checkout = rt.session.execute(
            sa.select(table_of(Checkout)).where(Checkout.public_id == key)
        ).one()
        order = read_order(rt.session, checkout, Market.of(rt.shop), rt.moment())
        rt.session.rollback()
    agreement = Agreement(
        order.quote.quote_hash if order.quote else "", "I agree.", "renewal-1", "192.0.2.1", "test"
    )
    url = f"{rt.settings.base_url}/checkout/{key}/finish"
    placed = place_order(rt, key, agreement, gateway="demo", return_url=url, cancel_url=url)
    demo_gateway_of(rt).bank.choose(placed.url.rpartition("/")[2], card)
    finished = finish_checkout(rt, key)
    if finished.outcome is not Outcome.DONE:
        raise RuntimeError(f"the order went {placed.step}, {finished}: {order.problem}")
    subscription = rt.session.scalars(
        sa.select(Subscription).where(Subscription.checkout_id == checkout.id)
    ).one()
    rt.session.expunge(subscription)
    rt.session.rollback()
    return subscription


def demo_gateway_of(rt: Runtime) -> DemoGateway:
    """Return the demo gateway, with its bank behind it."""
    return cast(DemoGateway, rt.gateways["demo"])


@dataclass(frozen=True, slots=True)
class Days:
    """Days that tests of the default clock (2 March 2027) and group talk about."""

    today: date = date(2027, 3, 2)
    first_cutoff: date = date(2027, 3, 11)
    first_charge: date = date(2027, 3, 12)
    first_lock: date = date(2027, 3, 15)
    first_ship: date = date(2027, 3, 18)
    first_renewal: date = date(2027, 4, 12)
