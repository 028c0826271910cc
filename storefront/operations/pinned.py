"""When a subscription is over by itself and what follows its term: pinned as it is sold.

A change to another plan or price is a sale too. Source: docs/decisions/0064-how-it-begins.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import boxes_per_period
from storefront.domain.least_terms import least_allowed
from storefront.domain.periods import Interval
from storefront.models import ScheduledChange
from storefront.models.base import table_of
from storefront.operations.change_data import OF_THE_CUSTOMER, OF_THE_TERM, changed
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.offers import (
    OrderPlan,
    OrderPrice,
    after_term,
    most_boxes,
    most_of,
    read_prices,
)


def ends_of(
    most_for_plan: int | None, least_for_plan: int, ends_on: date | None, before: int, agreed: int
) -> dict[str, Any]:
    """Return the columns that say when a subscription is over that goes on as another.

    ``most_for_plan`` boxes (None: no end) and ``least_for_plan`` are those of what it goes on
    as; they count from ``before``, the boxes billed for what it leaves. ``agreed``, the
    least number so far, is not got round by a change, unless the new plan ends sooner.

    >>> ends_of(3, 2, None, before=4, agreed=0)
    {'max_boxes': 7, 'min_boxes': 6, 'ends_on': None}
    """
    most = None if most_for_plan is None else before + most_for_plan
    least = max(agreed, before + least_for_plan if least_for_plan else 0)
    return {
        "max_boxes": most,
        "min_boxes": least if most is None else min(least, most),
        "ends_on": ends_on,
    }


def bound_in(plan: OrderPlan, billing: Interval, country: str, region: str) -> OrderPlan:
    """Return ``plan`` as it may bind a customer there; see ``domain.least_terms``."""
    least = least_allowed(plan.min_boxes, plan.shipping or billing, country, region)
    return plan if least == plan.min_boxes else replace(plan, min_boxes=least)


def ends_with(plan: OrderPlan, price: OrderPrice, before: int, agreed: int) -> dict[str, Any]:
    """Return ``ends_of`` for a subscription that goes on with ``price`` of ``plan``."""
    most = most_boxes(plan, price)
    return ends_of(most, plan.min_boxes, plan.ends_on, before, agreed)


def ending_columns(plan: sa.FromClause) -> tuple[sa.ColumnElement[Any], ...]:
    """The columns of the plan a period opens with that ``with_change`` reads."""
    names = ("min_boxes", "max_boxes", "ends_on", "at_term_end")
    return tuple(plan.c[name].label(f"plan_{name}") for name in names)


def with_change(row: AnyRow, old_price: int, new_price: int, *, binds: bool = True) -> Any:
    """Return ``row`` as its due change leaves it; ``repins``: what it goes on as is another sale.

    A new version of the price, and what follows a term, leave its end where it was sold. Where
    the change does not apply yet (not ``binds``) nobody is bound to its least number of boxes.
    """
    new = changed(row)
    is_wish = row.change_kind == OF_THE_CUSTOMER and "migration" not in (row.change_data or {})
    new.repins = is_wish and old_price != new_price
    if new.repins:
        billing = Interval(row.unit, row.unit_count)
        shipping = Interval(row.shipping_unit, row.shipping_count) if row.ships else billing
        most = most_of(
            boxes_per_period(billing, shipping), row.plan_at_term_end, row.plan_max_boxes
        )
        least = least_allowed(row.plan_min_boxes, shipping, row.country or "", row.region or "")
        ends = ends_of(most, least, row.plan_ends_on, row.boxes_billed, row.min_boxes)
        new.max_boxes, new.ends_on = ends["max_boxes"], ends["ends_on"]
        if binds:
            new.min_boxes = ends["min_boxes"]
    return new


def write_after_term(
    session: AnySession,
    subscription_id: int,
    to: tuple[OrderPlan, OrderPrice],
    country: str,
    on: date,
    moment: Moment,
) -> None:
    """Have what follows a term of ``to`` follow on ``on``; what followed the old one does not."""
    plan, price = to
    withdraw_after_term(session, [subscription_id])
    if plan.at_term_end != "monthly":
        return
    on_sale = read_prices(session, plan.id, price.amount.currency, country)
    then = after_term(plan, price, on_sale)
    if then is not None and then.amount.currency == price.amount.currency:
        insert_after_term(session, subscription_id, then.id, on, moment)


def insert_after_term(
    session: AnySession, subscription_id: int, price_id: int, on: date, moment: Moment
) -> None:
    """Note the price that a term falls to on ``on``; the renewal of that day applies it."""
    session.execute(
        sa.insert(table_of(ScheduledChange)).values(
            subscription_id=subscription_id,
            kind=OF_THE_TERM,
            effective_on=on,
            price_id=price_id,
            data={"after": "term"},
            state="waiting",
            created_at=moment.now,
        )
    )


def withdraw_after_term(session: AnySession, ids: Sequence[int]) -> None:
    """Drop what was to follow the terms of these subscriptions."""
    if not ids:
        return
    table = table_of(ScheduledChange)
    session.execute(
        sa.update(table)
        .where(
            table.c.subscription_id.in_(ids),
            table.c.state == "waiting",
            table.c.kind == OF_THE_TERM,
        )
        .values(state="withdrawn")
    )


def put_off_after_term(session: AnySession, subscription_id: int, on: date) -> None:
    """Have what follows the term follow on ``on``: the same term began anew."""
    table = table_of(ScheduledChange)
    session.execute(
        sa.update(table)
        .where(
            table.c.subscription_id == subscription_id,
            table.c.state == "waiting",
            table.c.kind == OF_THE_TERM,
        )
        .values(effective_on=on)
    )
