"""Change plan, interval, quantity or answers: today where nothing is given back, else later."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from storefront import charges, tax_desk
from storefront.adapters.failpoints import failpoint
from storefront.database import reading
from storefront.domain.changes import ChangeQuote, NotChangeable, QuoteChanged, Wish
from storefront.domain.charging import AttemptState, TriedTooOften
from storefront.domain.money import Money
from storefront.models import ChargeAttempt
from storefront.models.base import table_of
from storefront.operations.change_booking import book_change, note_change
from storefront.operations.change_facts import own_subscription, quote_of, read_change
from storefront.operations.changes import withdraw_scheduled
from storefront.operations.consents import Given
from storefront.operations.places_for_changes import lock_places, place_taken
from storefront.operations.subscriptions import (
    StaleSubscription,
    SubscriptionChange,
    change_subscriptions,
    decide_again,
)
from storefront.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Changed:
    """How a change stands: applied, scheduled, action (at ``url``), waiting or declined.

    Or surplus: it was paid when it was too late for it, and the money goes back.
    """

    outcome: str
    url: str = ""
    reason: str = ""
    #: What was charged for one that is applied, None: nothing.
    paid: Money | None = None


def quote_change(rt: Runtime, customer_id: int, subscription: str, wish: Wish) -> ChangeQuote:
    """Say what the change ``wish`` costs; changes nothing.

    Raises ``LookupError`` for what is not the customer's or not on sale, and
    ``NotChangeable``.
    """
    tax_desk.prepare_change(rt, subscription, wish.price)
    moment, taxes = rt.moment(), rt.shop.taxes
    with reading():
        try:
            facts = read_change(rt.session, customer_id, subscription, wish, taxes, moment)
        finally:
            # Refused or not: what is asked next may write.
            rt.session.rollback()
    return quote_of(facts, moment)


def change(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    wish: Wish,
    quote_hash: str,
    agreed: Given | None = None,
) -> Changed:
    """Do what ``quote_change`` showed. Raises as it does, ``QuoteChanged``, ``ConsentMissing``.

    ``agreed`` are the words under the quote, kept in the transaction that books the change.
    At once: valid only when paid. Declined or left, the subscription is as it was.
    """
    if not charges.may_charge(rt):
        raise NotChangeable(reason="held")
    tax_desk.prepare_change(rt, subscription, wish.price)
    try:
        booked = decide_again(
            rt.session,
            partial(_book, rt, customer_id, subscription, wish, quote_hash, agreed),
            # Another click was first to plan a change: one waits at most, and it is seen now.
            sa.exc.IntegrityError,
        )
    except StaleSubscription as error:
        raise QuoteChanged from error
    except TriedTooOften as error:
        return Changed("declined", reason=error.code)
    if booked is None:
        return Changed("scheduled")
    if booked == 0:
        return Changed("applied")
    failpoint("change.after_sent")
    charges.charge_now(rt, [booked])
    return standing(rt, booked)


def standing(rt: Runtime, attempt_id: int) -> Changed:
    """Say what became of the payment of a change."""
    table = table_of(ChargeAttempt)
    with reading():
        row = rt.session.execute(
            sa.select(
                table.c.state,
                table.c.reason,
                table.c.action_url,
                table.c.amount_minor,
                table.c.currency,
                (table.c.refunded_minor == table.c.amount_minor).label("goes_back"),
            ).where(table.c.id == attempt_id)
        ).one()
        rt.session.rollback()
    if row.state == AttemptState.SUCCEEDED:
        # Paid, but something else was faster, such as leaving: the money is surplus.
        if row.goes_back:
            return Changed("surplus")
        return Changed("applied", paid=Money(row.amount_minor, row.currency))
    if row.state == AttemptState.ACTION_REQUIRED:
        return Changed("action", url=row.action_url)
    if row.state in (AttemptState.DECLINED, AttemptState.ABANDONED):
        return Changed("declined", reason=row.reason)
    return Changed("waiting")


def withdraw(rt: Runtime, customer_id: int, subscription: str) -> bool:
    """Drop a change that waits for its day; False when none does."""

    def work() -> bool:
        row = own_subscription(rt.session, customer_id, subscription)
        dropped = withdraw_scheduled(rt.session, row.id)
        if dropped:
            # A renewal that has read the change already must not apply it any more.
            change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, {})])
            note_change(rt.session, row, {"withdrawn": True}, rt.moment())
        rt.session.commit()
        return dropped

    return decide_again(rt.session, work)


def _book(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    wish: Wish,
    quote_hash: str,
    agreed: Given | None,
) -> int | None:
    """Write the change as it was shown with its hash; returns what ``book_change`` does."""
    moment, shop = rt.moment(), rt.shop
    is_limited = lock_places(rt.session, wish.price)
    facts = read_change(rt.session, customer_id, subscription, wish, shop.taxes, moment)
    quote = quote_of(facts, moment)
    if quote.quote_hash != quote_hash:
        raise QuoteChanged
    attempt = book_change(rt.session, facts, quote, shop.seller, agreed, moment, rt.minimums)
    if is_limited:
        place_taken(rt.session, facts.new.plan.id, facts.row.customer_id)
    failpoint("change.before_commit")
    rt.session.commit()
    return attempt
