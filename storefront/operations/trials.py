"""Who may have a free trial: somebody who never had a subscription here, by person and card."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.charging import AttemptState
from storefront.domain.lifecycle import UNPAID_KINDS, PeriodKind, SubscriptionState
from storefront.models import (
    ChargeAttempt,
    Customer,
    InvoiceLine,
    PaymentMethod,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession


def is_first_after_trial(attempt: sa.Table) -> sa.ColumnElement[bool]:
    """Return the condition of a charge that is the first for what follows a free trial.

    Tries that were refused before it do not count, nor what was paid for the trial itself.
    """
    line, period = table_of(InvoiceLine), table_of(SubscriptionPeriod)
    trial, other, sold = period.alias(), line.alias(), period.alias()
    taken = table_of(ChargeAttempt).alias()
    had_trial = sa.exists().where(
        trial.c.subscription_id == line.c.subscription_id, trial.c.kind == PeriodKind.TRIAL
    )
    was_charged = sa.exists().where(
        other.c.subscription_id == line.c.subscription_id,
        sold.c.id == other.c.period_id,
        sold.c.kind.not_in(UNPAID_KINDS),
        taken.c.invoice_id == other.c.invoice_id,
        taken.c.state == AttemptState.SUCCEEDED,
        taken.c.id != attempt.c.id,
    )
    return sa.exists().where(
        line.c.invoice_id == attempt.c.invoice_id,
        period.c.id == line.c.period_id,
        period.c.kind.not_in(UNPAID_KINDS),
        had_trial,
        sa.not_(was_charged),
    )


def may_try(session: AnySession, checkout: AnyRow) -> bool:
    """Return whether the shopper of ``checkout`` may have a trial, as far as is known.

    Somebody unknown may; the card decides once it is stored (``card_has_tried``), and a
    checkout whose card was refused a trial keeps that.
    """
    if checkout.quote.get("no_trial"):
        return False
    customer, subscription = table_of(Customer), table_of(Subscription)
    is_same = sa.or_(
        customer.c.id == checkout.customer_id, customer.c.email == (checkout.email or None)
    )
    had = (
        sa.select(subscription.c.id)
        .join(customer, customer.c.id == subscription.c.customer_id)
        .where(
            is_same,
            subscription.c.state.not_in([SubscriptionState.INCOMPLETE, SubscriptionState.EXPIRED]),
        )
        .limit(1)
    )
    return session.execute(had).scalar_one_or_none() is None


def card_has_tried(session: AnySession, fingerprint: str) -> bool:
    """Return whether this physical card paid for, or stood by, a trial before."""
    if not fingerprint:
        return False
    method, subscription = table_of(PaymentMethod), table_of(Subscription)
    period = table_of(SubscriptionPeriod)
    had = (
        sa.select(period.c.id)
        .join(subscription, subscription.c.id == period.c.subscription_id)
        .join(method, method.c.customer_id == subscription.c.customer_id)
        .where(
            method.c.fingerprint == fingerprint,
            period.c.kind == PeriodKind.TRIAL,
            subscription.c.state.not_in([SubscriptionState.INCOMPLETE, SubscriptionState.EXPIRED]),
        )
        .limit(1)
    )
    return session.execute(had).scalar_one_or_none() is not None
