"""Put the address of one locked parcel right before it is exported."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.boxes import BoxState
from storefront.domain.errors import DomainError
from storefront.domain.packing import Problem
from storefront.models import Box
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.repacking import packing_for
from storefront.runtime import Runtime

#: What may be put right: another country would be another price and another tax.
PARTS = ("name", "company", "street", "extra", "postcode", "city", "region", "phone")


class ParcelGone(DomainError):
    """The box is in a batch by now, or is not locked."""

    code = "parcel_gone"


class AddressIncomplete(DomainError):
    """Name, street and city are needed."""

    code = "address_incomplete"


def correct_parcel_address(rt: Runtime, who: Who, box_ref: str, parts: Mapping[str, str]) -> bool:
    """Change what stands on the parcel of one locked box; False when it says so already.

    The subscription's own address stays. The box is tried again with the next batch. Raises
    ``ParcelGone`` and ``AddressIncomplete``.
    """

    def write() -> bool:
        box = table_of(Box)
        open_box = (box.c.state == BoxState.LOCKED, box.c.batch_id.is_(None))
        row = rt.session.execute(
            sa.select(box.c.id, box.c.ship_to, box.c.packing, box.c.problem)
            .where(box.c.public_id == box_ref, *open_box)
            .with_for_update()
        ).one_or_none()
        if row is None:
            rt.session.rollback()
            raise ParcelGone(box=box_ref)
        new = {**row.ship_to, **{part: parts[part] for part in PARTS if part in parts}}
        if not all(str(new.get(part) or "").strip() for part in ("name", "street", "city")):
            rt.session.rollback()
            raise AddressIncomplete(box=box_ref)
        changed = {part for part in new if (row.ship_to.get(part) or "") != (new[part] or "")}
        if not changed:
            rt.session.rollback()
            return False
        problem = "" if row.problem == Problem.NO_FIT.value else row.problem
        packing = packing_for(rt.session, row.id, row.packing, new)
        values = {"ship_to": new, "packing": packing, "problem": problem}
        rt.session.execute(sa.update(box).where(box.c.id == row.id, *open_box).values(**values))
        data = {"parts": sorted(changed)}
        action = "parcel.address_corrected"
        audit.write(rt.session, who.id, action, box_ref, {}, data, rt.moment(), who.ip)
        rt.session.commit()
        return True

    return retrying(rt.session, write)
