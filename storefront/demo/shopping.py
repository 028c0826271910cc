"""What shoppers and customers of the demo do, through the services that pages call.

Nothing is written past the engine: an order goes through the checkout, a card is chosen at the
demo bank as its page would, and a decline is a decline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import sqlalchemy as sa

from storefront.blueprints.checkout.words import consent_text, consent_version
from storefront.database import reading
from storefront.demo.people import OneMore, Shopper
from storefront.domain.addons import Cadence
from storefront.domain.charging import AnswerStatus
from storefront.domain.gateways import Gateway
from storefront.domain.gifts import GiftWish
from storefront.domain.invoices import InvoiceState
from storefront.models import Checkout, Invoice, PaymentMethod, Plan, Price, Subscription
from storefront.models.base import table_of
from storefront.operations.beginning import Start
from storefront.operations.checkout import Market, find_checkout, read_order
from storefront.operations.consents import Given
from storefront.queries.addons import your_box
from storefront.runtime import Runtime
from storefront.services.addons import AddonWish, quote_addon, save_addon
from storefront.services.baskets import BoxChoice, Changed, add_box
from storefront.services.checkout import (
    Agreement,
    Step,
    change_delivery,
    change_gift,
    place_order,
    start_checkout,
)
from storefront.services.coupons import use_code
from storefront.services.finishing import Finished, Outcome, finish_checkout
from storefront.services.methods import NotNow, begin_card, finish_card, pay_now

#: The good card, which people bring when another was refused.
GOOD_CARD = "4242"
_GATEWAY = "demo"
_BROWSER = "Mozilla/5.0 (demo)"


class Bank(Protocol):
    """What of the demo bank a story needs: its customers' side, and a script for its answers."""

    def choose(self, page_key: str, last4: str) -> Any: ...
    def confirm_charge(self, gateway_reference: str, is_confirmed: bool) -> Any: ...
    def script(self, token: str, behaviours: Sequence[dict[str, Any]]) -> None: ...
    def executed_total(self, currency: str) -> int: ...


class DemoBankMissing(RuntimeError):
    """The demo gateway is not there, so nobody can pay."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription that somebody now has; ids for the services, public ones for pages."""

    customer_id: int
    subscription_id: int
    subscription: str


class StoryBroken(RuntimeError):
    """Somebody of the story could not do what it says; the engine or the story is wrong."""


def bank_of(rt: Runtime) -> Bank:
    """Return the bank behind the demo gateway. Raises ``DemoBankMissing``."""
    gateway: Gateway | None = rt.gateways.get(_GATEWAY)
    if gateway is None:
        raise DemoBankMissing("the demo gateway is switched off; a demo shop needs it")
    return cast("Bank", cast(Any, gateway).bank)


def order(rt: Runtime, shopper: Shopper) -> Subscribed | None:
    """Have ``shopper`` order; None when they did not get as far as paying.

    Returned is the subscription of the first box.

    A refused card is followed by a good one, if the shopper is of that kind.
    """
    key = _fill_in(rt, shopper)
    if shopper.abandons:
        return None
    finished = _pay(rt, key, shopper.card)
    if finished.outcome is Outcome.DECLINED and shopper.returns:
        finished = _pay(rt, key, GOOD_CARD)
    if finished.outcome is Outcome.DECLINED:
        return None
    if finished.outcome is not Outcome.DONE:
        raise StoryBroken(f"the order of {shopper.email} is {finished}")
    return _subscribed(rt, key)


def give(rt: Runtime, giver: Shopper, what: tuple[str, tuple[str, int]], wish: GiftWish) -> None:
    """Have ``giver`` pay once for a gift; ``what`` is the plan and the term."""
    key = start_checkout(rt, Start(*_on_sale(rt, *what)))
    change_gift(rt, key, giver.email, giver.name, wish)
    finished = _pay(rt, key, giver.card)
    if finished.outcome is not Outcome.DONE:
        raise StoryBroken(f"the gift for {wish.name} is {finished}")


def add_to_box(rt: Runtime, who: Subscribed, number: int) -> bool:
    """Put one of the add-ons into the next box of ``who``; False when none can be added."""
    with reading():
        found = your_box(rt.session, who.customer_id, who.subscription, rt.moment(), rt.shop.taxes)
        rt.session.rollback()
    if found.refused or not found.offered:
        return False
    cadence = Cadence.EVERY if number % 3 == 0 else Cadence.ONCE
    wish = AddonWish(found.offered[number % len(found.offered)].addon, 1, cadence)
    shown = quote_addon(rt, who.customer_id, who.subscription, wish)
    agreed = Given("I agree.", "add-on-1", "192.0.2.1", _BROWSER)
    save_addon(rt, who.customer_id, who.subscription, wish, shown.quote_hash, agreed)
    return True


def replace_card(rt: Runtime, customer_id: int, last4: str = GOOD_CARD) -> bool:
    """Have a customer store another card and pay what is open; False if nothing was open.

    Raises ``StoryBroken`` when the card is refused.
    """
    base = f"{rt.settings.base_url}{rt.settings.url_prefix}"
    page = begin_card(rt, customer_id, f"{base}/account/cards")
    chosen = bank_of(rt).choose(_page_key(page), last4)
    added = finish_card(rt, customer_id, chosen.reference, {})
    if added.status is not AnswerStatus.SUCCEEDED:
        raise StoryBroken(f"card {last4} was refused: {added.reason}")
    table = table_of(Invoice)
    with reading():
        owed = rt.session.scalars(
            sa.select(table.c.public_id)
            .where(table.c.payer_id == customer_id, table.c.state == InvoiceState.OPEN)
            .order_by(table.c.id)
        ).all()
        rt.session.rollback()
    for invoice in owed:
        try:
            pay_now(rt, customer_id, invoice)
        except NotNow:
            # A charge is on its way, or its subscription has ended: the worker's business.
            rt.session.rollback()
    return bool(owed)


def tokens_of(rt: Runtime, customer_ids: Sequence[int]) -> dict[int, str]:
    """Return the gateway token that each customer's charges go to."""
    table = table_of(PaymentMethod)
    with reading():
        rows = rt.session.execute(
            sa.select(table.c.customer_id, table.c.token).where(
                table.c.customer_id.in_(customer_ids),
                table.c.is_default,
                table.c.detached_at.is_(None),
            )
        ).all()
        rt.session.rollback()
    return {row.customer_id: row.token for row in rows}


def refuse_next(rt: Runtime, customer_id: int, times: int) -> None:
    """Have the bank refuse the next ``times`` charges of a customer, for want of money."""
    token = tokens_of(rt, [customer_id])[customer_id]
    no = {"status": "declined", "decline": "soft", "reason": "insufficient_funds"}
    bank_of(rt).script(token, [no] * times)


def _fill_in(rt: Runtime, shopper: Shopper) -> str:
    plan_id, price_id = _on_sale(rt, shopper.plan, shopper.interval)
    key = start_checkout(rt, Start(plan_id, price_id, shopper.options, source=shopper.source))
    change_delivery(rt, key, shopper.email, shopper.address)
    for box in shopper.more:
        _add_box(rt, key, box)
    if shopper.code:
        use_code(rt, key, shopper.code)
    return key


def _add_box(rt: Runtime, key: str, box: OneMore) -> None:
    """Put one more box into the order; one that cannot be paid with the others is left out."""
    with reading():
        row = find_checkout(rt.session, key)
        rt.session.rollback()
    if row is None:
        raise StoryBroken(f"no checkout {key}")
    plan_id, price_id = _on_sale(rt, box.plan, box.interval)
    done = add_box(rt, key, BoxChoice(plan_id, price_id, box.options), row.version)
    if done not in (Changed.DONE, Changed.APART):
        raise StoryBroken(f"a box of {box.plan} was not added: {done}")


def _pay(rt: Runtime, key: str, last4: str) -> Finished:
    url = f"{rt.settings.base_url}{rt.settings.url_prefix}/checkout/{key}/finish"
    placed = place_order(
        rt, key, _agreement(rt, key), gateway=_GATEWAY, return_url=url, cancel_url=url
    )
    if placed.step is not Step.PAY:
        raise StoryBroken(f"the order {key} is {placed.step}")
    bank = bank_of(rt)
    bank.choose(_page_key(placed.url), last4)
    finished = finish_checkout(rt, key)
    if finished.outcome is Outcome.ACTION:
        bank.confirm_charge(_page_key(finished.url), True)
    if finished.outcome in (Outcome.ACTION, Outcome.WAITING):
        finished = finish_checkout(rt, key)
    return finished


def _agreement(rt: Runtime, key: str) -> Agreement:
    """Tick the renewal consent as the page words it."""
    with reading():
        row = find_checkout(rt.session, key)
        if row is None:
            raise StoryBroken(f"no checkout {key}")
        found = read_order(rt.session, row, Market.of(rt.shop), rt.moment())
        rt.session.rollback()
    if found.quote is None:
        raise StoryBroken(f"nothing can be ordered: {found.problem}")
    text = consent_text(found)
    return Agreement(found.quote.quote_hash, text, consent_version(found), "192.0.2.9", _BROWSER)


def _on_sale(rt: Runtime, code: str, interval: tuple[str, int]) -> tuple[int, int]:
    plan, price = table_of(Plan), table_of(Price)
    with reading():
        found = rt.session.execute(
            sa.select(plan.c.id, price.c.id)
            .join(price, price.c.plan_id == plan.c.id)
            .where(
                plan.c.code == code,
                price.c.unit == interval[0],
                price.c.count == interval[1],
                price.c.retired_at.is_(None),
            )
        ).one()
        rt.session.rollback()
    return found[0], found[1]


def _subscribed(rt: Runtime, key: str) -> Subscribed:
    subscription, checkout = table_of(Subscription), table_of(Checkout)
    with reading():
        row = rt.session.execute(
            sa.select(subscription.c.customer_id, subscription.c.id, subscription.c.public_id)
            .join(checkout, checkout.c.id == subscription.c.checkout_id)
            .where(checkout.c.public_id == key)
            .order_by(subscription.c.checkout_position)
            .limit(1)
        ).one()
        rt.session.rollback()
    return Subscribed(*row)


def _page_key(url: str) -> str:
    """Return what names a page of the bank: the last part of its path."""
    return url.partition("?")[0].rpartition("/")[2]
