"""Read and step dunning cases that are due, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache

import sqlalchemy as sa

from storefront.domain.charging import OPEN_ATTEMPTS, AttemptState
from storefront.domain.invoices import InvoiceState
from storefront.models import (
    ChargeAttempt,
    DunningCase,
    Invoice,
    InvoiceLine,
    PaymentMethod,
    Price,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.backups import usable_backup
from storefront.operations.carrying import Minimums, plan_or_carry
from storefront.operations.charging import AttemptDraft
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.methods import paying_method
from storefront.operations.moment import Moment
from storefront.operations.questions import Question, at_now


def due_cases(session: AnySession, moment: Moment, limit: int) -> list[AnyRow]:
    """Return open cases whose time has come, with invoice, subscription and method.

    Of an invoice for several subscriptions that is the first that has not left it
    (``on_same_invoice`` has all); none of them may be held. On PostgreSQL the rows are locked,
    other workers pass them over.
    """
    statement = _due_cases(session.get_bind().dialect.name == "postgresql")
    return list(session.execute(statement, {"now": moment.now, "size": limit}))


def _chases() -> list[AnySelect]:
    return [_due_cases(locks=False), _overdue_actions(), _due_warnings()]


#: What a retry needs of a method.
_PAYING = (
    ("id", "method_id"),
    ("gateway", "gateway"),
    ("account", "account"),
    ("fingerprint", "fingerprint"),
)


def due_warnings(session: AnySession, moment: Moment, limit: int) -> list[AnyRow]:
    """Return open cases whose last warning is due, with the last attempt and the payer.

    On PostgreSQL the rows are locked, other workers pass them over.
    """
    statement = _due_warnings()
    if session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(of=table_of(DunningCase), skip_locked=True)
    return list(session.execute(statement, {"now": moment.now, "size": limit}))


@cache
def _due_warnings() -> AnySelect:
    case, invoice, attempt = table_of(DunningCase), table_of(Invoice), table_of(ChargeAttempt)
    other = attempt.alias()
    newest = (
        sa.select(sa.func.max(other.c.id)).where(other.c.invoice_id == case.c.invoice_id)
    ).scalar_subquery()
    return (
        sa.select(
            case.c.id,
            case.c.invoice_id,
            case.c.policy,
            case.c.opened_at,
            case.c.next_at,
            case.c.next_action,
            case.c.resume_at,
            invoice.c.state.label("invoice_state"),
            invoice.c.due_minor,
            invoice.c.payer_id,
            attempt.c.public_id.label("attempt"),
            attempt.c.reason,
        )
        .join(invoice, invoice.c.id == case.c.invoice_id)
        .join(attempt, attempt.c.id == newest)
        .where(
            case.c.state == "open",
            case.c.warn_at <= sa.bindparam("now", type_=case.c.warn_at.type),
        )
        .order_by(case.c.warn_at, case.c.id)
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )


def set_warning(session: AnySession, key: int, at: datetime | None) -> None:
    """Warn of the end of a case at ``at``; None: not any more."""
    _set(session, [key], warn_at=at)


#: Whether cases are to be stepped or charges given up.
CHASES_DUE = Question(_chases, at_now)


@cache
def _due_cases(locks: bool) -> AnySelect:
    case, invoice, line = table_of(DunningCase), table_of(Invoice), table_of(InvoiceLine)
    subscription, method = table_of(Subscription), table_of(PaymentMethod)
    attempt, backup = table_of(ChargeAttempt), table_of(PaymentMethod).alias()
    last = sa.select(sa.func.max(attempt.c.number)).where(attempt.c.invoice_id == invoice.c.id)
    any_line, any_subscription = line.alias(), subscription.alias()
    own = sa.and_(
        any_line.c.invoice_id == invoice.c.id,
        any_line.c.kind == "plan",
        sa.not_(any_line.c.is_void),
    )
    first = sa.select(sa.func.min(any_line.c.id)).where(own).scalar_subquery()
    held = sa.exists().where(
        own,
        any_subscription.c.id == any_line.c.subscription_id,
        any_subscription.c.held_at.is_not(None),
    )
    on_its_way = sa.exists().where(
        attempt.c.invoice_id == invoice.c.id, attempt.c.state.in_(OPEN_ATTEMPTS)
    )
    statement = (
        sa.select(
            case.c.id,
            case.c.next_action,
            case.c.policy,
            case.c.opened_at,
            case.c.resume_at,
            invoice.c.id.label("invoice_id"),
            invoice.c.public_id.label("invoice_ref"),
            invoice.c.state.label("invoice_state"),
            invoice.c.due_minor,
            invoice.c.currency,
            invoice.c.payer_id,
            subscription.c.id.label("subscription_id"),
            subscription.c.public_id,
            subscription.c.version,
            subscription.c.state,
            subscription.c.plan_id,
            subscription.c.source,
            subscription.c.cohort,
            subscription.c.mrr_minor,
            # Where the one that should pay is gone or refused, the backup is what is left.
            *[
                sa.func.coalesce(method.c[name], backup.c[name]).label(label)
                for name, label in _PAYING
            ],
            last.scalar_subquery().label("last_number"),
            on_its_way.label("is_open"),
        )
        .join(invoice, invoice.c.id == case.c.invoice_id)
        .join(line, line.c.id == first)
        .join(subscription, subscription.c.id == line.c.subscription_id)
        .outerjoin(method, paying_method(usable=True))
        .outerjoin(backup, usable_backup(backup, invoice.c.payer_id))
        .where(
            case.c.state == "open",
            case.c.next_at <= sa.bindparam("now", type_=case.c.next_at.type),
            sa.not_(held),
        )
        .order_by(case.c.next_at, case.c.id)
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )
    return statement.with_for_update(of=case, skip_locked=True) if locks else statement


def on_same_invoice(session: AnySession, invoice_ids: Sequence[int]) -> list[AnyRow]:
    """Return every subscription that has not left these invoices, the first of each first."""
    if not invoice_ids:
        return []
    line, subscription, price = table_of(InvoiceLine), table_of(Subscription), table_of(Price)
    return list(
        session.execute(
            sa.select(
                line.c.invoice_id,
                subscription.c.id.label("subscription_id"),
                subscription.c.public_id,
                subscription.c.version,
                subscription.c.state,
                subscription.c.plan_id,
                subscription.c.source,
                subscription.c.cohort,
                subscription.c.mrr_minor,
                price.c.currency,
            )
            .join(subscription, subscription.c.id == line.c.subscription_id)
            .join(price, price.c.id == subscription.c.price_id)
            .where(
                line.c.invoice_id.in_(invoice_ids), line.c.kind == "plan", sa.not_(line.c.is_void)
            )
            .order_by(line.c.invoice_id, line.c.position)
        )
    )


def retry(session: AnySession, rows: Sequence[AnyRow], minimums: Minimums, moment: Moment) -> int:
    """Plan the next attempt of each case; the answer of a try by the clock is its next step.

    Each asks for what was carried too, as the first did, or is carried itself; returns how many
    ask. A card that was just saved is tried beside the schedule, which stays as it was.
    Raises ``StaleSubscription`` as ``plan_or_carry`` does.
    """
    _set(session, [row.id for row in rows if row.resume_at is None], next_at=None)
    back_to_schedule(session, rows)
    drafts = [
        (
            row.payer_id,
            AttemptDraft(
                invoice_id=row.invoice_id,
                number=(row.last_number or 0) + 1,
                gateway=row.gateway,
                account=row.account,
                payment_method_id=row.method_id,
                fingerprint=row.fingerprint,
                amount_minor=row.due_minor,
                currency=row.currency,
            ),
        )
        for row in rows
    ]
    return plan_or_carry(session, drafts, minimums, moment)


def close_cases(session: AnySession, ids: Sequence[int], state: str, moment: Moment) -> None:
    """End cases as ``lost`` or ``closed``."""
    _set(session, ids, state=state, closed_at=moment.now, next_at=None)


def postpone(
    session: AnySession, ids: Sequence[int], at: datetime, action: str | None = None
) -> None:
    """Look at the cases again at ``at``; for ``action``, or for what they waited for."""
    if action is None:
        _set(session, ids, next_at=at)
    else:
        _set(session, ids, next_at=at, next_action=action)


def back_to_schedule(session: AnySession, rows: Sequence[AnyRow]) -> None:
    """Let the cases among ``rows`` that wait for a new card's try go on as before."""
    table = table_of(DunningCase)
    ids = [row.id for row in rows if row.resume_at is not None]
    if ids:
        session.execute(
            sa.update(table)
            .where(table.c.id.in_(ids))
            .values(next_at=table.c.resume_at, resume_at=None)
        )


def overdue_actions(session: AnySession, moment: Moment, limit: int) -> list[AnyRow]:
    """Return attempts that still wait for their customer although the case's time is up.

    Or although the case is to be tried with the method they chose meanwhile.
    """
    return list(session.execute(_overdue_actions(), {"now": moment.now, "size": limit}))


@cache
def _overdue_actions() -> AnySelect:
    case, attempt = table_of(DunningCase), table_of(ChargeAttempt)
    return (
        sa.select(
            attempt.c.id,
            attempt.c.public_id,
            attempt.c.gateway,
            attempt.c.account,
            attempt.c.gateway_reference,
        )
        .join(case, case.c.invoice_id == attempt.c.invoice_id)
        .where(
            case.c.state == "open",
            case.c.next_at <= sa.bindparam("now", type_=case.c.next_at.type),
            sa.or_(case.c.next_action == "last_action", case.c.resume_at.is_not(None)),
            attempt.c.state == AttemptState.ACTION_REQUIRED,
        )
        .order_by(case.c.next_at, case.c.id)
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )


def abandon_actions(session: AnySession, ids: Sequence[int], moment: Moment) -> None:
    """End attempts whose gateway confirmed that they can never succeed any more."""
    if ids:
        table = table_of(ChargeAttempt)
        session.execute(
            sa.update(table)
            .where(table.c.id.in_(ids), table.c.state == AttemptState.ACTION_REQUIRED)
            .values(
                state=AttemptState.ABANDONED,
                reason="not_confirmed",
                answered_at=moment.now,
                check_at=None,
            )
        )


def is_owed(row: AnyRow) -> bool:
    """True while the invoice of a case is open and owes something."""
    return bool(row.invoice_state == InvoiceState.OPEN and row.due_minor > 0)


def _set(session: AnySession, ids: Sequence[int], **values: object) -> None:
    if ids:
        table = table_of(DunningCase)
        session.execute(sa.update(table).where(table.c.id.in_(ids)).values(**values))
