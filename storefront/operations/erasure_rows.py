"""Blanking rows while somebody is erased: what each part of it does to a table."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.erasure import without_party, without_recipient
from storefront.models import Box, BoxReplacement, LateChange, OutboxMessage, ProviderParcel
from storefront.models.base import Base, table_of
from storefront.operations.keys import AnySelect, AnySession

#: Boxes that somebody still has to pack or hand over.
LEAVING = (BoxState.PLANNED, BoxState.HELD, BoxState.LOCKED, BoxState.EXPORTED)
#: An address that nobody has, in place of one that somebody had.
NOWHERE = dict.fromkeys(
    ("name", "company", "street", "extra", "postcode", "city", "region", "phone"), ""
)


def set_values(
    session: AnySession, model: type[Base], where: sa.ColumnElement[bool], **values: Any
) -> None:
    """Write ``values`` to the rows of ``model`` that ``where`` names."""
    session.execute(sa.update(table_of(model)).where(where).values(**values))


def blank_messages(session: AnySession, which: sa.ColumnElement[bool]) -> None:
    """Empty messages; what was not sent yet is not sent any more."""
    table = table_of(OutboxMessage)
    unsent = sa.case((table.c.state.in_(["waiting", "dead"]), "stopped"), else_=table.c.state)
    set_values(session, OutboxMessage, which, payload={}, error="", state=unsent)


def erase_boxes(session: AnySession, own: AnySelect) -> None:
    """Leave of every box of these subscriptions where in the world it went and what it held."""
    table, replacement = table_of(Box), table_of(BoxReplacement)
    mine = table.c.subscription_id.in_(own)
    rows = session.execute(
        sa.select(table.c.id, table.c.ship_to, table.c.packing)
        .where(mine, table.c.ship_to.is_not(None))
        .order_by(table.c.id)
    ).all()
    for one in rows:
        values: dict[str, Any] = {"ship_to": without_party(one.ship_to)}
        if one.packing is not None:
            values["packing"] = without_recipient(one.packing)
        set_values(session, Box, table.c.id == one.id, **values)
    boxes = sa.select(table.c.id).where(mine)
    set_values(session, BoxReplacement, replacement.c.box_id.in_(boxes), note="")
    parcel = table_of(ProviderParcel)
    # A provider says what is wrong with an address by repeating it; and asks for none again.
    over = sa.case((parcel.c.state.in_(["planned", "asked"]), "over"), else_=parcel.c.state)
    handed = parcel.c.box_id.in_(boxes)
    set_values(session, ProviderParcel, handed, error="", try_at=None, state=over)
    wish = table_of(LateChange)
    set_values(session, LateChange, wish.c.box_id.in_(boxes), address={}, note="")
    refused = wish.c.state == "refused"
    set_values(session, LateChange, sa.and_(wish.c.box_id.in_(boxes), refused), reason="-")
