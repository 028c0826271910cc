"""The mark that renewals were set aside because nothing ran for two days, and letting them go on.

The mark is on the shop's settings, which every page reads anyway, so that only while it is there
anybody counts what waits. Source: docs/decisions/0132-after-a-standstill.md.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from storefront.models import ShopSettings
from storefront.models.base import table_of
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment

#: Value of ``charging_held_reason`` while late renewals wait for the owner.
LATE = "late"


def note_late(session: AnySession) -> None:
    """Mark that renewals wait for the owner because they are late."""
    table = table_of(ShopSettings)
    session.execute(
        sa.update(table)
        .where(table.c.charging_held_reason != LATE)
        .values(charging_held_reason=LATE)
    )


def let_late_go(session: AnySession, moment: Moment) -> dict[str, Any]:
    """Let go on what fell due until now, however late; returns until when that was so before."""
    table = table_of(ShopSettings)
    before = session.scalar(sa.select(table.c.late_released_at).with_for_update())
    session.execute(sa.update(table).values(late_released_at=moment.now, charging_held_reason=""))
    return {"late_released_at": before}
