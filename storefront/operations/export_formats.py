"""Which formats of exports there are, and which one a group of plans uses."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.carriers.generic import GENERIC
from storefront.domain.carriers.layout import Layout, layout_of
from storefront.domain.carriers.presets import PRESETS
from storefront.models import BoxCycle, CycleGroup, ExportFormat
from storefront.models.base import table_of
from storefront.operations.keys import AnySession

#: ``fulfilment_batch.format`` of a format that the merchant made.
OWN = "own"


def layout_named(session: AnySession, code: str) -> Layout | None:
    """Return the layout of a preset that can be used as it is, or of a merchant's format."""
    preset = PRESETS.get(code)
    if preset is not None:
        return preset.layout if preset.is_ready else None
    own = table_of(ExportFormat)
    data = session.scalar(
        sa.select(own.c.layout).where(own.c.public_id == code, own.c.archived_at.is_(None))
    )
    return None if data is None else layout_of(data).safe


def layout_for(session: AnySession, cycle_id: int) -> Layout:
    """Return the layout that the boxes of a cycle are exported in, unless another is asked for.

    A format that is gone falls back to the generic one, which takes every box.
    """
    cycle, group = table_of(BoxCycle), table_of(CycleGroup)
    code = session.execute(
        sa.select(group.c.export_format)
        .join(cycle, cycle.c.group_id == group.c.id)
        .where(cycle.c.id == cycle_id)
    ).scalar_one()
    return layout_named(session, code) or GENERIC.layout


def code_of(layout: Layout) -> str:
    """Return what ``fulfilment_batch.format`` says for ``layout``."""
    return layout.code if layout.code in PRESETS else OWN
