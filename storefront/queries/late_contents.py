"""What the page shows on which other contents are asked for a box behind its cut-off."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import Box, Plan, Subscription
from storefront.models.base import table_of
from storefront.operations.late_contents import late_offer
from storefront.operations.moment import Moment
from storefront.queries.choices import ChoicePage, pool_page
from storefront.queries.swaps import Line, line_of


@dataclass(frozen=True, slots=True)
class LateContents:
    """What may be in the box instead: a choice from the pool, or ``lines`` to swap."""

    choice: ChoicePage | None
    lines: tuple[Line, ...]
    #: The box is packed so many times as large.
    quantity: int


def late_contents(session: AnySession, ref: str, moment: Moment) -> LateContents | None:
    """Return it for the box ``ref``, None where nothing else can come."""
    box, subscription, plan = table_of(Box), table_of(Subscription), table_of(Plan)
    row = session.execute(
        sa.select(
            box,
            subscription.c.public_id.label("subscription"),
            plan.c.name.label("plan"),
        )
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .join(plan, plan.c.id == box.c.plan_id)
        .where(box.c.public_id == ref)
    ).one_or_none()
    late = late_offer(session, row) if row is not None else None
    if row is None or late is None:
        return None
    if late.swaps is not None:
        lines = tuple(line_of(one, late.swaps) for one in late.swaps.lines)
        return LateContents(None, lines, late.box.quantity)
    assert late.pool is not None
    page = pool_page(
        session,
        late.box,
        late.pool,
        late.now,
        moment,
        subscription=row.subscription,
        plan=row.plan,
        is_monthly=False,
        until_on=late.box.cycle.cutoff_on,
    )
    return LateContents(page, (), late.box.quantity)
