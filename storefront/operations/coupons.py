"""Codes a shopper types: find them, say whether they fit, take and give back their uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

import sqlalchemy as sa

from storefront.domain.checkout import CouponTerms
from storefront.domain.coupons import CouponRule, Discount, cycles_after
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.models import (
    Coupon,
    PromotionCode,
    Redemption,
    Subscription,
    SubscriptionDiscount,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnySession, reserve


@dataclass(frozen=True, slots=True)
class TypedCode:
    """A known code with its rule and what it takes off."""

    promotion_code_id: int
    coupon_id: int
    rule: CouponRule
    terms: CouponTerms

    @property
    def code(self) -> str:
        return self.terms.code


def find_code(session: AnySession, normalised: str) -> TypedCode | None:
    """Return the code in its stored spelling (``normalise_code``), or None."""
    return _found(session, table_of(PromotionCode).c.code == normalised)


def code_of(session: AnySession, promotion_code_id: int) -> TypedCode | None:
    """Return the code with this key, or None once it or its coupon was archived."""
    return _found(session, table_of(PromotionCode).c.id == promotion_code_id)


def _found(session: AnySession, condition: sa.ColumnElement[bool]) -> TypedCode | None:
    code, coupon = table_of(PromotionCode), table_of(Coupon)
    row = session.execute(
        sa.select(coupon, code.c.id.label("code_id"), code.c.code)
        .join(code, code.c.coupon_id == coupon.c.id)
        .where(condition, code.c.archived_at.is_(None), coupon.c.archived_at.is_(None))
    ).one_or_none()
    if row is None:
        return None
    return TypedCode(row.code_id, row.id, _rule(row), _terms(row))


def _rule(row: sa.Row[Any]) -> CouponRule:
    limits = row.limits or {}
    return CouponRule(
        plans=frozenset(limits.get("plans", ())),
        intervals=frozenset(_interval(text) for text in limits.get("intervals", ())),
        countries=frozenset(limits.get("countries", ())),
        first_time_only=row.first_time_only,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        max_uses=row.max_uses,
        used=row.used,
        max_per_customer=row.max_per_customer,
    )


def _interval(text: str) -> Interval:
    count, _, unit = text.partition(" ")
    return Interval(cast(Any, unit), int(count))


def _terms(row: sa.Row[Any]) -> CouponTerms:
    if row.kind == "percent":
        discount = Discount("percent", percent=Decimal(row.percent_bp) / 100)
    else:
        discount = Discount("fixed", amount=Money(row.amount_minor, row.currency))
    lasts = {"once": 1, "cycles": row.duration_cycles, "forever": None}[row.duration]
    return CouponTerms(row.public_id, row.code, discount, lasts)


def take_use(session: AnySession, coupon_id: int) -> bool:
    """Take one use if there is one left; False when the last is gone."""
    table = table_of(Coupon)
    taken = session.execute(
        sa.update(table)
        .where(
            table.c.id == coupon_id,
            sa.or_(table.c.max_uses.is_(None), table.c.used < table.c.max_uses),
        )
        .values(used=table.c.used + 1)
        .returning(table.c.id)
    )
    return taken.one_or_none() is not None


def give_back_uses(session: AnySession, coupon_ids: Sequence[int]) -> None:
    """Give one use back per entry; the caller makes sure that it happens once."""
    table = table_of(Coupon)
    for coupon_id in coupon_ids:
        session.execute(
            sa.update(table)
            .where(table.c.id == coupon_id, table.c.used > 0)
            .values(used=table.c.used - 1)
        )


def give_back_redemptions(session: AnySession, invoice_ids: Sequence[int], now: datetime) -> None:
    """Mark what was redeemed on these unpaid invoices as given back."""
    table = table_of(Redemption)
    session.execute(
        sa.update(table)
        .where(table.c.invoice_id.in_(invoice_ids), table.c.given_back_at.is_(None))
        .values(given_back_at=now)
    )


def uses_by(session: AnySession, coupon_id: int, customer_id: int) -> int:
    """Return how many subscriptions of a customer began with this coupon and were not undone."""
    table = table_of(Redemption)
    return session.execute(
        sa.select(sa.func.count())
        .select_from(table)
        .where(
            table.c.coupon_id == coupon_id,
            table.c.customer_id == customer_id,
            table.c.counts,
            table.c.given_back_at.is_(None),
        )
    ).scalar_one()


def is_first_order(session: AnySession, customer_id: int) -> bool:
    """Return whether this customer never had a subscription that began."""
    table = table_of(Subscription)
    had = sa.exists().where(
        table.c.customer_id == customer_id,
        table.c.state.not_in([SubscriptionState.INCOMPLETE, SubscriptionState.EXPIRED]),
    )
    return not session.execute(sa.select(had)).scalar_one()


@dataclass(frozen=True, slots=True)
class Use:
    """Whose first invoice a code lowers."""

    subscription_id: int
    customer_id: int
    invoice_id: int


def redeem(
    session: AnySession,
    code: TypedCode | None,
    taken: Mapping[str, Money],
    use: Use,
    now: datetime,
) -> None:
    """Put ``code`` to work on a new subscription; the first invoice is its first cycle.

    ``taken`` says what each coupon took off that invoice. A code of an earlier try that was
    taken off again (also with ``code`` None) lowers nothing any more.
    """
    table = table_of(SubscriptionDiscount)
    mine = table.c.subscription_id == use.subscription_id
    other = table.c.coupon_id != (code.coupon_id if code else 0)
    session.execute(sa.update(table).where(mine, other).values(cycles_left=0))
    if code is None:
        return
    off = taken[code.terms.ref]
    left = cycles_after(code.terms.lasts, off)
    discount_id = session.execute(
        sa.update(table)
        .where(mine, table.c.coupon_id == code.coupon_id)
        .values(cycles_left=left, code=code.code)
        .returning(table.c.id)
    ).scalar_one_or_none()
    if discount_id is None:
        discount_id = reserve(session, SubscriptionDiscount, 1)[0]
        session.execute(
            sa.insert(table).values(
                id=discount_id,
                subscription_id=use.subscription_id,
                coupon_id=code.coupon_id,
                code=code.code,
                position=0,
                cycles_left=left,
            )
        )
    if off.minor > 0:
        session.execute(
            sa.insert(table_of(Redemption)).values(
                subscription_discount_id=discount_id,
                coupon_id=code.coupon_id,
                customer_id=use.customer_id,
                invoice_id=use.invoice_id,
                amount_minor=off.minor,
                counts=True,
                at=now,
            )
        )
