"""What a period costs before a change and after it, with the options and discounts there are."""

from __future__ import annotations

from dataclasses import replace

from storefront.domain.boxes import boxes_per_period
from storefront.domain.changes import PeriodCost, asks_consent
from storefront.domain.recurring import PeriodTerms, PricedPeriod, price_period
from storefront.domain.shipping import with_shipping
from storefront.domain.stacking import with_discounts
from storefront.domain.tax_treatment import Sale
from storefront.operations.discounts import Place, held_by, running_discounts, shipping_rates
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.offers import OrderPlan, OrderPrice, price_named, read_plan
from storefront.operations.terms import option_texts, surcharges_of


def costs_of_change(
    session: AnySession,
    row: AnyRow,
    target: OrderPrice,
    plan: OrderPlan,
    sale: Sale,
    moment: Moment,
) -> tuple[PricedPeriod, bool]:
    """Return a period of what is changed to, and whether its customer has to agree to it."""
    new = _terms(session, row, target, plan, sale, moment)
    price, old_plan = price_named(session, row.price_id), read_plan(session, row.plan_id)
    old = _terms(session, row, price, old_plan, sale, moment)
    return price_period(new), asks_consent(_cost(old), _cost(new))


def _cost(terms: PeriodTerms) -> PeriodCost:
    amount = price_period(terms).quote.total
    full = price_period(replace(terms, discounts=())).quote.total
    return PeriodCost(terms.interval, amount, full)


def _terms(
    session: AnySession,
    row: AnyRow,
    target: OrderPrice,
    plan: OrderPlan,
    sale: Sale,
    moment: Moment,
) -> PeriodTerms:
    """Return the terms of the next period after the change, as the renewal would have them."""
    options = option_texts(session, {plan.id} if row.options else set())
    discounts = running_discounts(session, [row.id]).get(row.id, [])
    taxed = sale.tax(plan.tax_class, moment.today)
    plain = PeriodTerms(
        plan_name=plan.name,
        plan_ref=plan.code,
        amount=target.amount,
        interval=target.interval,
        boxes=boxes_per_period(target.interval, plan.shipping) if plan.shipping else 0,
        quantity=row.quantity,
        tax_rate=taxed.rate,
        inclusive=target.inclusive,
        surcharges=surcharges_of(row.options, plan.id, row.currency, options),
        phases=target.phases,
        boxes_before=row.boxes_billed,
        rounding=sale.taxes.rounding,
        treatment=taxed.treatment,
        tax_source=taxed.source,
    )
    held = held_by(discounts, Place(plan.code, target.interval, sale.country, row.next_on))
    number = row.billed_count + 1
    sent = with_shipping(plain, shipping_rates(session), sale.country)
    return with_discounts(sent, held, number, number)
