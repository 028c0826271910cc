"""The guard over planned charges, as conditions that the database decides set-wise.

Every charge that a worker sends passes here, and each refusal has its reason
(``domain.charging.Refusal``), for the pages where staff look.
Source: docs/decisions/0126-when-sending-stops-and-waits.md.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cache

import sqlalchemy as sa

from storefront.domain.charging import AttemptState, Refusal
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import ENDED, SubscriptionState
from storefront.models import (
    Consent,
    Invoice,
    InvoiceLine,
    PaymentMethod,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import Base, table_of
from storefront.operations.ceilings import below_ceilings, since
from storefront.operations.gateway_states import is_closed, is_stopped
from storefront.operations.moment import Moment
from storefront.operations.questions import Values

#: How long a planned on-session attempt is left to the page that planned it.
ON_SESSION_GRACE = timedelta(minutes=2)
#: Where a notice is required, nothing is debited so shortly before the end of its period.
QUIET_BEFORE_END = timedelta(hours=36)
#: Names of the gateways that require a notice before a debit, in one order.
Announced = tuple[str, ...]


def fresh(moment: Moment) -> Values:
    """Return the parameter of ``waiting``."""
    return {"fresh": moment.now - ON_SESSION_GRACE}


def times(moment: Moment) -> Values:
    """Return the parameters of ``may_go`` and ``refusal``."""
    tomorrow = moment.today + timedelta(days=1)
    after = tomorrow + timedelta(days=1)
    is_quiet = moment.start_of(after) - QUIET_BEFORE_END <= moment.now
    return {
        "now": moment.now,
        "ends_next": tomorrow,
        "ends_soon": after if is_quiet else tomorrow,
        **fresh(moment),
        **since(moment),
    }


def is_planned(attempt: sa.Table) -> sa.ColumnElement[bool]:
    """Planned, whether it may be sent or not."""
    # Written out: SQLite plans anew at each run when a parameter decides on a partial index.
    planned: sa.ColumnElement[str] = sa.literal_column(f"'{AttemptState.PLANNED}'")
    return attempt.c.state == planned


def waiting(attempt: sa.Table) -> sa.ColumnElement[bool]:
    """Planned, and no page is about to send it."""
    at = sa.bindparam("fresh", type_=attempt.c.created_at.type)
    return sa.and_(
        is_planned(attempt),
        sa.or_(sa.not_(attempt.c.on_session), attempt.c.created_at < at),
    )


def may_go(attempt: sa.Table, announced: Announced) -> sa.ColumnElement[bool]:
    """All of the guard: what the worker may send now."""
    return sa.and_(
        waiting(attempt),
        sa.not_(is_closed(attempt)),
        allowed(attempt),
        is_within_limit(attempt),
        _has_come(attempt),
        *([_is_told(attempt, announced)] if announced else []),
        below_ceilings(attempt),
    )


def refusal(attempt: sa.Table, announced: Announced) -> sa.ColumnElement[str]:
    """Return the first reason for which a planned attempt is not sent now; empty: it will be.

    That the shop as a whole charges nothing (live-lock, held by the merchant) no row knows.
    """
    told = sa.true() if not announced else _is_told(attempt, announced)
    reasons: tuple[tuple[sa.ColumnElement[bool], Refusal], ...] = (
        (sa.not_(is_owed(attempt)), Refusal.NOTHING_DUE),
        (sa.not_(is_usable(attempt)), Refusal.NO_METHOD),
        (is_over(attempt), Refusal.NOT_BILLABLE),
        (sa.not_(is_within_limit(attempt)), Refusal.OVER_LIMIT),
        (_is_held(attempt), Refusal.HELD),
        (_lacks_consent(attempt), Refusal.NO_CONSENT),
        (sa.not_(_has_come(attempt)), Refusal.TOO_EARLY),
        (sa.not_(told), Refusal.NOTICE_MISSING),
        (sa.not_(below_ceilings(attempt)), Refusal.RETRY_LIMIT),
        (is_stopped(attempt), Refusal.GATEWAY_STOPPED),
        (is_closed(attempt), Refusal.GATEWAY_SLOW),
    )
    return sa.case(*[(when, sa.literal(why.value)) for when, why in reasons], else_="")


def allowed(attempt: sa.Table) -> sa.ColumnElement[bool]:
    """Owed, with a method that may be charged, and for nobody who left, is held or never agreed."""
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
    return sa.and_(is_owed(attempt), is_usable(attempt), sa.not_(refused))


@cache
def _apart(model: type[Base]) -> sa.FromClause:
    """The table once more, so that the guard also stands in a statement that joins it."""
    return table_of(model).alias()


def is_owed(attempt: sa.Table) -> sa.ColumnElement[bool]:
    """The invoice still owes exactly this amount."""
    invoice = _apart(Invoice)
    return sa.exists().where(
        invoice.c.id == attempt.c.invoice_id,
        invoice.c.state.in_([InvoiceState.OPEN, InvoiceState.OFFERED]),
        invoice.c.due_minor == attempt.c.amount_minor - attempt.c.carried_minor,
    )


def is_usable(attempt: sa.Table) -> sa.ColumnElement[bool]:
    """Its method is there and was not refused for good."""
    method = _apart(PaymentMethod)
    return sa.exists().where(
        method.c.id == attempt.c.payment_method_id,
        method.c.detached_at.is_(None),
        method.c.refused_at.is_(None),
    )


def is_within_limit(attempt: sa.Table) -> sa.ColumnElement[bool]:
    """No more than its owner agreed that one charge may take, or they are there to agree."""
    method = _apart(PaymentMethod)
    exceeded = sa.exists().where(
        method.c.id == attempt.c.payment_method_id,
        method.c.limit_minor.is_not(None),
        sa.or_(
            method.c.limit_minor < attempt.c.amount_minor,
            method.c.limit_currency != attempt.c.currency,
        ),
    )
    return sa.or_(attempt.c.on_session, sa.not_(exceeded))


def is_over(attempt: sa.Table) -> sa.ColumnElement[bool]:
    """A subscription on the invoice has ended or pauses: nothing is charged for it again.

    One whose lines were credited when it left is not on it any more.
    """
    gone = (*ENDED, SubscriptionState.PAUSED)
    return _has_subscription(attempt, lambda row: row.c.state.in_(gone))


def _is_held(attempt: sa.Table) -> sa.ColumnElement[bool]:
    return _has_subscription(attempt, lambda row: row.c.held_at.is_not(None))


def _lacks_consent(attempt: sa.Table) -> sa.ColumnElement[bool]:
    consent = table_of(Consent)
    return _has_subscription(
        attempt, lambda row: sa.not_(sa.exists().where(consent.c.subscription_id == row.c.id))
    )


def _has_subscription(
    attempt: sa.Table, condition: Callable[[sa.FromClause], sa.ColumnElement[bool]]
) -> sa.ColumnElement[bool]:
    line, subscription = _apart(InvoiceLine), _apart(Subscription)
    return sa.exists().where(
        line.c.invoice_id == attempt.c.invoice_id,
        sa.not_(line.c.is_void),
        subscription.c.id == line.c.subscription_id,
        condition(subscription),
    )


def _has_come(attempt: sa.Table) -> sa.ColumnElement[bool]:
    now = sa.bindparam("now", type_=attempt.c.not_before.type)
    return sa.or_(attempt.c.not_before.is_(None), attempt.c.not_before <= now)


def _is_told(attempt: sa.Table, announced: Announced) -> sa.ColumnElement[bool]:
    """Its customer was told of it, and its period is not about to end; where that is required.

    The days are those on which the quiet time before an end has begun already.
    """
    line, period = _apart(InvoiceLine), _apart(SubscriptionPeriod)
    soon = [sa.bindparam(name, type_=period.c.end_on.type) for name in ("ends_next", "ends_soon")]
    is_ending = sa.exists().where(
        line.c.invoice_id == attempt.c.invoice_id,
        sa.not_(line.c.is_void),
        period.c.id == line.c.period_id,
        sa.or_(*[period.c.end_on == day for day in soon]),
    )
    told = sa.and_(attempt.c.notified_at.is_not(None), sa.not_(is_ending))
    return sa.or_(attempt.c.on_session, attempt.c.gateway.not_in(announced), told)


def needs_notice(attempt: sa.Table, announced: Announced) -> sa.ColumnElement[bool]:
    """Planned at a gateway that requires a notice, allowed otherwise, and nobody was told yet."""
    return sa.and_(
        waiting(attempt),
        sa.not_(attempt.c.on_session),
        attempt.c.gateway.in_(announced),
        attempt.c.notified_at.is_(None),
        allowed(attempt),
        is_within_limit(attempt),
    )
