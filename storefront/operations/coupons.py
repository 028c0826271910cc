"""Codes a shopper types and automatic discounts: find them, say whether they fit, take uses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any, cast

import sqlalchemy as sa

from storefront.domain.coupons import CouponRule, CouponTerms, cycles_after
from storefront.domain.lifecycle import ENDED, SubscriptionState
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.models import (
    Coupon,
    PromotionCode,
    Redemption,
    Subscription,
    SubscriptionDiscount,
)
from storefront.models.base import table_of
from storefront.operations.bulk import insert_many
from storefront.operations.coupon_uses import take_use
from storefront.operations.discounts import coupon_columns, coupon_terms
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.subscriptions import StaleSubscription

#: Of a discount's name, how much a subscription keeps for its lines.
LONGEST_KEPT = 40


class NoUseLeft(StaleSubscription):
    """Another order took the last use meanwhile: decide again."""


@dataclass(frozen=True, slots=True)
class TypedCode:
    """A known code, or an automatic discount, with its rule and what it takes off."""

    #: None for an automatic discount.
    promotion_code_id: int | None
    coupon_id: int
    rule: CouponRule
    terms: CouponTerms

    @property
    def code(self) -> str:
        return self.terms.code

    @property
    def is_code(self) -> bool:
        return self.promotion_code_id is not None


def find_code(session: AnySession, normalised: str) -> TypedCode | None:
    """Return the code in its stored spelling (``normalise_code``), or None."""
    return _found(session, table_of(PromotionCode).c.code == normalised)


def code_of(session: AnySession, promotion_code_id: int) -> TypedCode | None:
    """Return the code with this key, or None once it or its coupon was archived."""
    return _found(session, table_of(PromotionCode).c.id == promotion_code_id)


def _found(session: AnySession, condition: sa.ColumnElement[bool]) -> TypedCode | None:
    code, coupon = table_of(PromotionCode), table_of(Coupon)
    row = session.execute(
        _coupons(
            code.c.id.label("code_id"),
            code.c.code,
            code.c.max_uses.label("code_uses"),
            code.c.used.label("code_used"),
        )
        .join(code, code.c.coupon_id == coupon.c.id)
        .where(condition, code.c.archived_at.is_(None), coupon.c.archived_at.is_(None))
    ).one_or_none()
    if row is None:
        return None
    rule = rule_of(row)
    if row.code_uses is not None and row.code_used >= row.code_uses:
        rule = _used_up(rule)
    return TypedCode(row.code_id, row.coupon_id, rule, _terms(row, row.code))


def automatic_coupons(session: AnySession) -> list[TypedCode]:
    """Return the discounts that are on and need no code, in no order."""
    rows = session.execute(_automatic())
    return [TypedCode(None, row.coupon_id, rule_of(row), _terms(row, row.name)) for row in rows]


@cache
def _automatic() -> sa.Select[Any]:
    coupon = table_of(Coupon)
    return _coupons().where(coupon.c.is_automatic, coupon.c.archived_at.is_(None))


def _coupons(*more: sa.ColumnElement[Any]) -> sa.Select[Any]:
    coupon = table_of(Coupon)
    return sa.select(
        *coupon_columns(),
        coupon.c.public_id,
        coupon.c.name,
        coupon.c.duration_cycles,
        coupon.c.first_time_only,
        coupon.c.max_uses,
        coupon.c.used,
        coupon.c.max_per_customer,
        *more,
    ).select_from(coupon)


def rule_of(row: AnyRow) -> CouponRule:
    """Return who may use the coupon of ``row``, on what and when."""
    limits = row.limits or {}
    return CouponRule(
        plans=frozenset(limits.get("plans", ())),
        intervals=frozenset(_interval(text) for text in limits.get("intervals", ())),
        countries=frozenset(limits.get("countries", ())),
        first_time_only=row.first_time_only,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        max_uses=row.max_uses,
        used=row.used,
        max_per_customer=row.max_per_customer,
    )


def _used_up(rule: CouponRule) -> CouponRule:
    """A unique code that was used: no more of it, whatever the coupon still allows."""
    return replace(rule, max_uses=0)


def _terms(row: AnyRow, code: str) -> CouponTerms:
    lasts = {"once": 1, "cycles": row.duration_cycles, "forever": None}[row.duration]
    return coupon_terms(row, row.public_id, code, lasts)


def _interval(text: str) -> Interval:
    count, _, unit = text.partition(" ")
    return Interval(cast(Any, unit), int(count))


def is_first_order(session: AnySession, customer_id: int) -> bool:
    """Return whether this customer never had a subscription that began."""
    table = table_of(Subscription)
    had = sa.exists().where(
        table.c.customer_id == customer_id,
        table.c.state.not_in([SubscriptionState.INCOMPLETE, SubscriptionState.EXPIRED]),
    )
    return not session.execute(sa.select(had)).scalar_one()


@dataclass(frozen=True, slots=True)
class Use:
    """Whose first invoice a code lowers."""

    subscription_id: int
    customer_id: int
    invoice_id: int


def redeem(
    session: AnySession,
    found: Sequence[TypedCode],
    taken: Mapping[str, Money],
    use: Use,
    now: datetime,
    *,
    is_paid: bool = True,
    held: Collection[tuple[int, int | None]] = (),
) -> None:
    """Put discounts to work on a new subscription; the first invoice is their first cycle.

    ``taken`` says what each that worked took off that invoice. One that lasts one payment
    and lost against a better is left out, unless nothing was to be paid for (a trial, not
    ``is_paid``). One of an earlier try of the order that was taken off again lowers nothing
    any more. ``held`` are coupon and code of the uses that the order took: one that this
    invoice does not need is kept for the first that does.
    """
    kept = [
        one for one in found if not is_paid or one.terms.ref in taken or not one.terms.is_for_first
    ]
    table = table_of(SubscriptionDiscount)
    mine = table.c.subscription_id == use.subscription_id
    gone = table.c.coupon_id.not_in([one.coupon_id for one in kept])
    # The order gave the use of a discount back that it does not have any more.
    session.execute(sa.update(table).where(mine, gone).values(cycles_left=0, holds_use=False))
    for place, one in enumerate(kept):
        off = taken.get(one.terms.ref)
        left = cycles_after(one.terms.lasts, off) if off is not None else one.terms.lasts
        lowers = off is not None and off.minor > 0
        keeps = not lowers and (one.coupon_id, one.promotion_code_id) in held
        discount_id = attach(session, use.subscription_id, one, left, place, holds_use=keeps)
        if off is not None and lowers:
            _write_uses(session, [Lowered(discount_id, one, use, off.minor, True)], now)


def attach(
    session: AnySession,
    subscription_id: int,
    one: TypedCode,
    left: int | None,
    place: int,
    *,
    holds_use: bool = False,
) -> int:
    """Write that a subscription has a discount, again if it had it before; returns its key."""
    table = table_of(SubscriptionDiscount)
    values = {
        "promotion_code_id": one.promotion_code_id,
        "code": one.code[:40],
        "position": place,
        "cycles_left": left,
        "holds_use": holds_use,
    }
    known = session.execute(
        sa.update(table)
        .where(table.c.subscription_id == subscription_id, table.c.coupon_id == one.coupon_id)
        .values(**values)
        .returning(table.c.id)
    ).scalar_one_or_none()
    if known is not None:
        return int(known)
    key = reserve(session, SubscriptionDiscount, 1)[0]
    session.execute(
        sa.insert(table).values(
            id=key, subscription_id=subscription_id, coupon_id=one.coupon_id, **values
        )
    )
    return key


def attach_to_running(session: AnySession, coupon_id: int) -> int:
    """Put an automatic discount on every subscription that has not ended; returns on how many.

    One statement whatever their number. Whether it fits is asked period by period.
    """
    table, coupon, subscription = (
        table_of(SubscriptionDiscount),
        table_of(Coupon),
        table_of(Subscription),
    )
    mine = table.alias()
    has_it = sa.exists().where(
        mine.c.subscription_id == subscription.c.id, mine.c.coupon_id == coupon_id
    )
    lasts = sa.case(
        (coupon.c.duration == "once", 1),
        (coupon.c.duration == "cycles", coupon.c.duration_cycles),
        else_=None,
    )
    rows = (
        sa.select(
            subscription.c.id,
            coupon.c.id,
            sa.func.substr(coupon.c.name, 1, LONGEST_KEPT),
            sa.literal(9),
            lasts,
        )
        .select_from(subscription.join(coupon, coupon.c.id == coupon_id))
        .where(subscription.c.state.not_in(ENDED), sa.not_(has_it))
        .order_by(subscription.c.id)
    )
    names = ["subscription_id", "coupon_id", "code", "position", "cycles_left"]
    written: Any = session.execute(sa.insert(table).from_select(names, rows))
    return int(written.rowcount)


@dataclass(frozen=True, slots=True)
class Lowered:
    """What one discount took off one invoice; ``coupon`` has the keys of coupon and code."""

    discount_id: int
    coupon: Any
    use: Use
    off_minor: int
    #: True for the first of a subscription, which the counters count.
    counts: bool


def redeem_cycle(session: AnySession, lowered: Sequence[Lowered], now: datetime) -> None:
    """Count one billed period of discounts that lowered invoices of running subscriptions.

    One that does so for the first time takes a use, or the one that it holds since its order.
    Raises ``NoUseLeft`` when that was the last and somebody else has it: nothing may be
    committed then.
    """
    if not lowered:
        return
    firsts = Counter(
        (one.coupon.coupon_id, one.coupon.promotion_code_id)
        for one in lowered
        if one.counts and not one.coupon.holds_use
    )
    for (coupon_id, code_id), count in sorted(firsts.items(), key=str):
        if not take_use(session, coupon_id, code_id, count):
            raise NoUseLeft(f"coupon {coupon_id}")
    _write_uses(session, lowered, now)
    table = table_of(SubscriptionDiscount)
    session.execute(
        sa.update(table)
        .where(table.c.id.in_([one.discount_id for one in lowered]), table.c.cycles_left > 0)
        .values(cycles_left=table.c.cycles_left - 1)
    )
    holding = [one.discount_id for one in lowered if one.counts and one.coupon.holds_use]
    if holding:
        session.execute(sa.update(table).where(table.c.id.in_(holding)).values(holds_use=False))


def _write_uses(session: AnySession, lowered: Sequence[Lowered], now: datetime) -> None:
    insert_many(
        session,
        Redemption,
        [
            {
                "subscription_discount_id": one.discount_id,
                "coupon_id": one.coupon.coupon_id,
                "promotion_code_id": one.coupon.promotion_code_id,
                "customer_id": one.use.customer_id,
                "invoice_id": one.use.invoice_id,
                "amount_minor": one.off_minor,
                "counts": one.counts,
                "at": now,
            }
            for one in lowered
        ],
    )
