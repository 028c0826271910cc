"""Boxes that came back and were neither sent again, nor refunded, nor put aside."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import BoxState
from storefront.domain.invoices import CreditReason
from storefront.models import Box, BoxReturn, CreditNote, CreditNoteLine, InvoiceLine
from storefront.models.base import table_of
from storefront.operations.moment import Moment


def came_back(_moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Boxes that came back, about which nobody has decided."""
    box, back = table_of(Box), table_of(BoxReturn)
    # Said twice, so that no planner goes through every box that ever left.
    listed = sa.select(back.c.box_id).where(back.c.settled_at.is_(None))
    return (
        sa.select(
            box.c.id,
            (box.c.net_minor + box.c.tax_minor).label("minor"),
            back.c.came_back_at.label("at"),
        )
        .join(box, box.c.id == back.c.box_id)
        .where(
            back.c.settled_at.is_(None),
            box.c.id.in_(listed.correlate(None)),
            box.c.state == BoxState.RETURNED,
            ~_is_sent_again(box),
            ~_is_refunded(box, back),
        )
    )


def is_waiting(session: AnySession, box_ref: str, moment: Moment) -> bool:
    """Return whether the box is on that list."""
    part = came_back(moment, moment.now).subquery()
    box = table_of(Box)
    wanted = sa.exists().where(part.c.id == box.c.id, box.c.public_id == box_ref)
    return bool(session.scalar(sa.select(wanted)))


def _is_sent_again(box: sa.Table) -> sa.ColumnElement[bool]:
    again = box.alias("again")
    return sa.exists().where(again.c.replaces_id == box.c.id, again.c.state != BoxState.CANCELED)


def _is_refunded(box: sa.Table, back: sa.Table) -> sa.ColumnElement[bool]:
    """What paid for the box gave back as much as its period's boxes on the list cost.

    Only what was given back since this one came back counts, and nothing that a change of plan
    took over. With two of one period, both stay until both are refunded, and boxes that were
    called off before they left come first: one is never taken for the other.
    """
    line, part, note = table_of(InvoiceLine), table_of(CreditNoteLine), table_of(CreditNote)
    given = (
        sa.select(sa.func.coalesce(sa.func.sum(part.c.gross_minor), 0))
        .join(note, note.c.id == part.c.credit_note_id)
        .join(line, line.c.id == part.c.invoice_line_id)
        .where(
            line.c.period_id == box.c.period_id,
            note.c.created_at >= back.c.came_back_at,
            note.c.reason != CreditReason.CHANGE,
        )
        .correlate(box, back)
        .scalar_subquery()
    )
    other, listed = box.alias("of_period"), back.alias("listed")
    cost = (
        sa.select(sa.func.sum(other.c.net_minor + other.c.tax_minor))
        .outerjoin(listed, listed.c.box_id == other.c.id)
        .where(
            other.c.period_id == box.c.period_id,
            sa.or_(
                sa.and_(
                    other.c.state == BoxState.RETURNED,
                    listed.c.id.is_not(None),
                    listed.c.settled_at.is_(None),
                ),
                other.c.state == BoxState.CANCELED,
            ),
        )
        .correlate(box)
        .scalar_subquery()
    )
    return sa.and_(box.c.net_minor + box.c.tax_minor > 0, given > 0, given >= cost)
