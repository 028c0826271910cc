"""The second method of a customer, tried right after the one that should pay was refused.

In the same step of the chase and as an attempt of its own, never while another is open, and
never beyond what the card schemes allow its card. Source: docs/decisions/0129-dunning.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import sqlalchemy as sa

from storefront.domain.charging import AttemptState, DeclineKind
from storefront.domain.gateways import ChargeAnswer
from storefront.models import ChargeAttempt, Invoice, PaymentMethod
from storefront.models.base import table_of
from storefront.operations.ceilings import tries_left
from storefront.operations.charging import AttemptDraft, plan_attempts
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of
from storefront.operations.moment import Moment

#: Refusals after which no other method is tried by itself: the customer wished it so.
_WISHED = frozenset({"opted_out"})


def usable_backup(backup: sa.FromClause, payer: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Return the condition that joins a payer with the backup that can be charged now."""
    return sa.and_(
        backup.c.customer_id == payer,
        backup.c.is_backup,
        backup.c.detached_at.is_(None),
        backup.c.refused_at.is_(None),
    )


def try_backups(
    session: AnySession,
    rows: Sequence[AnyRow],
    answers: Mapping[str, ChargeAnswer],
    moment: Moment,
) -> set[str]:
    """Plan an attempt with the payer's backup for each refused one of ``rows``.

    Returns the public ids of those it was planned for. Not where the customer was there (they
    choose themselves), where the backup was the one refused, nor beyond the ceilings.
    Statements: a constant number for any count.
    """
    refs = [
        row.public_id
        for row in rows
        if not row.on_session and answers[row.public_id].reason not in _WISHED
    ]
    found = session.execute(_statement(), {"ids": refs}).all() if refs else []
    if not found:
        return set()
    left = tries_left(session, {(row.fingerprint, row.due_minor) for row in found}, moment)
    chosen = []
    for row in found:
        card = (row.fingerprint, row.due_minor)
        if not row.fingerprint or left[card] > 0:
            chosen.append(row)
            left[card] -= 1
    plan_attempts(
        session,
        [
            AttemptDraft(
                invoice_id=row.invoice_id,
                number=row.number + 1,
                gateway=row.gateway,
                account=row.account,
                payment_method_id=row.method_id,
                fingerprint=row.fingerprint,
                amount_minor=row.due_minor,
                currency=row.currency,
            )
            for row in chosen
        ],
        moment,
    )
    return {row.public_id for row in chosen}


@cache
def _statement() -> AnySelect:
    attempt, invoice = table_of(ChargeAttempt), table_of(Invoice)
    backup = table_of(PaymentMethod)
    later = attempt.alias()
    return (
        sa.select(
            attempt.c.public_id,
            attempt.c.number,
            attempt.c.invoice_id,
            invoice.c.due_minor,
            invoice.c.currency,
            backup.c.id.label("method_id"),
            backup.c.gateway,
            backup.c.account,
            backup.c.fingerprint,
        )
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .join(backup, usable_backup(backup, invoice.c.payer_id))
        .where(
            any_of(attempt.c.public_id),
            invoice.c.due_minor > 0,
            sa.or_(
                attempt.c.payment_method_id.is_(None), attempt.c.payment_method_id != backup.c.id
            ),
            sa.not_(
                sa.exists().where(
                    later.c.invoice_id == attempt.c.invoice_id, later.c.number > attempt.c.number
                )
            ),
        )
        .order_by(attempt.c.id)
    )


def declined_before(session: AnySession, rows: Sequence[AnyRow]) -> dict[str, AnyRow]:
    """Return by attempt the refusal for which its backup was tried (``decline_kind`` and more)."""
    refs = [row.public_id for row in rows if not row.on_session]
    if not refs:
        return {}
    attempt, backup = table_of(ChargeAttempt), table_of(PaymentMethod)
    first = attempt.alias()
    found = session.execute(
        sa.select(attempt.c.public_id, first.c.public_id.label("first"), first.c.decline_kind)
        .join(backup, backup.c.id == attempt.c.payment_method_id)
        .join(
            first,
            sa.and_(
                first.c.invoice_id == attempt.c.invoice_id,
                first.c.number == attempt.c.number - 1,
                first.c.payment_method_id != attempt.c.payment_method_id,
                # Planned in the transaction that wrote the refusal down.
                first.c.answered_at == attempt.c.created_at,
                first.c.state.in_([AttemptState.DECLINED, AttemptState.ABANDONED]),
            ),
        )
        .where(attempt.c.public_id.in_(refs))
    )
    return {row.public_id: row for row in found}


def together(first: DeclineKind | None, second: DeclineKind) -> DeclineKind:
    """Return what the refusals of both methods mean: softly, if one may be tried again.

    >>> together(DeclineKind.SOFT, DeclineKind.HARD), together(None, DeclineKind.ASK)
    (<DeclineKind.SOFT: 'soft'>, <DeclineKind.ASK: 'ask'>)
    """
    kinds = (first or second, second)
    for kind in (DeclineKind.SOFT, DeclineKind.ASK):
        if kind in kinds:
            return kind
    return DeclineKind.HARD
