"""Tell of a batch whose file is published: by mail to who packs, and to plugins as an event."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from storefront.models import BoxCycle, CycleGroup
from storefront.models.base import table_of
from storefront.operations.fulfilment import BatchFacts
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.provider_parcels import plan_batch

#: Topic of the mail that carries the file.
BATCH_FILE = "batch_file"
BATCH_EXPORTED = "batch.exported"


def tell_of_batch(
    session: AnySession,
    batch: BatchFacts,
    rows: int,
    sha256: str,
    path: str,
    moment: Moment,
    takers: Sequence[str],
) -> None:
    """Put what is sent about ``batch`` into the outbox, in the transaction that closes it.

    A batch closes once, and two messages with one key are one, so each is sent for once. Its
    boxes are planned for the group's shipping provider, if it is one of ``takers``.
    """
    group, cycle = table_of(CycleGroup), table_of(BoxCycle)
    to = session.scalar(
        sa.select(group.c.export_mail)
        .join(cycle, cycle.c.group_id == group.c.id)
        .where(cycle.c.id == batch.cycle_id)
    )
    data = {
        "batch": batch.public_id,
        "cycle": batch.cycle_key,
        "number": batch.number,
        "format": batch.layout.code,
        "boxes": rows,
        "sha256": sha256,
        "file": path,
    }
    stamp = moment.now.isoformat()
    messages = []
    if moment.announce:
        told = {"subject": batch.public_id, "occurred_at": stamp, "data": data}
        key = f"event:{BATCH_EXPORTED}:{batch.public_id}"
        messages.append(Message("event", BATCH_EXPORTED, key, told))
    if to:
        key = f"mail:{BATCH_FILE}:{batch.public_id}"
        messages.append(Message("mail", BATCH_FILE, key, {**data, "to": to}))
    enqueue(session, messages, moment.now)
    plan_batch(session, batch.id, takers, moment)
