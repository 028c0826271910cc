"""What a coupon's row means to a price, and which discounts a subscription has; one way for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.domain.coupons import CouponTerms, Discount, Target
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.models import Coupon, PromotionCode, Redemption, SubscriptionDiscount
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of, by_subscription


@dataclass(frozen=True, slots=True)
class Place:
    """What the limits of a discount are compared with, period by period."""

    plan: str
    interval: Interval
    country: str
    on: date


def held_by(rows: Sequence[AnyRow], place: Place) -> list[CouponTerms]:
    """Return the discounts of ``running_discounts`` that may lower a period at ``place``.

    Plan, interval and country are compared for each period: a code that the checkout would
    refuse for another plan does not come along to it either, it rests. Its days were compared
    when it was typed; an automatic one is for whom it fits, so its days count each time too.
    Source: docs/decisions/0047-codes-that-rest.md.
    """
    return [
        coupon_terms(row, str(row.id), row.code, row.cycles_left)
        for row in rows
        if (_fits(row, place) if row.is_automatic else inside_limits(row, place))
    ]


def resting(rows: Sequence[AnyRow], place: Place) -> tuple[str, ...]:
    """Return the codes among ``running_discounts`` that lower nothing at ``place``."""
    return tuple(row.code for row in rows if not row.is_automatic and not inside_limits(row, place))


def inside_limits(row: AnyRow, place: Place) -> bool:
    """Return whether plan, interval and country of ``place`` are those of the coupon."""
    limits = row.limits or {}
    return all(
        not limits.get(name) or value in limits[name]
        for name, value in (
            ("plans", place.plan),
            ("intervals", str(place.interval)),
            ("countries", place.country),
        )
    )


def _fits(row: AnyRow, place: Place) -> bool:
    inside = inside_limits(row, place)
    if row.is_counted or row.from_billed == 1:
        return inside
    # Loyalty: the days are those of the period in which it begins.
    begun = row.starts_on is None or row.starts_on <= place.on
    return inside and begun and (row.ends_on is None or place.on <= row.ends_on)


#: Kind of a coupon -> what it lowers; the others lower what ``applies_to`` says.
_TARGETS: dict[str, Target] = {
    "free_shipping": "shipping",
    "free_first_box": "first_box",
    "first_box_price": "first_box",
}


def coupon_terms(row: AnyRow, ref: str, code: str, lasts: int | None) -> CouponTerms:
    """Return what the coupon of ``row`` (columns of ``COUPON_COLUMNS``) takes off, and when."""
    if row.kind == "percent":
        discount = Discount("percent", Decimal(row.percent_bp) / 100)
    elif row.kind in ("fixed", "first_box_price"):
        discount = Discount("fixed", amount=Money(row.amount_minor, row.currency))
    else:
        discount = Discount("percent", Decimal(100))
    target: Target = "fee" if row.applies_to == "fee" else "box"
    return CouponTerms(
        ref,
        code,
        discount,
        lasts,
        _TARGETS.get(row.kind, target),
        row.from_billed,
        row.priority,
        row.coupon_id,
        row.combines,
    )


def coupon_columns() -> tuple[sa.ColumnElement[Any], ...]:
    """The columns of ``coupon`` that ``coupon_terms`` and the limits read."""
    coupon = table_of(Coupon)
    return (
        coupon.c.id.label("coupon_id"),
        coupon.c.kind,
        coupon.c.applies_to,
        coupon.c.percent_bp,
        coupon.c.amount_minor,
        coupon.c.currency,
        coupon.c.duration,
        coupon.c.from_billed,
        coupon.c.priority,
        coupon.c.combines,
        coupon.c.is_automatic,
        coupon.c.limits,
        coupon.c.starts_on,
        coupon.c.ends_on,
    )


def running_discounts(session: AnySession, ids: Sequence[int]) -> dict[int, list[AnyRow]]:
    """Return the discounts that still lower something, per subscription in their order.

    One statement; none without ``ids``.
    """
    if not ids:
        return {}
    return by_subscription(session.execute(discounts_statement(), {"ids": ids}))


def has_discounts(subscription: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the column that says whether ``running_discounts`` may find any of a subscription."""
    table = table_of(SubscriptionDiscount)
    return sa.exists().where(table.c.subscription_id == subscription.c.id, _lowers_more(table))


def _lowers_more(table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.or_(table.c.cycles_left.is_(None), table.c.cycles_left > 0)


@cache
def discounts_statement() -> AnySelect:
    """The discounts of the subscriptions ``ids`` that still lower something; built once."""
    table, coupon, used = table_of(SubscriptionDiscount), table_of(Coupon), table_of(Redemption)
    code = table_of(PromotionCode)
    counted = sa.exists().where(
        used.c.subscription_discount_id == table.c.id, used.c.counts, used.c.given_back_at.is_(None)
    )
    # The first time it lowers something it takes a use; where none is left it lowers nothing.
    # One that was shown at the order holds its use from then on.
    has_use = sa.and_(
        sa.or_(coupon.c.max_uses.is_(None), coupon.c.used < coupon.c.max_uses),
        sa.or_(code.c.id.is_(None), code.c.max_uses.is_(None), code.c.used < code.c.max_uses),
        sa.or_(sa.not_(coupon.c.is_automatic), coupon.c.archived_at.is_(None)),
    )
    return (
        sa.select(
            table.c.id,
            table.c.subscription_id,
            table.c.promotion_code_id,
            table.c.code,
            table.c.cycles_left,
            table.c.holds_use,
            counted.label("is_counted"),
            *coupon_columns(),
        )
        .join(coupon, coupon.c.id == table.c.coupon_id)
        .outerjoin(code, code.c.id == table.c.promotion_code_id)
        .where(
            any_of(table.c.subscription_id),
            _lowers_more(table),
            sa.or_(counted, table.c.holds_use, has_use),
        )
        .order_by(table.c.subscription_id, table.c.position, table.c.id)
    )
