"""Say of a product what customs ask, also for boxes that are locked and not exported yet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.boxes import BoxState
from storefront.domain.customs import CustomsData, customs_line, hs_code_of
from storefront.domain.errors import DomainError
from storefront.domain.packing import Problem
from storefront.models import Box, ProductVariant
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.customs import customs_columns, customs_of
from storefront.runtime import Runtime

#: Boxes whose frozen data is renewed in one transaction.
_SLICE = 200


class VariantGone(DomainError):
    """No such product."""

    code = "variant_gone"


@dataclass(frozen=True, slots=True)
class CustomsDraft:
    """As typed; an empty part is not known."""

    hs_code: str
    origin: str
    text: str


def save_customs(rt: Runtime, who: Who, variant: str, draft: CustomsDraft) -> int:
    """Keep what customs ask of a product; returns the boxes that take it over.

    Those are locked and in no batch yet; what was exported stays as it was written. Raises
    ``VariantGone``, and ``ValueError`` for a tariff number that is none.
    """
    code = hs_code_of(draft.hs_code) if draft.hs_code.strip() else ""
    values = {"hs_code": code, "origin_country": draft.origin, "customs_text": draft.text}

    def write() -> tuple[str, int, CustomsData]:
        table = table_of(ProductVariant)
        columns = (table.c.id, table.c.sku, table.c.weight_grams, *customs_columns())
        which = table.c.public_id == variant
        row = rt.session.execute(sa.select(*columns).where(which)).one_or_none()
        if row is None:
            rt.session.rollback()
            raise VariantGone(variant=variant)
        before = {name: getattr(row, name) for name in values}
        if before != values:
            rt.session.execute(sa.update(table).where(which).values(**values))
            after, moment = dict(values), rt.moment()
            audit.write(
                rt.session, who.id, "product.customs", variant, before, after, moment, who.ip
            )
        row = rt.session.execute(sa.select(*columns).where(which)).one()
        rt.session.commit()
        return row.sku, row.weight_grams, customs_of(row)

    sku, grams, data = retrying(rt.session, write)
    renewed, after = 0, 0
    while True:
        slice_of = partial(_renew, rt, sku, grams, data, after)
        last, done = retrying(rt.session, slice_of)
        renewed += done
        if last is None:
            return renewed
        after = last


def _renew(
    rt: Runtime, sku: str, grams: int, data: CustomsData, after: int
) -> tuple[int | None, int]:
    """Renew one slice of boxes behind the key ``after``; the last key, None at the end."""
    box = table_of(Box)
    waits = sa.and_(box.c.state == BoxState.LOCKED, box.c.batch_id.is_(None))
    rows = rt.session.execute(
        sa.select(box.c.id, box.c.packing, box.c.problem)
        .where(waits, box.c.id > after)
        .order_by(box.c.id)
        .limit(_SLICE)
        .with_for_update()
    ).all()
    done = 0
    for row in rows:
        lines = [_line(one, sku, grams, data) for one in row.packing.get("customs", ())]
        if lines != row.packing.get("customs", []):
            packing = {**row.packing, "customs": lines}
            values: dict[str, Any] = {"packing": packing}
            if row.problem == Problem.NO_FIT:
                # What was missing may have been this; the next export says if it was not.
                values["problem"] = ""
            update = sa.update(box).where(box.c.id == row.id, waits).values(**values)
            done += len(rt.session.execute(update.returning(box.c.id)).all())
    rt.session.commit()
    return (rows[-1].id if len(rows) == _SLICE else None), done


def _line(line: dict[str, Any], sku: str, grams: int, data: CustomsData) -> dict[str, Any]:
    return customs_line(sku, line["pieces"], grams, data) if line["sku"] == sku else line
