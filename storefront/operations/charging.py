"""Plan questions to a gateway, mark them sent, and write down when to ask again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import compress
from typing import NamedTuple

import sqlalchemy as sa

from storefront.domain.charging import AttemptState
from storefront.domain.invoices import InvoiceState
from storefront.models import (
    ChargeAttempt,
    Checkout,
    Invoice,
    PaymentMethod,
)
from storefront.models.base import table_of
from storefront.operations.bulk import insert_many
from storefront.operations.ceilings import check_ceilings, within_slice
from storefront.operations.guard import (
    Announced,
    allowed,
    fresh,
    is_over,
    is_owed,
    is_planned,
    is_usable,
    is_within_limit,
    may_go,
    refusal,
    times,
    waiting,
)
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of, named, reserve
from storefront.operations.moment import Moment
from storefront.operations.questions import Question
from storefront.operations.references import new_references
from storefront.operations.trials import is_first_after_trial

#: When an open attempt is looked up again: 5 min, 1 h, then daily; after five days a person
#: is told, and the looks go on.
CHECK_AFTER = (timedelta(minutes=5), timedelta(hours=1), *[timedelta(days=1)] * 5)
#: While the customer waits on the page the first looks come sooner.
CHECK_AFTER_ON_SESSION = (timedelta(seconds=10), timedelta(seconds=30), *CHECK_AFTER)
#: A customer who is asked to authenticate has this long before we look.
ACTION_CHECK_AFTER = timedelta(hours=1)


class AttemptDraft(NamedTuple):
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
    publics = new_references(session, "pay", len(drafts), moment.now)
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


def is_any_planned(session: AnySession) -> bool:
    """Whether any attempt is planned, may it be sent or not.

    Most runs find none, and the guard asked of none takes many times as long as this.
    """
    return bool(session.scalar(_any_planned()))


@cache
def _any_planned() -> AnySelect:
    attempt = table_of(ChargeAttempt)
    return sa.select(sa.exists().where(is_planned(attempt)))


def take_planned(
    session: AnySession, moment: Moment, limit: int, announced: Announced = ()
) -> list[AnyRow]:
    """Mark up to ``limit`` planned attempts sent and return what the gateway needs.

    One guarded update asks the whole guard again, set-wise: the invoice still owes exactly
    this amount and no more than was agreed, no subscription on it is ended, canceled, paused,
    held or without consent, its card is below the schemes' ceilings, its gateway takes charges,
    and whoever must be told before was told. Two workers never get the same attempt. What the
    guard refuses stays planned for ``refuse_planned``. ``announced`` are the gateways that
    require a notice.
    """
    locks = session.get_bind().dialect.name == "postgresql"
    candidates, send = _take_statements(locks, announced)
    rows = named(session.execute(candidates, {"size": limit, **times(moment)}))
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
    return [sa.select(attempt.c.id).where(waiting(attempt))]


#: Whether attempts are planned, to be sent or refused; also while they only wait.
PLANNED_LEFT = Question(_left_planned, fresh)


@cache
def _take_statements(locks: bool, announced: Announced) -> tuple[AnySelect, sa.UpdateBase]:
    attempt = table_of(ChargeAttempt)
    candidates = (
        _orders_of(attempt)
        .where(may_go(attempt, announced))
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )
    if locks:
        candidates = candidates.with_for_update(skip_locked=True, of=attempt)
    send = (
        sa.update(attempt)
        .where(any_of(attempt.c.id), attempt.c.state == AttemptState.PLANNED)
        .values(
            state=AttemptState.SENT,
            reason="",
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
    return named(session.execute(_orders_statement(), {"ids": ids}))


@cache
def _orders_statement() -> AnySelect:
    attempt = table_of(ChargeAttempt)
    owed = allowed(attempt).label("is_owed")
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
            is_first_after_trial(attempt).label("is_after_trial"),
        )
        .join(method, method.c.id == attempt.c.payment_method_id)
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .outerjoin(checkout, checkout.c.id == invoice.c.checkout_id)
        .order_by(attempt.c.id)
    )


def refuse_planned(session: AnySession, moment: Moment, limit: int = 500) -> list[AnyRow]:
    """Abandon planned attempts that can never be sent as they are.

    Nothing owed, ended, no usable card, or more than its owner agreed to. They were never sent,
    so nothing at the gateway waits for them. One that only waits (on hold, without consent, at a
    retry limit, before its day) stays planned. Returns the attempts whose method is the reason
    while their invoice is owed, with it (``why``); somebody has to chase those.
    """
    hopeless, askable, abandon = _refuse_statements()
    rows = session.execute(hopeless, {"size": limit, **times(moment)}).all()
    if not rows:
        return []
    reasons: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        reasons[row.why].append(row.id)
    found = session.execute(askable, {"ids": [row.id for row in rows], **times(moment)}).all()
    for why, ids in reasons.items():
        session.execute(abandon, {"ids": ids, "at": moment.now, "why": why})
    return list(found)


@cache
def _refuse_statements() -> tuple[AnySelect, AnySelect, sa.UpdateBase]:
    attempt, invoice = table_of(ChargeAttempt), table_of(Invoice)
    why = refusal(attempt, ()).label("why")
    is_lost = sa.or_(
        sa.not_(is_owed(attempt)),
        sa.not_(is_usable(attempt)),
        sa.not_(is_within_limit(attempt)),
        is_over(attempt),
    )
    hopeless = (
        sa.select(attempt.c.id, why)
        .where(waiting(attempt), is_lost)
        .order_by(attempt.c.id)
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )
    chosen = sa.and_(any_of(attempt.c.id), attempt.c.state == AttemptState.PLANNED)
    askable = (
        sa.select(
            attempt.c.id, attempt.c.public_id, attempt.c.invoice_id, attempt.c.on_session, why
        )
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .where(
            chosen,
            invoice.c.state == InvoiceState.OPEN,
            sa.or_(sa.not_(is_usable(attempt)), sa.not_(is_within_limit(attempt))),
            sa.not_(is_over(attempt)),
        )
    )
    abandon = (
        sa.update(attempt)
        .where(chosen)
        .values(
            state=AttemptState.ABANDONED,
            reason=sa.bindparam("why"),
            answered_at=sa.bindparam("at", type_=attempt.c.answered_at.type),
            check_at=None,
        )
    )
    return hopeless, askable, abandon
