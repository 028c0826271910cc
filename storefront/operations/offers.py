"""What is on sale: plans, the versions of their prices, and the questions about their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, cast

import sqlalchemy as sa

from storefront.domain.addons import AddonTerms
from storefront.domain.checkout import AfterTerm, OrderTerms
from storefront.domain.cycles import CycleSlot
from storefront.domain.first_boxes import WITH_NEXT, FirstBox, FirstBoxRule
from storefront.domain.money import Money
from storefront.domain.openings import FirstPeriod
from storefront.domain.periods import Interval
from storefront.domain.rates import NoRate, TaxClass
from storefront.domain.recurring import Phase
from storefront.domain.shipping import INCLUDED, Delivery
from storefront.domain.tax_treatment import Sale, Taxed
from storefront.models import CycleGroup, Option, OptionGroup, Plan, Price
from storefront.models.base import table_of
from storefront.operations.addons import PickedAddon
from storefront.operations.boxes import slots_of
from storefront.operations.capacity import has_capacity
from storefront.operations.coupons import TypedCode
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.terms import phases_of


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """A plan as far as an order needs it; ``shipping`` is None where nothing is shipped."""

    id: int
    code: str
    name: str
    tagline: str
    benefits: tuple[str, ...]
    tax_class: TaxClass
    shipping: Interval | None
    group_id: int | None
    charge_day: int | None
    first_period: FirstPeriod = "full"
    #: For somebody new; see ``trial_needs_card``.
    trial_days: int = 0
    trial_needs_card: bool = True
    min_boxes: int = 0
    #: Pinned to a subscription when it is sold, as the price is.
    max_boxes: int | None = None
    ends_on: date | None = None
    is_archived: bool = False
    #: renew, stop, or monthly: what follows a term of several boxes.
    at_term_end: str = "renew"
    #: When the first box leaves, with the day before which none does.
    first_box: FirstBoxRule = "next"
    first_box_on: date | None = None
    #: Whether the cycles of its group make a limited number of boxes.
    has_capacity: bool = False
    #: Who goes on after a free trial may withdraw a second time.
    second_withdrawal: bool = False

    def is_sold_on(self, today: date) -> bool:
        """Return what ``sold_on`` selects."""
        return not self.is_archived and (self.ends_on is None or self.ends_on > today)


@dataclass(frozen=True, slots=True)
class OrderPrice:
    """One version of a price."""

    id: int
    public_id: str
    interval: Interval
    amount: Money
    inclusive: bool
    sign_up_fee: Money
    phases: tuple[Phase, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer to a question about the box; ``surcharge`` is per box."""

    code: str
    name: str
    hint: str
    surcharge: Money


@dataclass(frozen=True, slots=True)
class Question:
    """A question asked when a plan is chosen."""

    code: str
    name: str
    hint: str
    choices: tuple[Choice, ...]


def order_terms(
    plan: OrderPlan,
    price: OrderPrice,
    sale: Sale,
    today: date,
    slots: Sequence[CycleSlot],
    *,
    surcharges: tuple[tuple[str, str, Money], ...] = (),
    discounts: Sequence[TypedCode] = (),
    delivery: Delivery = INCLUDED,
    quantity: int = 1,
    may_try: bool = False,
    then: OrderPrice | None = None,
    addons: Sequence[PickedAddon] = (),
    first_box: FirstBox = WITH_NEXT,
    is_estimate: bool = False,
) -> OrderTerms:
    """Put together what ``quote_order`` needs. Raises ``NoRate`` for a place without a rate.

    ``may_try`` says that the shopper may have the plan's trial; ``then`` is the price that
    follows a prepaid term; ``first_box`` is that of ``first_boxes.rule_of``. With
    ``is_estimate`` a rate that is not known yet, because nobody has typed an address, counts
    as none; such terms are shown and never booked.
    """

    def tax(tax_class: TaxClass) -> Taxed:
        try:
            return sale.tax(tax_class, today)
        except NoRate:
            if not is_estimate:
                raise
            return Taxed(Decimal(0))

    taxed = tax(plan.tax_class)
    return OrderTerms(
        plan_name=plan.name,
        plan_ref=plan.code,
        price_ref=price.public_id,
        amount=price.amount,
        interval=price.interval,
        shipping=plan.shipping,
        inclusive=price.inclusive,
        tax_rate=taxed.rate,
        treatment=taxed.treatment,
        tax_source=taxed.source,
        rounding=sale.taxes.rounding,
        country=sale.country,
        postcode=sale.place.postcode,
        today=today,
        quantity=quantity,
        surcharges=surcharges,
        sign_up_fee=price.sign_up_fee,
        discounts=tuple(one.terms for one in discounts),
        delivery=delivery,
        cycles=slots,
        charge_day=plan.charge_day,
        first_period=plan.first_period,
        first_box=first_box,
        trial_days=plan.trial_days if may_try else 0,
        phases=price.phases,
        max_boxes=most_boxes(plan, price),
        ends_on=plan.ends_on,
        then=AfterTerm(then.public_id, then.amount, then.interval) if then else None,
        addons=tuple(
            AddonTerms(
                one.addon.name,
                one.ref,
                one.addon.amount,
                one.quantity,
                tax(one.addon.tax_class).rate,
                one.cadence,
                one.addon.grams,
                one.addon.id,
            )
            for one in addons
        ),
    )


def open_slots(session: AnySession, group_id: int | None, today: date) -> Sequence[CycleSlot]:
    """Return the cycles of a group that a box paid today may still join."""
    if group_id is None:
        return ()
    return slots_of(session, [group_id], today + timedelta(days=1)).get(group_id, [])


def plan_columns() -> tuple[sa.ColumnElement[Any], ...]:
    """The columns that ``plan_from`` reads, of ``plan`` joined with its cycle group."""
    plan, group = table_of(Plan), table_of(CycleGroup)
    return (
        plan.c.id,
        plan.c.code,
        plan.c.name,
        plan.c.tagline,
        plan.c.benefits,
        plan.c.tax_class,
        plan.c.ships,
        plan.c.shipping_unit,
        plan.c.shipping_count,
        plan.c.cycle_group_id,
        plan.c.first_period,
        plan.c.charge_day.label("own_charge_day"),
        plan.c.trial_days,
        plan.c.trial_needs_card,
        plan.c.min_boxes,
        plan.c.max_boxes,
        plan.c.ends_on,
        plan.c.archived_at,
        plan.c.at_term_end,
        plan.c.first_box,
        plan.c.first_box_on,
        plan.c.second_withdrawal,
        group.c.unit.label("group_unit"),
        group.c.charge_day,
        has_capacity(plan.c.cycle_group_id).label("has_capacity"),
    )


def plan_from(row: AnyRow) -> OrderPlan:
    """Return the plan of a row with ``plan_columns``."""
    shipping = Interval(cast(Any, row.shipping_unit), row.shipping_count) if row.ships else None
    # Only months and years are charged on a day of the month; of a week it is the weekday.
    monthly = row.group_unit in ("month", "year")
    return OrderPlan(
        row.id,
        row.code,
        row.name,
        row.tagline,
        tuple(str(benefit) for benefit in row.benefits),
        row.tax_class,
        shipping,
        row.cycle_group_id if row.ships else None,
        (row.charge_day if monthly else None) if row.ships else row.own_charge_day,
        row.first_period,
        row.trial_days,
        row.trial_needs_card,
        row.min_boxes,
        row.max_boxes,
        row.ends_on,
        row.archived_at is not None,
        row.at_term_end,
        row.first_box,
        row.first_box_on,
        bool(row.ships and row.has_capacity),
        row.second_withdrawal,
    )


def read_plan(session: AnySession, plan_id: int) -> OrderPlan:
    """Return the plan with this key."""
    return plan_from(session.execute(_plan_by_id(), {"plan_id": plan_id}).one())


@cache
def _plan_by_id() -> AnySelect:
    plan, group = table_of(Plan), table_of(CycleGroup)
    return (
        sa.select(*plan_columns())
        .select_from(plan.outerjoin(group, group.c.id == plan.c.cycle_group_id))
        .where(plan.c.id == sa.bindparam("plan_id"))
    )


def read_prices(
    session: AnySession, plan_id: int, currency: str, country: str
) -> tuple[OrderPrice, ...]:
    """Return what is on sale now, one price per interval, the shortest interval first.

    ``currency`` is the shop's. A price made for ``country`` goes before one for all, and where
    there are such prices, theirs is the currency there.
    """
    values = {"plan_id": plan_id, "currency": currency, "country": country or None}
    rows = session.execute(_prices_on_sale(), values).all()
    found = {price.interval: price for price in map(price_from, in_one_currency(rows))}
    return tuple(sorted(found.values(), key=lambda price: length(price.interval)))


@cache
def _prices_on_sale() -> AnySelect:
    table = table_of(Price)
    return (
        sa.select(table)
        .where(
            table.c.plan_id == sa.bindparam("plan_id"),
            _listed(table, sa.bindparam("currency"), sa.bindparam("country")),
            table.c.retired_at.is_(None),
        )
        .order_by(table.c.country, table.c.version)
    )


def sold_on(plan: sa.FromClause, today: Any) -> sa.ColumnElement[bool]:
    """Select the plans that can be ordered: not archived, and their last day is yet to come."""
    has_days_left = sa.or_(plan.c.ends_on.is_(None), plan.c.ends_on > today)
    return sa.and_(plan.c.archived_at.is_(None), has_days_left)


def opened_by(plan: sa.FromClause, codes: Sequence[str]) -> sa.ColumnElement[bool]:
    """Select the plans that need no code, and those that one of ``codes`` opens."""
    return sa.or_(plan.c.is_public, plan.c.access_code.is_(None), plan.c.access_code.in_(codes))


def listed_in(price: sa.FromClause, currency: str, country: str) -> sa.ColumnElement[bool]:
    """Select the prices for ``country`` and those for everywhere in the shop's ``currency``."""
    return _listed(price, currency, country or None)


def _listed(price: sa.FromClause, currency: Any, country: Any) -> sa.ColumnElement[bool]:
    everywhere = sa.and_(price.c.country == "", price.c.currency == currency)
    return sa.or_(price.c.country == country, everywhere)


def in_one_currency(rows: Sequence[AnyRow]) -> list[AnyRow]:
    """Return the prices of one plan in the currency of those made for the country, if any.

    The rows come with the prices for everywhere first, the versions of each in order. Source:
    docs/decisions/0066-price-lists.md.
    """
    of_country = [row.currency for row in rows if row.country]
    wanted = of_country[-1] if of_country else None
    return [row for row in rows if wanted is None or row.currency == wanted]


def fits(plan: OrderPlan, price: OrderPrice) -> bool:
    """Return whether a payment pays for a whole number of boxes; others are not sold."""
    return plan.shipping is None or price.interval.multiple_of(plan.shipping) is not None


def price_from(row: AnyRow) -> OrderPrice:
    """Return the price of a row of ``price``."""
    return OrderPrice(
        row.id,
        row.public_id,
        Interval(cast(Any, row.unit), row._mapping["count"]),
        Money(row.amount_minor, row.currency),
        row.tax_inclusive,
        Money(row.sign_up_fee_minor, row.currency),
        phases_of(row.phases, row.currency),
    )


def after_term(
    plan: OrderPlan, price: OrderPrice, on_sale: Sequence[OrderPrice]
) -> OrderPrice | None:
    """Return the price per box that a term of several boxes falls to, if the plan says so."""
    if plan.at_term_end != "monthly" or plan.shipping in (None, price.interval):
        return None
    return next((each for each in on_sale if each.interval == plan.shipping), None)


def most_boxes(plan: OrderPlan, price: OrderPrice) -> int | None:
    """Return after how many boxes a subscription sold now ends by itself."""
    boxes = (price.interval.multiple_of(plan.shipping) or 1) if plan.shipping else 1
    return most_of(boxes, plan.at_term_end, plan.max_boxes)


def most_of(boxes: int, at_term_end: str, max_boxes: int | None) -> int | None:
    """Return ``most_boxes`` of a plan whose billing period brings ``boxes``."""
    if at_term_end == "stop" and boxes > 1:
        return min(boxes, max_boxes or boxes)
    return max_boxes


def length(interval: Interval) -> int:
    """Return about how many days an interval has, for ordering only."""
    return interval.days or (interval.months or 0) * 30


def price_named(session: AnySession, price_id: int) -> OrderPrice:
    return price_from(session.execute(_price_by_id(), {"price_id": price_id}).one())


@cache
def _price_by_id() -> AnySelect:
    table = table_of(Price)
    return sa.select(table).where(table.c.id == sa.bindparam("price_id"))


def read_questions(session: AnySession, plan_id: int, currency: str) -> tuple[Question, ...]:
    """Return what is asked about the box of a plan; a question without answers is not."""
    found: dict[str, tuple[AnyRow, list[Choice]]] = {}
    for row in session.execute(_questions_of(), {"plan_id": plan_id}):
        surcharge = Money(int(row.surcharges.get(currency, 0)), currency)
        choice = Choice(row.code, row.name, row.hint, surcharge)
        found.setdefault(row.group_code, (row, []))[1].append(choice)
    return tuple(
        Question(code, row.group_name, row.group_hint, tuple(choices))
        for code, (row, choices) in found.items()
    )


@cache
def _questions_of() -> AnySelect:
    group, option = table_of(OptionGroup), table_of(Option)
    return (
        sa.select(
            group.c.code.label("group_code"),
            group.c.name.label("group_name"),
            group.c.hint.label("group_hint"),
            option.c.code,
            option.c.name,
            option.c.hint,
            option.c.surcharges,
        )
        .join(option, option.c.group_id == group.c.id)
        .where(group.c.plan_id == sa.bindparam("plan_id"), option.c.archived_at.is_(None))
        .order_by(group.c.position, group.c.id, option.c.position, option.c.id)
    )
