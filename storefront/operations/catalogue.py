"""Plans and prices as staff change them, and the version of what is sold.

The version keys every cached page that shows plans, prices or the shop.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from storefront.domain.errors import DomainError
from storefront.models import Plan, Price, ShopSettings
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession


class UnknownPlan(DomainError):
    """There is no such plan."""

    code = "unknown_plan"


class UnknownPrice(DomainError):
    """The plan has no such price on sale."""

    code = "unknown_price"


def raise_version(session: AnySession) -> None:
    """Make every page that was kept be made anew, from the caller's commit on."""
    table = table_of(ShopSettings)
    session.execute(sa.update(table).values(catalogue_version=table.c.catalogue_version + 1))


def lock_catalogue(session: AnySession) -> None:
    """Let changes of the catalogue queue here, each until its commit."""
    session.execute(sa.select(table_of(ShopSettings).c.id).with_for_update())


def locked_plan(session: AnySession, plan: str) -> AnyRow:
    """Return the plan with this public id, locked until the commit. Raises ``UnknownPlan``."""
    table = table_of(Plan)
    row = session.execute(
        sa.select(table).where(table.c.public_id == plan).with_for_update()
    ).one_or_none()
    if row is None:
        raise UnknownPlan(plan=plan)
    return row


def price_of(session: AnySession, plan_id: int, price: str) -> AnyRow:
    """Return a price of the plan, on sale or not, with its count as ``unit_count``.

    Raises ``UnknownPrice``.
    """
    table = table_of(Price)
    row = session.execute(
        _prices().where(table.c.plan_id == plan_id, table.c.public_id == price)
    ).one_or_none()
    if row is None:
        raise UnknownPrice(price=price)
    return row


def prices_on_sale(session: AnySession, plan_id: int) -> list[AnyRow]:
    """Return what the plan is sold at in any country, with counts as ``unit_count``."""
    table = table_of(Price)
    return list(
        session.execute(
            _prices()
            .where(table.c.plan_id == plan_id, table.c.retired_at.is_(None))
            .order_by(table.c.version)
        )
    )


def _prices() -> sa.Select[Any]:
    """Select prices; ``count`` gets another name, because a row has a method of that one."""
    table = table_of(Price)
    return sa.select(
        *[column for column in table.c if column.name != "count"],
        table.c.count.label("unit_count"),
    )
