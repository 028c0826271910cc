"""Plan questions to a gateway, mark them sent, and write down when to ask again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import compress

import sqlalchemy as sa

from storefront.domain.charging import AttemptState, Refusal
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import ENDED, SubscriptionState
from storefront.models import (
    ChargeAttempt,
    Checkout,
    Consent,
    Invoice,
    InvoiceLine,
    PaymentMethod,
    Subscription,
)
from storefront.models.base import Base, public_ids, table_of
from storefront.operations.bulk import insert_many
from storefront.operations.ceilings import (
    below_ceilings,
    check_ceilings,
    since,
    within_slice,
)
from storefront.operations.gateway_states import is_closed
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of, reserve
from storefront.operations.moment import Moment
from storefront.operations.questions import Question, Values

#: When an open attempt is looked up again: 5 min, 1 h, then daily; after five days a person
#: is told, and the looks go on.
CHECK_AFTER = (timedelta(minutes=5), timedelta(hours=1), *[timedelta(days=1)] * 5)
#: While the customer waits on the page the first looks come sooner.
CHECK_AFTER_ON_SESSION = (timedelta(seconds=10), timedelta(seconds=30), *CHECK_AFTER)
#: A customer who is asked to authenticate has this long before we look.
ACTION_CHECK_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class AttemptDraft:
    """A charge to plan; less ``carried_minor`` it must be the invoice's ``due_minor``."""

    invoice_id: int
    number: int
    gateway: str
    account: str
    payment_method_id: int
    fingerprint: str
    amount_minor: int
    currency: str
    on_session: bool = False
    #: The part that pays what was carried from earlier invoices.
    carried_minor: int = 0


def plan_attempts(
    session: AnySession,
    drafts: Sequence[AttemptDraft],
    moment: Moment,
    state: AttemptState = AttemptState.PLANNED,
) -> list[tuple[int, str]]:
    """Write attempts and return (key, public id) of each.

    ``state`` is planned, or sent when the caller commits and asks the gateway itself; then
    ``TriedTooOften`` is raised for a card at a ceiling of the schemes.
    Raises ``IntegrityError`` while another attempt on the invoice is open.
    """
    if not drafts:
        return []
    sent = state is AttemptState.SENT
    if sent:
        cards = [(draft.fingerprint, draft.amount_minor) for draft in drafts]
        check_ceilings(session, cards, moment)
    keys = reserve(session, ChargeAttempt, len(drafts))
    publics = public_ids("pay", len(drafts))
    insert_many(
        session,
        ChargeAttempt,
        [
            {
                "id": key,
                "public_id": public,
                "invoice_id": draft.invoice_id,
                "number": draft.number,
                "gateway": draft.gateway,
                "account": draft.account,
                "payment_method_id": draft.payment_method_id,
                "fingerprint": draft.fingerprint,
                "amount_minor": draft.amount_minor,
                "carried_minor": draft.carried_minor,
                "currency": draft.currency,
                "on_session": draft.on_session,
                "state": state,
                "decline_kind": None,
                "reason": "",
                "gateway_reference": "",
                "action_url": "",
                "settles": False,
                "refunded_minor": 0,
                "created_at": moment.now,
                "sent_at": moment.now if sent else None,
                "check_at": next_check(moment.now, 0, draft.on_session) if sent else None,
                "checks": 0,
                "fence": 0,
                "network": "",
                "code": "",
            }
            for key, public, draft in zip(keys, publics, drafts, strict=True)
        ],
    )
    return list(zip(keys, publics, strict=True))


def next_check(now: datetime, checks: int, on_session: bool) -> datetime:
    """Return when an attempt is looked up after ``checks`` looks; daily in the end."""
    table = CHECK_AFTER_ON_SESSION if on_session else CHECK_AFTER
    return now + table[min(checks, len(table) - 1)]


def needs_person(checks: int, on_session: bool) -> bool:
    """Return whether look number ``checks`` is the one after which a person is told."""
    return checks == len(CHECK_AFTER_ON_SESSION if on_session else CHECK_AFTER)


#: How long a planned on-session attempt is left to the page that planned it.
ON_SESSION_GRACE = timedelta(minutes=2)


def take_planned(session: AnySession, moment: Moment, limit: int) -> list[AnyRow]:
    """Mark up to ``limit`` planned attempts sent and return what the gateway needs.

    One guarded update asks the whole guard again, set-wise: the invoice still owes exactly
    this amount, no subscription on it is ended, canceled, paused, held or without consent,
    and its card is below the schemes' ceilings. Two workers never get the same attempt. What
    the guard refuses stays planned for ``refuse_planned``.
    """
    locks = session.get_bind().dialect.name == "postgresql"
    candidates, send = _take_statements(locks)
    times = {"size": limit, "now": moment.now, **_fresh(moment), **since(moment)}
    rows = session.execute(candidates, times).all()
    cards = [(row.fingerprint, row.amount_minor) for row in rows]
    rows = list(compress(rows, within_slice(session, cards, moment)))
    if not rows:
        return []
    check = moment.now + CHECK_AFTER[0]
    when = {"ids": [row.id for row in rows], "at": moment.now, "check": check}
    sent = set(session.execute(send, when).scalars().all())
    return [row for row in rows if row.id in sent]


def _left_planned() -> list[AnySelect]:
    attempt = table_of(ChargeAttempt)
    return [sa.select(attempt.c.id).where(_waiting(attempt))]


def _fresh(moment: Moment) -> Values:
    return {"fresh": moment.now - ON_SESSION_GRACE}


#: Whether attempts are planned, to be sent or refused; also while they only wait.
PLANNED_LEFT = Question(_left_planned, _fresh)


@cache
def _take_statements(locks: bool) -> tuple[AnySelect, sa.UpdateBase]:
    attempt = table_of(ChargeAttempt)
    candidates = (
        _orders_of(attempt)
        .where(
            _waiting(attempt),
            sa.not_(is_closed(attempt)),
            _allowed(attempt),
            below_ceilings(attempt),
        )
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )
    if locks:
        candidates = candidates.with_for_update(skip_locked=True, of=attempt)
    send = (
        sa.update(attempt)
        .where(any_of(attempt.c.id), attempt.c.state == AttemptState.PLANNED)
        .values(
            state=AttemptState.SENT,
            sent_at=sa.bindparam("at", type_=attempt.c.sent_at.type),
            check_at=sa.bindparam("check", type_=attempt.c.check_at.type),
        )
        .returning(attempt.c.id)
    )
    return candidates, send


def orders(session: AnySession, ids: Sequence[int]) -> list[AnyRow]:
    """Return what the gateway is asked for the attempts ``ids``, in key order.

    With their state, when they were sent, and whether they are still owed: an open one may
    have to be asked about again.
    """
    return list(session.execute(_orders_statement(), {"ids": ids}).all())


@cache
def _orders_statement() -> AnySelect:
    attempt = table_of(ChargeAttempt)
    owed = _allowed(attempt).label("is_owed")
    chosen = _orders_of(attempt).where(any_of(attempt.c.id))
    return chosen.add_columns(attempt.c.state, attempt.c.sent_at, owed)


def _orders_of(attempt: sa.Table) -> AnySelect:
    method = table_of(PaymentMethod)
    invoice, checkout = table_of(Invoice), table_of(Checkout)
    return (
        sa.select(
            attempt.c.id,
            attempt.c.public_id,
            attempt.c.gateway,
            attempt.c.account,
            attempt.c.amount_minor,
            attempt.c.currency,
            attempt.c.fingerprint,
            attempt.c.on_session,
            attempt.c.gateway_reference,
            attempt.c.notified_at,
            method.c.token,
            method.c.gateway_customer,
            method.c.agreement,
            invoice.c.public_id.label("invoice_ref"),
            checkout.c.public_id.label("checkout_ref"),
        )
        .join(method, method.c.id == attempt.c.payment_method_id)
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .outerjoin(checkout, checkout.c.id == invoice.c.checkout_id)
        .order_by(attempt.c.id)
    )


def refuse_planned(session: AnySession, moment: Moment, limit: int = 500) -> list[AnyRow]:
    """Abandon planned attempts that can never be sent: nothing owed, ended, or no usable card.

    They were never sent, so nothing at the gateway waits for them. One that only waits (on
    hold, without consent, at a retry limit) stays planned. Returns the attempts whose card
    is the reason while their invoice is owed; somebody has to chase those.
    """
    hopeless, cardless, abandon = _refuse_statements()
    ids = session.execute(hopeless, {"size": limit, **_fresh(moment)}).scalars().all()
    if not ids:
        return []
    rows = session.execute(cardless, {"ids": ids}).all()
    session.execute(abandon, {"ids": ids, "at": moment.now})
    return list(rows)


@cache
def _refuse_statements() -> tuple[AnySelect, AnySelect, sa.UpdateBase]:
    attempt, invoice = table_of(ChargeAttempt), table_of(Invoice)
    is_lost = sa.or_(sa.not_(_is_owed(attempt)), sa.not_(_is_usable(attempt)), _is_over(attempt))
    hopeless = (
        sa.select(attempt.c.id)
        .where(_waiting(attempt), is_lost)
        .order_by(attempt.c.id)
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )
    chosen = sa.and_(any_of(attempt.c.id), attempt.c.state == AttemptState.PLANNED)
    cardless = (
        sa.select(attempt.c.id, attempt.c.public_id, attempt.c.invoice_id, attempt.c.on_session)
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .where(
            chosen,
            invoice.c.state == InvoiceState.OPEN,
            sa.not_(_is_usable(attempt)),
            sa.not_(_is_over(attempt)),
        )
    )
    abandon = (
        sa.update(attempt)
        .where(chosen)
        .values(
            state=AttemptState.ABANDONED,
            reason=Refusal.NOT_BILLABLE.value,
            answered_at=sa.bindparam("at", type_=attempt.c.answered_at.type),
            check_at=None,
        )
    )
    return hopeless, cardless, abandon


def _waiting(attempt: sa.Table) -> sa.ColumnElement[bool]:
    fresh = sa.bindparam("fresh", type_=attempt.c.created_at.type)
    # Written out: SQLite plans anew at each run when a parameter decides on a partial index.
    planned: sa.ColumnElement[str] = sa.literal_column(f"'{AttemptState.PLANNED}'")
    return sa.and_(
        attempt.c.state == planned,
        sa.or_(sa.not_(attempt.c.on_session), attempt.c.created_at < fresh),
    )


def _allowed(attempt: sa.Table) -> sa.ColumnElement[bool]:
    """The guard over one attempt, as a condition the database decides."""
    line, subscription = table_of(InvoiceLine), table_of(Subscription)
    consent = table_of(Consent)
    no_consent = sa.not_(sa.exists().where(consent.c.subscription_id == subscription.c.id))
    refused = sa.exists().where(
        line.c.invoice_id == attempt.c.invoice_id,
        sa.not_(line.c.is_void),
        subscription.c.id == line.c.subscription_id,
        sa.or_(
            subscription.c.state.in_([*ENDED, SubscriptionState.PAUSED]),
            subscription.c.held_at.is_not(None),
            no_consent,
        ),
    )
    return sa.and_(_is_owed(attempt), _is_usable(attempt), sa.not_(refused))


@cache
def _apart(model: type[Base]) -> sa.FromClause:
    """The table once more, so that the guard also stands in a statement that joins it."""
    return table_of(model).alias()


def _is_owed(attempt: sa.Table) -> sa.ColumnElement[bool]:
    invoice = _apart(Invoice)
    return sa.exists().where(
        invoice.c.id == attempt.c.invoice_id,
        invoice.c.state.in_([InvoiceState.OPEN, InvoiceState.OFFERED]),
        invoice.c.due_minor == attempt.c.amount_minor - attempt.c.carried_minor,
    )


def _is_usable(attempt: sa.Table) -> sa.ColumnElement[bool]:
    method = _apart(PaymentMethod)
    return sa.exists().where(
        method.c.id == attempt.c.payment_method_id,
        method.c.detached_at.is_(None),
        method.c.refused_at.is_(None),
    )


def _is_over(attempt: sa.Table) -> sa.ColumnElement[bool]:
    """A subscription on the invoice has ended or pauses: nothing is charged for it again.

    One whose lines were credited when it left is not on it any more.
    """
    line, subscription = _apart(InvoiceLine), _apart(Subscription)
    return sa.exists().where(
        line.c.invoice_id == attempt.c.invoice_id,
        sa.not_(line.c.is_void),
        subscription.c.id == line.c.subscription_id,
        subscription.c.state.in_([*ENDED, SubscriptionState.PAUSED]),
    )
