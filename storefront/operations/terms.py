"""Gather what decides the price of a subscription's next period: one way for charge and preview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.domain.coupons import Discount
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.rates import rate_for
from storefront.domain.recurring import PeriodTerms, RunningDiscount
from storefront.models import Coupon, Option, OptionGroup, SubscriptionDiscount
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of

#: (plan id, group code, option code) -> (text for the line, minor units by currency).
OptionTexts = Mapping[tuple[int, str, str], tuple[str, Mapping[str, int]]]


def terms_of(
    row: AnyRow,
    boxes: int,
    discounts: Sequence[AnyRow],
    options: OptionTexts,
    seller_country: str,
    on: date | None = None,
) -> PeriodTerms:
    """Return the terms of the period that starts ``on``, by default at ``row.next_on``.

    ``row`` has the columns of the subscription, its plan and price by the names used here.
    """
    country = row.country or seller_country
    return PeriodTerms(
        plan_name=row.plan_name,
        plan_ref=row.plan_code,
        amount=Money(row.amount_minor, row.currency),
        interval=Interval(row.unit, row.unit_count),
        boxes=boxes,
        quantity=row.quantity,
        tax_rate=rate_for(country, row.tax_class, on or row.next_on),
        inclusive=row.tax_inclusive,
        surcharges=surcharges_of(row.options, row.plan_id, row.currency, options),
        discounts=tuple(running(discount) for discount in discounts),
    )


def surcharges_of(
    chosen: Mapping[str, str] | None, plan_id: int, currency: str, options: OptionTexts
) -> tuple[tuple[str, str, Money], ...]:
    """Return (text, ref, surcharge per box) of the ``chosen`` options that the plan knows."""
    found = []
    for group, option in sorted((chosen or {}).items()):
        text, minor = options.get((plan_id, group, option), ("", {}))
        if minor.get(currency):
            found.append((text, f"{group}={option}", Money(minor[currency], currency)))
    return tuple(found)


def running(row: AnyRow) -> RunningDiscount:
    """Return the discount of a row of ``running_discounts``."""
    if row.kind == "percent":
        discount = Discount("percent", Decimal(row.percent_bp) / 100)
    else:
        discount = Discount("fixed", amount=Money(row.amount_minor, row.currency))
    return RunningDiscount(str(row.id), row.code, discount, row.duration != "once")


def running_discounts(session: AnySession, ids: Sequence[int]) -> dict[int, list[AnyRow]]:
    """Return the discounts that still lower something, per subscription in their order."""
    rows = session.execute(_discounts_statement(), {"ids": ids}).all()
    found: dict[int, list[AnyRow]] = {}
    for row in rows:
        found.setdefault(row.subscription_id, []).append(row)
    return found


@cache
def _discounts_statement() -> AnySelect:
    table, coupon = table_of(SubscriptionDiscount), table_of(Coupon)
    return (
        sa.select(
            table.c.id,
            table.c.subscription_id,
            table.c.coupon_id,
            table.c.code,
            table.c.cycles_left,
            coupon.c.kind,
            coupon.c.percent_bp,
            coupon.c.amount_minor,
            coupon.c.currency,
            coupon.c.duration,
        )
        .join(coupon, coupon.c.id == table.c.coupon_id)
        .where(
            any_of(table.c.subscription_id),
            sa.or_(table.c.cycles_left.is_(None), table.c.cycles_left > 0),
        )
        .order_by(table.c.subscription_id, table.c.position, table.c.id)
    )


def option_texts(session: AnySession, plan_ids: set[int]) -> OptionTexts:
    """Return texts and surcharges of the options of plans; no statement for no plan."""
    if not plan_ids:
        return {}
    group, option = table_of(OptionGroup), table_of(Option)
    rows: sa.Result[Any] = session.execute(
        sa.select(
            group.c.plan_id,
            group.c.code,
            group.c.name,
            option.c.code.label("option_code"),
            option.c.name.label("option_name"),
            option.c.surcharges,
        )
        .join(option, option.c.group_id == group.c.id)
        .where(group.c.plan_id.in_(plan_ids))
    )
    return {
        (row.plan_id, row.code, row.option_code): (f"{row.name}: {row.option_name}", row.surcharges)
        for row in rows
    }
