"""Put something into boxes that are paid for already: shown with its price, then paid at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from storefront import charges, tax_desk
from storefront.adapters.failpoints import failpoint
from storefront.database import reading
from storefront.domain.changes import QuoteChanged
from storefront.domain.charging import AttemptState, TriedTooOften
from storefront.models import BoxAddition, ChargeAttempt
from storefront.models.base import table_of
from storefront.operations.adding import book_addition
from storefront.operations.additions import (
    AdditionFacts,
    AdditionQuote,
    AdditionWish,
    NothingToAddTo,
    price_addition,
    read_additions,
)
from storefront.operations.consents import Given
from storefront.operations.subscriptions import StaleSubscription, decide_again
from storefront.runtime import Runtime

__all__ = ["Added", "AdditionQuote", "AdditionWish", "NothingToAddTo", "add_to_boxes", "quote_now"]


@dataclass(frozen=True, slots=True)
class Added:
    """How it stands: added, action (at ``url``), waiting, declined, or surplus.

    Surplus: it was paid when it was too late for the box, and the money goes back.
    """

    outcome: str
    url: str = ""
    reason: str = ""


def quote_now(
    rt: Runtime, customer_id: int, subscription: str, wish: AdditionWish
) -> AdditionQuote:
    """Say what ``wish`` costs and which boxes it is for; changes nothing.

    Raises ``LookupError`` for what is not the customer's, and ``NothingToAddTo``.
    """
    tax_desk.prepare_additions(rt, customer_id, subscription)
    with reading():
        try:
            facts = _read(rt, customer_id, subscription)
            return price_addition(rt.session, facts, wish, rt.moment()).shown
        finally:
            rt.session.rollback()


def add_to_boxes(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    wish: AdditionWish,
    quote_hash: str,
    once: str,
    agreed: Given | None = None,
) -> Added:
    """Charge what ``quote_now`` showed, and put it into the boxes when that is paid.

    ``once`` names the form: its second click is the same purchase. ``agreed`` are the words
    under the button, kept where later payments cost more. Raises as ``quote_now``,
    ``QuoteChanged`` when it would be something else by now, and ``ConsentMissing``. Declined
    or left, nothing is in the box and nothing is owed.
    Source: docs/decisions/0208-add-ons-for-paid-boxes.md.
    """
    if not charges.may_charge(rt):
        raise NothingToAddTo(reason="held")
    tax_desk.prepare_additions(rt, customer_id, subscription)
    work = partial(_book, rt, customer_id, subscription, wish, quote_hash, once, agreed)
    try:
        # Another click of the same form may be first to write it; it is found then.
        attempt, is_new = decide_again(rt.session, work, sa.exc.IntegrityError)
    except StaleSubscription as error:
        raise QuoteChanged from error
    except TriedTooOften as error:
        return Added("declined", reason=error.code)
    if attempt and is_new:
        failpoint("addition.after_sent")
        charges.charge_now(rt, [attempt])
    return _standing(rt, once)


def _book(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    wish: AdditionWish,
    quote_hash: str,
    once: str,
    agreed: Given | None,
) -> tuple[int, bool]:
    """Write the offer and the attempt to pay it; returns (attempt or 0, it was not there)."""
    facts = _read(rt, customer_id, subscription, for_update=True)
    table = table_of(BoxAddition)
    known = sa.select(table.c.id).where(
        table.c.once == once, table.c.subscription_id == facts.own.coming.row.id
    )
    if rt.session.scalar(known) is not None:
        rt.session.rollback()
        return 0, False
    moment = rt.moment()
    priced = price_addition(rt.session, facts, wish, moment, locks=True)
    if priced.shown.quote_hash != quote_hash:
        rt.session.rollback()
        raise QuoteChanged
    attempt = book_addition(
        rt.session, facts, priced, once, rt.shop.seller, agreed, moment, rt.minimums
    )
    failpoint("addition.before_commit")
    rt.session.commit()
    return attempt, True


def _read(
    rt: Runtime, customer_id: int, subscription: str, *, for_update: bool = False
) -> AdditionFacts:
    return read_additions(
        rt.session, customer_id, subscription, rt.moment(), rt.shop.taxes, for_update=for_update
    )


def _standing(rt: Runtime, once: str) -> Added:
    table, attempt = table_of(BoxAddition), table_of(ChargeAttempt)
    with reading():
        row = rt.session.execute(
            sa.select(
                table.c.state.label("stands"),
                attempt.c.state,
                attempt.c.reason,
                attempt.c.action_url,
            )
            .outerjoin(attempt, attempt.c.invoice_id == table.c.invoice_id)
            .where(table.c.once == once)
            .order_by(attempt.c.number.desc())
            .limit(1)
        ).one()
        rt.session.rollback()
    if row.stands == "applied":
        return Added("added")
    if row.state == AttemptState.SUCCEEDED:
        return Added("surplus")
    if row.state == AttemptState.ACTION_REQUIRED:
        return Added("action", url=row.action_url)
    if row.state in (AttemptState.DECLINED, AttemptState.ABANDONED):
        return Added("declined", reason=row.reason)
    return Added("waiting")
