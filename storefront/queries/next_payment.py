"""When a subscription is charged next and what that payment is, by the renewal's own functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import boxes_per_period
from storefront.domain.invoices import LineKind
from storefront.domain.lifecycle import ENDED
from storefront.domain.money import Money
from storefront.domain.pricing import Quote
from storefront.domain.recurring import PricedPeriod, price_period
from storefront.domain.shipping import Delivery
from storefront.domain.tax_treatment import TaxRules
from storefront.models import Subscription
from storefront.models.base import table_of
from storefront.operations.addons import running_addons
from storefront.operations.discounts import running_discounts
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.next_charges import next_charge_on
from storefront.operations.shipping import read_delivery
from storefront.operations.skips import Coming, read_coming
from storefront.operations.terms import OptionTexts, option_texts, terms_of


@dataclass(frozen=True, slots=True)
class Costs:
    """What beside the plan decides the price of a payment."""

    discounts: Mapping[int, Sequence[AnyRow]]
    options: OptionTexts
    delivery: Delivery
    taxes: TaxRules
    #: What is sold beside the plan, by subscription.
    addons: Mapping[int, Sequence[AnyRow]]


def read_costs(
    session: AnySession,
    found: Sequence[Coming],
    taxes: TaxRules,
    delivery: Delivery | None = None,
) -> Costs:
    """Return what the payments of these subscriptions cost beside their plans.

    ``delivery`` where the caller knows it.
    """
    running = [one.row.id for one in found if one.row.has_discounts and one.row.state not in ENDED]
    return Costs(
        running_discounts(session, running),
        option_texts(session, {one.row.plan_id for one in found if one.row.options}),
        delivery or read_delivery(session),
        taxes,
        running_addons(session, (one.row.id for one in found if one.row.has_addons)),
    )


def price_of(coming: Coming, costs: Costs, day: date, ahead: int = 0) -> Money:
    """Return what the ``ahead``-th payment from now will be, on ``day``."""
    return priced_for(coming, coming.row, costs, day, ahead).quote.total


def priced_for(
    coming: Coming, row: AnyRow, costs: Costs, day: date, ahead: int = 0
) -> PricedPeriod:
    """Return the ``ahead``-th period from now; ``row`` is that of ``coming``, or a changed one."""
    standing = coming.standing
    boxes = boxes_per_period(standing.billing, standing.shipping) if row.ships else 0
    terms = terms_of(
        row,
        boxes,
        costs.discounts.get(coming.row.id, ()),
        costs.options,
        costs.taxes,
        day,
        delivery=costs.delivery,
        ahead=ahead,
        addons=costs.addons.get(coming.row.id, ()),
    )
    return price_period(terms)


def next_priced(coming: Coming, costs: Costs, moment: Moment) -> tuple[date, Quote] | None:
    """Return when the next payment is taken and its lines; None when none will be."""
    if coming.row.held_at is not None:
        return None
    day = next_charge_on(coming, moment.today)
    return None if day is None else (day, priced_for(coming, coming.row, costs, day).quote)


def next_charge(coming: Coming, costs: Costs, moment: Moment) -> tuple[date, Money] | None:
    """Return when the next payment is taken and what it is; None when none will be."""
    found = next_priced(coming, costs, moment)
    return None if found is None else (found[0], found[1].total)


def delivery_in(quote: Quote) -> Money | None:
    """Return what a payment holds for delivery, less what a code takes off it; None: nothing.

    Delivery that is in the plan's price has no line of its own.
    """
    ways = {at for at, line in enumerate(quote.lines) if line.kind is LineKind.SHIPPING}
    parts = [
        line.amount.minor
        for at, line in enumerate(quote.lines)
        if at in ways or line.lowers in ways
    ]
    total = Money(sum(parts), quote.currency)
    return None if total.is_zero else total


def next_price(
    session: AnySession, customer_id: int, public_id: str, day: date, taxes: TaxRules
) -> Money | None:
    """Return what the next payment would be on ``day``; None for what is not the customer's."""
    table = table_of(Subscription)
    which = sa.and_(table.c.customer_id == customer_id, table.c.public_id == public_id)
    found = read_coming(session, which, day)
    return price_of(found[0], read_costs(session, found, taxes), day) if found else None
