"""Find subscribers, and one customer's page as staff see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.lifecycle import ENDED, SubscriptionState
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.models import (
    Box,
    Customer,
    Invoice,
    InvoiceLine,
    Plan,
    Price,
    Shipment,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.queries.today import renews_on, will_renew

#: Rows of one page.
PAGE = 50
#: Counting stops here: a longer list is "more than".
COUNT_LIMIT = 10_000

#: What the filter knows, in the order offered.
STATES: tuple[str, ...] = (
    "active",
    "past_due",
    "ending",
    "held",
    "parked",
    "trialing",
    "paused",
    "canceled",
    "unfinished",
)


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is narrowed to; empty values narrow nothing."""

    q: str = ""
    state: str = ""
    #: Code of the plan.
    plan: str = ""
    #: Day of the next charge.
    renews: date | None = None
    #: Public id of the price version subscribed at.
    price: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One subscription in the list."""

    ref: str
    customer: str
    name: str
    email: str
    plan: str
    interval: Interval
    quantity: int
    #: Code of the pill.
    state: str
    cancel_on: date | None
    #: Day of the next charge; None when nothing is billed by the clock.
    next_on: date | None
    amount: Money
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FoundPage:
    """One page of the list. ``newer`` and ``older`` are the cursors of the pages beside it."""

    rows: tuple[Found, ...]
    #: How many match; None when there are more than ``COUNT_LIMIT``.
    count: int | None
    newer: str
    older: str


def find(session: AnySession, filters: Filters, *, after: str = "", before: str = "") -> FoundPage:
    """Return one page, newest first; three statements, four with a cursor.

    ``after`` is the last subscription of the page before this one, ``before`` the first of the
    page behind it: keyset paging, so the thousandth page costs what the first does.
    """
    table = table_of(Subscription)
    which = conditions(filters)
    cursor = _cursor(session, before or after)
    key = sa.tuple_(table.c.created_at, table.c.id)
    backwards = bool(before and cursor)
    statement = _rows().where(*which)
    if cursor is not None:
        at = sa.tuple_(
            sa.literal(cursor.created_at, table.c.created_at.type), sa.literal(cursor.id)
        )
        statement = statement.where(key > at if backwards else key < at)
    order = (
        (table.c.created_at, table.c.id)
        if backwards
        else (table.c.created_at.desc(), table.c.id.desc())
    )
    rows = list(session.execute(statement.order_by(*order).limit(PAGE + 1)))
    more = len(rows) > PAGE
    rows = rows[:PAGE]
    if backwards:
        rows.reverse()
    found = tuple(_found(row) for row in rows)
    has_newer = more if backwards else cursor is not None
    has_older = cursor is not None if backwards else more
    return FoundPage(
        found,
        _count(session, which),
        found[0].ref if found and has_newer else "",
        found[-1].ref if found and has_older else "",
    )


def _count(session: AnySession, which: Sequence[sa.ColumnElement[bool]]) -> int | None:
    table = table_of(Subscription)
    some = sa.select(table.c.id).where(*which).limit(COUNT_LIMIT + 1).subquery()
    count: int = session.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
    return None if count > COUNT_LIMIT else count


def _cursor(session: AnySession, ref: str) -> AnyRow | None:
    if not ref:
        return None
    table = table_of(Subscription)
    return session.execute(
        sa.select(table.c.id, table.c.created_at).where(table.c.public_id == ref)
    ).one_or_none()


def _rows() -> sa.Select[Any]:
    table, customer = table_of(Subscription), table_of(Customer)
    plan, price = table_of(Plan), table_of(Price)
    return (
        sa.select(
            table.c.public_id,
            customer.c.public_id.label("customer"),
            customer.c.name.label("customer_name"),
            customer.c.email,
            plan.c.name.label("plan"),
            price.c.unit,
            price.c.count.label("unit_count"),
            price.c.amount_minor,
            price.c.currency,
            table.c.quantity,
            table.c.state,
            table.c.held_at,
            table.c.cancel_on,
            renews_on(),
            sa.case((will_renew(), 1), else_=0).label("renews"),
            table.c.created_at,
        )
        .select_from(table)
        .join(plan, plan.c.id == table.c.plan_id)
        .join(price, price.c.id == table.c.price_id)
        .outerjoin(customer, customer.c.id == table.c.customer_id)
    )


def _found(row: AnyRow) -> Found:
    return Found(
        row.public_id,
        row.customer or "",
        row.customer_name or "",
        row.email or "",
        row.plan,
        Interval(row.unit, row.unit_count),
        row.quantity,
        pill_state(row.state, held=row.held_at is not None, ends=row.cancel_on is not None),
        row.cancel_on,
        row.renews_on if row.renews else None,
        Money(row.amount_minor * row.quantity, row.currency),
        row.created_at,
    )


def pill_state(state: SubscriptionState, *, held: bool, ends: bool) -> str:
    """Return the code of the pill a subscription wears."""
    if state in ENDED:
        return SubscriptionState(state).value
    if held:
        return "held"
    return "ending" if ends else SubscriptionState(state).value


def conditions(filters: Filters) -> list[sa.ColumnElement[bool]]:
    """Return what ``filters`` ask of a row of ``subscription``."""
    table, plan = table_of(Subscription), table_of(Plan)
    which = [_state(filters.state)]
    if filters.plan:
        chosen = sa.select(plan.c.id).where(plan.c.code == filters.plan)
        which.append(table.c.plan_id.in_(chosen))
    if filters.price:
        price = table_of(Price)
        which.append(
            table.c.price_id.in_(sa.select(price.c.id).where(price.c.public_id == filters.price))
        )
    if filters.renews:
        which += [will_renew(), renews_on() == filters.renews]
    if filters.q:
        which.append(_search(filters.q))
    return which


def _state(code: str) -> sa.ColumnElement[bool]:
    table = table_of(Subscription)
    unfinished = (SubscriptionState.INCOMPLETE, SubscriptionState.EXPIRED)
    running = table.c.state.not_in([SubscriptionState.CANCELED, *unfinished])
    special: dict[str, sa.ColumnElement[bool]] = {
        "": table.c.state.not_in(unfinished),
        "ending": sa.and_(running, table.c.cancel_on.is_not(None)),
        "held": sa.and_(running, table.c.held_at.is_not(None)),
        "parked": sa.and_(running, table.c.parked_at.is_not(None)),
        "unfinished": table.c.state.in_(unfinished),
    }
    if code in special:
        return special[code]
    return table.c.state == SubscriptionState(code)


def _search(typed: str) -> sa.ColumnElement[bool]:
    """Match a public id, an e-mail's beginning, an invoice or tracking number, or a name.

    Everything but the name is looked up by an index.
    """
    table, customer = table_of(Subscription), table_of(Customer)
    q = typed.strip()
    low = q.lower()
    prefix = low.partition("_")[0]
    by_id = {
        "sub": lambda: table.c.public_id == low,
        "cus": lambda: table.c.customer_id.in_(
            sa.select(customer.c.id).where(customer.c.public_id == low)
        ),
        "inv": lambda: table.c.id.in_(_of_invoice(table_of(Invoice).c.public_id == low)),
        "box": lambda: table.c.id.in_(
            sa.select(table_of(Box).c.subscription_id).where(table_of(Box).c.public_id == low)
        ),
    }
    if "_" in low and prefix in by_id:
        return by_id[prefix]()
    people = [_begins(customer.c.email, low)]
    if "@" not in q:
        people.append(sa.func.lower(customer.c.name).contains(low, autoescape=True))
    matches = [
        table.c.customer_id.in_(sa.select(customer.c.id).where(sa.or_(*people))),
        table.c.id.in_(_of_parcel(q)),
    ]
    if q.isdecimal() and len(q) < 12:
        matches.append(table.c.id.in_(_of_invoice(table_of(Invoice).c.number == int(q))))
    return sa.or_(*matches)


def _begins(column: sa.ColumnElement[str], prefix: str) -> sa.ColumnElement[bool]:
    """Compare as a range, which an index serves on both databases."""
    return sa.and_(column >= prefix, column < f"{prefix}\uffff")


def _of_invoice(which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    invoice, line = table_of(Invoice), table_of(InvoiceLine)
    return (
        sa.select(line.c.subscription_id)
        .join(invoice, invoice.c.id == line.c.invoice_id)
        .where(which, line.c.subscription_id.is_not(None))
    )


def _of_parcel(number: str) -> sa.Select[Any]:
    box, shipment = table_of(Box), table_of(Shipment)
    return (
        sa.select(box.c.subscription_id)
        .join(shipment, shipment.c.id == box.c.shipment_id)
        .where(shipment.c.tracking_number == number, shipment.c.tracking_number != "")
    )


def plan_choices(session: AnySession) -> list[tuple[str, str]]:
    """Return (code, name) of every plan that was ever sold, for the filter."""
    plan = table_of(Plan)
    rows = session.execute(sa.select(plan.c.code, plan.c.name).order_by(plan.c.position, plan.c.id))
    return [(row.code, row.name) for row in rows]


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of a customer's subscriptions; words are the page's."""

    at: datetime
    kind: str
    actor: str
    #: Name of the staff user who did it, empty otherwise.
    actor_name: str
    subscription: str
    data: Mapping[str, Any]
    #: That its subscription is paid in; empty where the caller knows.
    currency: str = ""
