"""Boxes for shipping providers: planned with their batch, claimed by one worker, noted.

Source: docs/decisions/0178-shipping-providers.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.domain.customs import grams_by_sku
from storefront.domain.parcels import ParcelLine, ParcelOrder
from storefront.models import Box, BoxCycle, CycleGroup, FulfilmentBatch, ProviderParcel, Shipment
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.moment import Moment
from storefront.operations.questions import Question, at_now

#: A worker that claimed a box and died gives it back after this.
LEASE = timedelta(minutes=5)
#: After try n without an answer a box waits so long; the last is used for all after it.
BACK_OFF = tuple(timedelta(minutes=each) for each in (1, 5, 15, 60, 240, 720))
#: So long a box waits that was not offered, because its provider does not answer.
WAIT = timedelta(minutes=5)
#: A person looks after so many tries in vain, about three days.
MOST_TRIES = 10
#: A parcel is asked about for so long at most.
FOLLOWED = timedelta(days=60)


def plan_batch(
    session: AnySession, batch_id: int, providers: Sequence[str], moment: Moment
) -> None:
    """Plan the boxes of a batch that closes for its group's provider, each once for ever.

    ``providers`` are those that take boxes; of others a box is only followed once it left.
    """
    if not providers:
        return
    box, cycle, group = table_of(Box), table_of(BoxCycle), table_of(CycleGroup)
    rows = (
        _planned("box", moment)
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .join(group, group.c.id == cycle.c.group_id)
        .where(
            box.c.batch_id == batch_id,
            # One for a parcel: its first box.
            sa.or_(box.c.parcel_id.is_(None), box.c.parcel_id == box.c.id),
            group.c.export_provider.in_(providers),
            _unplanned(),
        )
        .order_by(box.c.id)
    )
    session.execute(sa.insert(table_of(ProviderParcel)).from_select(_COLUMNS, rows))


def plan_numbers(session: AnySession, boxes: Sequence[int], moment: Moment) -> None:
    """Plan boxes that have a number now to be followed by their group's provider.

    One that the provider has already is left alone.
    """
    if not boxes:
        return
    box, cycle, group = table_of(Box), table_of(BoxCycle), table_of(CycleGroup)
    shipment = table_of(Shipment)
    rows = (
        _planned("number", moment)
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .join(group, group.c.id == cycle.c.group_id)
        .join(shipment, shipment.c.id == box.c.shipment_id)
        .where(
            box.c.id.in_(boxes),
            group.c.export_provider != "",
            shipment.c.tracking_number != "",
            ~_leaves_with_first(),
            _unplanned(),
        )
        .order_by(box.c.id)
    )
    session.execute(sa.insert(table_of(ProviderParcel)).from_select(_COLUMNS, rows))


_COLUMNS = [
    "box_id",
    "provider",
    "way",
    "state",
    "provider_reference",
    "tries",
    "try_at",
    "error",
    "created_at",
]


def _planned(way: str, moment: Moment) -> sa.Select[Any]:
    table, group = table_of(ProviderParcel), table_of(CycleGroup)
    now = sa.literal(moment.now, table.c.try_at.type)
    empty = sa.literal("", sa.String())
    return sa.select(
        table_of(Box).c.id,
        group.c.export_provider,
        sa.literal(way, sa.String()),
        sa.literal("planned", sa.String()),
        empty,
        sa.literal(0, sa.Integer()),
        now,
        empty,
        now,
    )


def _leaves_with_first() -> sa.ColumnElement[bool]:
    """Return whether the number of a box is that of the first box in its parcel."""
    box, first = table_of(Box), table_of(Box).alias("first")
    return sa.exists().where(
        first.c.id == box.c.parcel_id,
        first.c.id != box.c.id,
        first.c.shipment_id == box.c.shipment_id,
    )


def _unplanned() -> sa.ColumnElement[bool]:
    table = table_of(ProviderParcel)
    return ~sa.exists().where(table.c.box_id == table_of(Box).c.id)


@cache
def _due() -> AnySelect:
    table = table_of(ProviderParcel)
    return (
        sa.select(table.c.id)
        .where(
            # To the letter as in the index, or SQLite would not use it.
            sa.text("provider_parcel.try_at IS NOT NULL"),
            table.c.try_at <= sa.bindparam("now", type_=table.c.try_at.type),
        )
        .order_by(table.c.try_at, table.c.id)
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )


#: Whether boxes wait for a provider, or parcels are to be asked about.
PARCELS_DUE = Question(lambda: [_due()], at_now)


def take(session: AnySession, moment: Moment, limit: int) -> list[AnyRow]:
    """Claim what is due, with the box of each; ``state`` is as it was before.

    What was planned counts as asked from here on, so that a crash leads to a look and not to a
    second parcel. ``claimed`` is the end of the lease: what is noted about a row later counts
    only while nobody else has claimed it since.
    """
    table, due = table_of(ProviderParcel), _due()
    if session.get_bind().dialect.name == "postgresql":
        due = due.with_for_update(skip_locked=True)
    ids = list(session.scalars(due, {"now": moment.now, "size": limit}))
    if not ids:
        return []
    until = moment.now + LEASE
    rows = _read(session, ids, until)
    session.execute(
        sa.update(table)
        .where(table.c.id.in_(ids))
        .values(
            try_at=until,
            tries=table.c.tries + 1,
            asked_at=sa.func.coalesce(table.c.asked_at, moment.now),
            state=sa.case((table.c.state == "planned", "asked"), else_=table.c.state),
        )
    )
    return rows


def _read(session: AnySession, ids: Sequence[int], until: datetime) -> list[AnyRow]:
    table, box, shipment = table_of(ProviderParcel), table_of(Box), table_of(Shipment)
    batch = table_of(FulfilmentBatch)
    return list(
        session.execute(
            sa.select(
                table,
                sa.literal(until, table.c.try_at.type).label("claimed"),
                box.c.public_id.label("box"),
                box.c.state.label("box_state"),
                box.c.ship_to,
                box.c.packing,
                batch.c.created_at.label("placed_at"),
                sa.func.coalesce(shipment.c.tracking_number, "").label("number"),
                sa.func.coalesce(shipment.c.carrier, "").label("carrier"),
            )
            .join(box, box.c.id == table.c.box_id)
            .outerjoin(batch, batch.c.id == box.c.batch_id)
            .outerjoin(shipment, shipment.c.id == box.c.shipment_id)
            .where(table.c.id.in_(ids))
            .order_by(table.c.id)
        )
    )


def order_of(row: AnyRow, every: Sequence[Mapping[str, Any]]) -> ParcelOrder:
    """Return a row of ``take`` as a provider is given it, from what was frozen at the lock.

    ``every`` is the packing of its box and of those that leave in its parcel with it.
    """
    ship_to, packing = row.ship_to or {}, every[0]
    lines = tuple(
        _line(sku, pieces, customs.get(sku) or {}, grams.get(sku, 0))
        for one in every
        for customs in ({line["sku"]: line for line in one.get("customs", ())},)
        for grams in (grams_by_sku(one),)
        for sku, pieces in one.get("contents", ())
    )
    parts = ("name", "company", "street", "extra", "postcode", "city", "region", "country", "phone")
    return ParcelOrder(
        reference=row.box,
        **{part: str(ship_to.get(part) or "") for part in parts},
        email=str(packing.get("email") or ""),
        grams=sum(int(one.get("weight_grams") or 0) for one in every),
        lines=lines,
        placed_at=row.placed_at or row.created_at,
        asked_at=row.asked_at,
        # One that was to be handed over is looked for by its reference, also once it has left.
        number=row.number if row.way == "number" else "",
        carrier=row.carrier,
        is_declared=any(one.get("customs") for one in every),
    )


def _line(sku: str, pieces: int, customs: Any, grams: int) -> ParcelLine:
    return ParcelLine(
        sku,
        pieces,
        str(customs.get("text") or ""),
        str(customs.get("hs_code") or ""),
        str(customs.get("origin") or ""),
        customs.get("value_minor"),
        str(customs.get("currency") or ""),
        grams,
    )


def note_taken(
    session: AnySession, row: AnyRow, reference: str, ask_again: timedelta | None, moment: Moment
) -> None:
    """Note that the provider has it; it is asked about later, or never."""
    try_at = moment.now + ask_again if ask_again else None
    known = {"provider_reference": reference[:80]} if reference else {}
    _set(session, row, state="taken", tries=0, error="", try_at=try_at, **known)


def note_refused(session: AnySession, row: AnyRow, error: str) -> None:
    """Leave it to a person; nothing is tried again by itself."""
    _set(session, row, state="refused", error=error[:255], try_at=None)


def note_over(session: AnySession, row: AnyRow) -> None:
    """Note that nothing more is expected: the parcel arrived, came back, or is too old."""
    _set(session, row, state="over", try_at=None)


def put_off(
    session: AnySession, row: AnyRow, error: str, moment: Moment, after: float | None = None
) -> None:
    """Try again later, each time after longer, or after the seconds that the provider named."""
    _later(session, row, error, moment, after)


def not_sent(
    session: AnySession, row: AnyRow, error: str, moment: Moment, after: float | None = None
) -> None:
    """Put a box back as planned: surely nothing of it reached the provider."""
    _later(session, row, error, moment, after, state="planned", asked_at=None)


def _later(
    session: AnySession,
    row: AnyRow,
    error: str,
    moment: Moment,
    after: float | None,
    **values: object,
) -> None:
    if row.tries + 1 >= MOST_TRIES:
        note_refused(session, row, error)
        return
    pause = BACK_OFF[min(row.tries, len(BACK_OFF) - 1)]
    pause = max(pause, timedelta(seconds=min(after or 0, 86_400)))
    _set(session, row, error=error[:255], try_at=moment.now + pause, **values)


def wait(
    session: AnySession, row: AnyRow, error: str, moment: Moment, after: float | None = None
) -> None:
    """Leave a box of ``take`` for later as it was before: it was not tried."""
    pause = max(WAIT, timedelta(seconds=min(after or 0, 86_400)))
    _set(
        session,
        row,
        state=row.state,
        tries=row.tries,
        asked_at=row.asked_at,
        error=error[:255],
        try_at=moment.now + pause,
    )


def plan_again(session: AnySession, batch_ref: str, moment: Moment) -> int:
    """Let boxes of a batch that were refused be tried anew; returns how many.

    They are looked for first, for a refusal may have been the last of tries in vain.
    """
    table, box, batch = table_of(ProviderParcel), table_of(Box), table_of(FulfilmentBatch)
    mine = (
        sa.select(box.c.id)
        .join(batch, batch.c.id == box.c.batch_id)
        .where(batch.c.public_id == batch_ref)
    )
    done: Any = session.execute(
        sa.update(table)
        .where(table.c.box_id.in_(mine), table.c.state == "refused")
        .values(state="asked", tries=0, try_at=moment.now)
    )
    count: int = done.rowcount
    return count


def box_of(session: AnySession, provider: str, provider_reference: str) -> str:
    """Return the public id of the box that a provider knows by this name; empty if none."""
    table, box = table_of(ProviderParcel), table_of(Box)
    found: str | None = session.scalar(
        sa.select(box.c.public_id)
        .join(table, table.c.box_id == box.c.id)
        .where(
            # To the letter as in the index, or SQLite would not use it.
            sa.text("provider_parcel.provider_reference <> ''"),
            table.c.provider_reference == provider_reference,
            table.c.provider == provider,
        )
        .order_by(table.c.id)
        .limit(1)
    )
    return found or ""


def _set(session: AnySession, row: AnyRow, **values: object) -> None:
    """Write to a row of ``take`` unless its lease ended and another worker claimed it."""
    table = table_of(ProviderParcel)
    mine = (table.c.id == row.id, table.c.try_at == row.claimed)
    session.execute(sa.update(table).where(*mine).values(values))
