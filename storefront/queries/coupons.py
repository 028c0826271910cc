"""Promotion codes as the merchant sees them, and what one would do to a price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, cast

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import boxes_per_period
from storefront.domain.coupons import CouponFacts, CouponRule, CouponTerms, Refusal, refusal
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.rates import NoRate
from storefront.domain.recurring import PeriodTerms, PricedPeriod, price_period
from storefront.domain.shipping import INCLUDED, Delivery, with_shipping
from storefront.domain.stacking import with_discounts
from storefront.domain.tax_treatment import Place, Sale, Taxed, TaxRules
from storefront.domain.taxes import Rounding
from storefront.models import (
    Coupon,
    Customer,
    Invoice,
    Plan,
    Price,
    PromotionCode,
    Redemption,
)
from storefront.models.base import table_of
from storefront.operations.discounts import coupon_terms
from storefront.operations.keys import AnyRow

#: Redemptions shown on a coupon's page.
USES = 15


@dataclass(frozen=True, slots=True)
class CouponRow:
    """A coupon with its code."""

    id: int
    ref: str
    #: Empty for an automatic discount, and where every code is its own.
    code: str
    name: str
    kind: str
    terms: CouponTerms
    is_automatic: bool
    #: How many codes stand for it.
    codes: int
    duration: str
    cycles: int
    limits: Mapping[str, Any]
    first_time_only: bool
    starts_on: date | None
    ends_on: date | None
    max_uses: int | None
    max_per_customer: int | None
    used: int
    #: What it took off in all, in the shop's currency.
    taken: Money
    created_at: datetime
    archived_at: datetime | None
    #: Its name by language, as ``Coupon.translations`` keeps it.
    translations: Mapping[str, Any]

    @property
    def title(self) -> str:
        """The code, or the name where none stands for it."""
        return self.code or self.name

    @property
    def rule(self) -> CouponRule:
        """The rule as checkout applies it."""
        return CouponRule(
            plans=frozenset(self.limits.get("plans", ())),
            intervals=frozenset(_interval(text) for text in self.limits.get("intervals", ())),
            countries=frozenset(self.limits.get("countries", ())),
            first_time_only=self.first_time_only,
            starts_on=self.starts_on,
            ends_on=self.ends_on,
            max_uses=self.max_uses,
            used=self.used,
            max_per_customer=self.max_per_customer,
        )

    def state(self, today: date) -> str:
        """Return where it stands: archived, ended, used_up, waiting or active."""
        if self.archived_at is not None:
            return "archived"
        if self.ends_on is not None and self.ends_on < today:
            return "ended"
        if self.max_uses is not None and self.used >= self.max_uses:
            return "used_up"
        return "waiting" if self.starts_on is not None and self.starts_on > today else "active"


@dataclass(frozen=True, slots=True)
class Use:
    """One redemption."""

    customer: str
    name: str
    amount: Money
    at: datetime
    given_back: bool


@dataclass(frozen=True, slots=True)
class Tried:
    """What a coupon does to one order: why not, or the lines of the first and later payments."""

    refused: Refusal | None
    first: PricedPeriod | None = None
    #: A payment after the coupon has ended; None when it lasts for ever.
    later: PricedPeriod | None = None


@dataclass(frozen=True, slots=True)
class Priced:
    """A plan's price, for trying codes on."""

    plan_code: str
    plan_name: str
    tax_class: str
    interval: Interval
    amount: Money
    inclusive: bool
    boxes: int
    fee: Money


def coupon_list(session: AnySession, currency: str) -> list[CouponRow]:
    """Return every coupon, the newest first, the archived ones last."""
    table = table_of(Coupon)
    rows = session.execute(_coupons().order_by(table.c.archived_at.is_not(None), table.c.id.desc()))
    return [_row(row, currency) for row in rows]


def coupon(session: AnySession, ref: str, currency: str) -> CouponRow | None:
    """Return one coupon, or None."""
    row = session.execute(_coupons().where(table_of(Coupon).c.public_id == ref)).one_or_none()
    return _row(row, currency) if row else None


def uses(session: AnySession, coupon_id: int, currency: str) -> list[Use]:
    """Return the latest redemptions of a coupon."""
    table, customer = table_of(Redemption), table_of(Customer)
    invoice = table_of(Invoice)
    rows = session.execute(
        sa.select(
            customer.c.public_id,
            customer.c.name,
            table.c.amount_minor,
            invoice.c.currency,
            table.c.at,
            table.c.given_back_at,
        )
        .join(customer, customer.c.id == table.c.customer_id)
        .join(invoice, invoice.c.id == table.c.invoice_id)
        .where(table.c.coupon_id == coupon_id)
        .order_by(table.c.id.desc())
        .limit(USES)
    )
    return [
        Use(
            row.public_id,
            row.name,
            Money(row.amount_minor, row.currency or currency),
            row.at,
            row.given_back_at is not None,
        )
        for row in rows
    ]


def priced_plans(session: AnySession, currency: str) -> list[Priced]:
    """Return every price on sale, in the order of the pricing page."""
    plan, price = table_of(Plan), table_of(Price)
    rows = session.execute(
        sa.select(
            plan.c.code,
            plan.c.name,
            plan.c.tax_class,
            plan.c.ships,
            plan.c.shipping_unit,
            plan.c.shipping_count,
            price.c.unit,
            price.c.count.label("unit_count"),
            price.c.amount_minor,
            price.c.tax_inclusive,
            price.c.sign_up_fee_minor,
        )
        .join(price, price.c.plan_id == plan.c.id)
        .where(
            plan.c.archived_at.is_(None),
            price.c.retired_at.is_(None),
            price.c.currency == currency,
            price.c.country == "",
        )
        .order_by(plan.c.position, plan.c.id, price.c.id)
    )
    return [_priced(row, currency) for row in rows]


def try_on(
    terms: CouponTerms,
    rule: CouponRule,
    priced: Priced,
    country: str,
    today: date,
    delivery: Delivery = INCLUDED,
    taxes: TaxRules | None = None,
) -> Tried:
    """Say what a coupon does to an order of ``priced``, by the function that charges.

    The order is a stranger's first one.
    """
    sale = Sale(taxes or TaxRules(country), Place(country))
    facts = CouponFacts(today, priced.plan_code, priced.interval, country)
    why = refusal(rule, facts)
    if why is not None:
        return Tried(why)
    try:
        taxed = sale.tax(cast(Any, priced.tax_class), today)
    except NoRate:
        return Tried(Refusal.WRONG_COUNTRY)
    plain = with_shipping(_terms(priced, taxed, sale.taxes.rounding), delivery, sale.country)
    first = price_period(with_discounts(plain, [terms], terms.from_billed, terms.from_billed))
    ends = terms.lasts is not None
    return Tried(None, first, price_period(_after_fee(plain)) if ends else None)


def _after_fee(terms: PeriodTerms) -> PeriodTerms:
    return replace(terms, sign_up_fee=None)


def _terms(priced: Priced, taxed: Taxed, rounding: Rounding) -> PeriodTerms:
    return PeriodTerms(
        plan_name=priced.plan_name,
        plan_ref=priced.plan_code,
        amount=priced.amount,
        interval=priced.interval,
        boxes=priced.boxes,
        quantity=1,
        tax_rate=taxed.rate,
        treatment=taxed.treatment,
        rounding=rounding,
        inclusive=priced.inclusive,
        sign_up_fee=priced.fee,
    )


def _priced(row: AnyRow, currency: str) -> Priced:
    interval = Interval(row.unit, row.unit_count)
    shipping = Interval(row.shipping_unit, row.shipping_count)
    return Priced(
        row.code,
        row.name,
        row.tax_class,
        interval,
        Money(row.amount_minor, currency),
        row.tax_inclusive,
        boxes_per_period(interval, shipping) if row.ships else 0,
        Money(row.sign_up_fee_minor, currency),
    )


def _coupons() -> sa.Select[Any]:
    table, code, redemption = table_of(Coupon), table_of(PromotionCode), table_of(Redemption)
    taken = (
        sa.select(sa.func.coalesce(sa.func.sum(redemption.c.amount_minor), 0))
        .where(redemption.c.coupon_id == table.c.id, redemption.c.given_back_at.is_(None))
        .scalar_subquery()
    )
    counted = code.alias()
    mine = (
        sa.select(sa.func.count())
        .where(counted.c.coupon_id == table.c.id)
        .correlate(table)
        .scalar_subquery()
    )
    # The one made by hand; batches have pages of their own.
    by_hand = sa.and_(code.c.coupon_id == table.c.id, code.c.batch == "")
    return (
        sa.select(
            table,
            table.c.id.label("coupon_id"),
            code.c.code,
            taken.label("taken"),
            mine.label("codes"),
        )
        .select_from(table)
        .outerjoin(code, by_hand)
    )


def _row(row: AnyRow, currency: str) -> CouponRow:
    lasts = {"once": 1, "cycles": row.duration_cycles, "forever": None}[row.duration]
    code = row.code or ""
    return CouponRow(
        row.id,
        row.public_id,
        code,
        row.name,
        row.kind,
        coupon_terms(row, "try", code or row.name, lasts),
        row.is_automatic,
        row.codes,
        row.duration,
        row.duration_cycles,
        row.limits or {},
        row.first_time_only,
        row.starts_on,
        row.ends_on,
        row.max_uses,
        row.max_per_customer,
        row.used,
        Money(int(row.taken), currency),
        row.created_at,
        row.archived_at,
        row.translations,
    )


def _interval(text: str) -> Interval:
    count, _, unit = text.partition(" ")
    return Interval(cast(Any, unit), int(count))
