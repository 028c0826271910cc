"""How often coupons and their codes may still be used, and who used them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from storefront.domain.lifecycle import ENDED
from storefront.models import (
    Coupon,
    PromotionCode,
    Redemption,
    Subscription,
    SubscriptionDiscount,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


def take_use(
    session: AnySession, coupon_id: int, code_id: int | None = None, count: int = 1
) -> bool:
    """Take ``count`` uses of a coupon, and of its code, if as many are left.

    False when they are not; then the caller rolls back, for one of the two may be taken.
    """
    coupon, code = table_of(Coupon), table_of(PromotionCode)
    if not _raise(session, coupon, coupon_id, count):
        return False
    return code_id is None or _raise(session, code, code_id, count)


def _raise(session: AnySession, table: sa.Table, key: int, count: int) -> bool:
    taken = session.execute(
        sa.update(table)
        .where(
            table.c.id == key,
            sa.or_(table.c.max_uses.is_(None), table.c.used + count <= table.c.max_uses),
        )
        .values(used=table.c.used + count)
        .returning(table.c.id)
    )
    return taken.one_or_none() is not None


def give_back_uses(session: AnySession, uses: Iterable[tuple[int, int | None]]) -> None:
    """Give back one use per (coupon, code); the caller makes sure that it happens once."""
    for coupon_id, code_id in uses:
        keys = [(table_of(Coupon), coupon_id)]
        if code_id is not None:
            keys.append((table_of(PromotionCode), code_id))
        for table, key in keys:
            session.execute(
                sa.update(table)
                .where(table.c.id == key, table.c.used > 0)
                .values(used=table.c.used - 1)
            )


def release_holds(session: AnySession, condition: sa.ColumnElement[bool]) -> None:
    """Give back the uses that discounts of ``condition`` hold and never took.

    ``condition`` is on ``subscription_discount``. Each is given back once.
    """
    table = table_of(SubscriptionDiscount)
    rows = session.execute(
        sa.update(table)
        .where(condition, table.c.holds_use)
        .values(holds_use=False)
        .returning(table.c.coupon_id, table.c.promotion_code_id)
    ).all()
    if not rows:
        return
    _lower(session, table_of(Coupon), Counter(row.coupon_id for row in rows))
    codes = Counter(row.promotion_code_id for row in rows if row.promotion_code_id is not None)
    if codes:
        _lower(session, table_of(PromotionCode), codes)


def _lower(session: AnySession, table: sa.Table, counts: Mapping[int, int]) -> None:
    session.connection().execute(
        sa.update(table)
        .where(table.c.id == sa.bindparam("key"))
        .values(used=table.c.used - sa.bindparam("amount")),
        [{"key": key, "amount": count} for key, count in sorted(counts.items())],
    )


def give_back_redemptions(session: AnySession, invoice_ids: Sequence[int], now: datetime) -> None:
    """Mark what was redeemed on these unpaid invoices as given back."""
    table = table_of(Redemption)
    session.execute(
        sa.update(table)
        .where(table.c.invoice_id.in_(invoice_ids), table.c.given_back_at.is_(None))
        .values(given_back_at=now)
    )


def uses_by(
    session: AnySession, coupon_id: int, customer_id: int, but_checkout: int | None = None
) -> int:
    """Return how many subscriptions of a customer were lowered by a coupon, or will be.

    Counted are uses that were not undone, and what waits on a subscription that has not ended
    for an invoice to lower: codes, and automatic discounts whose use is held. The subscription
    of the order ``but_checkout`` is left out: what it has is its own.
    """
    table, waiting = table_of(Redemption), table_of(SubscriptionDiscount)
    subscription = table_of(Subscription)
    counting = sa.and_(table.c.counts, table.c.given_back_at.is_(None))
    others = sa.or_(
        subscription.c.checkout_id.is_(None), subscription.c.checkout_id != (but_checkout or 0)
    )
    used = (
        sa.select(sa.func.count())
        .select_from(table)
        .join(waiting, waiting.c.id == table.c.subscription_discount_id)
        .join(subscription, subscription.c.id == waiting.c.subscription_id)
        .where(table.c.coupon_id == coupon_id, table.c.customer_id == customer_id, counting, others)
    )
    is_counted = sa.exists().where(table.c.subscription_discount_id == waiting.c.id, counting)
    promised = (
        sa.select(sa.func.count())
        .select_from(waiting)
        .join(subscription, subscription.c.id == waiting.c.subscription_id)
        .where(
            waiting.c.coupon_id == coupon_id,
            sa.or_(waiting.c.promotion_code_id.is_not(None), waiting.c.holds_use),
            sa.or_(waiting.c.cycles_left.is_(None), waiting.c.cycles_left > 0),
            sa.func.coalesce(subscription.c.payer_id, subscription.c.customer_id) == customer_id,
            subscription.c.state.not_in(ENDED),
            others,
            sa.not_(is_counted),
        )
    )
    counts: int = session.execute(
        sa.select(used.scalar_subquery() + promised.scalar_subquery())
    ).scalar_one()
    return counts
