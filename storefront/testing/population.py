"""Many running subscriptions at once, for benches, rigs and tests of large numbers.

Written with bulk inserts, as an import would: each has paid its first period outside and is due
for the next. Tests of one story use ``factories`` and the engine itself instead.
"""

from __future__ import annotations

from datetime import date, timedelta
from secrets import token_hex
from typing import Any

import sqlalchemy as sa

from storefront.domain.lifecycle import PeriodKind, PeriodState, SubscriptionState
from storefront.domain.metrics import monthly_value
from storefront.domain.money import Money
from storefront.models import (
    Address,
    Consent,
    Customer,
    Movement,
    PaymentMethod,
    Plan,
    Price,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import Base, public_ids, table_of
from storefront.operations.keys import reserve
from storefront.runtime import Runtime

#: Rows per transaction.
CHUNK = 2000


def populate(
    rt: Runtime,
    plan: Plan,
    price: Price,
    count: int,
    next_on: date,
    *,
    anchor_day: int | None = None,
    card: str = "4242",
) -> list[int]:
    """Insert ``count`` active subscriptions whose next period starts on ``next_on``.

    Each has a customer, an address, a default demo card ``card``, a consent and one paid
    period of 30 days before ``next_on``. Returns the subscription ids in order.
    """
    made: list[int] = []
    for start in range(0, count, CHUNK):
        made += _chunk(rt, plan, price, min(CHUNK, count - start), next_on, anchor_day, card)
        rt.session.commit()
    return made


def _chunk(
    rt: Runtime,
    plan: Plan,
    price: Price,
    size: int,
    next_on: date,
    anchor_day: int | None,
    card: str,
) -> list[int]:
    now, run = rt.now(), token_hex(4)
    born = next_on - timedelta(days=30)
    customers = reserve(rt.session, Customer, size)
    addresses = reserve(rt.session, Address, size)
    methods = reserve(rt.session, PaymentMethod, size)
    subscriptions = reserve(rt.session, Subscription, size)
    mrr = monthly_value(Money(price.amount_minor, price.currency), price.interval).minor
    gateway = rt.gateways["demo"]
    _insert(
        rt,
        Customer,
        "cus",
        [
            {
                "id": key,
                "email": f"p{key}-{run}@example.org",
                "name": "Ada Weber",
                "created_at": now,
            }
            for key in customers
        ],
    )
    _insert(
        rt,
        Address,
        "adr",
        [
            {
                "id": key,
                "customer_id": customer,
                "name": "Ada Weber",
                "street": "Lindenweg 4",
                "postcode": "07743",
                "city": "Jena",
                "country": "DE",
                "created_at": now,
            }
            for key, customer in zip(addresses, customers, strict=True)
        ],
    )
    _insert(
        rt,
        PaymentMethod,
        "pm",
        [
            {
                "id": key,
                "customer_id": customer,
                "gateway": gateway.name,
                "account": gateway.account,
                "token": f"demo_{card}_{run}{key}",
                "brand": "visa",
                "last4": card,
                "fingerprint": f"{run}{key}",
                "is_default": True,
                "created_at": now,
            }
            for key, customer in zip(methods, customers, strict=True)
        ],
    )
    _insert(
        rt,
        Subscription,
        "sub",
        [
            {
                "id": key,
                "customer_id": customer,
                "plan_id": plan.id,
                "price_id": price.id,
                "address_id": address,
                "state": SubscriptionState.ACTIVE,
                "anchor_on": born,
                "anchor_day": anchor_day or next_on.day,
                "next_on": next_on,
                "next_number": 1,
                "billed_count": 1,
                "renews_at": rt.moment().start_of(next_on),
                "mrr_minor": mrr,
                "cohort": born.strftime("%Y-%m"),
                "created_at": now,
            }
            for key, customer, address in zip(subscriptions, customers, addresses, strict=True)
        ],
    )
    _insert(
        rt,
        Consent,
        "con",
        [
            {
                "customer_id": customer,
                "subscription_id": key,
                "kind": "renewal",
                "text": "",
                "text_hash": "",
                "text_version": "import",
                "amount_minor": price.amount_minor,
                "currency": price.currency,
                "interval": f"{price.count} {price.unit}",
                "given_at": now,
                "ip": "127.0.0.1",
                "user_agent": "",
            }
            for key, customer in zip(subscriptions, customers, strict=True)
        ],
    )
    rt.session.execute(
        sa.insert(table_of(SubscriptionPeriod)),
        [
            {
                "subscription_id": key,
                "number": 0,
                "kind": PeriodKind.BILLED,
                "state": PeriodState.PAID,
                "start_on": born,
                "end_on": next_on,
                "billed_number": 1,
                "plan_id": plan.id,
                "price_id": price.id,
                "box_count": 0,
                "mrr_minor": mrr,
                "opened_at": rt.moment().start_of(born),
                "paid_at": rt.moment().start_of(born),
            }
            for key in subscriptions
        ],
    )
    rt.session.execute(
        sa.insert(table_of(Movement)),
        [
            {
                "subscription_id": key,
                "on_day": born,
                "kind": "new",
                "reason": "import",
                "plan_id": plan.id,
                "cohort": born.strftime("%Y-%m"),
                "currency": price.currency,
                "delta_minor": mrr,
            }
            for key in subscriptions
        ],
    )
    return subscriptions


def _insert(rt: Runtime, model: type[Base], prefix: str, rows: list[dict[str, Any]]) -> None:
    named = [
        {"public_id": public} | row
        for public, row in zip(public_ids(prefix, len(rows)), rows, strict=True)
    ]
    rt.session.execute(sa.insert(table_of(model)), named)
