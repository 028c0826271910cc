"""What a subscription costs with another plan, quantity or other answers: now, and from then on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import sqlalchemy as sa

from storefront.domain.addons import sold_beside
from storefront.domain.boxes import boxes_per_period
from storefront.domain.changes import PeriodCost, asks_consent
from storefront.domain.coupons import CouponTerms
from storefront.domain.packing import option_keys
from storefront.domain.recurring import PeriodTerms, PricedPeriod, price_period
from storefront.domain.shipping import with_shipping
from storefront.domain.stacking import with_discounts
from storefront.domain.tax_treatment import Sale
from storefront.models import Coupon, InvoiceLine, Redemption, SubscriptionDiscount
from storefront.models.base import table_of
from storefront.operations.addons import running_addons, terms_of_addons
from storefront.operations.discounts import (
    Place,
    coupon_columns,
    coupon_terms,
    held_by,
    inside_limits,
    running_discounts,
)
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.offers import OrderPlan, OrderPrice, price_named, read_plan
from storefront.operations.shipping import read_delivery
from storefront.operations.terms import option_texts, surcharges_of


@dataclass(frozen=True, slots=True)
class Held:
    """What a subscription is, or would be: plan, price, quantity, answers."""

    plan: OrderPlan
    price: OrderPrice
    quantity: int
    options: Mapping[str, str]

    @property
    def boxes(self) -> int:
        """How many boxes a billing interval brings, 0 where nothing is shipped."""
        if self.plan.shipping is None:
            return 0
        return boxes_per_period(self.price.interval, self.plan.shipping)


def next_period(
    session: AnySession, row: AnyRow, new: Held, sale: Sale, moment: Moment
) -> tuple[PricedPeriod, bool]:
    """Return the next period with what is changed to, and whether its customer has to agree."""
    found = _coming(session, row, new, sale, moment)
    plan, price = read_plan(session, row.plan_id), price_named(session, row.price_id)
    now = Held(plan, price, row.quantity, row.options or {})
    old = _coming(session, row, now, sale, moment)
    return price_period(found), asks_consent(_cost(old), _cost(found))


def this_period(
    session: AnySession, row: AnyRow, new: Held, sale: Sale, moment: Moment
) -> PricedPeriod:
    """Return what the running period would have cost with what is changed to.

    With the discounts that lowered it when it was billed, and the phase it was billed in.
    """
    per = max(row.box_count, 1)
    plain = _plain(session, new, sale, moment, row.boxes_billed - per)
    held = _redeemed(session, row, _place(new, sale, row.start_on))
    return price_period(with_discounts(plain, held, row.billed_number, row.billed_number))


def whole_period(
    session: AnySession, row: AnyRow, new: Held, sale: Sale, moment: Moment, replaced: int
) -> PricedPeriod:
    """Return what a period of what is changed to costs that begins today.

    ``replaced`` boxes billed before are not sent; those of the new period stand for them.
    One that began today already keeps the discounts that lowered it, and takes no other.
    """
    plain = _plain(session, new, sale, moment, max(row.boxes_billed - replaced, 0))
    if row.start_on == moment.today:
        kept = _redeemed(session, row, _place(new, sale, row.start_on))
        return price_period(with_discounts(plain, kept, row.billed_number, row.billed_number))
    discounts = running_discounts(session, [row.id]).get(row.id, [])
    counted = [one for one in discounts if one.is_counted]
    held = held_by(counted, Place(new.plan.code, new.price.interval, sale.country, moment.today))
    number = row.billed_count + 1
    return price_period(with_discounts(plain, held, number, number))


def _coming(session: AnySession, row: AnyRow, new: Held, sale: Sale, moment: Moment) -> PeriodTerms:
    """Return the terms of the next period after the change, as the renewal would have them."""
    addons = running_addons(session, [row.id]).get(row.id, [])
    plain = _plain(session, new, sale, moment, row.boxes_billed, addons)
    discounts = running_discounts(session, [row.id]).get(row.id, [])
    held = held_by(discounts, Place(new.plan.code, new.price.interval, sale.country, row.next_on))
    number = row.billed_count + 1
    return with_discounts(plain, held, number, number)


def _cost(terms: PeriodTerms) -> PeriodCost:
    amount = price_period(terms).quote.total
    full = price_period(replace(terms, discounts=())).quote.total
    return PeriodCost(terms.interval, amount, full)


def _plain(
    session: AnySession,
    new: Held,
    sale: Sale,
    moment: Moment,
    boxes_before: int,
    addons: Sequence[AnyRow] = (),
) -> PeriodTerms:
    plan, price = new.plan, new.price
    options = option_texts(session, {plan.id} if new.options else set())
    taxed = sale.tax(plan.tax_class, moment.today)
    terms = PeriodTerms(
        plan_name=plan.name,
        plan_ref=plan.code,
        amount=price.amount,
        interval=price.interval,
        boxes=new.boxes,
        quantity=new.quantity,
        tax_rate=taxed.rate,
        inclusive=price.inclusive,
        surcharges=surcharges_of(new.options, plan.id, price.amount.currency, options),
        phases=price.phases,
        boxes_before=boxes_before,
        beside=sold_beside(
            terms_of_addons(addons, price.amount.currency, sale, moment.today), new.boxes
        ),
        rounding=sale.taxes.rounding,
        treatment=taxed.treatment,
        tax_source=taxed.source,
    )
    where = (sale.country, sale.place.postcode)
    return with_shipping(terms, read_delivery(session), *where, option_keys(new.options))


def _place(new: Held, sale: Sale, on: date) -> Place:
    return Place(new.plan.code, new.price.interval, sale.country, on)


def _redeemed(session: AnySession, row: AnyRow, place: Place) -> list[CouponTerms]:
    """Return the discounts that lowered the running period, each with this use still to take.

    Those that do not fit ``place`` rest.
    """
    table, coupon, used = table_of(SubscriptionDiscount), table_of(Coupon), table_of(Redemption)
    line = table_of(InvoiceLine)
    rows = session.execute(
        sa.select(table.c.id, table.c.code, table.c.cycles_left, *coupon_columns())
        .join(coupon, coupon.c.id == table.c.coupon_id)
        .join(used, used.c.subscription_discount_id == table.c.id)
        .where(
            # Others on the same invoice have discounts of their own.
            table.c.subscription_id == row.id,
            used.c.given_back_at.is_(None),
            used.c.invoice_id.in_(
                sa.select(line.c.invoice_id).where(line.c.period_id == row.period_id)
            ),
        )
        .order_by(table.c.position, table.c.id)
    ).all()
    return [
        coupon_terms(
            each,
            str(each.id),
            each.code,
            None if each.cycles_left is None else each.cycles_left + 1,
        )
        for each in {each.id: each for each in rows}.values()
        if inside_limits(each, place)
    ]
