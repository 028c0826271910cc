"""Gifts for tests: ordered and paid through the checkout's own services."""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.database import reading
from storefront.domain.gifts import GiftWish
from storefront.domain.invoices import CreditReason
from storefront.domain.refunds import Afterwards, Way
from storefront.models import Checkout, Gift, Invoice, Plan, Subscription
from storefront.models.base import table_of
from storefront.operations.beginning import Start
from storefront.operations.checkout import Market, Order, read_order
from storefront.operations.secrets import gift_code
from storefront.runtime import Runtime
from storefront.services.checkout import Agreement, change_gift, place_order, start_checkout
from storefront.services.finishing import Finished, Outcome, finish_checkout
from storefront.services.refunding import Wish as RefundWish
from storefront.services.refunding import offer, quote_refund, refund
from storefront.testing.factories import demo_gateway_of, price_of
from tests.support.admin import make_staff

GIVER = "ben@example.org"
HOME = {
    "name": "Ada Lovelace",
    "street": "Lindenweg 4",
    "postcode": "07743",
    "city": "Jena",
    "country": "DE",
}


def wish_for(send_on: date, **values: Any) -> GiftWish:
    """Return the wish to give something to Ada from ``send_on`` on."""
    parts: dict[str, Any] = {
        "name": "Ada Lovelace",
        "email": "ada@example.org",
        "country": "DE",
        "message": "Happy birthday!",
    }
    return GiftWish(**parts | values, send_on=send_on)


def begin_gift(rt: Runtime, plan: Plan, wish: GiftWish) -> str:
    """Return the key of an order that gives the boxes of one payment of ``plan``."""
    key = start_checkout(rt, Start(plan.id, price_of(rt, plan).id))
    change_gift(rt, key, GIVER, "Ben", wish)
    return key


def order_of(rt: Runtime, key: str) -> Order:
    """Return the order as its page would show it."""
    with reading():
        row = rt.session.execute(
            sa.select(table_of(Checkout)).where(Checkout.public_id == key)
        ).one()
        order = read_order(rt.session, row, Market.of(rt.shop), rt.moment())
        rt.session.rollback()
    return order


def pay_order(rt: Runtime, key: str, card: str = "4242") -> Finished:
    """Agree to the order as it is and pay it with a demo card; returns how that went."""
    order = order_of(rt, key)
    agreed = order.quote.quote_hash if order.quote else ""
    agreement = Agreement(agreed, "I agree.", "renewal-1", "192.0.2.1", "test")
    url = f"{rt.settings.base_url}/checkout/{key}/finish"
    placed = place_order(rt, key, agreement, gateway="demo", return_url=url, cancel_url=url)
    if not placed.url:
        raise RuntimeError(f"the order went {placed.step}: {order.problem}")
    demo_gateway_of(rt).bank.choose(placed.url.rpartition("/")[2], card)
    return finish_checkout(rt, key)


def make_gift(rt: Runtime, plan: Plan, wish: GiftWish) -> Gift:
    """Return a paid gift, detached. Raises ``RuntimeError`` when the order does not go through."""
    finished = pay_order(rt, begin_gift(rt, plan, wish))
    if finished.outcome is not Outcome.DONE:
        raise RuntimeError(str(finished))
    gift = rt.session.scalars(sa.select(Gift).order_by(Gift.id.desc()).limit(1)).one()
    rt.session.expunge(gift)
    rt.session.rollback()
    return gift


def subscription_of(rt: Runtime, gift: Gift) -> Subscription:
    """Return the subscription of a gift as it is now, detached."""
    found = rt.session.scalars(
        sa.select(Subscription).where(Subscription.id == gift.subscription_id)
    ).one()
    rt.session.expunge(found)
    rt.session.rollback()
    return found


def code_of(rt: Runtime, gift: Gift) -> str:
    """Return the code that the recipient is mailed."""
    return gift_code(rt.settings.secret_key, gift.public_id)


def give_back(rt: Runtime, gift: Gift) -> None:
    """Give the giver back what is left, and stop what has not left the house."""
    who = make_staff(rt)
    paid = sa.select(Invoice.public_id).where(Invoice.payer_id == gift.giver_id)
    invoice = rt.session.scalars(paid).one()
    rt.session.rollback()
    found = offer(rt, invoice)
    wish = RefundWish(
        {one.head.id: one.left for one in found.lines},
        Way.CARD,
        CreditReason.REFUND,
        Afterwards.STOP_NOW,
    )
    refund(rt, who, invoice, wish, quote_refund(rt, invoice, wish).quote_hash)
