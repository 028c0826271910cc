"""Read what an order is made of, and price it: the same for the preview and the booking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa

from storefront.domain.checkout import NoCycle, OrderQuote, quote_order
from storefront.domain.coupons import CouponFacts, Refusal, refusal
from storefront.domain.cycles import CycleSlot
from storefront.domain.money import Money
from storefront.domain.rates import NoRate
from storefront.models import Checkout, Customer
from storefront.models.base import table_of
from storefront.operations.coupons import TypedCode, code_of, is_first_order, uses_by
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.offers import (
    OrderPlan,
    OrderPrice,
    Question,
    fits,
    open_slots,
    order_terms,
    price_named,
    read_plan,
    read_prices,
    read_questions,
)

#: Columns of a delivery address that must be filled in.
NEEDED = ("name", "street", "postcode", "city", "country")


class MarketShop(Protocol):
    """The shop settings that a market is read from."""

    @property
    def currency(self) -> str: ...
    @property
    def countries(self) -> tuple[str, ...]: ...
    @property
    def seller_country(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Market:
    """What of the shop decides about an order."""

    currency: str
    #: Countries delivered to; the first is assumed until an address is typed.
    countries: tuple[str, ...]

    @classmethod
    def of(cls, shop: MarketShop) -> Market:
        """Return the market of ``shop``; one that names no country delivers to its own."""
        return cls(shop.currency, shop.countries or (shop.seller_country,))

    def country_of(self, address: Mapping[str, Any]) -> str:
        typed = str(address.get("country", ""))
        return typed if typed in self.countries else self.countries[0]


@dataclass(frozen=True, slots=True)
class Order:
    """Everything known of a checkout. ``quote`` is None when nothing can be ordered.

    ``problem`` is then its reason: gone (no price), no_cycle or no_tax_rate. ``refused``
    says why a typed code counts for nothing.
    """

    checkout: AnyRow
    plan: OrderPlan
    price: OrderPrice | None
    prices: tuple[OrderPrice, ...]
    questions: tuple[Question, ...]
    chosen: Mapping[str, str]
    country: str
    code: TypedCode | None
    refused: Refusal | None
    quote: OrderQuote | None
    problem: str = ""

    @property
    def has_box(self) -> bool:
        """True when every question about the box is answered."""
        return all(question.code in self.chosen for question in self.questions)

    @property
    def has_delivery(self) -> bool:
        """True when e-mail and address are complete."""
        address = self.checkout.address
        return bool(self.checkout.email) and all(address.get(name) for name in NEEDED)


def find_checkout(session: AnySession, public_id: str, *, lock: bool = False) -> AnyRow | None:
    """Return the row of a checkout; with ``lock`` nobody else changes it until the commit."""
    table = table_of(Checkout)
    statement = sa.select(table).where(table.c.public_id == public_id)
    if lock and session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update()
    return session.execute(statement).one_or_none()


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
    session: AnySession, checkout: AnyRow, market: Market, moment: Moment, *, pinned: bool = False
) -> Order:
    """Return the order of ``checkout`` priced as of now.

    The price is the version on sale now of the interval chosen, or with ``pinned`` the very
    version the checkout names: the one a shopper has agreed to.
    """
    plan = read_plan(session, checkout.plan_id)
    questions = read_questions(session, checkout.plan_id, market.currency)
    country = market.country_of(checkout.address)
    on_sale = read_prices(session, checkout.plan_id, market.currency, country)
    prices = tuple(price for price in on_sale if fits(plan, price))
    named = price_named(session, checkout.price_id)
    price: OrderPrice | None = named
    if not pinned:
        price = next((each for each in prices if each.interval == named.interval), None)
    chosen = _known(checkout.options, questions)
    code, refused = _code(session, checkout, plan, price, country, moment.today)
    slots = open_slots(session, plan.group_id, moment.today)
    order = Order(
        checkout, plan, price, prices, questions, chosen, country, code, refused, None, "gone"
    )
    if price is None or not fits(plan, price):
        return order
    accepted = code if refused is None else None
    return _priced(order, price, accepted, slots, moment.today)


def _priced(
    order: Order,
    price: OrderPrice,
    code: TypedCode | None,
    slots: Sequence[CycleSlot],
    today: date,
) -> Order:
    quote, problem = None, ""
    try:
        quote = quote_order(
            order_terms(
                order.plan,
                price,
                order.country,
                today,
                slots,
                surcharges=_surcharges(order.questions, order.chosen),
                code=code,
                quantity=order.checkout.quantity,
            )
        )
    except (NoCycle, NoRate) as error:
        problem = error.code
    return Order(
        order.checkout,
        order.plan,
        price,
        order.prices,
        order.questions,
        order.chosen,
        order.country,
        order.code,
        order.refused,
        quote,
        problem,
    )


def _known(options: Mapping[str, Any], questions: Sequence[Question]) -> dict[str, str]:
    """Return the answers that are still offered."""
    return {
        question.code: str(options[question.code])
        for question in questions
        if options.get(question.code) in {choice.code for choice in question.choices}
    }


def _surcharges(
    questions: Sequence[Question], chosen: Mapping[str, str]
) -> tuple[tuple[str, str, Money], ...]:
    picked = [
        (question, choice)
        for question in sorted(questions, key=lambda each: each.code)
        for choice in question.choices
        if chosen.get(question.code) == choice.code
    ]
    return tuple(
        (f"{question.name}: {choice.name}", f"{question.code}={choice.code}", choice.surcharge)
        for question, choice in picked
    )


def _code(
    session: AnySession,
    checkout: AnyRow,
    plan: OrderPlan,
    price: OrderPrice | None,
    country: str,
    today: date,
) -> tuple[TypedCode | None, Refusal | None]:
    if checkout.promotion_code_id is None or price is None:
        return None, None
    code = code_of(session, checkout.promotion_code_id)
    return code, why_refused(session, checkout, code, plan, price, country, today)


def why_refused(
    session: AnySession,
    checkout: AnyRow,
    code: TypedCode | None,
    plan: OrderPlan,
    price: OrderPrice,
    country: str,
    today: date,
) -> Refusal | None:
    """Return why ``code`` does not fit this checkout, or None when it does."""
    if code is None:
        return Refusal.UNKNOWN
    off = code.terms.discount.amount
    if off is not None and off.currency != price.amount.currency:
        return Refusal.WRONG_COUNTRY
    customer_id = _customer_id(session, checkout.email)
    facts = CouponFacts(
        today=today,
        plan=plan.code,
        interval=price.interval,
        country=country,
        is_first=customer_id is None or is_first_order(session, customer_id),
        used_by_customer=_used(session, checkout, code, customer_id),
    )
    reason = refusal(code.rule, facts)
    # The use this checkout holds is its own; the guarded counter let it have that.
    mine = reason is Refusal.USED_UP and checkout.quote.get("coupon_id") == code.coupon_id
    return None if mine else reason


def _customer_id(session: AnySession, email: str) -> int | None:
    if not email:
        return None
    table = table_of(Customer)
    return session.execute(sa.select(table.c.id).where(table.c.email == email)).scalar_one_or_none()


def _used(session: AnySession, checkout: AnyRow, code: TypedCode, customer_id: int | None) -> int:
    if customer_id is None:
        return 0
    used = uses_by(session, code.coupon_id, customer_id)
    own = checkout.quote.get("redeemed_by") == customer_id
    return max(used - own, 0) if checkout.quote.get("coupon_id") == code.coupon_id else used


def expires_at(now: datetime) -> datetime:
    """Return until when an order that was touched just now is kept."""
    return now + timedelta(hours=2)
