"""Back from the gateway's page: store the card, write the order, charge once, say how it went.

Whoever asks, and however often, from however many tabs: the row of the checkout lets one
through, and the others are told where things stand.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache, partial

import sqlalchemy as sa

from storefront import charges, tax_desk, vaulting
from storefront.adapters.failpoints import failpoint
from storefront.card_breaks import break_of_setup, warn_of_many
from storefront.database import reading, retrying
from storefront.domain.baskets import BasketQuote
from storefront.domain.charging import OPEN_ATTEMPTS, AnswerStatus, AttemptState, TriedTooOften
from storefront.domain.gateways import NOT_DONE, CancelAnswer, SetupAnswer, VaultedMethod
from storefront.domain.gifts import without_recipient_of
from storefront.domain.money import Money
from storefront.models import (
    ChargeAttempt,
    Checkout,
    GatewaySetup,
    Invoice,
)
from storefront.models.base import table_of
from storefront.operations.card_tries import note_refused
from storefront.operations.checkout import Market, Order, change_checkout, find_checkout, read_order
from storefront.operations.coupon_uses import give_back_uses
from storefront.operations.holds import drop_holds, hold_as_invited
from storefront.operations.kept_methods import Card
from storefront.operations.kept_places import hold_days
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.moment import Moment
from storefront.operations.order_rows import expire_order
from storefront.operations.orders import (
    Booked,
    CreditGone,
    book_order,
    discard_offered,
    note_booked,
)
from storefront.operations.places import take_places, wanted_of
from storefront.operations.questions import Question, at_now
from storefront.operations.referrals import Promise, friend_of, note_referral
from storefront.operations.trials import card_has_tried
from storefront.operations.waiting import take_off_list
from storefront.paying import PaymentPartnerSilent
from storefront.runtime import Runtime

#: A charge that left this recently is being waited for elsewhere; nobody asks a second time.
IN_FLIGHT = timedelta(seconds=30)
#: How often, and with how many seconds between, another request's charge is waited for.
LOOKS, LOOK_SECONDS = 12, 0.25
#: Orders ended in one run of ``expire_checkouts``.
EXPIRE_AT_ONCE = 500


class Outcome(StrEnum):
    """Where an order stands."""

    DONE = "done"
    #: The gateway has not said yet what happened; nothing must be paid again.
    WAITING = "waiting"
    #: The shopper's bank wants a confirmation at ``url``.
    ACTION = "action"
    DECLINED = "declined"
    #: Price, date or code is not what was agreed to; nothing was charged.
    CHANGED = "changed"
    #: No card was chosen yet.
    UNFINISHED = "unfinished"
    UNREACHABLE = "unreachable"
    EXPIRED = "expired"
    #: Somebody else took the last place after this order's was let go; nothing was charged.
    SOLD_OUT = "sold_out"
    #: Too many cards of whoever opened the gateway's page were declined; nobody was asked.
    BREAK = "break"


@dataclass(frozen=True, slots=True)
class Finished:
    """``reason`` is the gateway's code of a decline; ``new_customer_id`` whom this order made.

    ``until`` is the end of a BREAK.
    """

    outcome: Outcome
    url: str = ""
    reason: str = ""
    new_customer_id: int | None = None
    until: datetime | None = None


def finish_checkout(rt: Runtime, key: str, pause: Callable[[float], None] = time.sleep) -> Finished:
    """Finish the order if the shopper has paid; exactly one charge however often it is called.

    While another request's charge is under way, waits for it at most three seconds, in steps of
    ``pause`` and with no transaction open. Raises ``LookupError`` for an unknown order.
    """
    row = _read(rt, key)
    if row.state == "paying":
        return _ask_again(rt, key, row, pause)
    if row.state == "open" and row.quote.get("no_method"):
        return _finish_unpaid(rt, key)
    setup = _open_setup(rt, row)
    if setup is None:
        return standing(rt, key)
    until = break_of_setup(rt, setup.id)
    if until is not None:
        return Finished(Outcome.BREAK, until=until)
    answer = _finish_setup(rt, setup)
    failpoint("checkout.after_setup")
    if answer.status is not AnswerStatus.SUCCEEDED or answer.method is None:
        return _not_stored(rt, key, setup, answer)
    try:
        return _finish_with(rt, key, setup, answer.method, pause)
    except TriedTooOften as error:
        # Nothing was written: the order stays open for another card.
        return _not_stored(rt, key, setup, SetupAnswer(AnswerStatus.DECLINED, reason=error.code))


def _finish_with(
    rt: Runtime, key: str, setup: AnyRow, method: VaultedMethod, pause: Callable[[float], None]
) -> Finished:
    """Book the order and charge its first period with the card that was stored."""
    booked = _book_unless_held(rt, key, setup, Card(setup.gateway, setup.account, method))
    if isinstance(booked, Outcome):
        return Finished(booked)
    if booked is None:
        return _wait_for_other(rt, key, pause)
    failpoint("checkout.after_sent")
    if booked.attempt_id is not None and charges.charge_now(rt, [booked.attempt_id]).declined:
        warn_of_many(rt)
    return standing(rt, key)


def _finish_unpaid(rt: Runtime, key: str) -> Finished:
    """Finish an order that asks for no payment method: a trial the merchant gives so."""
    booked = _book_unless_held(rt, key, None, None)
    return Finished(booked) if isinstance(booked, Outcome) else standing(rt, key)


def _book_unless_held(
    rt: Runtime, key: str, setup: AnyRow | None, card: Card | None
) -> Booked | Outcome | None:
    """Book the order, unless charging is held or this is a copy: then nothing is written."""
    if not charges.may_charge(rt):
        return Outcome.UNREACHABLE
    tax_desk.prepare_checkout(rt, key)
    return retrying(rt.session, partial(_book, rt, key, setup, card))


def standing(rt: Runtime, key: str) -> Finished:
    """Say where the order stands; reads only. Raises ``LookupError`` for an unknown order."""
    row = _read(rt, key)
    if row.state == "done":
        return Finished(Outcome.DONE, new_customer_id=row.quote.get("new_customer"))
    if row.state == "expired":
        return Finished(Outcome.EXPIRED)
    attempt = _last_attempt(rt, row.id)
    if row.state == "paying":
        if attempt is not None and attempt.state == AttemptState.ACTION_REQUIRED:
            return Finished(Outcome.ACTION, url=attempt.action_url)
        reason = str(attempt.state) if attempt is not None else ""
        return Finished(Outcome.WAITING, reason=reason)
    setup = _setup_of(rt, row)
    if setup is not None and setup.state == AttemptState.DECLINED:
        return Finished(Outcome.DECLINED, reason=setup.reason)
    used = setup is not None and setup.state == AttemptState.SUCCEEDED
    if used and attempt is not None and attempt.state == AttemptState.DECLINED:
        return Finished(Outcome.DECLINED, reason=attempt.reason)
    if used and attempt is not None and attempt.reason in NOT_DONE:
        return Finished(Outcome.UNREACHABLE, reason=attempt.reason)
    return Finished(Outcome.UNFINISHED)


def leave_bank(rt: Runtime, key: str) -> Finished:
    """Give up the confirmation that the bank waits for, so that another card can be tried.

    Only what the gateway confirms counts: it may say that the money was taken after all.
    """
    row = _read(rt, key)
    attempt = _last_attempt(rt, row.id)
    if attempt is None or row.state != "paying" or attempt.state != AttemptState.ACTION_REQUIRED:
        return standing(rt, key)
    setup = _setup_of(rt, row)
    until = break_of_setup(rt, setup.id) if setup is not None else None
    if until is not None:
        return Finished(Outcome.BREAK, until=until)
    if charges.cancel(rt, attempt) is CancelAnswer.CANCELLED:
        charges.look_up(rt, attempt.id)
    return standing(rt, key)


def expire_checkouts(rt: Runtime) -> int:
    """End open orders whose time is over and give back what they held; returns how many.

    An order with a charge that may still succeed is left alone: it is not open.
    """
    asked = {"now": rt.now(), "size": EXPIRE_AT_ONCE}
    with reading():
        keys = rt.session.scalars(_lapsed(), asked).all()
        # Their shopper never answered the bank in all the time an order has.
        left = rt.session.scalars(_left_at_bank(), asked).all()
        rt.session.rollback()
    for key in left:
        leave_bank(rt, key)
    return sum(retrying(rt.session, partial(_expire, rt, key)) for key in keys)


@cache
def _lapsed() -> AnySelect:
    table = table_of(Checkout)
    return _over(sa.select(table.c.public_id).where(table.c.state == "open"))


@cache
def _left_at_bank() -> AnySelect:
    table, attempt, invoice = table_of(Checkout), table_of(ChargeAttempt), table_of(Invoice)
    return _over(
        sa.select(table.c.public_id)
        .join(invoice, invoice.c.checkout_id == table.c.id)
        .join(attempt, attempt.c.invoice_id == invoice.c.id)
        .where(table.c.state == "paying", attempt.c.state == AttemptState.ACTION_REQUIRED)
    )


def _over(orders: AnySelect) -> AnySelect:
    expires_at = table_of(Checkout).c.expires_at
    return (
        orders.where(expires_at <= sa.bindparam("now", type_=expires_at.type))
        .order_by(expires_at)
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )


#: Whether the time of orders is over.
ORDERS_OVER = Question(lambda: [_lapsed(), _left_at_bank()], at_now)


def _read(rt: Runtime, key: str) -> AnyRow:
    with reading():
        row = find_checkout(rt.session, key)
        rt.session.rollback()
    if row is None:
        raise LookupError(key)
    return row


def _setup_of(rt: Runtime, row: AnyRow) -> AnyRow | None:
    table = table_of(GatewaySetup)
    with reading():
        found = rt.session.execute(
            sa.select(table).where(table.c.public_id == row.quote.get("setup", ""))
        ).one_or_none()
        rt.session.rollback()
    return found


def _open_setup(rt: Runtime, row: AnyRow) -> AnyRow | None:
    """Return the set-up whose card is still to be taken, None when there is none."""
    if row.state != "open" or not row.quote.get("setup"):
        return None
    setup = _setup_of(rt, row)
    answered = (AttemptState.SUCCEEDED, AttemptState.DECLINED)
    return None if setup is None or setup.state in answered else setup


def _last_attempt(rt: Runtime, checkout_id: int) -> AnyRow | None:
    attempt, invoice = table_of(ChargeAttempt), table_of(Invoice)
    with reading():
        found = rt.session.execute(
            sa.select(attempt)
            .join(invoice, invoice.c.id == attempt.c.invoice_id)
            .where(invoice.c.checkout_id == checkout_id)
            .order_by(attempt.c.id.desc())
            .limit(1)
        ).one_or_none()
        rt.session.rollback()
    return found


def _ask_again(rt: Runtime, key: str, row: AnyRow, pause: Callable[[float], None]) -> Finished:
    """Ask the gateway what became of the open charge, and write it down."""
    attempt = _last_attempt(rt, row.id)
    if attempt is not None and attempt.state in OPEN_ATTEMPTS:
        if _is_in_flight(rt, attempt):
            return _wait_for_other(rt, key, pause)
        charges.look_up(rt, attempt.id)
    return standing(rt, key)


def _is_in_flight(rt: Runtime, attempt: AnyRow) -> bool:
    """True while the request that sent the charge may still be waiting for its answer."""
    recent = attempt.sent_at is not None and rt.now() - attempt.sent_at < IN_FLIGHT
    return recent and attempt.state == AttemptState.SENT


def _wait_for_other(rt: Runtime, key: str, pause: Callable[[float], None]) -> Finished:
    """Give the request that charges a moment to be through, then say where the order stands.

    A second click gets the first one's answer this way, and no page that asks for patience.
    """
    for _look in range(LOOKS):
        row = _read(rt, key)
        attempt = _last_attempt(rt, row.id)
        if row.state != "paying" or attempt is None or not _is_in_flight(rt, attempt):
            break
        pause(LOOK_SECONDS)
    return standing(rt, key)


def _finish_setup(rt: Runtime, setup: AnyRow) -> SetupAnswer:
    try:
        return vaulting.outcome(rt, setup, {})
    except PaymentPartnerSilent as error:
        return SetupAnswer(AnswerStatus.UNKNOWN, reason=error.code)


def _not_stored(rt: Runtime, key: str, setup: AnyRow, answer: SetupAnswer) -> Finished:
    if answer.status is AnswerStatus.DECLINED:
        table = table_of(GatewaySetup)

        def write() -> None:
            changed = rt.session.execute(
                sa.update(table)
                .where(table.c.id == setup.id, table.c.state != AttemptState.SUCCEEDED)
                .values(state=AttemptState.DECLINED, reason=answer.reason[:80])
                .returning(table.c.id)
            ).first()
            if changed is not None:
                note_refused(rt.session, setup.id, rt.now())
            rt.session.commit()

        retrying(rt.session, write)
        warn_of_many(rt)
        return standing(rt, key)
    if answer.status is AnswerStatus.UNKNOWN:
        return Finished(Outcome.UNREACHABLE, reason=answer.reason)
    return Finished(Outcome.UNFINISHED, url=setup.redirect_url)


def _book(
    rt: Runtime, key: str, setup: AnyRow | None, card: Card | None
) -> Booked | Outcome | None:
    """Write the order with its charge marked sent; None when another request was first."""
    session, moment = rt.session, rt.moment()
    row = find_checkout(session, key, lock=True)
    reference = setup.public_id if setup is not None else None
    if row is None or row.state != "open" or row.quote.get("setup") != reference:
        session.rollback()
        return None
    order = read_order(session, row, Market.of(rt.shop), moment, pinned=True)
    if order.quote is None or order.is_blocked or order.quote.quote_hash != row.quote_hash:
        session.rollback()
        return Outcome.CHANGED
    if order.needs_method is (card is None):
        session.rollback()
        return Outcome.CHANGED
    if card is not None and _has_tried(session, order.quote, card):
        change_checkout(session, row, {"quote": {**row.quote, "no_trial": True}})
        session.commit()
        return Outcome.CHANGED
    refused = _refused(session, row, order, moment)
    if refused is not None:
        session.rollback()
        return refused
    if not change_checkout(session, row, {"state": "paying"}):
        session.rollback()
        return None
    hold_as_invited(session, row.id, row.email)
    take_off_list(session, row.email, [one.plan.id for one in order.items])
    try:
        booked = book_order(
            session,
            order,
            order.quote,
            card,
            rt.shop.seller,
            moment,
            rt.minimums,
            key=rt.settings.secret_key,
        )
    except CreditGone:
        session.rollback()
        return Outcome.CHANGED
    _note_friend(rt, row, booked, card, moment)
    note_booked(session, row, setup.id if setup is not None else None, booked)
    session.commit()
    return booked


def _refused(session: AnySession, row: AnyRow, order: Order, moment: Moment) -> Outcome | None:
    """Take the places and keep the days that were shown; return why that cannot be."""
    # Half an hour at the gateway is over for some: then the place is taken anew, or gone.
    if not take_places(session, row.id, wanted_of(order.items), moment):
        return Outcome.SOLD_OUT
    is_shown = order.quote is None or hold_days(session, order.quote.items)
    return None if is_shown else Outcome.CHANGED


def _has_tried(session: AnySession, quote: BasketQuote, card: Card) -> bool:
    return quote.has_trial and card_has_tried(session, card.method.fingerprint)


def _note_friend(
    rt: Runtime, row: AnyRow, booked: Booked, card: Card | None, moment: Moment
) -> None:
    """Keep who sent this shopper; both are credited when the first box is paid."""
    shop = rt.shop
    if row.referrer_id is None or not shop.gives_referrals:
        return
    fingerprint = card.method.fingerprint if card else ""
    friend = friend_of(row, booked.customer_id, booked.subscription_ids[0], fingerprint)
    promise = Promise(
        Money(shop.referral_giver_minor, shop.currency),
        Money(shop.referral_friend_minor, shop.currency),
    )
    note_referral(rt.session, row.referrer_id, friend, promise, moment)


def _expire(rt: Runtime, key: str) -> bool:
    session, moment = rt.session, rt.moment()
    row = find_checkout(session, key, lock=True)
    over = row is not None and row.state == "open" and row.expires_at <= moment.now
    if row is None or not over:
        session.rollback()
        return False
    held = row.quote.get("uses", [])
    values = {"state": "expired", "quote": {**row.quote, "uses": []}, "avoids": []}
    if row.gift:
        # Whom it was for is typed anew with the next order; until then it is nobody's business.
        values["gift"] = without_recipient_of(row.gift)
    if not change_checkout(session, row, values):
        session.rollback()
        return False
    give_back_uses(session, [tuple(each) for each in held])
    drop_holds(session, row.id)
    discard_offered(session, row.id, moment)
    expire_order(session, row.id, moment)
    session.commit()
    return True
