"""Say how many boxes the cycles of a group can make, or one of them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.models import BoxCycle, CycleGroup
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import raise_version
from storefront.runtime import Runtime


class NoSuchCycle(DomainError):
    """There is no such cycle or group of plans."""

    code = "no_such_cycle"


def set_group_capacity(rt: Runtime, who: Who, group: str, boxes: int | None) -> bool:
    """Set what each cycle of a group can make, None: any number; False when nothing differs.

    Less than is taken is allowed: nobody loses a box, and nothing is sold for a cycle until
    there is room. Raises ``NoSuchCycle`` and, for less than one box, ``ValueError``.
    """
    if boxes is not None and boxes < 1:
        raise ValueError(f"{boxes} boxes are none")
    return _set(rt, who, CycleGroup, "group.capacity", group, boxes)


def set_cycle_capacity(rt: Runtime, who: Who, cycle: str, boxes: int | None) -> bool:
    """Set what one cycle can make, None: as its group; False when nothing differs.

    0 sells nothing for it. Raises ``NoSuchCycle`` and, below 0, ``ValueError``.
    """
    if boxes is not None and boxes < 0:
        raise ValueError(f"{boxes} boxes are none")
    return _set(rt, who, BoxCycle, "cycle.capacity", cycle, boxes)


def _set(rt: Runtime, who: Who, model: type[Any], event: str, ref: str, boxes: int | None) -> bool:
    def write() -> bool:
        table = table_of(model)
        row = rt.session.execute(
            sa.select(table.c.id, table.c.capacity)
            .where(table.c.public_id == ref)
            .with_for_update(key_share=True)
        ).one_or_none()
        if row is None or row.capacity == boxes:
            rt.session.rollback()
            if row is None:
                raise NoSuchCycle(ref=ref)
            return False
        rt.session.execute(sa.update(table).where(table.c.id == row.id).values(capacity=boxes))
        before, after = {"capacity": row.capacity}, {"capacity": boxes}
        audit.write(rt.session, who.id, event, ref, before, after, rt.moment(), who.ip)
        raise_version(rt.session)
        rt.session.commit()
        return True

    return retrying(rt.session, write)
