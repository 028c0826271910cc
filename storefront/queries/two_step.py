"""Whether somebody has a second step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import Customer, RecoveryCode, TwoStep
from storefront.models.base import table_of


@dataclass(frozen=True, slots=True)
class TwoStepState:
    """What a page says about it."""

    #: None while it is off.
    on_since: datetime | None
    #: An authenticator was shown its secret, and no code of it was typed yet.
    is_begun: bool = False
    codes_left: int = 0


OFF = TwoStepState(None)


def two_step_of(
    session: AnySession, *, customer: int | None = None, staff: int | None = None
) -> TwoStepState:
    """Return the second step of a customer or of a staff user; one statement."""
    table, codes = table_of(TwoStep), table_of(RecoveryCode)
    left = (
        sa.select(sa.func.count())
        .select_from(codes)
        .where(codes.c.two_step_id == table.c.id, codes.c.used_at.is_(None))
        .scalar_subquery()
    )
    whose = table.c.staff_id == staff if customer is None else table.c.customer_id == customer
    row = session.execute(
        sa.select(table.c.confirmed_at, left.label("left")).where(whose)
    ).one_or_none()
    if row is None:
        return OFF
    return TwoStepState(row.confirmed_at, row.confirmed_at is None, row.left)


def has_two_step(session: AnySession, customer: str) -> bool:
    """Return whether a customer, by public id, is asked for a second step; one statement."""
    table, person = table_of(TwoStep), table_of(Customer)
    statement = (
        sa.select(table.c.id)
        .join(person, person.c.id == table.c.customer_id)
        .where(person.c.public_id == customer, table.c.confirmed_at.is_not(None))
    )
    return session.execute(statement).first() is not None
