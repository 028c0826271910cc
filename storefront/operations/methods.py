"""Which stored card pays for a subscription, and which a customer may be offered again."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.charging import AttemptState
from storefront.models import ChargeAttempt, GatewaySetup, Invoice, PaymentMethod, Subscription
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


def was_accepted() -> sa.ColumnElement[bool]:
    """True of a row of ``payment_method`` unless an order was tried with it and never paid.

    At the checkout a card is stored before it is charged; when the bank then says no, nobody
    has accepted it. One that was added in the account was accepted by its set-up alone.
    """
    method, attempt, invoice = (table_of(each) for each in (PaymentMethod, ChargeAttempt, Invoice))
    setup = table_of(GatewaySetup)
    tried_with = sa.exists().where(attempt.c.payment_method_id == method.c.id)
    ordered_with = tried_with.where(
        invoice.c.id == attempt.c.invoice_id, invoice.c.checkout_id.is_not(None)
    )
    paid_with = tried_with.where(attempt.c.state == AttemptState.SUCCEEDED)
    added_in_account = sa.exists().where(
        setup.c.payment_method_id == method.c.id, setup.c.checkout_id.is_(None)
    )
    return sa.or_(~ordered_with, paid_with, added_in_account)


def paying_method(*, usable: bool) -> sa.ColumnElement[bool]:
    """Return the condition that joins a subscription with the method that pays for it.

    That is the method the subscription names; where it names none, its payer's default one
    (the payer is who was named to pay, otherwise the customer). A method that was taken away
    is nobody's default. Nothing pays for a gift: its giver has paid all of it.

    ``usable`` passes over a method that was taken away or refused for good: nobody could pay.
    The renewal goes without it: what is owed is invoiced, the guard abandons the charge, and
    the customer is asked for another card.
    """
    subscription, method = table_of(Subscription), table_of(PaymentMethod)
    payer = sa.func.coalesce(subscription.c.payer_id, subscription.c.customer_id)
    default = sa.and_(
        subscription.c.payment_method_id.is_(None),
        method.c.customer_id == payer,
        method.c.is_default,
        method.c.detached_at.is_(None),
    )
    named = method.c.id == subscription.c.payment_method_id
    chosen = sa.and_(sa.not_(subscription.c.is_gift), sa.or_(named, default))
    if not usable:
        return chosen
    return sa.and_(chosen, method.c.detached_at.is_(None), method.c.refused_at.is_(None))


def has_default(session: AnySession, customer_id: int) -> bool:
    """True if something could be charged to the customer's default method."""
    table = table_of(PaymentMethod)
    found = session.execute(
        sa.select(table.c.id).where(
            table.c.customer_id == customer_id,
            table.c.is_default,
            table.c.detached_at.is_(None),
            table.c.refused_at.is_(None),
        )
    ).first()
    return found is not None
