"""Say how many subscribers a plan takes, and whether the stock limits what is sold of it."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.database import retrying
from storefront.models import PlanPlaces
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import locked_plan, raise_version
from storefront.operations.waiting import HOURS
from storefront.runtime import Runtime


def set_places(
    rt: Runtime,
    who: Who,
    plan: str,
    places: int | None,
    *,
    sells_by_stock: bool,
    invite_hours: int = HOURS,
) -> bool:
    """Set the limits of a plan's sale; False when nothing differs.

    Fewer places than are taken is allowed: nobody loses theirs, and nothing is sold until enough
    have left. ``invite_hours`` is how long a place is kept for somebody who waited. Raises
    ``UnknownPlan`` and, for less than one place, ``ValueError``.
    """
    if places is not None and places < 1:
        raise ValueError(f"{places} places are none")

    def write() -> bool:
        row, table = locked_plan(rt.session, plan), table_of(PlanPlaces)
        known = rt.session.execute(sa.select(table).where(table.c.plan_id == row.id)).one_or_none()
        before = {
            "places": known.places if known else None,
            "sells_by_stock": bool(known.sells_by_stock) if known else False,
            "invite_hours": known.invite_hours if known else HOURS,
        }
        after = {
            "places": places,
            "sells_by_stock": sells_by_stock,
            "invite_hours": invite_hours,
        }
        if before == after:
            rt.session.rollback()
            return False
        if known is None:
            rt.session.execute(sa.insert(table).values(plan_id=row.id, **after))
        else:
            rt.session.execute(sa.update(table).where(table.c.id == known.id).values(**after))
        audit.write(rt.session, who.id, "plan.changed", plan, before, after, rt.moment(), who.ip)
        raise_version(rt.session)
        rt.session.commit()
        return True

    return retrying(rt.session, write)
