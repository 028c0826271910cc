"""Put a promotion code on a running subscription, or take one off that was not used yet."""

from __future__ import annotations

from functools import partial

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.coupons import CouponFacts, Refusal, normalise_code, refusal
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.lifecycle import ENDED
from storefront.domain.periods import Interval
from storefront.models import (
    Address,
    Coupon,
    Customer,
    Plan,
    Price,
    Redemption,
    Subscription,
    SubscriptionDiscount,
)
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.coupon_uses import release_holds, uses_by
from storefront.operations.coupons import TypedCode, attach, find_code
from storefront.operations.keys import AnyRow
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime


class NoSubscription(DomainError):
    """No such running subscription of this customer."""

    code = "no_subscription"


class CodeRefused(DomainError):
    """``reason`` is a ``Refusal``; nothing was written."""

    code = "code_refused"

    def __init__(self, reason: Refusal, found: TypedCode | None) -> None:
        super().__init__(reason=reason.value)
        self.reason = reason
        self.found = found


def add_code(
    rt: Runtime, customer_id: int, subscription: str, typed: str, who: Who | None = None
) -> str:
    """Let a code lower the coming payments of a subscription and return it as it is kept.

    It takes its use with the first payment that it lowers. ``who`` is the staff member who
    does it for the customer. Raises ``NoSubscription`` or ``CodeRefused``.
    Source: docs/decisions/0084-codes-on-running-subscriptions.md.
    """
    normalised = normalise_code(typed)
    return retrying(rt.session, partial(_add, rt, customer_id, subscription, normalised, who))


def fits(rt: Runtime, customer_id: int, subscription: str, typed: str) -> TypedCode | None:
    """Return the code if ``add_code`` would take it now, else None; changes nothing."""
    try:
        row = _locked(rt, customer_id, subscription, for_update=False)
    except NoSubscription:
        return None
    found = find_code(rt.session, normalise_code(typed))
    return found if found is not None and _why_refused(rt, row, found) is None else None


def remove_code(
    rt: Runtime, customer_id: int, subscription: str, code: str, who: Who | None = None
) -> bool:
    """Take a code off that has lowered nothing yet; False when there is none such.

    Raises ``NoSubscription``.
    """

    def write() -> bool:
        row = _locked(rt, customer_id, subscription)
        table = table_of(SubscriptionDiscount)
        done = rt.session.execute(
            sa.update(table)
            .where(
                table.c.subscription_id == row.id,
                table.c.code == code,
                table.c.promotion_code_id.is_not(None),
                _lasts(table),
                sa.not_(_is_used(table)),
            )
            .values(cycles_left=0)
            .returning(table.c.id)
        ).all()
        if done:
            release_holds(rt.session, table.c.id.in_([one.id for one in done]))
            _note(rt, row, EventKind.CODE_REMOVED, code, who)
        rt.session.commit()
        return bool(done)

    return retrying(rt.session, write)


def _add(rt: Runtime, customer_id: int, subscription: str, normalised: str, who: Who | None) -> str:
    # One at a time for a customer: what waits on their other subscriptions counts.
    _lock_customer(rt, customer_id)
    row = _locked(rt, customer_id, subscription)
    found = find_code(rt.session, normalised) if normalised else None
    refused = _why_refused(rt, row, found)
    if refused is not None or found is None:
        rt.session.rollback()
        raise CodeRefused(refused or Refusal.UNKNOWN, found)
    attach(rt.session, row.id, found, found.terms.lasts, place=1)
    _note(rt, row, EventKind.CODE_ADDED, found.code, who)
    rt.session.commit()
    return found.code


def _why_refused(rt: Runtime, row: AnyRow, found: TypedCode | None) -> Refusal | None:
    if found is None:
        return Refusal.UNKNOWN
    if found.terms.target in ("first_box", "fee"):
        return Refusal.FIRST_ONLY
    off = found.terms.discount.amount
    if off is not None and off.currency != row.currency:
        return Refusal.WRONG_COUNTRY
    facts = CouponFacts(
        today=rt.today(),
        plan=row.plan_code,
        interval=Interval(row.unit, row.unit_count),
        country=row.country or rt.shop.seller_country,
        is_first=False,
        used_by_customer=uses_by(rt.session, found.coupon_id, row.customer_id),
    )
    return refusal(found.rule, facts) or _stacked(rt, row, found)


def _stacked(rt: Runtime, row: AnyRow, found: TypedCode) -> Refusal | None:
    """One typed code at a time, and none a second time."""
    table, coupon = table_of(SubscriptionDiscount), table_of(Coupon)
    rows = rt.session.execute(
        sa.select(table.c.coupon_id, _lasts(table).label("lasts"), _is_used(table).label("used"))
        .join(coupon, coupon.c.id == table.c.coupon_id)
        .where(table.c.subscription_id == row.id, sa.not_(coupon.c.is_automatic))
    ).all()
    if any(one.coupon_id == found.coupon_id and (one.lasts or one.used) for one in rows):
        return Refusal.HAS_IT
    return Refusal.HAS_ANOTHER if any(one.lasts for one in rows) else None


def _lasts(table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.or_(table.c.cycles_left.is_(None), table.c.cycles_left > 0)


def _is_used(table: sa.Table) -> sa.ColumnElement[bool]:
    used = table_of(Redemption)
    return sa.exists().where(
        used.c.subscription_discount_id == table.c.id, used.c.given_back_at.is_(None)
    )


def _lock_customer(rt: Runtime, customer_id: int) -> None:
    table = table_of(Customer)
    statement = sa.select(table.c.id).where(table.c.id == customer_id)
    if rt.session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update()
    rt.session.execute(statement)


def _locked(rt: Runtime, customer_id: int, subscription: str, *, for_update: bool = True) -> AnyRow:
    table, plan, price = table_of(Subscription), table_of(Plan), table_of(Price)
    address = table_of(Address)
    statement = (
        sa.select(
            table.c.id,
            table.c.public_id,
            table.c.customer_id,
            plan.c.code.label("plan_code"),
            price.c.unit,
            price.c.count.label("unit_count"),
            price.c.currency,
            address.c.country,
        )
        .join(plan, plan.c.id == table.c.plan_id)
        .join(price, price.c.id == table.c.price_id)
        .outerjoin(address, address.c.id == table.c.address_id)
        .where(
            table.c.public_id == subscription,
            table.c.customer_id == customer_id,
            table.c.state.not_in([*ENDED, "incomplete"]),
        )
    )
    if for_update and rt.session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(of=table)
    row = rt.session.execute(statement).one_or_none()
    if row is None:
        rt.session.rollback()
        raise NoSubscription(subscription=subscription)
    return row


def _note(rt: Runtime, row: AnyRow, kind: EventKind, code: str, who: Who | None) -> None:
    moment = rt.moment()
    actor = Actor.STAFF if who else Actor.CUSTOMER
    entry = Entry(
        row.id,
        row.public_id,
        kind,
        actor,
        actor_ref=who.public_id if who else "",
        data={"code": code},
        ref=f"{code}:{moment.now.isoformat()}",
    )
    record(rt.session, [entry], moment)
    if who is not None:
        after = {"code": code}
        audit.write(rt.session, who.id, kind.value, row.public_id, {}, after, moment, who.ip)
