"""The rows an order is made of: customer, method, address, and each box's subscription.

A second try of the same order finds what the first one wrote and writes over it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.domain.checkout import OrderQuote
from storefront.domain.events import EventKind
from storefront.domain.lifecycle import (
    RUNNING,
    PeriodKind,
    PeriodState,
    SubscriptionState,
    check_move,
)
from storefront.domain.periods import add_interval
from storefront.models import (
    Address,
    AllergyAnswer,
    Checkout,
    Customer,
    PaymentMethod,
    ScheduledChange,
    Subscription,
    SubscriptionDiscount,
    SubscriptionPeriod,
)
from storefront.models.base import public_id, table_of
from storefront.operations.addons import write_picked
from storefront.operations.change_data import OF_THE_TERM
from storefront.operations.checkout import Order
from storefront.operations.choices import write_answer
from storefront.operations.consents import Given, write_consent
from storefront.operations.kept_methods import Card, find_method, insert_method, keep_again
from storefront.operations.kept_places import keep_place
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.moment import Moment
from storefront.operations.offers import most_boxes
from storefront.operations.order_items import OrderItem
from storefront.operations.subscriptions import SubscriptionChange, change_subscriptions
from storefront.operations.timeline import Entry, record

ADDRESS_COLUMNS = (
    *("name", "company", "street", "extra", "postcode", "city", "region", "country"),
    "phone",
)


@dataclass(frozen=True, slots=True)
class Owners:
    """Whose order it is, where it goes and what pays for it, as keys."""

    customer_id: int
    #: None for a gift whose recipient says where it goes.
    address_id: int | None
    #: None for a trial that asks for no payment method.
    method_id: int | None


@dataclass(frozen=True, slots=True)
class WrittenBox:
    """The subscription and the first period of one box of an order."""

    item: OrderItem
    quote: OrderQuote
    subscription_id: int
    period_id: int


def write_customer(session: AnySession, order: Order, moment: Moment) -> tuple[int, bool]:
    """Return the customer with the order's e-mail, made if there is none, locked until commit."""
    table = table_of(Customer)
    checkout = order.checkout
    values = {
        "public_id": public_id("cus"),
        "email": checkout.email,
        "name": checkout.address.get("name", ""),
        "locale": checkout.locale,
        "source": source_of(checkout),
        "created_at": moment.now,
    }
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    insert: Any = dialect.insert(table).values(**values)
    made = session.execute(
        insert.on_conflict_do_nothing(index_elements=["email"]).returning(table.c.id)
    ).scalar_one_or_none()
    if made is not None:
        # Known before the order is paid, which may be in this transaction.
        table = table_of(Checkout)
        quote = {**checkout.quote, "new_customer": int(made)}
        session.execute(sa.update(table).where(table.c.id == checkout.id).values(quote=quote))
        return int(made), True
    statement = sa.select(table.c.id).where(table.c.email == checkout.email)
    if session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update()
    found = session.execute(statement).scalar_one()
    return int(found), checkout.quote.get("new_customer") == found


def source_of(checkout: AnyRow) -> str:
    """Return where the shopper came from in one word: the campaign's source, else the site."""
    return str(checkout.source.get("utm_source") or checkout.source.get("ref") or "")[:80]


def write_method(session: AnySession, customer_id: int, card: Card, moment: Moment) -> int:
    """Store the card; it becomes the default unless something running relies on another."""
    known = find_method(session, card)
    if known is not None:
        keep_again(session, known, card)
        return known
    is_default = _may_be_default(session, customer_id)
    if is_default:
        table = table_of(PaymentMethod)
        session.execute(
            sa.update(table)
            .where(table.c.customer_id == customer_id, table.c.is_default)
            .values(is_default=False)
        )
    return insert_method(session, customer_id, card, is_default=is_default, moment=moment)


def _may_be_default(session: AnySession, customer_id: int) -> bool:
    method, subscription = table_of(PaymentMethod), table_of(Subscription)
    has_default = sa.exists().where(
        method.c.customer_id == customer_id,
        method.c.is_default,
        method.c.detached_at.is_(None),
    )
    has_running = sa.exists().where(
        subscription.c.customer_id == customer_id, subscription.c.state.in_(RUNNING)
    )
    row = session.execute(sa.select(has_default, has_running)).one()
    return not (row[0] and row[1])


def write_address(
    session: AnySession,
    customer_id: int,
    address: Mapping[str, Any],
    moment: Moment,
    *,
    given_by: int | None = None,
) -> int:
    """Return the customer's address that reads the same, else write a new one.

    Where the recipient of a gift lives is an address of that gift alone, which goes with it: for
    the order ``given_by`` only one that an earlier try of it wrote is taken again.
    """
    table, subscription = table_of(Address), table_of(Subscription)
    typed = {name: str(address.get(name, "")) for name in ADDRESS_COLUMNS}
    same = sa.select(table.c.id).where(
        table.c.customer_id == customer_id,
        *[table.c[name] == value for name, value in typed.items()],
    )
    if given_by is not None:
        same = same.where(
            sa.exists().where(
                subscription.c.checkout_id == given_by, subscription.c.address_id == table.c.id
            )
        )
    known = session.execute(same.order_by(table.c.id).limit(1)).scalar_one_or_none()
    if known is not None:
        return int(known)
    key = reserve(session, Address, 1)[0]
    session.execute(
        sa.insert(table).values(
            id=key,
            public_id=public_id("adr"),
            customer_id=customer_id,
            created_at=moment.now,
            **typed,
        )
    )
    return key


def write_boxes(
    session: AnySession, order: Order, owners: Owners, moment: Moment
) -> list[WrittenBox]:
    """Write the subscription of each box of the order, with what comes with it.

    Subscriptions of an earlier try whose boxes were taken off since never began: they expire
    and are of this order no more.
    """
    known = _subscriptions_of(session, order.checkout.id)
    written = []
    for position, item in enumerate(order.items):
        if item.quote is None or item.price is None:
            raise ValueError("a box that cannot be ordered")
        values = _subscription_values(order, item, item.quote, owners)
        subscription_id = _write_subscription(
            session, known.get(position), values, (order.checkout.id, position), moment
        )
        is_gift = order.gift is not None
        if order.checkout.avoids or position in known:
            write_answer(session, subscription_id, avoided_in(order, item), moment.now)
        period_id = _write_period(
            session, subscription_id, item, item.quote, moment, is_gift=is_gift
        )
        keep_place(session, period_id, item.quote)
        _write_after_term(session, subscription_id, item, item.quote, moment)
        billed_with = period_id if item.quote.is_paid else None
        write_picked(session, subscription_id, item.picked, billed_with, moment)
        _write_consent(session, order, item.quote, (owners.customer_id, subscription_id), moment)
        written.append(WrittenBox(item, item.quote, subscription_id, period_id))
    left = [row for position, row in known.items() if position >= len(order.items)]
    expire_boxes(session, left, moment)
    table = table_of(Subscription)
    session.execute(
        sa.update(table).where(table.c.id.in_([row.id for row in left])).values(checkout_id=None)
    )
    return written


def avoided_in(order: Order, item: OrderItem) -> list[str]:
    """Return what must not be in the boxes of ``item``: what was said of the order.

    Of every plan that ships: its next recipe may hold what that of today does not.
    """
    return list(order.checkout.avoids) if item.plan.shipping is not None else []


def expire_boxes(session: AnySession, rows: Sequence[AnyRow], moment: Moment) -> None:
    """End subscriptions (``id``, ``public_id``, ``version``, ``state``) that never began."""
    if not rows:
        return
    ids = [row.id for row in rows]
    expired = {"state": SubscriptionState.EXPIRED}
    for row in rows:
        check_move(SubscriptionState(row.state), SubscriptionState.EXPIRED)
    changes = [SubscriptionChange(row.id, row.version, expired) for row in rows]
    change_subscriptions(session, changes)
    discount, period = table_of(SubscriptionDiscount), table_of(SubscriptionPeriod)
    # Their order has given them back.
    session.execute(
        sa.update(discount).where(discount.c.subscription_id.in_(ids)).values(holds_use=False)
    )
    session.execute(
        sa.update(period)
        .where(period.c.subscription_id.in_(ids), period.c.state == PeriodState.INVOICED)
        .values(state=PeriodState.VOID)
    )
    answer = table_of(AllergyAnswer)
    session.execute(sa.delete(answer).where(answer.c.subscription_id.in_(ids)))
    kind = EventKind.SUBSCRIPTION_EXPIRED
    record(session, [Entry(row.id, row.public_id, kind) for row in rows], moment)


def expire_order(session: AnySession, checkout_id: int, moment: Moment) -> None:
    """End every subscription of an order whose time is over."""
    expire_boxes(session, list(_subscriptions_of(session, checkout_id).values()), moment)


def _subscriptions_of(session: AnySession, checkout_id: int) -> dict[int, AnyRow]:
    """Return the subscriptions of an order by their position in it."""
    table = table_of(Subscription)
    rows = session.execute(
        sa.select(
            table.c.id,
            table.c.public_id,
            table.c.version,
            table.c.state,
            table.c.checkout_position,
        )
        .where(table.c.checkout_id == checkout_id)
        .order_by(table.c.checkout_position)
    )
    return {row.checkout_position: row for row in rows}


def _subscription_values(
    order: Order, item: OrderItem, quote: OrderQuote, owners: Owners
) -> dict[str, Any]:
    assert item.price is not None
    is_gift = order.gift is not None
    return {
        "customer_id": None if is_gift else owners.customer_id,
        "payer_id": owners.customer_id if is_gift else None,
        "is_gift": is_gift,
        "plan_id": item.plan.id,
        "price_id": item.price.id,
        "quantity": item.wish.quantity,
        "options": dict(item.chosen),
        "address_id": owners.address_id,
        "payment_method_id": None if is_gift else owners.method_id,
        "anchor_on": quote.renewal_on,
        # Free days up to a fixed billing day are a period of their own.
        "anchor_number": 2 if quote.free else 1,
        "anchor_day": quote.anchor_day,
        "next_on": quote.period.end,
        "billed_count": int(quote.is_paid),
        "boxes_billed": max(quote.boxes, 1) if quote.is_paid else 0,
        "min_boxes": item.plan.min_boxes,
        "max_boxes": most_boxes(item.plan, item.price),
        "ends_on": item.plan.ends_on,
        "source": source_of(order.checkout),
    }


def _write_subscription(
    session: AnySession,
    known: AnyRow | None,
    values: Mapping[str, Any],
    place: tuple[int, int],
    moment: Moment,
) -> int:
    """Write it at ``place``: its order and its position there."""
    table = table_of(Subscription)
    if known is not None:
        session.execute(
            sa.update(table)
            .where(table.c.id == known.id, table.c.state == SubscriptionState.INCOMPLETE)
            .values(**values, version=table.c.version + 1)
        )
        return int(known.id)
    key = reserve(session, Subscription, 1)[0]
    session.execute(
        sa.insert(table).values(
            id=key,
            public_id=public_id("sub"),
            checkout_id=place[0],
            checkout_position=place[1],
            state=SubscriptionState.INCOMPLETE,
            next_number=1,
            renews_at=None,
            mrr_minor=0,
            cohort="",
            created_at=moment.now,
            fence=0,
            version=1,
            **values,
        )
    )
    return key


def _write_period(
    session: AnySession,
    subscription_id: int,
    item: OrderItem,
    quote: OrderQuote,
    moment: Moment,
    *,
    is_gift: bool,
) -> int:
    """Write period 0, or re-price the row an earlier try has written.

    The term of a gift has no monthly value: it makes nobody a subscriber.
    """
    assert item.price is not None
    table = table_of(SubscriptionPeriod)
    values = {
        "start_on": quote.period.start,
        "end_on": quote.period.end,
        "plan_id": item.plan.id,
        "price_id": item.price.id,
        "kind": PeriodKind.GIFT if is_gift else quote.opening.kind,
        "billed_number": int(quote.is_paid),
        "box_count": quote.boxes if quote.is_paid else 0,
        "mrr_minor": 0 if is_gift else quote.first.mrr.minor,
        "opened_at": moment.now,
    }
    known = session.execute(
        sa.update(table)
        .where(table.c.subscription_id == subscription_id, table.c.number == 0)
        .values(**values)
        .returning(table.c.id)
    ).scalar_one_or_none()
    if known is not None:
        return int(known)
    key = reserve(session, SubscriptionPeriod, 1)[0]
    session.execute(
        sa.insert(table).values(
            id=key,
            subscription_id=subscription_id,
            number=0,
            state=PeriodState.INVOICED,
            reason="",
            **values,
        )
    )
    return key


def _write_after_term(
    session: AnySession, subscription_id: int, item: OrderItem, quote: OrderQuote, moment: Moment
) -> None:
    """Note the price that a prepaid term falls to; the renewal at the term's end applies it."""
    table = table_of(ScheduledChange)
    session.execute(
        sa.update(table)
        .where(table.c.subscription_id == subscription_id, table.c.state == "waiting")
        .values(state="withdrawn")
    )
    if item.then is None or item.price is None:
        return
    turns = 0 if quote.is_paid else 1
    session.execute(
        sa.insert(table).values(
            subscription_id=subscription_id,
            kind=OF_THE_TERM,
            effective_on=add_interval(
                quote.renewal_on, item.price.interval, turns, day=quote.anchor_day
            ),
            price_id=item.then.id,
            data={"after": "term"},
            state="waiting",
            created_at=moment.now,
        )
    )


def _write_consent(
    session: AnySession,
    order: Order,
    quote: OrderQuote,
    owner: tuple[int, int],
    moment: Moment,
) -> None:
    """Keep the words of the whole order with each box, with what that box then costs."""
    kept = order.checkout.consent
    given = Given(
        kept["text"],
        kept["version"],
        kept["ip"],
        kept["agent"],
        # Of an order that waited for its payment while this was new nothing is known.
        kept.get("button", ""),
        kept.get("page", ""),
    )
    write_consent(session, owner, given, quote.full.quote.total, quote.renews_each, moment)
