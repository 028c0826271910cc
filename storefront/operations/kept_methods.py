"""Stored payment methods as rows: written when a card is kept, and as the gateway renews them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.domain.gateways import VaultedMethod
from storefront.models import PaymentMethod
from storefront.models.base import public_id, table_of
from storefront.operations.keys import AnySelect, AnySession, any_of, reserve
from storefront.operations.moment import Moment


@dataclass(frozen=True, slots=True)
class Card:
    """A stored method and the gateway account its token belongs to."""

    gateway: str
    account: str
    method: VaultedMethod


def described(method: VaultedMethod) -> dict[str, Any]:
    """Return the columns that say what a method is, without its token and its agreement."""
    return {
        "brand": method.brand[:24],
        "last4": method.last4[:4],
        "exp_month": method.exp_month,
        "exp_year": method.exp_year,
        "fingerprint": method.fingerprint[:80],
        "kind": method.kind,
        "label": method.label[:80],
    }


def _agreed(method: VaultedMethod) -> dict[str, Any]:
    """Return the columns of what its owner agreed to, only those that the gateway names.

    A later answer that leaves one out has not taken it back.
    """
    values: dict[str, Any] = {}
    if method.gateway_customer:
        values["gateway_customer"] = method.gateway_customer
    if method.agreement:
        values["agreement"] = method.agreement
    if method.limit is not None:
        values |= {"limit_minor": method.limit.minor, "limit_currency": method.limit.currency}
    return values


def find_method(session: AnySession, card: Card, customer_id: int | None = None) -> int | None:
    """Return the key of the method with this token, of one customer or of anybody."""
    table = table_of(PaymentMethod)
    statement = sa.select(table.c.id).where(
        table.c.gateway == card.gateway,
        table.c.account == card.account,
        table.c.token == card.method.token,
    )
    if customer_id is not None:
        statement = statement.where(table.c.customer_id == customer_id)
    found: int | None = session.execute(statement).scalar_one_or_none()
    return found


def keep_again(session: AnySession, method_id: int, card: Card) -> None:
    """Write what a set-up says of a method that is known: its owner has just agreed anew.

    One that was taken away is there again. One that was refused for good stays refused.
    """
    table = table_of(PaymentMethod)
    values = described(card.method) | _agreed(card.method)
    values |= {"detached_at": None, "forget_at": None}
    session.execute(sa.update(table).where(table.c.id == method_id).values(values))


def insert_method(
    session: AnySession, customer_id: int, card: Card, *, is_default: bool, moment: Moment
) -> int:
    """Write a new method and return its key.

    Raises ``IntegrityError`` if the token is known or the customer has a default already.
    """
    key = reserve(session, PaymentMethod, 1)[0]
    session.execute(
        sa.insert(table_of(PaymentMethod)).values(
            id=key,
            public_id=public_id("pm"),
            customer_id=customer_id,
            gateway=card.gateway,
            account=card.account,
            token=card.method.token,
            is_default=is_default,
            created_at=moment.now,
            **described(card.method),
            **_agreed(card.method),
        )
    )
    return key


def customer_at(session: AnySession, customer_id: int | None, gateway: str, account: str) -> str:
    """Return the gateway's own id of a customer, as it gave it last; empty if it never did."""
    if customer_id is None:
        return ""
    table = table_of(PaymentMethod)
    found = session.execute(
        sa.select(table.c.gateway_customer)
        .where(
            table.c.customer_id == customer_id,
            table.c.gateway == gateway,
            table.c.account == account,
            table.c.gateway_customer != "",
        )
        .order_by(table.c.id.desc())
        .limit(1)
    ).scalar_one_or_none()
    return str(found or "")


def renew_methods(session: AnySession, renewed: Mapping[int, VaultedMethod]) -> None:
    """Write methods as gateways replaced their tokens or renewed their cards, by key.

    A token that another row has already stays there: of two rows for one card only one is
    charged, and it was this one's turn. Statements: one, and one for each method.
    """
    if not renewed:
        return
    table = table_of(PaymentMethod)
    rows = session.execute(_methods_statement(), {"ids": sorted(renewed)}).all()
    for row in rows:
        method = renewed[row.id]
        values = described(method) | _agreed(method)
        if method.token != row.token:
            other = table.alias()
            taken = sa.exists().where(
                other.c.gateway == row.gateway,
                other.c.account == row.account,
                other.c.token == method.token,
            )
            values["token"] = sa.case((taken, table.c.token), else_=method.token)
        session.execute(sa.update(table).where(table.c.id == row.id).values(values))


@cache
def _methods_statement() -> AnySelect:
    table = table_of(PaymentMethod)
    columns = (table.c.id, table.c.gateway, table.c.account, table.c.token)
    return sa.select(*columns).where(any_of(table.c.id)).order_by(table.c.id)
