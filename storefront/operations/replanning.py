"""Attempts that another method overtakes: planned ones ask it instead, waiting ones are named.

Source: docs/decisions/0127-payment-methods.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from storefront.domain.charging import AttemptState
from storefront.domain.invoices import InvoiceState
from storefront.models import ChargeAttempt, DunningCase, Invoice, InvoiceLine, PaymentMethod
from storefront.models.base import table_of
from storefront.operations.carrying import Minimums, plan_or_carry
from storefront.operations.charging import AttemptDraft
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.method_choice import method_for
from storefront.operations.moment import Moment


def replan(
    session: AnySession, subscription_ids: Sequence[int], minimums: Minimums, moment: Moment
) -> int:
    """Ask the method that pays now, where one that paid before has not been asked yet.

    Each planned attempt is given up and another is planned in its place, so that no invoice is
    ever asked for twice. Returns how many. Raises ``StaleSubscription`` as ``plan_or_carry``.
    """
    if not subscription_ids:
        return 0
    attempt, invoice, method = (table_of(one) for one in (ChargeAttempt, Invoice, PaymentMethod))
    later = attempt.alias()
    last = sa.select(sa.func.max(later.c.number)).where(later.c.invoice_id == invoice.c.id)
    rows = session.execute(
        sa.select(
            attempt.c.id,
            invoice.c.id.label("invoice_id"),
            invoice.c.payer_id,
            invoice.c.due_minor,
            invoice.c.currency,
            last.scalar_subquery().label("last_number"),
            method.c.id.label("method_id"),
            method.c.gateway,
            method.c.account,
            method.c.fingerprint,
        )
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .join(method, method.c.id == method_for(invoice))
        .where(
            attempt.c.state == AttemptState.PLANNED,
            attempt.c.payment_method_id != method.c.id,
            _owed_for(invoice, subscription_ids),
        )
        .order_by(attempt.c.id)
    ).all()
    if not rows:
        return 0
    # Who sends it this very moment has it: only what is still planned is given up.
    given_up = set(
        session.execute(
            sa.update(attempt)
            .where(
                attempt.c.id.in_([row.id for row in rows]),
                attempt.c.state == AttemptState.PLANNED,
            )
            .values(
                state=AttemptState.ABANDONED,
                reason="method_replaced",
                answered_at=moment.now,
                check_at=None,
            )
            .returning(attempt.c.id)
        ).scalars()
    )
    drafts = [(row.payer_id, _draft(row)) for row in rows if row.id in given_up]
    return plan_or_carry(session, drafts, minimums, moment)


def _draft(row: AnyRow) -> AttemptDraft:
    return AttemptDraft(
        invoice_id=row.invoice_id,
        number=row.last_number + 1,
        gateway=row.gateway,
        account=row.account,
        payment_method_id=row.method_id,
        fingerprint=row.fingerprint,
        amount_minor=row.due_minor,
        currency=row.currency,
    )


def waiting_for_customer(session: AnySession, subscription_ids: Sequence[int]) -> list[AnyRow]:
    """Return attempts that their customer was asked to confirm, with another method than pays now.

    Only where the invoice is chased: what waits at a checkout is that order's own.
    """
    attempt, invoice, case = table_of(ChargeAttempt), table_of(Invoice), table_of(DunningCase)
    return list(
        session.execute(
            sa.select(
                attempt.c.id,
                attempt.c.public_id,
                attempt.c.gateway,
                attempt.c.account,
                attempt.c.gateway_reference,
            )
            .join(invoice, invoice.c.id == attempt.c.invoice_id)
            .join(case, case.c.invoice_id == invoice.c.id)
            .where(
                attempt.c.state == AttemptState.ACTION_REQUIRED,
                attempt.c.payment_method_id != method_for(invoice),
                case.c.state == "open",
                _owed_for(invoice, subscription_ids),
            )
            .order_by(attempt.c.id)
        )
    )


def _owed_for(invoice: sa.Table, subscription_ids: Sequence[int]) -> sa.ColumnElement[bool]:
    line = table_of(InvoiceLine)
    return sa.and_(
        invoice.c.state == InvoiceState.OPEN,
        invoice.c.due_minor > 0,
        sa.exists().where(
            line.c.invoice_id == invoice.c.id,
            line.c.subscription_id.in_(subscription_ids),
            sa.not_(line.c.is_void),
        ),
    )
