"""The boxes of an order: what each is made of, read anew whenever it is shown or booked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from storefront.domain.boxes import boxes_per_period
from storefront.domain.checkout import NoCycle, OrderQuote, quote_order
from storefront.domain.first_boxes import WITH_NEXT
from storefront.domain.gifts import begun_on
from storefront.domain.invoices import LineKind
from storefront.domain.lifecycle import PeriodKind
from storefront.domain.money import Money
from storefront.domain.rates import NoRate
from storefront.domain.shipping import Delivery
from storefront.domain.tax_treatment import Sale
from storefront.operations.addons import OfferedAddon, PickedAddon, offered_addons, picked_of
from storefront.operations.capacity import Joins, with_room
from storefront.operations.coupons import TypedCode
from storefront.operations.first_boxes import rule_of
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
from storefront.operations.pinned import bound_in


@dataclass(frozen=True, slots=True)
class BoxWish:
    """One box as a checkout keeps it. ``ref`` names it within the order, empty for the first.

    ``addons`` as ``checkout.addons`` has them.
    """

    plan_id: int
    price_id: int
    quantity: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    addons: Sequence[Mapping[str, Any]] = ()
    ref: str = ""

    def kept(self) -> dict[str, Any]:
        """Return the wish as ``checkout.more`` has it."""
        return {
            "ref": self.ref,
            "plan_id": self.plan_id,
            "price_id": self.price_id,
            "quantity": self.quantity,
            "options": dict(self.options),
            "addons": [dict(one) for one in self.addons],
        }

    def as_first(self) -> dict[str, Any]:
        """Return the columns of a checkout whose first box this is."""
        values = self.kept()
        del values["ref"]
        return values


def wishes_of(checkout: AnyRow) -> tuple[BoxWish, ...]:
    """Return the boxes of a checkout, the first first."""
    first = BoxWish(
        checkout.plan_id, checkout.price_id, checkout.quantity, checkout.options, checkout.addons
    )
    return (first, *(BoxWish(**kept) for kept in checkout.more))


def next_ref(wishes: Sequence[BoxWish]) -> str:
    """Return a name that no box of the order has.

    >>> next_ref([BoxWish(1, 1), BoxWish(1, 1, ref="2")])
    '3'
    """
    return str(max(int(one.ref or 1) for one in wishes) + 1)


@dataclass(frozen=True, slots=True)
class OrderItem:
    """One box of an order. ``quote`` is None when it cannot be ordered; ``problem`` says why:
    gone (no price), no_cycle or no_tax_rate.
    """

    wish: BoxWish
    plan: OrderPlan
    price: OrderPrice | None
    prices: tuple[OrderPrice, ...]
    questions: tuple[Question, ...]
    chosen: Mapping[str, str]
    #: The price that follows a prepaid term; None when it renews as it is.
    then: OrderPrice | None = None
    #: The code, if this box has it, and the automatic discounts that fit.
    discounts: tuple[TypedCode, ...] = ()
    #: Add-ons on sale with the plan, and those of them that were picked.
    addons: tuple[OfferedAddon, ...] = ()
    picked: tuple[PickedAddon, ...] = ()
    quote: OrderQuote | None = None
    problem: str = ""

    @property
    def ref(self) -> str:
        return self.wish.ref

    @property
    def can_be_sold(self) -> bool:
        """True when there is a price whose payments pay for whole boxes."""
        return self.price is not None and fits(self.plan, self.price)

    @property
    def has_box(self) -> bool:
        """True when every question about the box is answered."""
        return all(question.code in self.chosen for question in self.questions)

    @property
    def answers(self) -> list[str]:
        """Names of the choices made, in the order of the questions."""
        return [
            choice.name
            for question in self.questions
            for choice in question.choices
            if self.chosen.get(question.code) == choice.code
        ]

    @property
    def asks_shipping(self) -> bool:
        """True where delivery has a line of its own, not inside the price."""
        lines = self.quote.first.quote.lines if self.quote else ()
        return any(line.kind is LineKind.SHIPPING for line in lines)

    @property
    def working(self) -> tuple[TypedCode, ...]:
        """The discounts of which the order holds a use for this box.

        Each that lowers an amount shown here, also a later one: what is shown is charged. An
        automatic one there is no end of needs no use for that before its own first payment.
        Source: docs/decisions/0080-which-discounts-together.md.
        """
        if self.quote is None:
            return ()
        today = {ref for ref, off in self.quote.first.taken if off.minor}
        shown = self.quote.lowering
        return tuple(
            one
            for one in self.discounts
            if one.terms.ref in (shown if one.is_code or one.rule.is_limited else today)
        )

    @property
    def joins(self) -> Joins | None:
        """The cycles its boxes go to, None where they make any number."""
        plan, quote = self.plan, self.quote
        if quote is None or quote.cycle is None or not plan.has_capacity:
            return None
        if plan.group_id is None or plan.shipping is None:
            return None
        place = quote.opening.place
        first = quote.cycle if place is None else place.cycle
        since = quote.period.start if place is None else place.places_from
        boxes = quote.boxes
        return Joins(plan.group_id, first, boxes, since, plan.shipping, self.wish.quantity)

    @property
    def needs_method(self) -> bool:
        """False for a trial that the merchant gives without a payment method."""
        if self.quote is None or self.quote.opening.kind is not PeriodKind.TRIAL:
            return True
        return self.plan.trial_needs_card or not self.quote.due_today.is_zero


def read_item(
    session: AnySession, wish: BoxWish, market: tuple[str, str], today: date, *, pinned: bool
) -> OrderItem:
    """Return a box as it is on sale now, not priced yet.

    ``market`` is the shop's currency and the country it goes to. With ``pinned`` the price is
    the very version the wish names.
    """
    currency, country = market
    plan = read_plan(session, wish.plan_id)
    on_sale = read_prices(session, wish.plan_id, currency, country)
    if not (pinned or plan.is_sold_on(today)):
        on_sale = ()
    prices = tuple(price for price in on_sale if fits(plan, price))
    named = price_named(session, wish.price_id)
    price: OrderPrice | None = named
    if not pinned:
        price = next((each for each in prices if each.interval == named.interval), None)
    currency = price.amount.currency if price else currency
    questions = read_questions(session, wish.plan_id, currency)
    chosen = _known(wish.options, questions)
    then = after_term(plan, price, prices) if price is not None else None
    item = OrderItem(wish, plan, price, prices, questions, chosen, then, problem="gone")
    if not item.can_be_sold:
        return item
    addons = offered_addons(session, plan.code, currency)
    return replace(item, addons=addons, picked=picked_of(wish.addons, addons))


def price_item(
    session: AnySession,
    item: OrderItem,
    sale: Sale,
    delivery: Delivery,
    moment: Moment,
    *,
    may_try: bool,
    is_estimate: bool,
    given_on: date | None = None,
    follows_on: date | None = None,
    wanted: int = 1,
    checkout_id: int | None = None,
) -> OrderItem:
    """Return ``item`` with what it costs by itself, or with its problem.

    ``given_on``: it is a gift whose term begins on that day; ``follows_on``: it goes on where a
    gift ends, and is charged from that day on. ``wanted`` boxes of its group are
    in the order, which is ``checkout_id``.
    """
    if item.price is None or not item.can_be_sold:
        return item
    price = item.price
    plan = bound_in(item.plan, price.interval, sale.country, sale.place.region)
    item = replace(item, plan=plan)
    if given_on is not None:
        item = _given(item, price)
    slots = open_slots(session, plan.group_id, moment.today)
    first = rule_of(session, item.plan, moment.today) if follows_on is None else WITH_NEXT
    if plan.has_capacity and plan.group_id is not None and plan.shipping is not None:
        boxes = boxes_per_period(price.interval, plan.shipping)
        joins = (plan.group_id, boxes, wanted, plan.shipping)
        first = with_room(session, first, slots, joins, moment, checkout_id)
    try:
        terms = order_terms(
            item.plan,
            price,
            sale,
            moment.today,
            slots,
            first_box=first,
            surcharges=_surcharges(item.questions, item.chosen),
            discounts=item.discounts,
            delivery=delivery,
            quantity=item.wish.quantity,
            may_try=may_try,
            then=item.then,
            addons=item.picked,
            is_estimate=is_estimate,
        )
        if given_on is not None:
            terms = begun_on(terms, given_on)
        elif follows_on is not None:
            terms = replace(terms, follows_on=follows_on, trial_days=0)
        return replace(item, quote=quote_order(terms), problem="")
    except (NoCycle, NoRate) as error:
        return replace(item, problem=error.code)


def _given(item: OrderItem, price: OrderPrice) -> OrderItem:
    """Return a box as it is given: the boxes of one payment, and nothing after them."""
    boxes = (price.interval.multiple_of(item.plan.shipping) or 1) if item.plan.shipping else 1
    # What nobody has claimed yet cannot leave at once.
    first_box = "next" if item.plan.first_box == "now" else item.plan.first_box
    plan = replace(
        item.plan,
        max_boxes=boxes,
        min_boxes=0,
        ends_on=None,
        at_term_end="stop",
        first_box=first_box,
    )
    return replace(item, plan=plan, then=None)


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
