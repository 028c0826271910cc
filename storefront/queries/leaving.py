"""The offers to stay as staff see them, and what one would make of the next payments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import sqlalchemy as sa

from storefront.domain.money import Money
from storefront.domain.tax_treatment import TaxRules
from storefront.models import (
    Address,
    Coupon,
    LeavingOffer,
    Plan,
    Price,
    PromotionCode,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.coupons import TypedCode
from storefront.operations.discounts import coupon_columns
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment
from storefront.operations.skips import read_coming
from storefront.operations.sold_prices import sold_to_subscribers
from storefront.queries.next_payment import next_charge, price_of, read_costs


@dataclass(frozen=True, slots=True)
class OfferView:
    """One offer with how often it was answered; ``plan`` is empty for any plan.

    ``to_plan`` names the plan that is offered, if one is.
    """

    ref: str
    kind: str
    plan: str
    boxes: int
    code: str
    rest_days: int
    taken: int
    declined: int
    to_plan: str = ""


def offers(session: AnySession) -> list[OfferView]:
    """Return every offer, in the order in which they were made."""
    table, plan = table_of(LeavingOffer), table_of(Plan)
    other = plan.alias("to_plan")
    rows = session.execute(
        sa.select(table, plan.c.name.label("plan"), other.c.name.label("to_plan"))
        .outerjoin(plan, plan.c.id == table.c.plan_id)
        .outerjoin(other, other.c.id == table.c.to_plan_id)
        .order_by(table.c.id)
    )
    return [
        OfferView(
            row.public_id,
            row.kind,
            row.plan or "",
            row.boxes,
            row.code,
            row.rest_days,
            row.taken,
            row.declined,
            row.to_plan or "",
        )
        for row in rows
    ]


def cheaper_price(
    session: AnySession, customer_id: int, subscription: str, plan_id: int, today: date
) -> str | None:
    """Return the price of the plan ``plan_id`` that costs less for the interval paid now, or None.

    Compared before tax, discounts and delivery; what it comes to is for the quote to say.
    """
    table, price, address = table_of(Subscription), table_of(Price), table_of(Address)
    own = session.execute(
        sa.select(
            price.c.unit,
            price.c.count.label("unit_count"),
            price.c.amount_minor,
            price.c.currency,
            address.c.country,
        )
        .select_from(table)
        .join(price, price.c.id == table.c.price_id)
        .outerjoin(address, address.c.id == table.c.address_id)
        .where(table.c.public_id == subscription, table.c.customer_id == customer_id)
    ).one_or_none()
    if own is None:
        return None
    sold = sold_to_subscribers(session, own.currency, own.country or "", today, [plan_id])
    fits = (
        row.public_id
        for row in sold
        if row.plan_id == plan_id
        and (row.unit, row.unit_count) == (own.unit, own.unit_count)
        and row.amount_minor < own.amount_minor
    )
    return next(fits, None)


@dataclass(frozen=True, slots=True)
class Lowered:
    """The next payment of a subscription, without and with a code."""

    day: date
    before: Money
    after: Money


def lowered_by(
    session: AnySession,
    customer_id: int,
    subscription: str,
    code: TypedCode,
    taxes: TaxRules,
    moment: Moment,
) -> Lowered | None:
    """Return what the next payment would be with ``code``, by the renewal's own functions.

    None where nothing is charged by the clock.
    """
    table = table_of(Subscription)
    which = sa.and_(table.c.customer_id == customer_id, table.c.public_id == subscription)
    found = read_coming(session, which, moment.today)
    if not found:
        return None
    coming, costs = found[0], read_costs(session, found, taxes)
    charge = next_charge(coming, costs, moment)
    if charge is None:
        return None
    known, coupon = table_of(PromotionCode), table_of(Coupon)
    row = session.execute(
        sa.select(
            sa.literal(0).label("id"),
            sa.literal(coming.row.id).label("subscription_id"),
            known.c.id.label("promotion_code_id"),
            known.c.code,
            sa.literal(code.terms.lasts, sa.Integer()).label("cycles_left"),
            sa.false().label("holds_use"),
            sa.false().label("is_counted"),
            *coupon_columns(),
        )
        .join(coupon, coupon.c.id == known.c.coupon_id)
        .where(known.c.id == code.promotion_code_id)
    ).one()
    rows = [*costs.discounts.get(coming.row.id, ()), row]
    with_it = replace(costs, discounts={**costs.discounts, coming.row.id: rows})
    return Lowered(charge[0], charge[1], price_of(coming, with_it, charge[0]))
