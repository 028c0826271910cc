"""Move a subscriber to something cheaper today: what only staff may decide.

A downgrade waits for the next boundary by itself. Done at once, what was paid beyond the new
price becomes the customer's credit. Source: docs/decisions/0085-changes-inside-a-period.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from storefront import tax_desk
from storefront.database import reading, retrying
from storefront.domain.changes import ChangeQuote, NotChangeable, QuoteChanged, Wish
from storefront.domain.money import Money
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.change_booking import book_downgrade
from storefront.operations.change_facts import ChangeFacts, quote_of, read_change
from storefront.operations.consents import Given
from storefront.operations.invoices import content_hash
from storefront.operations.moment import Moment
from storefront.operations.subscriptions import StaleSubscription
from storefront.runtime import Runtime


@dataclass(frozen=True, slots=True)
class DowngradeQuote:
    """What a downgrade made today brings: the new plan, and ``credit`` for the customer."""

    change: ChangeQuote
    credit: Money
    quote_hash: str


def quote_downgrade(rt: Runtime, subscription: str, wish: Wish) -> DowngradeQuote:
    """Say what a downgrade today gives back; changes nothing.

    Raises ``LookupError`` for what is not there or not on sale, and ``NotChangeable``, also
    where nothing would be given back.
    """
    tax_desk.prepare_change(rt, subscription, wish.price)
    moment = rt.moment()
    with reading():
        facts = read_change(rt.session, None, subscription, wish, rt.shop.taxes, moment)
        rt.session.rollback()
    return _quoted(facts, moment)


def downgrade(
    rt: Runtime, who: Who, subscription: str, wish: Wish, shown: str, agreed: Given | None = None
) -> list[str]:
    """Do what ``quote_downgrade`` showed with the hash ``shown``; returns the credit notes.

    ``agreed`` are the customer's words where the interval changes. Raises as the quote does,
    ``QuoteChanged`` and ``ConsentMissing``. Audited.
    """

    def work() -> list[str]:
        moment, shop = rt.moment(), rt.shop
        facts = read_change(rt.session, None, subscription, wish, shop.taxes, moment)
        found = _quoted(facts, moment)
        if found.quote_hash != shown:
            rt.session.rollback()
            raise QuoteChanged
        notes = book_downgrade(
            rt.session, facts, found.change, shop.seller, agreed, moment, shop.taxes.rounding
        )
        before = {"quantity": facts.row.quantity, "options": dict(facts.row.options or {})}
        after = {"plan": facts.new.plan.name, "credit_minor": found.credit.minor, "notes": notes}
        audit.write(
            rt.session,
            who.id,
            "subscription.downgraded",
            subscription,
            before,
            after,
            moment,
            who.ip,
        )
        rt.session.commit()
        return notes

    tax_desk.prepare_change(rt, subscription, wish.price)
    try:
        return retrying(rt.session, work)
    except StaleSubscription as error:
        raise QuoteChanged from error


def _quoted(facts: ChangeFacts, moment: Moment) -> DowngradeQuote:
    if facts.owed is None:
        raise NotChangeable(reason="nothing_back")
    total = facts.owed.settled.quote.total
    change = quote_of(facts, moment)
    shown = {"change": change.quote_hash, "credit": -total.minor, "how": facts.owed.how}
    return DowngradeQuote(change, -total, content_hash(shown))
