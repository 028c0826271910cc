"""Put something into boxes that are paid for already: shown with its price, then paid at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from hashlib import sha256

import sqlalchemy as sa

from storefront import charges, tax_desk
from storefront.adapters.failpoints import failpoint
from storefront.database import reading
from storefront.domain.changes import QuoteChanged
from storefront.domain.charging import AttemptState, TriedTooOften
from storefront.models import BoxAddition, ChargeAttempt, Invoice, Subscription
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

__all__ = [
    "Added",
    "AdditionQuote",
    "AdditionWish",
    "NothingToAddTo",
    "add_to_boxes",
    "quote_now",
    "sent_before",
    "standing",
]


@dataclass(frozen=True, slots=True)
class Added:
    """How it stands: added, action (at ``url``), waiting, declined, or surplus.

    Surplus: it was paid when it was too late for the box, and the money goes back. ``invoice``
    is what an addition under way is paid by.
    """

    outcome: str
    url: str = ""
    reason: str = ""
    invoice: str = ""


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
            return price_addition(rt.session, facts, wish, rt.moment(), rt.minimums).shown
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
    ``QuoteChanged`` when it would be something else by now or the form has no name, and
    ``ConsentMissing``. Declined or left, nothing is in the box and nothing is owed.
    Source: docs/decisions/0208-add-ons-for-paid-boxes.md.
    """
    if not once:
        raise QuoteChanged
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
    return _standing(rt, table_of(BoxAddition).c.once == _name(subscription, once))


def sent_before(rt: Runtime, customer_id: int, subscription: str, once: str) -> Added | None:
    """Say what became of the form ``once``; None where it was not sent yet. Changes nothing."""
    table, own = table_of(BoxAddition), table_of(Subscription)
    which = table.c.once == _name(subscription, once)
    with reading():
        found = rt.session.scalar(
            sa.select(table.c.id)
            .join(own, own.c.id == table.c.subscription_id)
            .where(which, own.c.public_id == subscription, own.c.customer_id == customer_id)
        )
        rt.session.rollback()
    return None if found is None else _standing(rt, which)


def standing(rt: Runtime, invoice: str) -> Added:
    """Say what became of the addition that the invoice of this public id is for."""
    key = sa.select(Invoice.id).where(Invoice.public_id == invoice).scalar_subquery()
    return _standing(rt, table_of(BoxAddition).c.invoice_id == key)


def _name(subscription: str, once: str) -> str:
    """Return the name of a form as it is stored: another subscription's form is another one."""
    return sha256(f"{subscription};{once}".encode()).hexdigest()[:40]


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
    name = _name(subscription, once)
    known = sa.select(table.c.id).where(
        table.c.once == name, table.c.subscription_id == facts.own.coming.row.id
    )
    if rt.session.scalar(known) is not None:
        rt.session.rollback()
        return 0, False
    moment = rt.moment()
    priced = price_addition(rt.session, facts, wish, moment, rt.minimums, locks=True)
    if priced.shown.quote_hash != quote_hash:
        rt.session.rollback()
        raise QuoteChanged
    attempt = book_addition(rt.session, facts, priced, name, rt.shop.seller, agreed, moment)
    failpoint("addition.before_commit")
    rt.session.commit()
    return attempt, True


def _read(
    rt: Runtime, customer_id: int, subscription: str, *, for_update: bool = False
) -> AdditionFacts:
    return read_additions(
        rt.session, customer_id, subscription, rt.moment(), rt.shop.taxes, for_update=for_update
    )


def _standing(rt: Runtime, which: sa.ColumnElement[bool]) -> Added:
    table, attempt, invoice = table_of(BoxAddition), table_of(ChargeAttempt), table_of(Invoice)
    with reading():
        row = rt.session.execute(
            sa.select(
                table.c.state.label("stands"),
                attempt.c.state,
                attempt.c.reason,
                attempt.c.action_url,
                invoice.c.public_id.label("invoice"),
            )
            .join(invoice, invoice.c.id == table.c.invoice_id)
            .outerjoin(attempt, attempt.c.invoice_id == table.c.invoice_id)
            .where(which)
            .order_by(attempt.c.number.desc())
            .limit(1)
        ).one()
        rt.session.rollback()
    if row.stands == "applied":
        return Added("added")
    if row.state == AttemptState.SUCCEEDED:
        return Added("surplus")
    if row.state == AttemptState.ACTION_REQUIRED:
        return Added("action", url=row.action_url, invoice=row.invoice)
    if row.state in (AttemptState.DECLINED, AttemptState.ABANDONED):
        return Added("declined", reason=row.reason)
    return Added("waiting", invoice=row.invoice)
