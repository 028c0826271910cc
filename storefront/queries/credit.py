"""The credit a customer has: where it came from and what is left of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.money import Money
from storefront.models import CreditMove, CustomerCredit
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect

#: Records shown, the newest first.
SHOWN = 20


@dataclass(frozen=True, slots=True)
class CreditRow:
    """One credit given; ``origin`` is change, refund, goodwill or referral."""

    at: datetime
    origin: str
    reason: str
    amount: Money
    rest: Money


@dataclass(frozen=True, slots=True)
class Credit:
    """What is left in each currency, and the records behind it."""

    balances: tuple[Money, ...]
    rows: tuple[CreditRow, ...]


def credit_of(session: AnySession, customer_id: int) -> Credit:
    """Return a customer's credit; empty when none was ever given."""
    owner, move = table_of(CustomerCredit), table_of(CreditMove)
    rows = session.execute(
        sa.select(move, owner.c.currency)
        .join(owner, owner.c.id == move.c.customer_credit_id)
        .where(owner.c.customer_id == customer_id)
        .order_by(move.c.id.desc())
        .limit(SHOWN)
    ).all()
    return Credit(
        balances_of(session, customer_id),
        tuple(
            CreditRow(
                row.at,
                row.origin,
                row.reason,
                Money(row.amount_minor, row.currency),
                Money(row.rest_minor, row.currency),
            )
            for row in rows
        ),
    )


def has_credit(customer: sa.BindParameter[int]) -> sa.ColumnElement[bool]:
    """Return the column that says whether anything is left of a customer's credit."""
    owner = table_of(CustomerCredit)
    return sa.exists().where(owner.c.customer_id == customer, owner.c.balance_minor > 0)


def balances_of(session: AnySession, customer_id: int) -> tuple[Money, ...]:
    """Return what is left of a customer's credit, in each currency."""
    return balances_from(session.execute(balances(), {"customer": customer_id}))


def balances_from(rows: Iterable[AnyRow]) -> tuple[Money, ...]:
    """Return the sums that ``balances`` found."""
    return tuple(Money(row.balance_minor, row.currency) for row in rows)


@cache
def balances() -> AnySelect:
    """What is left of the credit of a ``customer``, by currency; built once."""
    owner = table_of(CustomerCredit)
    customer = sa.bindparam("customer", type_=owner.c.customer_id.type)
    return (
        sa.select(owner.c.balance_minor, owner.c.currency)
        .where(owner.c.customer_id == customer, owner.c.balance_minor > 0)
        .order_by(owner.c.currency)
    )
