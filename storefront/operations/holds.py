"""What open orders hold of plans that are limited, until they are paid or given up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from storefront.models import OrderHold, WaitingPlace
from storefront.models.base import table_of
from storefront.operations.capacity import Joins
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment

#: How long an order that went to pay holds its boxes.
HOLD = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A box of an order."""

    plan_id: int
    quantity: int
    options: Mapping[str, Any]
    #: The cycles it goes to, where these make a limited number of boxes.
    joins: Joins | None = None


def hold_boxes(
    session: AnySession, checkout_id: int, wanted: Sequence[Wanted], moment: Moment
) -> set[int]:
    """Write what an order holds; return the plans of which it held something before."""
    hold = table_of(OrderHold)
    kept = session.execute(
        sa.select(hold.c.plan_id, sa.func.max(hold.c.until_at).label("until_at"))
        .where(hold.c.checkout_id == checkout_id)
        .group_by(hold.c.plan_id)
    )
    # Longer than half an hour only by ``hold_as_invited``.
    until = {row.plan_id: row.until_at for row in kept}
    # Those of others that are over go too, so that the table stays small.
    stale = sa.or_(hold.c.checkout_id == checkout_id, hold.c.until_at <= moment.now)
    session.execute(sa.delete(hold).where(stale))
    session.execute(
        sa.insert(hold),
        [
            {
                "checkout_id": checkout_id,
                "position": position,
                "plan_id": one.plan_id,
                "quantity": one.quantity,
                "options": dict(one.options),
                "until_at": max(moment.now + HOLD, until.get(one.plan_id, moment.now)),
            }
            for position, one in enumerate(wanted)
        ],
    )
    return set(until)


def hold_as_invited(session: AnySession, checkout_id: int, email: str) -> None:
    """Hold the boxes of an order for as long as a place was kept for its e-mail.

    For the order that takes its e-mail off the list: a card that is refused loses no place.
    """
    hold, place = table_of(OrderHold), table_of(WaitingPlace)
    invited = (
        place.c.plan_id == hold.c.plan_id,
        place.c.email == email,
        place.c.until_at > hold.c.until_at,
    )
    until = sa.select(place.c.until_at).where(*invited).scalar_subquery()
    session.execute(
        sa.update(hold)
        .where(hold.c.checkout_id == checkout_id, sa.exists().where(*invited))
        .values(until_at=until)
    )


def drop_holds(session: AnySession, checkout_id: int) -> None:
    """Let go what an order held."""
    hold = table_of(OrderHold)
    session.execute(sa.delete(hold).where(hold.c.checkout_id == checkout_id))
