"""Boxes that came back or are lost, and were neither sent again, nor refunded, nor put aside."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import Box, BoxReturn
from storefront.models.base import table_of
from storefront.operations.moment import Moment
from storefront.operations.returns import GONE_WRONG, is_refunded, is_sent_again


def came_back(_moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Boxes that came back or are lost, about which nobody has decided."""
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
            box.c.state.in_(GONE_WRONG),
            ~is_sent_again(box),
            ~is_refunded(box, back),
        )
    )


def is_waiting(session: AnySession, box_ref: str, moment: Moment) -> bool:
    """Return whether the box is on that list."""
    part = came_back(moment, moment.now).subquery()
    box = table_of(Box)
    wanted = sa.exists().where(part.c.id == box.c.id, box.c.public_id == box_ref)
    return bool(session.scalar(sa.select(wanted)))
