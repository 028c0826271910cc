"""Settle a success over another amount than was asked for, as a person decided."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import sqlalchemy as sa

from storefront.domain.charging import AttemptState, DeclineKind
from storefront.domain.events import Actor, EventKind
from storefront.domain.invoices import InvoiceState
from storefront.domain.mismatches import (
    AMOUNT_MISMATCH,
    Choice,
    ChoiceNotOffered,
    NothingToDecide,
    choices,
    taken_from,
)
from storefront.domain.money import Money
from storefront.models import ChargeAttempt, Invoice, InvoiceLine, ParkedWork, Subscription
from storefront.models.base import table_of
from storefront.operations.added import withdraw_late_additions
from storefront.operations.audit import Who
from storefront.operations.carrying import Minimums
from storefront.operations.changes import withdraw_overtaken
from storefront.operations.goodwill import Goodwill, bear_part
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.results import answerable, ask_anew
from storefront.operations.settling import Settlement, settle_invoices
from storefront.operations.surplus import Surplus, plan_surplus_refunds
from storefront.operations.timeline import Entry, record


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One payment that waits: what was asked, what was taken, what its invoice owes now."""

    attempt: AnyRow
    parked_id: int
    asked: Money
    taken: Money
    due: Money | None

    @property
    def offered(self) -> tuple[Choice, ...]:
        """What can be chosen."""
        return choices(self.asked, self.taken, self.due)


def read_mismatch(session: AnySession, payment: str) -> Mismatch:
    """Return the payment with this public id, locked for us. Raises ``NothingToDecide``."""
    table = table_of(ParkedWork)
    parked = session.execute(
        sa.select(table.c.id, table.c.detail).where(
            table.c.subject == payment,
            table.c.reason == AMOUNT_MISMATCH,
            table.c.resolved_at.is_(None),
        )
    ).one_or_none()
    rows = answerable(session, [payment])
    if parked is None or not rows or not _waits(rows[0]):
        raise NothingToDecide(payment=payment)
    row = rows[0]
    owed = InvoiceState(row.invoice_state) in (InvoiceState.OPEN, InvoiceState.OFFERED)
    return Mismatch(
        row,
        parked.id,
        # What was carried is asked for again with the next charge.
        Money(row.amount_minor - row.carried_minor, row.currency),
        taken_from(parked.detail),
        Money(row.due_minor, row.currency) if owed and row.due_minor else None,
    )


def settle_mismatch(
    session: AnySession,
    found: Mismatch,
    choice: Choice,
    who: Who,
    moment: Moment,
    minimums: Minimums = MappingProxyType({}),
) -> None:
    """Write down what was taken and do as ``choice`` says, in the caller's transaction.

    From here on the attempt says what the gateway really took; what was asked stays in the
    log and on the timeline. Raises ``ChoiceNotOffered``, also where a change of plan or an
    addition to boxes does not fit any more: that is withdrawn here, for the caller to keep.
    """
    settles = choice is not Choice.REFUND_ALL
    if choice not in found.offered or (settles and _is_overtaken(session, found, moment)):
        raise ChoiceNotOffered(choice=choice.value)
    back = found.taken.minor
    if choice is Choice.ACCEPT:
        back = 0
    elif choice is Choice.REFUND_REST:
        back -= found.asked.minor
    _write_attempt(session, found, back, settles, moment)
    if choice is Choice.ACCEPT:
        bear_part(session, _missing(found), moment)
    if settles:
        kept = min(found.asked.minor, found.taken.minor)
        row = found.attempt
        settled = Settlement(row.invoice_id, kept, row.gateway, row.public_id)
        settle_invoices(session, [settled], moment)
    if back:
        plan_surplus_refunds(session, [_surplus(found, back)], moment)
    if not settles:
        ask_anew(session, [found.attempt], moment, minimums)
    _resolve(session, found.parked_id, who, moment)
    record(session, _entries(session, found, choice, back, who), moment)


def _is_overtaken(session: AnySession, found: Mismatch, moment: Moment) -> bool:
    """Withdraw what can no longer be made as it was shown, as a success does that comes late."""
    row, invoice = found.attempt, table_of(Invoice)
    if row.invoice_state != InvoiceState.OFFERED or row.checkout_id is not None:
        return False
    withdraw_overtaken(session, [row.invoice_id], moment)
    withdraw_late_additions(session, [row.invoice_id], moment)
    stands = sa.select(invoice.c.state).where(invoice.c.id == row.invoice_id)
    return session.scalar(stands) != InvoiceState.OFFERED


def _waits(row: AnyRow) -> bool:
    return bool(row.state == AttemptState.UNKNOWN and row.reason == AMOUNT_MISMATCH)


def _write_attempt(
    session: AnySession, found: Mismatch, back: int, settles: bool, moment: Moment
) -> None:
    table = table_of(ChargeAttempt)
    values = {
        "state": AttemptState.SUCCEEDED,
        "amount_minor": found.taken.minor,
        "carried_minor": 0,
        "currency": found.taken.currency,
        "settles": settles,
        "refunded_minor": back,
        "answered_at": moment.now,
        "check_at": None,
    }
    if found.taken.minor <= 0:
        # A success over nothing took no money, so there is nothing to book or to send back.
        values = {
            "state": AttemptState.DECLINED,
            "decline_kind": DeclineKind.SOFT,
            "answered_at": moment.now,
            "check_at": None,
        }
    session.execute(sa.update(table).where(table.c.id == found.attempt.id).values(values))


def _missing(found: Mismatch) -> Goodwill:
    row = found.attempt
    return Goodwill(
        row.invoice_id,
        row.payer_id,
        found.asked - found.taken,
        AMOUNT_MISMATCH,
        row.public_id,
    )


def _surplus(found: Mismatch, minor: int) -> Surplus:
    row = found.attempt
    currency = found.taken.currency
    return Surplus(
        row.id, row.public_id, row.gateway, minor, currency, row.payer_id, row.invoice_id
    )


def _resolve(session: AnySession, parked_id: int, who: Who, moment: Moment) -> None:
    table = table_of(ParkedWork)
    session.execute(
        sa.update(table)
        .where(table.c.id == parked_id)
        .values(resolved_at=moment.now, resolved_by=who.public_id)
    )


def _entries(
    session: AnySession, found: Mismatch, choice: Choice, back: int, who: Who
) -> list[Entry]:
    line, subscription = table_of(InvoiceLine), table_of(Subscription)
    rows = session.execute(
        sa.select(subscription.c.id, subscription.c.public_id)
        .join(line, line.c.subscription_id == subscription.c.id)
        .where(line.c.invoice_id == found.attempt.invoice_id)
        .distinct()
    )
    data = {
        "payment": found.attempt.public_id,
        "choice": choice.value,
        "asked_minor": found.asked.minor,
        "taken_minor": found.taken.minor,
        "refunded_minor": back,
        "currency": found.taken.currency,
    }
    return [
        Entry(
            row.id,
            row.public_id,
            EventKind.PAYMENT_CORRECTED,
            Actor.STAFF,
            who.public_id,
            data,
            ref=found.attempt.public_id,
        )
        for row in rows
    ]
