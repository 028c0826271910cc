"""Which discounts the boxes of an order get: the typed code, and those given without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import sqlalchemy as sa

from storefront.domain.coupons import CouponFacts, Refusal, refusal
from storefront.models import Customer
from storefront.models.base import table_of
from storefront.operations.coupon_uses import uses_by
from storefront.operations.coupons import TypedCode, automatic_coupons, code_of, is_first_order
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.offers import OrderPlan, OrderPrice


@dataclass(slots=True)
class Giving:
    """The discounts of one order, given out to its boxes one after the other.

    The code lowers the first box that it fits. What needs no code is given to every box that
    it fits, as if the boxes were ordered one after the other: each takes a use.
    Source: docs/decisions/0100-several-boxes-in-one-order.md.
    """

    session: AnySession
    checkout: AnyRow
    country: str
    today: date
    code: TypedCode | None
    automatic: Sequence[TypedCode]
    #: Why the code fits no box, as its first box has it; None when it fits one.
    refused: Refusal | None = None
    #: How many boxes before have each, by coupon.
    before: Counter[int] = field(default_factory=Counter)
    _is_asked: bool = False

    @classmethod
    def of(cls, session: AnySession, checkout: AnyRow, country: str, today: date) -> Giving:
        """Read what the order ``checkout`` may be lowered by."""
        code = None
        if checkout.promotion_code_id is not None:
            code = code_of(session, checkout.promotion_code_id)
        is_gone = checkout.promotion_code_id is not None and code is None
        refused = Refusal.UNKNOWN if is_gone else None
        return cls(session, checkout, country, today, code, automatic_coupons(session), refused)

    def to(self, plan: OrderPlan, price: OrderPrice) -> tuple[TypedCode, ...]:
        """Return the discounts of the next box."""
        fitting = [one for one in self.automatic if self._fits(one, plan, price)]
        if self.code is not None and not self.before[self.code.coupon_id]:
            refused = self._why(self.code, plan, price)
            if refused is None or not self._is_asked:
                self.refused, self._is_asked = refused, True
            if refused is None:
                fitting = [one for one in fitting if one.coupon_id != self.code.coupon_id]
                fitting.append(self.code)
        self.before.update(one.coupon_id for one in fitting)
        return tuple(fitting)

    def _fits(self, one: TypedCode, plan: OrderPlan, price: OrderPrice) -> bool:
        """Now if it fits, or later whatever fits then."""
        later = one.terms.from_billed > 1 and not self._is_used_up(one)
        return later or self._why(one, plan, price) is None

    def _is_used_up(self, one: TypedCode) -> bool:
        held = self.checkout.quote.get("uses", []).count([one.coupon_id, one.promotion_code_id])
        used = one.rule.used + self.before[one.coupon_id] - held
        return one.rule.max_uses is not None and used >= one.rule.max_uses

    def _why(self, one: TypedCode, plan: OrderPlan, price: OrderPrice) -> Refusal | None:
        return why_refused(
            self.session,
            self.checkout,
            one,
            plan,
            price,
            self.country,
            self.today,
            self.before[one.coupon_id],
        )


def why_refused(
    session: AnySession,
    checkout: AnyRow,
    code: TypedCode | None,
    plan: OrderPlan,
    price: OrderPrice,
    country: str,
    today: date,
    before: int = 0,
) -> Refusal | None:
    """Return why ``code`` does not fit a box of this checkout, or None when it does.

    ``before`` boxes of the same order have it already.
    """
    if code is None:
        return Refusal.UNKNOWN
    off = code.terms.discount.amount
    if off is not None and off.currency != price.amount.currency:
        return Refusal.WRONG_COUNTRY
    customer_id = customer_with(session, checkout.email)
    used = 0
    if customer_id is not None:
        used = uses_by(session, code.coupon_id, customer_id, checkout.id)
    facts = CouponFacts(
        today=today,
        plan=plan.code,
        interval=price.interval,
        country=country,
        is_first=not before and (customer_id is None or is_first_order(session, customer_id)),
        used_by_customer=used + before,
    )
    # The uses this checkout holds are its own; the guarded counter let it have them.
    held = checkout.quote.get("uses", []).count([code.coupon_id, code.promotion_code_id])
    if held > before:
        reason = refusal(code.rule, facts)
        return None if reason is Refusal.USED_UP else reason
    return refusal(replace(code.rule, used=code.rule.used + before - held), facts)


def customer_with(session: AnySession, email: str) -> int | None:
    """Return the customer with this e-mail; none where it was not typed yet."""
    if not email:
        return None
    table = table_of(Customer)
    return session.execute(sa.select(table.c.id).where(table.c.email == email)).scalar_one_or_none()
