"""Renewals that wait because nothing is sent to where their next box would go."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.domain.lifecycle import BILLABLE
from storefront.models import OutboxMessage, Price, Subscription
from storefront.models.base import table_of
from storefront.operations.moment import Moment
from storefront.operations.undeliverable import KEY

#: They are asked again every hour, so none is due later than that.
_SOON = timedelta(days=1)


def waiting(moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Payments that are due and not taken: their subscribers were told so by a mail for each."""
    subscription, price = table_of(Subscription), table_of(Price)
    mail = table_of(OutboxMessage)
    # As ``undeliverable.tell_undeliverable`` writes it; found by the key's index.
    day = sa.cast(subscription.c.next_on, sa.Text)
    key = sa.literal(KEY) + subscription.c.public_id + sa.literal(":") + day
    return (
        sa.select(
            subscription.c.id,
            (price.c.amount_minor * subscription.c.quantity).label("minor"),
            mail.c.created_at.label("at"),
        )
        .join(price, price.c.id == subscription.c.price_id)
        .join(mail, mail.c.key == key)
        .where(
            subscription.c.renews_at <= moment.now + _SOON,
            subscription.c.next_on <= moment.today,
            subscription.c.state.in_(BILLABLE),
            subscription.c.held_at.is_(None),
            subscription.c.parked_at.is_(None),
        )
    )
