"""Read what an order is made of, and price it: the same for the preview and the booking."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any, Protocol

import sqlalchemy as sa

from storefront.domain.addresses import needed_parts
from storefront.domain.baskets import BasketQuote, NotTogether, basket_of
from storefront.domain.coupons import Refusal
from storefront.domain.gifts import GiftWish, destination_of, first_day, read_wish
from storefront.domain.lifecycle import PeriodKind
from storefront.domain.money import Money
from storefront.domain.shipping import is_blocked
from storefront.domain.tax_treatment import CONSUMER, Buyer, Place, Sale, TaxRules
from storefront.domain.taxes import Rounding
from storefront.models import Checkout, Customer
from storefront.models.base import table_of
from storefront.operations.continuing import follows_on, is_continuing
from storefront.operations.coupons import TypedCode
from storefront.operations.customer_credit import balance_of, set_aside_for
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.moment import Moment
from storefront.operations.order_codes import Giving, customer_with
from storefront.operations.order_items import (
    BoxWish,
    OrderItem,
    price_item,
    read_item,
    wishes_of,
)
from storefront.operations.shipping import read_delivery
from storefront.operations.trials import may_try


class MarketShop(Protocol):
    """The shop settings that a market is read from."""

    @property
    def currency(self) -> str: ...
    @property
    def countries(self) -> tuple[str, ...]: ...
    @property
    def seller_country(self) -> str: ...
    @property
    def taxes(self) -> TaxRules: ...


@dataclass(frozen=True, slots=True)
class Market:
    """What of the shop decides about an order."""

    currency: str
    #: Countries delivered to; the first is assumed until an address is typed.
    countries: tuple[str, ...]
    taxes: TaxRules

    @classmethod
    def of(cls, shop: MarketShop) -> Market:
        """Return the market of ``shop``; one that names no country delivers to its own."""
        return cls(shop.currency, shop.countries or (shop.seller_country,), shop.taxes)

    def seen_from(self, country: str) -> Market:
        """Return the market as a visitor from ``country`` sees it: theirs is assumed first."""
        if country not in self.countries:
            return self
        return replace(self, countries=tuple(dict.fromkeys([country, *self.countries])))

    def sale_to(self, address: Mapping[str, Any], buyer: Buyer = CONSUMER) -> Sale:
        """Return the sale of something sent to ``address`` as far as it was typed."""
        typed = {name: str(address.get(name, "")) for name in ("region", "postcode", "city")}
        return Sale(self.taxes, Place(self.country_of(address), **typed), buyer)

    def country_of(self, address: Mapping[str, Any]) -> str:
        typed = str(address.get("country", ""))
        return typed if typed in self.countries else self.countries[0]


@dataclass(frozen=True, slots=True)
class Order:
    """Everything known of a checkout. ``quote`` is None when it cannot be ordered as it is.

    ``problem`` is then its reason: that of one of its boxes, or not_together. ``refused``
    says why a typed code counts for nothing.
    """

    checkout: AnyRow
    sale: Sale
    items: tuple[OrderItem, ...]
    code: TypedCode | None
    refused: Refusal | None
    quote: BasketQuote | None
    problem: str = ""
    #: Credit that pays a part of what is due today, or None.
    credit: Money | None = None
    #: Nothing is sent to the address that was typed.
    is_blocked: bool = False
    #: To whom it is given, and where to if the giver knows; the checkout's own address is the
    #: giver's name and the recipient's country then.
    gift: GiftWish | None = None
    #: Its recipient goes on by it where a gift ends; nothing is charged before this day.
    follows_on: date | None = None

    @property
    def continues(self) -> bool:
        """True for the order by which the recipient of a gift goes on."""
        return is_continuing(self.checkout)

    @property
    def first(self) -> OrderItem:
        return self.items[0]

    @property
    def country(self) -> str:
        return self.sale.country

    @property
    def has_box(self) -> bool:
        """True when every question about every box is answered."""
        return all(item.has_box for item in self.items)

    @property
    def to_pay(self) -> Money:
        """What is charged today: the total less the credit of a signed-in customer."""
        if self.quote is None:
            raise ValueError("nothing can be ordered")
        return self.quote.due_today - self.credit if self.credit else self.quote.due_today

    @property
    def working(self) -> tuple[TypedCode, ...]:
        """The discounts of which the order holds a use, once for each box that has it."""
        if self.quote is None:
            return ()
        return tuple(one for item in self.items for one in item.working)

    @property
    def needs_method(self) -> bool:
        """False where no box asks for a payment method."""
        return any(item.needs_method for item in self.items)

    @property
    def has_delivery(self) -> bool:
        """True when e-mail and address are complete, and the boxes can be sent there."""
        return has_delivery(self.checkout) and not self.is_blocked and self.is_givable

    @property
    def is_givable(self) -> bool:
        """False for a gift of what cannot be given: one box that ships, and nothing beside it."""
        return self.gift is None or not why_not_givable(self)

    def item(self, ref: str) -> OrderItem | None:
        """Return the box with this name."""
        return next((item for item in self.items if item.ref == ref), None)


def why_not_givable(order: Order) -> str:
    """Return why an order cannot be given: empty when it can.

    Otherwise: goes_on (it continues a gift), several, nothing_ships or addons.
    """
    if order.continues:
        return "goes_on"
    if len(order.items) > 1:
        return "several"
    if not order.first.plan.shipping:
        return "nothing_ships"
    return "addons" if order.first.picked else ""


def is_whole_address(address: Mapping[str, Any]) -> bool:
    """Return whether nothing is missing that its country needs."""
    parts = needed_parts(str(address.get("country") or ""))
    return all(address.get(name) for name in parts)


def has_delivery(checkout: AnyRow) -> bool:
    """Return whether e-mail and address, or of a gift the recipient, are complete."""
    if checkout.gift:
        given = checkout.gift.get("address")
        is_whole = not given or is_whole_address(given)
        return bool(checkout.email) and bool(checkout.address.get("name")) and is_whole
    return bool(checkout.email) and is_whole_address(checkout.address)


def find_checkout(session: AnySession, public_id: str, *, lock: bool = False) -> AnyRow | None:
    """Return the row of a checkout; with ``lock`` nobody else changes it until the commit."""
    statement = _by_public_id()
    if lock and session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update()
    return session.execute(statement, {"public_id": public_id}).one_or_none()


@cache
def _by_public_id() -> AnySelect:
    table = table_of(Checkout)
    return sa.select(table).where(table.c.public_id == sa.bindparam("public_id"))


def change_checkout(session: AnySession, row: AnyRow, values: Mapping[str, Any]) -> bool:
    """Write ``values`` if nobody changed the checkout since ``row`` was read; else False."""
    table = table_of(Checkout)
    done = session.execute(
        sa.update(table)
        .where(table.c.id == row.id, table.c.version == row.version)
        .values(**values, version=table.c.version + 1)
        .returning(table.c.id)
    )
    return done.one_or_none() is not None


def read_order(
    session: AnySession,
    checkout: AnyRow,
    market: Market,
    moment: Moment,
    *,
    pinned: bool = False,
    also: Sequence[BoxWish] = (),
    instead: BoxWish | None = None,
) -> Order:
    """Return the order of ``checkout`` priced as of now, with the boxes ``also`` added to it.

    ``instead`` is looked at in the place of the box with its ``ref``.

    The prices are the versions on sale now of the intervals chosen, or with ``pinned`` the
    very versions the checkout names: those a shopper has agreed to.
    """
    where = destination_of(checkout.address, checkout.gift)
    sale = market.sale_to(where, _buyer(session, checkout))
    giving = Giving.of(session, checkout, sale.country, moment.today)
    gift = read_wish(checkout.gift)
    begins_on = None if gift is None else first_day(gift.send_on, moment.today)
    follows = None
    if gift is None and is_continuing(checkout):
        follows = follows_on(session, checkout.quote["continues"], moment.today)
    delivery = read_delivery(session)
    items: list[OrderItem] = []
    place = (market.currency, sale.country)
    wishes = (*wishes_of(checkout), *also)
    if instead is not None:
        wishes = tuple(instead if one.ref == instead.ref else one for one in wishes)
    read = [read_item(session, one, place, moment.today, pinned=pinned) for one in wishes]
    for one in read:
        item = one
        price = item.price
        if price is not None and item.can_be_sold:
            item = replace(item, discounts=giving.to(item.plan, price))
            if is_continuing(checkout):
                # Who has had boxes already pays nothing for beginning.
                nothing = Money(0, price.amount.currency)
                item = replace(item, price=replace(price, sign_up_fee=nothing))
        # One trial per person: the boxes after it are paid from their first day.
        is_tried = any(_tries(each) for each in items)
        is_first = gift is None and not is_continuing(checkout)
        trial = is_first and bool(item.plan.trial_days) and not is_tried
        items.append(
            price_item(
                session,
                item,
                sale,
                delivery,
                moment,
                may_try=trial and may_try(session, checkout),
                is_estimate=not has_delivery(checkout),
                given_on=begins_on,
                follows_on=follows,
                wanted=_in_group(read, item),
                checkout_id=checkout.id,
            )
        )
    order = Order(checkout, sale, tuple(items), giving.code, giving.refused, None, gift=gift)
    order = replace(order, follows_on=follows)
    sends = has_delivery(checkout) and any(item.plan.shipping for item in items)
    if sends and is_blocked(delivery.zones, sale.country, sale.place.postcode):
        order = replace(order, is_blocked=True)
    return _sealed(_with_credit(session, _together(order, market.taxes.rounding)))


def _in_group(items: Sequence[OrderItem], one: OrderItem) -> int:
    """Return how many boxes of an order are packed together with this one."""
    return sum(each.wish.quantity for each in items if each.plan.group_id == one.plan.group_id)


def _tries(item: OrderItem) -> bool:
    return item.quote is not None and item.quote.opening.kind is PeriodKind.TRIAL


def _together(order: Order, rounding: Rounding) -> Order:
    """Return ``order`` with what all of it costs, each box with its share, or its problem."""
    quotes = [item.quote for item in order.items if item.quote is not None]
    if len(quotes) < len(order.items):
        return replace(order, problem=next(item.problem for item in order.items if item.problem))
    try:
        quote = basket_of(quotes, rounding)
    except NotTogether as error:
        return replace(order, problem=error.code)
    shares = zip(order.items, quote.items, strict=True)
    return replace(
        order, quote=quote, items=tuple(replace(item, quote=share) for item, share in shares)
    )


def _with_credit(session: AnySession, order: Order) -> Order:
    """Let the credit of who began the order signed in pay; what they agree to says so.

    An order sent to another e-mail is somebody else's, whose credit is nobody's business.
    """
    owner, quote = order.checkout.quote.get("owner"), order.quote
    if owner is None or quote is None or customer_with(session, order.checkout.email) != owner:
        return order
    there = balance_of(session, owner, quote.due_today.currency)
    there += set_aside_for(session, order.checkout.id, there.currency)
    credit = min(there, quote.due_today, key=lambda amount: amount.minor)
    if credit.is_zero:
        return order
    text = f"{quote.quote_hash};{credit.minor}"
    quote = replace(quote, quote_hash=sha256(text.encode()).hexdigest())
    return replace(order, quote=quote, credit=credit)


def _sealed(order: Order) -> Order:
    """Let the hash stand for all that the review shows, not for the money alone.

    Whoever changes the address or an answer that costs nothing in another tab is asked again:
    what is paid for is what the tab that pays has shown.
    """
    if order.quote is None:
        return order
    checkout = order.checkout
    shown = [
        order.quote.quote_hash,
        checkout.email,
        checkout.address,
        checkout.tax_id,
        [[item.plan.id, item.wish.quantity, dict(item.chosen)] for item in order.items],
    ]
    if order.gift is not None:
        shown.append(order.gift.kept())
    if checkout.billing:
        shown.append(checkout.billing)
    text = json.dumps(shown, sort_keys=True)
    return replace(order, quote=replace(order.quote, quote_hash=sha256(text.encode()).hexdigest()))


def _buyer(session: AnySession, checkout: AnyRow) -> Buyer:
    """Return who buys: the number typed here, and an exemption only of who is signed in."""
    table = table_of(Customer)
    owner, exempt = checkout.quote.get("owner"), False
    if owner is not None:
        found = session.scalar(sa.select(table.c.is_tax_exempt).where(table.c.id == owner))
        exempt = bool(found)
    return Buyer(checkout.tax_id, checkout.tax_id_state, exempt)


def expires_at(now: datetime) -> datetime:
    """Return until when an order that was touched just now is kept."""
    return now + timedelta(hours=2)
