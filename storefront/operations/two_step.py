"""Rows of second steps: whose they are, and how they go."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from storefront.models import RecoveryCode, TwoStep
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


def forget_two_steps(session: AnySession, which: sa.ColumnElement[bool]) -> int:
    """Delete the second steps that ``which`` names, with their recovery codes; returns how many."""
    table, codes = table_of(TwoStep), table_of(RecoveryCode)
    keys = sa.select(table.c.id).where(which)
    session.execute(sa.delete(codes).where(codes.c.two_step_id.in_(keys)))
    gone = session.execute(sa.delete(table).where(which).returning(table.c.id)).all()
    return len(gone)


def forget_of_customers(session: AnySession, ids: Sequence[int]) -> int:
    """Delete the second steps of customers whose accounts close."""
    return forget_two_steps(session, table_of(TwoStep).c.customer_id.in_(ids))
