"""What the first page of the account suggests below everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.suggestions import (
    OnSale,
    Saving,
    SuggestionKind,
    longer,
    skips_in_a_row,
    smaller,
)
from storefront.models import Address, BoxCycle, BoxSkip, Price, Subscription, SuggestionDismissal
from storefront.models.base import table_of
from storefront.operations.addons import offered_addons, running_addons
from storefront.operations.keys import AnyRow, AnySelect
from storefront.operations.offers import sold_to_subscribers
from storefront.queries.account import SubscriptionView

#: Boxes left out longer ago than this say nothing about the plan any more.
_RECENT = timedelta(days=120)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One thing to suggest about one subscription; ``kind`` says which of the others is set."""

    kind: SuggestionKind
    subscription: str
    plan: str
    #: Present price and interval, as on the page.
    price: Money
    interval: Interval
    saving: Saving | None = None
    smaller: OnSale | None = None
    #: What the cheapest thing that can come along costs.
    beside_from: Money | None = None


def suggestion(
    session: AnySession, customer_id: int, views: Sequence[SubscriptionView], today: date
) -> Suggestion | None:
    """Return what to suggest to a customer about the soonest of ``views`` that runs, if anything.

    Six statements at most, whatever their number; none where nothing runs. The caller knows
    that nothing is owed and leaves gifts out.
    """
    view = next((one for one in views if _may_be_suggested_to(one)), None)
    if view is None:
        return None
    away = _put_away(session, customer_id)
    if away >= set(SuggestionKind):
        return None
    own = _own(session, view.public_id)
    found = None
    if {SuggestionKind.LONGER, SuggestionKind.SMALLER} - away and view.method_ref:
        found = _another_price(session, view, own, away, today)
    if found is None and SuggestionKind.BESIDE not in away:
        found = _something_beside(session, view, own)
    return found


def _may_be_suggested_to(view: SubscriptionView) -> bool:
    """It runs and nothing about it waits, so that what is suggested could be done."""
    waits = view.then is not None or view.pauses_on is not None or view.is_cut_off
    return view.state == "active" and not waits


def _put_away(session: AnySession, customer_id: int) -> set[SuggestionKind]:
    table = table_of(SuggestionDismissal)
    kinds = session.scalars(sa.select(table.c.kind).where(table.c.customer_id == customer_id))
    return {SuggestionKind(one) for one in kinds}


def _another_price(
    session: AnySession,
    view: SubscriptionView,
    own: AnyRow,
    away: set[SuggestionKind],
    today: date,
) -> Suggestion | None:
    rows = sold_to_subscribers(session, own.currency, own.country or "", today, [own.plan_id])
    now = _on_sale(own, own.quantity)
    sold = [_on_sale(row, own.quantity) for row in rows if row.id != own.id]
    is_plain = not (view.discounts or view.gifts) and view.boxes_left is None and not view.ends_on
    saving = longer(now, sold) if is_plain and SuggestionKind.LONGER not in away else None
    less = smaller(now, sold) if SuggestionKind.SMALLER not in away else None
    shown = (view.public_id, view.plan, view.price, view.interval)
    # Who leaves boxes out does not want to pay for a year of them.
    if (saving or less) and _leaves_out(session, own.subscription_id, view, today):
        return Suggestion(SuggestionKind.SMALLER, *shown, smaller=less) if less else None
    return Suggestion(SuggestionKind.LONGER, *shown, saving=saving) if saving else None


def _own(session: AnySession, subscription: str) -> AnyRow:
    return session.execute(_priced(), {"subscription": subscription}).one()


@cache
def _priced() -> AnySelect:
    table, price, address = table_of(Subscription), table_of(Price), table_of(Address)
    return (
        sa.select(
            price.c.id,
            price.c.public_id,
            price.c.plan_id,
            sa.literal("").label("name"),
            price.c.unit,
            price.c.count.label("unit_count"),
            price.c.amount_minor,
            price.c.currency,
            price.c.tax_inclusive,
            price.c.phases,
            table.c.id.label("subscription_id"),
            table.c.quantity,
            address.c.country,
        )
        .join(price, price.c.id == table.c.price_id)
        .outerjoin(address, address.c.id == table.c.address_id)
        .where(table.c.public_id == sa.bindparam("subscription"))
    )


def _on_sale(row: AnyRow, quantity: int) -> OnSale:
    return OnSale(
        row.public_id,
        row.plan_id,
        row.name,
        Interval(row.unit, row.unit_count),
        Money(row.amount_minor * quantity, row.currency),
        row.tax_inclusive,
        not row.phases,
    )


def _leaves_out(session: AnySession, key: int, view: SubscriptionView, today: date) -> bool:
    skip, cycle = table_of(BoxSkip), table_of(BoxCycle)
    skipped = session.scalars(
        sa.select(cycle.c.ship_from)
        .join(skip, skip.c.cycle_id == cycle.c.id)
        .where(
            skip.c.subscription_id == key,
            sa.not_(skip.c.is_forced),
            cycle.c.ship_from >= today - _RECENT,
            cycle.c.ship_from < today,
        )
    ).all()
    coming = [(one.ship_from, one.state == "skipped") for one in view.boxes if one.ship_from]
    return skips_in_a_row(skipped, [one.ship_from for one in view.past], coming)


def _something_beside(
    session: AnySession, view: SubscriptionView, own: AnyRow
) -> Suggestion | None:
    """Say that something can come along, to somebody who has nothing beside the box."""
    offered = offered_addons(session, view.plan_code, own.currency)
    if not offered or running_addons(session, [own.subscription_id]):
        return None
    return Suggestion(
        SuggestionKind.BESIDE,
        view.public_id,
        view.plan,
        view.price,
        view.interval,
        beside_from=min((one.amount for one in offered), key=lambda amount: amount.minor),
    )
