"""Read what an order is made of, and price it: the same for the preview and the booking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol

import sqlalchemy as sa

from storefront.domain.checkout import NoCycle, OrderQuote, quote_order
from storefront.domain.coupons import CouponFacts, Refusal, refusal
from storefront.domain.cycles import CycleSlot
from storefront.domain.invoices import LineKind
from storefront.domain.lifecycle import PeriodKind
from storefront.domain.money import Money
from storefront.domain.rates import NoRate
from storefront.domain.shipping import ShippingRate
from storefront.domain.tax_treatment import CONSUMER, Buyer, Place, Sale, TaxRules
from storefront.models import Checkout, Customer
from storefront.models.base import table_of
from storefront.operations.addons import OfferedAddon, PickedAddon, offered_addons, picked_of
from storefront.operations.coupons import (
    TypedCode,
    automatic_coupons,
    code_of,
    is_first_order,
    uses_by,
)
from storefront.operations.customer_credit import balance_of, set_aside_for
from storefront.operations.discounts import shipping_rates
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.offers import (
    OrderPlan,
    OrderPrice,
    Question,
    after_term,
    fits,
    open_slots,
    order_terms,
    price_named,
    read_plan,
    read_prices,
    read_questions,
)
from storefront.operations.trials import may_try

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
    sale: Sale
    code: TypedCode | None
    refused: Refusal | None
    quote: OrderQuote | None
    problem: str = ""
    #: The price that follows a prepaid term; None when it renews as it is.
    then: OrderPrice | None = None
    #: The code, if it fits, and the automatic discounts that do.
    discounts: tuple[TypedCode, ...] = ()
    #: Credit that pays a part of what is due today, or None.
    credit: Money | None = None
    #: Add-ons on sale with the plan, and those of them that were picked.
    addons: tuple[OfferedAddon, ...] = ()
    picked: tuple[PickedAddon, ...] = ()

    @property
    def country(self) -> str:
        return self.sale.country

    @property
    def has_box(self) -> bool:
        """True when every question about the box is answered."""
        return all(question.code in self.chosen for question in self.questions)

    @property
    def asks_shipping(self) -> bool:
        """True where delivery has a line of its own, not inside the price."""
        lines = self.quote.first.quote.lines if self.quote else ()
        return any(line.kind is LineKind.SHIPPING for line in lines)

    @property
    def to_pay(self) -> Money:
        """What is charged today: the total less the credit of a signed-in customer."""
        if self.quote is None:
            raise ValueError("nothing can be ordered")
        return self.quote.due_today - self.credit if self.credit else self.quote.due_today

    @property
    def working(self) -> tuple[TypedCode, ...]:
        """The discounts of which the order holds a use.

        A typed code that lowers an amount shown here, also a later one; an automatic
        discount only if it lowers what is due today.
        Source: docs/decisions/0080-which-discounts-together.md.
        """
        if self.quote is None:
            return ()
        today = {ref for ref, off in self.quote.first.taken if off.minor}
        shown = self.quote.lowering
        return tuple(
            one
            for one in self.discounts
            if one.terms.ref in (today if one.promotion_code_id is None else shown)
        )

    @property
    def needs_method(self) -> bool:
        """False for a trial that the merchant gives without a payment method."""
        if self.quote is None or self.quote.opening.kind is not PeriodKind.TRIAL:
            return True
        return self.plan.trial_needs_card or not self.quote.due_today.is_zero

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
    sale = market.sale_to(checkout.address, _buyer(session, checkout))
    country = sale.country
    on_sale = read_prices(session, checkout.plan_id, market.currency, country)
    prices = tuple(price for price in on_sale if fits(plan, price))
    named = price_named(session, checkout.price_id)
    price: OrderPrice | None = named
    if not pinned:
        price = next((each for each in prices if each.interval == named.interval), None)
    currency = price.amount.currency if price else market.currency
    questions = read_questions(session, checkout.plan_id, currency)
    chosen = _known(checkout.options, questions)
    code, refused = _code(session, checkout, plan, price, country, moment.today)
    slots = open_slots(session, plan.group_id, moment.today)
    then = after_term(plan, price, prices) if price is not None else None
    order = Order(
        checkout,
        plan,
        price,
        prices,
        questions,
        chosen,
        sale,
        code,
        refused,
        None,
        "gone",
        then,
    )
    if price is None or not fits(plan, price):
        return order
    fitting = _automatic(session, checkout, plan, price, country, moment.today)
    if code is not None and refused is None:
        fitting = [one for one in fitting if one.coupon_id != code.coupon_id] + [code]
    addons = offered_addons(session, plan.code, currency)
    picked = picked_of(checkout.addons, addons)
    order = replace(order, discounts=tuple(fitting), addons=addons, picked=picked)
    trial = bool(plan.trial_days) and may_try(session, checkout)
    priced = _priced(order, price, slots, shipping_rates(session), moment.today, trial)
    return _with_credit(session, priced)


def _with_credit(session: AnySession, order: Order) -> Order:
    """Let the credit of who began the order signed in pay; what they agree to says so.

    An order sent to another e-mail is somebody else's, whose credit is nobody's business.
    """
    owner, quote = order.checkout.quote.get("owner"), order.quote
    if owner is None or quote is None or _customer_id(session, order.checkout.email) != owner:
        return order
    there = balance_of(session, owner, quote.due_today.currency)
    there += set_aside_for(session, order.checkout.id, there.currency)
    credit = min(there, quote.due_today, key=lambda amount: amount.minor)
    if credit.is_zero:
        return order
    text = f"{quote.quote_hash};{credit.minor}"
    quote = replace(quote, quote_hash=sha256(text.encode()).hexdigest())
    return replace(order, quote=quote, credit=credit)


def _automatic(
    session: AnySession,
    checkout: AnyRow,
    plan: OrderPlan,
    price: OrderPrice,
    country: str,
    today: date,
) -> list[TypedCode]:
    """Return what is given without a code: now if it fits, or later whatever fits then."""
    return [
        one
        for one in automatic_coupons(session)
        if one.terms.from_billed > 1
        or why_refused(session, checkout, one, plan, price, country, today) is None
    ]


def _priced(
    order: Order,
    price: OrderPrice,
    slots: Sequence[CycleSlot],
    rates: tuple[ShippingRate, ...],
    today: date,
    trial: bool,
) -> Order:
    quote, problem = None, ""
    try:
        quote = quote_order(
            order_terms(
                order.plan,
                price,
                order.sale,
                today,
                slots,
                surcharges=_surcharges(order.questions, order.chosen),
                discounts=order.discounts,
                rates=rates,
                quantity=order.checkout.quantity,
                may_try=trial,
                then=order.then,
                addons=order.picked,
                is_estimate=not order.has_delivery,
            )
        )
    except (NoCycle, NoRate) as error:
        problem = error.code
    return replace(order, quote=quote, problem=problem)


def _buyer(session: AnySession, checkout: AnyRow) -> Buyer:
    """Return who buys: the number typed here, and an exemption only of who is signed in."""
    table = table_of(Customer)
    owner, exempt = checkout.quote.get("owner"), False
    if owner is not None:
        found = session.scalar(sa.select(table.c.is_tax_exempt).where(table.c.id == owner))
        exempt = bool(found)
    return Buyer(checkout.tax_id, checkout.tax_id_state, exempt)


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
        used_by_customer=uses_by(session, code.coupon_id, customer_id, checkout.id)
        if customer_id is not None
        else 0,
    )
    reason = refusal(code.rule, facts)
    # The use this checkout holds is its own; the guarded counter let it have that.
    return None if reason is Refusal.USED_UP and _holds(checkout, code) else reason


def _holds(checkout: AnyRow, code: TypedCode) -> bool:
    """Return whether the order holds a use of this very code or automatic discount."""
    return [code.coupon_id, code.promotion_code_id] in checkout.quote.get("uses", ())


def _customer_id(session: AnySession, email: str) -> int | None:
    if not email:
        return None
    table = table_of(Customer)
    return session.execute(sa.select(table.c.id).where(table.c.email == email)).scalar_one_or_none()


def expires_at(now: datetime) -> datetime:
    """Return until when an order that was touched just now is kept."""
    return now + timedelta(hours=2)
