"""The terms and the whole price list of a plan, as the merchant edits them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.lifecycle import RUNNING
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.plan_terms import PlanTerms
from storefront.models import Plan, Price, Subscription
from storefront.models.base import table_of


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """One price on sale with how many pay it."""

    ref: str
    country: str
    interval: Interval
    amount: Money
    is_tax_inside: bool
    sign_up_fee: Money
    phases: tuple[tuple[int, Money], ...]
    version: int
    created_at: datetime
    running: int


@dataclass(frozen=True, slots=True)
class PlanTermsPage:
    """A plan with its terms and every price on sale."""

    ref: str
    name: str
    shipping: Interval | None
    terms: PlanTerms
    prices: tuple[ListedPrice, ...]


def plan_terms(session: AnySession, ref: str) -> PlanTermsPage | None:
    """Return the terms of a plan; None for an unknown one."""
    plan, price, subscription = table_of(Plan), table_of(Price), table_of(Subscription)
    row = session.execute(sa.select(plan).where(plan.c.public_id == ref)).one_or_none()
    if row is None:
        return None
    running = (
        sa.select(sa.func.count())
        .where(subscription.c.price_id == price.c.id, subscription.c.state.in_(RUNNING))
        .scalar_subquery()
    )
    prices = session.execute(
        sa.select(
            *[column for column in price.c if column.name != "count"],
            price.c.count.label("unit_count"),
            running.label("running"),
        )
        .where(price.c.plan_id == row.id, price.c.retired_at.is_(None))
        .order_by(price.c.country, price.c.currency, price.c.id)
    )
    terms = PlanTerms(**{name: getattr(row, name) for name in PlanTerms.__dataclass_fields__})
    return PlanTermsPage(
        row.public_id,
        row.name,
        Interval(row.shipping_unit, row.shipping_count) if row.ships else None,
        terms,
        tuple(
            ListedPrice(
                one.public_id,
                one.country,
                Interval(one.unit, one.unit_count),
                Money(one.amount_minor, one.currency),
                one.tax_inclusive,
                Money(one.sign_up_fee_minor, one.currency),
                tuple(
                    (phase["boxes"], Money(phase["amount_minor"], one.currency))
                    for phase in one.phases
                ),
                one.version,
                one.created_at,
                one.running,
            )
            for one in prices
        ),
    )
