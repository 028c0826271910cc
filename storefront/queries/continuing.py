"""What the recipient of a gift is told of going on with a card of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import sqlalchemy as sa

from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.pricing import Quote
from storefront.models import Checkout, Gift, Subscription
from storefront.models.base import table_of
from storefront.operations.beginning import start_after
from storefront.operations.checkout import Market
from storefront.operations.continuing import GiftEnd, gift_ends
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment
from storefront.operations.offers import price_named, read_prices
from storefront.queries.checkout import begun_with


@dataclass(frozen=True, slots=True)
class OfferedPrice:
    """What one payment of a plan on sale costs, tax and delivery in it, and when it is due."""

    ref: str
    interval: Interval
    #: What the first payment takes, with the discounts that are given to everybody.
    amount: Money
    #: Tax in it by rate; empty where none is charged.
    taxes: tuple[tuple[Decimal, Money], ...]
    #: First payment; today where the gift is over.
    charge_on: date
    #: When the first box of one's own leaves.
    ships_on: date | None


@dataclass(frozen=True, slots=True)
class GoingOn:
    """How far the recipient has come. With ``subscription`` they went on, by that one."""

    prices: tuple[OfferedPrice, ...] = ()
    #: Public id of what they went on with.
    subscription: str = ""
    #: When it is charged first, and the day the gift's last box leaves.
    charge_on: date | None = None
    last_ships_on: date | None = None
    #: They began the order and have not agreed to it yet.
    is_begun: bool = False
    #: The first payment is still to come; False once the gift, or that day, is over.
    is_ahead: bool = True
    #: Where its boxes would go.
    country: str = ""


def going_on(
    session: AnySession, customer_id: int, subscription: str, market: Market, moment: Moment
) -> GoingOn | None:
    """Return how the recipient of a gift can go on, or that they did.

    None for a gift of somebody else, one that is held or taken back, and where nothing of its
    plan is on sale any more.
    """
    table = table_of(Subscription)
    mine = (table.c.customer_id == customer_id, table.c.public_id == subscription)
    ends = gift_ends(session, *mine)
    if not ends:
        return None
    end = ends[0]
    done = _went_on(session, end, moment)
    if done is not None:
        return done
    if end.row.held_at is not None:
        return None
    country, prices = _prices(session, end, market, moment)
    if not prices:
        return None
    return GoingOn(
        prices,
        last_ships_on=end.last_ships_on,
        is_begun=_is_open(session, end),
        is_ahead=end.follows_on > moment.today,
        country=country,
    )


def _went_on(session: AnySession, end: GiftEnd, moment: Moment) -> GoingOn | None:
    order, table = table_of(Checkout), table_of(Subscription)
    row = session.execute(
        sa.select(table.c.public_id, table.c.anchor_on)
        .join(order, order.c.id == table.c.checkout_id)
        .where(order.c.id == end.row.checkout_id, order.c.state == "done")
        .order_by(table.c.checkout_position)
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    is_ahead = row.anchor_on > moment.today
    return GoingOn((), row.public_id, row.anchor_on, end.last_ships_on, is_ahead=is_ahead)


def _is_open(session: AnySession, end: GiftEnd) -> bool:
    order = table_of(Checkout)
    found = session.execute(
        sa.select(order.c.id).where(
            order.c.id == end.row.checkout_id, order.c.state.in_(["open", "paying"])
        )
    )
    return found.first() is not None


def _prices(
    session: AnySession, end: GiftEnd, market: Market, moment: Moment
) -> tuple[str, tuple[OfferedPrice, ...]]:
    """Return where it goes and what can be ordered, that of the gift's own interval first."""
    first = start_after(session, end, end.row.price_id)
    country = market.country_of(first.address)
    on_sale = read_prices(session, end.row.plan_id, market.currency, country)
    found = []
    for price in on_sale:
        start = start_after(session, end, price.id)
        order = begun_with(session, start, market, moment)
        item = order.first
        if item.price is None or item.price.id != price.id or order.is_blocked:
            continue
        quote = item.quote
        if quote is None or not quote.charges:
            continue
        if quote.is_paid:
            charge_on, amount, ships = moment.today, order.to_pay, quote.first.quote
        else:
            charge_on, amount = quote.charges[0].on, quote.charges[0].amount
            ships = quote.full.quote
        leaves = quote.cycle.ship_from if quote.cycle else None
        taxes = _taxes(ships) if ships.total == amount else ()
        found.append(
            OfferedPrice(price.public_id, price.interval, amount, taxes, charge_on, leaves)
        )
    given = price_named(session, end.row.price_id).interval
    return country, tuple(sorted(found, key=lambda one: one.interval != given))


def _taxes(quote: Quote) -> tuple[tuple[Decimal, Money], ...]:
    return tuple((rate, tax) for rate, _net, tax in quote.taxes if tax.minor)


def gift_of(session: AnySession, public_id: str) -> tuple[int, str] | None:
    """Return the recipient's key and the subscription of a gift; None while it is unclaimed."""
    gift, table = table_of(Gift), table_of(Subscription)
    row = session.execute(
        sa.select(table.c.customer_id, table.c.public_id)
        .join(gift, gift.c.subscription_id == table.c.id)
        .where(gift.c.public_id == public_id, table.c.customer_id.is_not(None))
    ).one_or_none()
    return None if row is None else (row.customer_id, row.public_id)
