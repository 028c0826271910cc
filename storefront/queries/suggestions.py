"""What the first page of the account suggests below everything else."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date, timedelta

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
from storefront.models import Addon, BoxCycle, BoxSkip
from storefront.models.base import table_of
from storefront.operations.addons import addons_on_sale, offered_with
from storefront.operations.keys import AnyRow
from storefront.operations.sold_prices import all_sold, sold_from
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
    #: Where it is sent, empty where nothing is; said where they have several subscriptions.
    address: str = ""
    is_of_several: bool = False


@dataclass(frozen=True, slots=True)
class Assortment:
    """What can be suggested to anybody; it changes with the catalogue alone."""

    prices: tuple[AnyRow, ...]
    #: What may come along, as far as the catalogue says: what is counted may have run out.
    addons: tuple[AnyRow, ...]


def read_assortment(session: AnySession) -> Assortment:
    """Return the prices and add-ons on sale; two statements."""
    table = table_of(Addon)
    addons = sa.select(table.c.amounts, table.c.plans).where(table.c.archived_at.is_(None))
    return Assortment(tuple(all_sold(session)), tuple(session.execute(addons)))


def suggestion(
    session: AnySession,
    views: Sequence[SubscriptionView],
    away: AbstractSet[SuggestionKind],
    today: date,
    on_sale: Assortment,
) -> Suggestion | None:
    """Return what to suggest to a customer about one of ``views`` that runs, if anything.

    A plan that costs less comes first, then another interval, then something beside the box; of
    several subscriptions that it fits, the soonest. Two statements at most, whatever their number:
    which boxes were left out, where any were and a price would be suggested; what can come along,
    where the catalogue has anything. The caller knows that nothing is owed and leaves gifts out.
    """
    running = [one for one in views if _may_be_suggested_to(one)]
    if not running or away >= set(SuggestionKind):
        return None
    found = None
    if {SuggestionKind.LONGER, SuggestionKind.SMALLER} - away:
        paying = [one for one in running if one.method_ref]
        found = _another_price(session, paying, away, today, on_sale)
    if found is None and SuggestionKind.BESIDE not in away:
        found = _something_beside(session, running, on_sale)
    is_of_several = sum(not one.is_ended for one in views) > 1
    return replace(found, is_of_several=is_of_several) if found else None


def _may_be_suggested_to(view: SubscriptionView) -> bool:
    """It runs and nothing about it waits, so that what is suggested could be done."""
    waits = view.then is not None or view.pauses_on is not None or view.is_cut_off
    return view.state == "active" and not waits


def _another_price(
    session: AnySession,
    views: Sequence[SubscriptionView],
    away: AbstractSet[SuggestionKind],
    today: date,
    on_sale: Assortment,
) -> Suggestion | None:
    fitting = _fitting(views, away, today, on_sale)
    skipping = _leave_out(session, [view for view, _saving, _less in fitting], today)
    for view, _saving, less in fitting:
        if less and view.public_id in skipping:
            return _about(view, SuggestionKind.SMALLER, smaller=less)
    for view, saving, _less in fitting:
        # Who leaves boxes out does not want to pay for a year of them.
        if saving and view.public_id not in skipping:
            return _about(view, SuggestionKind.LONGER, saving=saving)
    return None


def _fitting(
    views: Sequence[SubscriptionView],
    away: AbstractSet[SuggestionKind],
    today: date,
    on_sale: Assortment,
) -> list[tuple[SubscriptionView, Saving | None, OnSale | None]]:
    """Return the subscriptions that could pay another price, with what saves and what is less."""
    found = []
    for view in views:
        own, now = view.pays, _own(view)
        offered = [
            _on_sale(row, view.quantity)
            for row in sold_from(on_sale.prices, own.currency, own.country, today, [own.plan_id])
            if row.id != own.price_id
        ]
        lowered = view.discounts or view.gifts
        is_plain = not lowered and view.boxes_left is None and not view.ends_on
        saving = longer(now, offered) if is_plain and SuggestionKind.LONGER not in away else None
        less = smaller(now, offered) if SuggestionKind.SMALLER not in away else None
        if saving or less:
            found.append((view, saving, less))
    return found


def _about(
    view: SubscriptionView,
    kind: SuggestionKind,
    *,
    saving: Saving | None = None,
    smaller: OnSale | None = None,
    beside_from: Money | None = None,
) -> Suggestion:
    return Suggestion(
        kind,
        view.public_id,
        view.plan,
        view.price,
        view.interval,
        saving,
        smaller,
        beside_from,
        view.address if view.ships else "",
    )


def _own(view: SubscriptionView) -> OnSale:
    """Return what it pays; nothing waits that would change it."""
    own = view.pays
    return OnSale(
        "", own.plan_id, "", view.interval, view.price, own.is_inclusive, not own.has_phases
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


def _leave_out(
    session: AnySession, views: Sequence[SubscriptionView], today: date
) -> frozenset[str]:
    """Return which of ``views`` leave out box after box; one statement, where any left one out."""
    keys = [view.pays.subscription_id for view in views if view.pays.has_skips]
    rows = _skipped(session, keys, today) if keys else ()
    return frozenset(
        view.public_id
        for view in views
        if _leaves_out(
            view,
            [row.ship_from for row in rows if row.subscription_id == view.pays.subscription_id],
        )
    )


def _skipped(session: AnySession, keys: Sequence[int], today: date) -> Sequence[AnyRow]:
    skip, cycle = table_of(BoxSkip), table_of(BoxCycle)
    return session.execute(
        sa.select(skip.c.subscription_id, cycle.c.ship_from)
        .join(skip, skip.c.cycle_id == cycle.c.id)
        .where(
            skip.c.subscription_id.in_(keys),
            sa.not_(skip.c.is_forced),
            cycle.c.ship_from >= today - _RECENT,
            cycle.c.ship_from < today,
        )
    ).all()


def _leaves_out(view: SubscriptionView, skipped: Sequence[date]) -> bool:
    coming = [(one.ship_from, one.state == "skipped") for one in view.boxes if one.ship_from]
    return skips_in_a_row(skipped, [one.ship_from for one in view.past], coming)


def _something_beside(
    session: AnySession, views: Sequence[SubscriptionView], on_sale: Assortment
) -> Suggestion | None:
    """Say that something can come along, with a box that has nothing beside it."""
    bare = [view for view in views if not view.pays.has_addons and _fits_any(view, on_sale)]
    rows = addons_on_sale(session) if bare else ()
    for view in bare:
        offered = offered_with(rows, view.plan_code, view.pays.currency)
        if offered:
            least = min((one.amount for one in offered), key=lambda amount: amount.minor)
            return _about(view, SuggestionKind.BESIDE, beside_from=least)
    return None


def _fits_any(view: SubscriptionView, on_sale: Assortment) -> bool:
    """Return whether the catalogue has anything beside this plan; what is in stock is asked."""
    return any(
        view.pays.currency in row.amounts and (not row.plans or view.plan_code in row.plans)
        for row in on_sale.addons
    )
