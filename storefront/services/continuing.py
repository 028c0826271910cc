"""Let recipients go on with a card of their own where a gift ends, and say so in time.

Source: docs/decisions/0194-recipients-go-on.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.boxes import BoxKind
from storefront.domain.errors import DomainError
from storefront.domain.gifts import OFFER_BEFORE, THANK_AFTER, THANK_UNTIL
from storefront.models import Box, BoxCycle, Checkout, Gift, Notice, Subscription
from storefront.models.base import table_of
from storefront.operations.beginning import start_after, write_checkout
from storefront.operations.checkout import Market, change_checkout, expires_at
from storefront.operations.continuing import UNSENT, GiftEnd, follow_gifts, gift_ends
from storefront.operations.gifts import any_gift, gift_rows
from storefront.operations.keys import AnyRow
from storefront.operations.offers import OrderPrice, fits, read_plan, read_prices
from storefront.operations.outbox import Message, enqueue
from storefront.operations.subscriptions import decide_again
from storefront.runtime import Runtime

#: Gifts written of in one transaction.
_AT_ONCE = 100
#: Topics of the two mails, which are notices as well: each is written once for a gift.
LAST_BOX, OVER = "gift_last_box", "gift_over"


class NoGift(DomainError):
    """This customer has no such gift, or its boxes were taken back or are held."""

    code = "no_gift"


class NotOnSale(DomainError):
    """The price is not on sale any more, or never was for this gift's plan."""

    code = "not_on_sale"


class WentOn(DomainError):
    """They go on already, by ``subscription``."""

    code = "went_on"


@dataclass(frozen=True, slots=True)
class ContinuingReport:
    """What one run did."""

    moved: int = 0
    offered: int = 0
    thanked: int = 0


def go_on(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    price: str,
    *,
    locale: str = "",
    source: Mapping[str, str] | None = None,
) -> str:
    """Begin the order by which the recipient of a gift goes on; returns its public id.

    There is one for a gift: asking again leads to the same order, with the price asked for
    last, as long as it is open. Nothing is charged and nothing is agreed to here. Raises
    ``NoGift``, ``NotOnSale`` and ``WentOn``.
    """

    def work() -> str:
        try:
            key = _begin(rt, (customer_id, subscription), price, locale, source or {})
        except DomainError:
            rt.session.rollback()
            raise
        rt.session.commit()
        return key

    return decide_again(rt.session, work)


def _begin(
    rt: Runtime,
    whose: tuple[int, str],
    price: str,
    locale: str,
    source: Mapping[str, str],
) -> str:
    end = _locked(rt, *whose)
    order = table_of(Checkout)
    key = end.row.checkout_id
    known = rt.session.execute(sa.select(order).where(order.c.id == key)).one_or_none()
    if known is not None and known.state == "done":
        raise WentOn(subscription=_follower(rt, known.id))
    if known is not None and known.state == "paying":
        return str(known.public_id)
    start = start_after(rt.session, end, 0)
    country = str(start.address.get("country", end.row.country))
    chosen = _on_sale(rt, end, price, country)
    if known is not None and known.state == "open":
        values = {"price_id": chosen.id, "expires_at": expires_at(rt.now())}
        change_checkout(rt.session, known, values)
        return str(known.public_id)
    start = replace(start, price_id=chosen.id, locale=locale, source=source)
    public, made = write_checkout(rt.session, start, rt.now())
    gift = table_of(Gift)
    rt.session.execute(
        sa.update(gift).where(gift.c.id == end.row.id).values(checkout_id=made, follows_on=None)
    )
    return public


def _locked(rt: Runtime, customer_id: int, subscription: str) -> GiftEnd:
    """Return how the gift ends; nobody else begins to go on from it until the commit."""
    table, gift = table_of(Subscription), table_of(Gift)
    mine = (table.c.customer_id == customer_id, table.c.public_id == subscription)
    rows = gift_rows(rt.session, *mine, for_update=True)
    ends = gift_ends(rt.session, gift.c.id.in_([row.id for row in rows]))
    if not ends or ends[0].row.held_at is not None:
        raise NoGift(subscription=subscription)
    return ends[0]


def _on_sale(rt: Runtime, end: GiftEnd, price: str, country: str) -> OrderPrice:
    plan = read_plan(rt.session, end.row.plan_id)
    market = Market.of(rt.shop)
    prices: Sequence[OrderPrice] = ()
    if plan.is_sold_on(rt.today()):
        prices = read_prices(rt.session, plan.id, market.currency, country)
    found = next((one for one in prices if one.public_id == price and fits(plan, one)), None)
    if found is None:
        raise NotOnSale(price=price)
    return found


def _follower(rt: Runtime, checkout_id: int) -> str:
    table = table_of(Subscription)
    found = rt.session.execute(
        sa.select(table.c.public_id)
        .where(table.c.checkout_id == checkout_id)
        .order_by(table.c.checkout_position)
        .limit(1)
    )
    return str(found.scalar_one())


def run_continuing(rt: Runtime) -> ContinuingReport:
    """Keep what follows behind the gifts it follows, and write of gifts that end.

    Running it again changes nothing.
    """
    if not any_gift(rt.session, is_claimed=True):
        return ContinuingReport()
    moved = decide_again(rt.session, partial(_follow, rt))
    offered, thanked = _in_parts(rt, partial(_offer, rt)), _in_parts(rt, partial(_thank, rt))
    return ContinuingReport(moved, offered, thanked)


def _follow(rt: Runtime) -> int:
    moved = follow_gifts(rt.session, rt.moment())
    rt.session.commit()
    return moved


def _in_parts(rt: Runtime, work: partial[int]) -> int:
    done = 0
    while part := retrying(rt.session, work):
        done += part
    return done


def _offer(rt: Runtime) -> int:
    """Write of gifts whose last box leaves soon."""

    def is_due(end: GiftEnd) -> bool:
        day = end.last_ships_on
        return bool(end.unsent) and day is not None and _is_between(rt, day - OFFER_BEFORE, day)

    return _write(rt, LAST_BOX, [end for end in _ending(rt, LAST_BOX) if is_due(end)])


def _thank(rt: Runtime) -> int:
    """Write of gifts whose last box has left, where nothing follows and none is sent again."""

    def is_due(end: GiftEnd) -> bool:
        day = end.last_ships_to
        return day is not None and _is_between(rt, day + THANK_AFTER, day + THANK_UNTIL)

    box = table_of(Box).alias()
    again = sa.exists().where(
        box.c.subscription_id == table_of(Gift).c.subscription_id,
        box.c.kind == BoxKind.REPLACEMENT,
        box.c.state.in_(UNSENT),
    )
    return _write(rt, OVER, [end for end in _ending(rt, OVER, sa.not_(again)) if is_due(end)])


def _is_between(rt: Runtime, first: date, last: date) -> bool:
    return first <= rt.today() <= last


def _ending(rt: Runtime, topic: str, *conditions: sa.ColumnElement[bool]) -> list[GiftEnd]:
    """Return claimed gifts about which ``topic`` was not written, of whom nobody went on."""
    gift, table, order = table_of(Gift), table_of(Subscription), table_of(Checkout)
    notice = table_of(Notice)
    # Named anew: the question behind it reads boxes and their rounds itself.
    box, cycle = table_of(Box).alias(), table_of(BoxCycle).alias()
    went_on = sa.exists().where(order.c.id == gift.c.checkout_id, order.c.state == "done")
    told = sa.exists().where(
        notice.c.subscription_id == gift.c.subscription_id, notice.c.kind == topic
    )
    leaves = sa.exists().where(
        box.c.subscription_id == gift.c.subscription_id,
        cycle.c.id == box.c.cycle_id,
        cycle.c.ship_to >= rt.today() - THANK_UNTIL,
        cycle.c.ship_to <= rt.today() + OFFER_BEFORE + THANK_UNTIL,
    )
    return gift_ends(
        rt.session,
        gift.c.claimed_at.is_not(None),
        table.c.customer_id.is_not(None),
        table.c.held_at.is_(None),
        sa.not_(went_on),
        sa.not_(told),
        leaves,
        *conditions,
    )


def _write(rt: Runtime, topic: str, ends: Sequence[GiftEnd]) -> int:
    rows = [end.row for end in ends[:_AT_ONCE]]
    if rows:
        rt.session.execute(sa.insert(table_of(Notice)), [_notice(rt, topic, row) for row in rows])
        enqueue(rt.session, [_mail(topic, row) for row in rows], rt.now())
        rt.session.commit()
    else:
        rt.session.rollback()
    return len(rows)


def _notice(rt: Runtime, topic: str, row: AnyRow) -> dict[str, object]:
    return {
        "kind": topic,
        "subscription_id": row.subscription_id,
        "period_start_on": row.start_on.isoformat(),
        "at": rt.now(),
    }


def _mail(topic: str, row: AnyRow) -> Message:
    payload = {"gift": row.public_id}
    return Message("mail", topic, f"mail:{topic}:{row.public_id}", payload, row.customer_id)
