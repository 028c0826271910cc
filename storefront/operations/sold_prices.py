"""The prices that a running subscription can go on with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache

import sqlalchemy as sa

from storefront.models import Plan, Price
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of
from storefront.operations.offers import sold_on


def sold_to_subscribers(
    session: AnySession, currency: str, country: str, today: date, unlisted: Sequence[int]
) -> list[AnyRow]:
    """Return the prices that a subscription in ``currency``, sent to ``country``, can go on with.

    One per plan and interval: that made for their country, else that for everywhere. Of plans
    that are not listed only those in ``unlisted`` (keys), which they have or came for.
    """
    which = {"currency": currency, "country": country, "today": today, "ids": unlisted}
    rows = session.execute(_sold_to_subscribers(), which)
    return list({(row.plan_id, row.unit, row.unit_count): row for row in rows}.values())


def sold_from(
    rows: Iterable[AnyRow], currency: str, country: str, today: date, unlisted: Sequence[int]
) -> list[AnyRow]:
    """Return what ``sold_to_subscribers`` does, out of ``all_sold``."""
    found = (
        row
        for row in rows
        if row.currency == currency
        and row.country in ("", country)
        and (row.ends_on is None or row.ends_on > today)
        and (row.is_public or row.plan_id in unlisted)
    )
    return list({(row.plan_id, row.unit, row.unit_count): row for row in found}.values())


def all_sold(session: AnySession) -> list[AnyRow]:
    """Return the prices on sale of every plan, in the order of their plans; one statement."""
    plan, price = table_of(Plan), table_of(Price)
    rows = _sold().add_columns(price.c.country, plan.c.ends_on)
    return list(session.execute(rows.where(plan.c.archived_at.is_(None))))


@cache
def _sold_to_subscribers() -> AnySelect:
    plan, price = table_of(Plan), table_of(Price)
    return _sold().where(
        price.c.currency == sa.bindparam("currency"),
        sa.or_(price.c.country == "", price.c.country == sa.bindparam("country")),
        sold_on(plan, sa.bindparam("today")),
        sa.or_(plan.c.is_public, any_of(plan.c.id)),
    )


def _sold() -> AnySelect:
    plan, price = table_of(Plan), table_of(Price)
    return (
        sa.select(
            price.c.id,
            price.c.public_id,
            price.c.plan_id,
            price.c.unit,
            price.c.count.label("unit_count"),
            price.c.amount_minor,
            price.c.currency,
            price.c.tax_inclusive,
            price.c.phases,
            plan.c.name,
            plan.c.tagline,
            plan.c.code,
            plan.c.is_public,
        )
        .join(plan, plan.c.id == price.c.plan_id)
        .where(price.c.retired_at.is_(None))
        .order_by(plan.c.position, plan.c.id, price.c.country, price.c.version)
    )
