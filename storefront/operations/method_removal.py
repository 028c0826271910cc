"""Take a stored method away, and have the gateway forget it.

Source: docs/decisions/0127-payment-methods.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa

from storefront.domain.charging import ANSWERABLE
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import RUNNING
from storefront.models import ChargeAttempt, GatewaySetup, Invoice, PaymentMethod, Subscription
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.methods import paying_method, was_accepted
from storefront.operations.moment import Moment

#: A gateway that does not answer is asked again so much later.
ASK_AGAIN = timedelta(hours=1)


def own_method(session: AnySession, customer_id: int, method: str) -> AnyRow | None:
    """Return a method that its customer may see; the row is locked where that is possible."""
    table = table_of(PaymentMethod)
    return session.execute(
        sa.select(table)
        .where(
            table.c.public_id == method,
            table.c.customer_id == customer_id,
            table.c.detached_at.is_(None),
            was_accepted(),
        )
        .with_for_update(of=table)
    ).one_or_none()


def other_methods(session: AnySession, customer_id: int, method_id: int) -> list[AnyRow]:
    """Return the other methods that can be charged: the backup first, then the newest."""
    table = table_of(PaymentMethod)
    return list(
        session.execute(
            sa.select(table)
            .where(
                table.c.customer_id == customer_id,
                table.c.id != method_id,
                table.c.detached_at.is_(None),
                table.c.refused_at.is_(None),
                was_accepted(),
            )
            .order_by(table.c.is_backup.desc(), table.c.is_default.desc(), table.c.id.desc())
        )
    )


def pays_for(session: AnySession, customer_id: int, method_id: int) -> list[int]:
    """Return the running subscriptions that a method pays for."""
    table, method = table_of(Subscription), table_of(PaymentMethod)
    payer = sa.func.coalesce(table.c.payer_id, table.c.customer_id)
    rows = session.execute(
        sa.select(table.c.id)
        .join(method, paying_method(usable=False))
        .where(payer == customer_id, table.c.state.in_(RUNNING), method.c.id == method_id)
        .order_by(table.c.id)
    )
    return list(rows.scalars())


def owes(session: AnySession, customer_id: int) -> bool:
    """True while the customer has an open invoice that a method is to pay."""
    invoice, attempt = table_of(Invoice), table_of(ChargeAttempt)
    charged = sa.exists().where(attempt.c.invoice_id == invoice.c.id)
    found = session.execute(
        sa.select(invoice.c.id)
        .where(
            invoice.c.payer_id == customer_id,
            invoice.c.state == InvoiceState.OPEN,
            invoice.c.due_minor > 0,
            charged,
        )
        .limit(1)
    ).first()
    return found is not None


def is_under_way(session: AnySession, method_id: int) -> bool:
    """True while a charge of a method was asked for and has no final answer."""
    table = table_of(ChargeAttempt)
    found = session.execute(
        sa.select(table.c.id)
        .where(table.c.payment_method_id == method_id, table.c.state.in_(ANSWERABLE))
        .limit(1)
    ).first()
    return found is not None


def take_away(session: AnySession, method_id: int, moment: Moment) -> None:
    """Charge a method never again; what named it follows its payer's default."""
    table, subscription = table_of(PaymentMethod), table_of(Subscription)
    session.execute(
        sa.update(subscription)
        .where(subscription.c.payment_method_id == method_id, subscription.c.state.in_(RUNNING))
        .values(payment_method_id=None, version=subscription.c.version + 1)
    )
    session.execute(
        sa.update(table)
        .where(table.c.id == method_id)
        .values(detached_at=moment.now, forget_at=moment.now, is_default=False, is_backup=False)
    )


def take_refused(session: AnySession, setup_ids: Sequence[int], moment: Moment) -> None:
    """Take away what these set-ups stored and no bank ever accepted: nobody can see or remove it.

    At the checkout a card is stored before it is charged. What may still be charged stays.
    """
    table, setup = table_of(PaymentMethod), table_of(GatewaySetup)
    attempt, subscription = table_of(ChargeAttempt), table_of(Subscription)
    under_way = sa.exists().where(
        attempt.c.payment_method_id == table.c.id, attempt.c.state.in_(ANSWERABLE)
    )
    named = sa.exists().where(
        subscription.c.payment_method_id == table.c.id, subscription.c.state.in_(RUNNING)
    )
    stored = sa.select(setup.c.payment_method_id).where(
        setup.c.id.in_(setup_ids), setup.c.payment_method_id.is_not(None)
    )
    session.execute(
        sa.update(table)
        .where(
            table.c.id.in_(stored),
            table.c.detached_at.is_(None),
            ~was_accepted(),
            ~under_way,
            ~named,
        )
        .values(detached_at=moment.now, forget_at=moment.now, is_default=False, is_backup=False)
    )


def to_forget(session: AnySession, moment: Moment, limit: int) -> list[AnyRow]:
    """Return methods that their gateways still have to forget."""
    table = table_of(PaymentMethod)
    return list(
        session.execute(
            sa.select(table.c.id, table.c.gateway, table.c.account, table.c.token)
            .where(table.c.forget_at <= moment.now, table.c.detached_at.is_not(None))
            .order_by(table.c.forget_at, table.c.id)
            .limit(limit)
        )
    )


def forgotten(
    session: AnySession, ids: Sequence[int], again: Sequence[int], moment: Moment
) -> None:
    """Write down which methods are gone at their gateways, and which are asked about ``again``."""
    table = table_of(PaymentMethod)
    for keys, at in ((ids, None), (again, moment.now + ASK_AGAIN)):
        if keys:
            session.execute(
                sa.update(table)
                .where(table.c.id.in_(keys), table.c.detached_at.is_not(None))
                .values(forget_at=at)
            )
