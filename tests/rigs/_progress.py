"""How far the work of a rig's shop has come, read from its database."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import sqlalchemy as sa

from storefront.domain.charging import OPEN_ATTEMPTS, AttemptState
from storefront.domain.lifecycle import SubscriptionState
from storefront.models import ChargeAttempt, InvoiceLine, Refund, Subscription
from storefront.models.base import table_of
from storefront.operations.keys import AnySelect, AnySession

#: The bank has been asked and has not been heard.
_ASKED = OPEN_ATTEMPTS - {AttemptState.PLANNED}


@dataclass(frozen=True)
class State:
    """How many of each are under way: subscriptions, then attempts, then refunds."""

    due: int
    claimed: int
    planned: int
    asked: int
    refunds: int

    @property
    def is_busy(self) -> bool:
        """Return whether workers have something to do now, without the clock moving."""
        return bool(self.due or self.planned)

    @property
    def is_settled(self) -> bool:
        return not (self.is_busy or self.claimed or self.asked or self.refunds)


def state_of(session: AnySession, now: datetime, lease_seconds: int) -> State:
    """Return the state at ``now``, in one statement."""
    leases = now + timedelta(seconds=lease_seconds + 1)
    row = session.execute(_state_statement(), {"now": now, "leases": leases}).one()
    return State(**row._mapping)


@cache
def _state_statement() -> AnySelect:
    subscription, attempt, refund = (
        table_of(Subscription),
        table_of(ChargeAttempt),
        table_of(Refund),
    )
    time_type = subscription.c.renews_at.type
    now, leases = sa.bindparam("now", type_=time_type), sa.bindparam("leases", type_=time_type)
    counts = {
        "due": subscription.c.renews_at <= now,
        "claimed": sa.and_(subscription.c.renews_at > now, subscription.c.renews_at <= leases),
        "planned": attempt.c.state == AttemptState.PLANNED,
        "asked": attempt.c.state.in_(_ASKED),
        "refunds": refund.c.state.in_(OPEN_ATTEMPTS),
    }
    return sa.select(
        *[
            sa.select(sa.func.count()).where(where).scalar_subquery().label(name)
            for name, where in counts.items()
        ]
    )


def next_check(session: AnySession) -> datetime | None:
    """Return when the first open attempt or refund is looked up again.

    A refund that is done is looked up once more a week later; nobody waits for that here.
    """
    attempt, refund = table_of(ChargeAttempt), table_of(Refund)
    open_ones = (
        sa.select(sa.func.min(attempt.c.check_at)),
        sa.select(sa.func.min(refund.c.check_at)).where(refund.c.state.in_(OPEN_ATTEMPTS)),
    )
    times = [session.execute(first).scalar_one() for first in open_ones]
    return min((moment for moment in times if moment), default=None)


def next_renewal(session: AnySession) -> datetime | None:
    """Return when the first subscription falls due."""
    table = table_of(Subscription)
    found: datetime | None = session.execute(sa.select(sa.func.min(table.c.renews_at))).scalar_one()
    return found


def asked_about(session: AnySession) -> tuple[int, str] | None:
    """Return customer and subscription of one charge whose answer is missing."""
    attempt, line, table = table_of(ChargeAttempt), table_of(InvoiceLine), table_of(Subscription)
    row = session.execute(
        sa.select(table.c.customer_id, table.c.public_id)
        .join(line, line.c.subscription_id == table.c.id)
        .join(attempt, attempt.c.invoice_id == line.c.invoice_id)
        .where(attempt.c.state.in_(_ASKED), table.c.state == SubscriptionState.ACTIVE)
        .limit(1)
    ).first()
    return (row.customer_id, row.public_id) if row else None
