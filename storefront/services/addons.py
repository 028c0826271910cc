"""What customers put beside their boxes: shown with its price and box first, then saved."""

from __future__ import annotations

from storefront import tax_desk
from storefront.database import reading
from storefront.domain.changes import ConsentMissing, QuoteChanged
from storefront.domain.events import Actor, EventKind
from storefront.operations.addon_changes import (
    AddonFacts,
    AddonQuote,
    AddonWish,
    NotAddable,
    quote_wish,
    read_addons,
    write_wish,
)
from storefront.operations.consents import Given, write_consent
from storefront.operations.subscriptions import (
    SubscriptionChange,
    change_subscriptions,
    decide_again,
)
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime

__all__ = ["AddonFacts", "AddonQuote", "AddonWish", "NotAddable", "quote_addon", "save_addon"]


def quote_addon(rt: Runtime, customer_id: int, subscription: str, wish: AddonWish) -> AddonQuote:
    """Say what ``wish`` costs and which box it comes with first; changes nothing.

    Raises ``LookupError`` for what is not the customer's, and ``NotAddable``.
    """
    tax_desk.prepare_addons(rt, customer_id, subscription)
    with reading():
        try:
            facts = read_addons(rt.session, customer_id, subscription, rt.moment(), rt.shop.taxes)
            return quote_wish(rt.session, facts, wish, rt.moment())
        finally:
            rt.session.rollback()


def save_addon(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    wish: AddonWish,
    quote_hash: str,
    agreed: Given | None = None,
) -> AddonQuote:
    """Do what ``quote_addon`` showed; nothing is charged before the next payment.

    ``agreed`` are the words under the button, kept where more is paid again and again. Raises
    as ``quote_addon`` does, ``QuoteChanged`` when another sum, day or box holds by now, and
    ``ConsentMissing``. Source: docs/decisions/0099-add-ons-of-running-subscriptions.md.
    """

    def work() -> AddonQuote:
        moment = rt.moment()
        facts = read_addons(
            rt.session, customer_id, subscription, moment, rt.shop.taxes, for_update=True
        )
        quote = quote_wish(rt.session, facts, wish, moment)
        if quote.quote_hash != quote_hash:
            rt.session.rollback()
            raise QuoteChanged
        row = facts.coming.row
        if quote.asks_consent:
            if agreed is None:
                raise ConsentMissing(subscription=row.public_id)
            owner = (customer_id, row.id)
            write_consent(rt.session, owner, agreed, quote.full, quote.interval, moment)
        write_wish(rt.session, facts, quote, moment)
        # A renewal that has read the add-ons already must not bill the old ones.
        change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, {})])
        data = {"name": quote.name, "quantity": quote.quantity, "cadence": quote.cadence.value}
        kind = EventKind.ADDONS_CHANGED
        record(rt.session, [Entry(row.id, row.public_id, kind, Actor.CUSTOMER, data=data)], moment)
        rt.session.commit()
        return quote

    tax_desk.prepare_addons(rt, customer_id, subscription)
    return decide_again(rt.session, work)
