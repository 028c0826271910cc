"""Late changes as the staff decide them and as their askers see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.address_lines import address_lines
from storefront.domain.late_changes import LateKind, LateState, kinds_for
from storefront.domain.money import Money
from storefront.models import (
    Address,
    Box,
    BoxCycle,
    Customer,
    LateChange,
    Plan,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.added_back import added_worth
from storefront.operations.box_addresses import goes_to
from storefront.operations.box_worth import worth_of
from storefront.operations.keys import AnyRow
from storefront.operations.late_changes import OPEN_BOXES, PARTS
from storefront.operations.late_contents import judge, late_offer, wanted_of
from storefront.operations.moment import Moment
from storefront.operations.refund_boxes import unnamed_before
from storefront.operations.repacking import names_of

#: Decided ones that the page still lists.
_DECIDED_SHOWN = 20


@dataclass(frozen=True, slots=True)
class LateRow:
    """One wish with what it is about; ``now`` and ``wanted`` are where the box goes."""

    ref: str
    kind: str
    state: str
    note: str
    reason: str
    asked_at: datetime
    asked_by: str
    decided_at: datetime | None
    customer: str
    name: str
    plan: str
    ship_from: date
    box_state: str
    cycle: str
    now: str
    wanted: str
    #: Of other contents: what lay there when it was asked, and what is to, by name and pieces.
    was: tuple[tuple[str, int], ...]
    then: tuple[tuple[str, int], ...]
    #: What the box cost, and what was credited.
    worth: Money
    credited: Money
    #: Why other contents cannot be done today: ``short``, of what too little is there, or
    #: ``gone``, the box or what is offered is another one by now; empty when they can.
    hindrance: str = ""
    missing: tuple[tuple[str, int], ...] = ()
    #: Of a box to keep back: what its invoice gave back while nobody named a box.
    unnamed: Money | None = None
    #: Of a box to keep back: what was paid apart for additions to it and goes back as well.
    added: Money | None = None


@dataclass(frozen=True, slots=True)
class LateBox:
    """A box whose owner may ask for a change; ``address`` is where in ``country`` it goes."""

    ref: str
    subscription: str
    cycle: str
    plan: str
    ship_from: date
    kinds: tuple[LateKind, ...]
    address: Mapping[str, str]
    #: Its code; empty where nobody has said where the box goes.
    country: str
    worth: Money
    #: The last wish about it.
    wish: LateRow | None
    #: What was paid apart for additions to it and goes back where it is not sent.
    added: Money | None = None


def waiting(_moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Return (id, minor, at) of the wishes that can still be decided."""
    wish, box = table_of(LateChange), table_of(Box)
    return (
        sa.select(
            wish.c.id,
            sa.literal(None, sa.BigInteger).label("minor"),
            wish.c.asked_at.label("at"),
        )
        .join(box, box.c.id == wish.c.box_id)
        .where(*_is_waiting(wish, box))
    )


def _is_waiting(wish: sa.FromClause, box: sa.FromClause) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        wish.c.state == LateState.OPEN.value,
        box.c.state.in_(OPEN_BOXES),
        box.c.batch_id.is_(None),
    )


def queue(session: AnySession) -> list[LateRow]:
    """Return what waits for a decision: what ships first, then who asked first.

    Other contents, and what was paid for additions, are looked at as accepting would: some
    statements for each.
    """
    wish, box, cycle = table_of(LateChange), table_of(Box), table_of(BoxCycle)
    chosen = _rows().where(*_is_waiting(wish, box)).order_by(cycle.c.ship_from, wish.c.id)
    rows = session.execute(chosen).all()
    asked = [row.box_id for row in rows if row.kind == LateKind.KEEP_BACK]
    unnamed = unnamed_before(session, asked) if asked else {}
    found = []
    for one, shown in zip(rows, _shown(session, rows), strict=True):
        minor = unnamed.get(one.box_id) if one.kind == LateKind.KEEP_BACK else None
        told = replace(shown, unnamed=Money(minor, one.currency)) if minor else shown
        if one.kind == LateKind.KEEP_BACK:
            told = replace(told, added=_added(session, one.box_id, one.currency))
        found.append(_judged(session, one, told))
    return found


def _judged(session: AnySession, row: AnyRow, shown: LateRow) -> LateRow:
    if row.kind != LateKind.CONTENTS:
        return shown
    box = table_of(Box)
    late = late_offer(session, session.execute(sa.select(box).where(box.c.id == row.box_id)).one())
    wanted = wanted_of(late, row.contents) if late is not None else None
    if late is None or wanted is None:
        return replace(shown, hindrance="gone")
    verdict = judge(session, late, wanted)
    if verdict.is_good:
        return shown
    if not verdict.is_short:
        return replace(shown, hindrance="gone")
    pieces = dict(verdict.missing or {})
    for fault in verdict.faults:
        if fault.variant is not None:
            pieces[fault.variant] = wanted[fault.variant] - fault.number
    names = names_of(session, pieces)
    missing = tuple((names[key], count) for key, count in pieces.items())
    return replace(shown, hindrance="short", missing=missing)


def decided(session: AnySession) -> list[LateRow]:
    """Return the last decisions, the newest first."""
    wish = table_of(LateChange)
    chosen = _rows().where(wish.c.state != LateState.OPEN.value)
    ordered = chosen.order_by(wish.c.decided_at.desc(), wish.c.id.desc()).limit(_DECIDED_SHOWN)
    return _shown(session, session.execute(ordered).all())


def number_waiting(session: AnySession) -> int:
    """Return how many wait for a decision."""
    wish, box = table_of(LateChange), table_of(Box)
    found = session.scalar(
        sa.select(sa.func.count())
        .select_from(wish.join(box, box.c.id == wish.c.box_id))
        .where(*_is_waiting(wish, box))
    )
    return int(found or 0)


def late_box(
    session: AnySession, customer_id: int, subscription: str, cycle: str, today: date
) -> LateBox | None:
    """Return the box of a customer in a cycle, or None."""
    box, table, round_ = table_of(Box), table_of(Subscription), table_of(BoxCycle)
    return _late_box(
        session,
        today,
        table.c.customer_id == customer_id,
        table.c.public_id == subscription,
        round_.c.public_id == cycle,
        box.c.kind == "regular",
    )


def late_box_of(session: AnySession, ref: str, today: date) -> LateBox | None:
    """Return a box by its public id, for staff who ask for its owner; or None."""
    return _late_box(session, today, table_of(Box).c.public_id == ref)


def _late_box(
    session: AnySession, today: date, *conditions: sa.ColumnElement[bool]
) -> LateBox | None:
    box, table, plan, round_ = (table_of(one) for one in (Box, Subscription, Plan, BoxCycle))
    address, wish = table_of(Address), table_of(LateChange)
    row = session.execute(
        sa.select(
            box,
            table.c.is_gift,
            table.c.public_id.label("subscription"),
            plan.c.name.label("plan"),
            round_.c.public_id.label("cycle"),
            round_.c.ship_from,
            round_.c.cutoff_on,
            *(address.c[part].label(f"to_{part}") for part in (*PARTS, "country")),
        )
        .join(table, table.c.id == box.c.subscription_id)
        .join(plan, plan.c.id == box.c.plan_id)
        .join(round_, round_.c.id == box.c.cycle_id)
        .outerjoin(address, address.c.id == goes_to(box, table))
        .where(*conditions)
        .order_by(box.c.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    last = session.execute(
        _rows().where(wish.c.box_id == row.id).order_by(wish.c.id.desc()).limit(1)
    ).one_or_none()
    parts = row.ship_to or {part: getattr(row, f"to_{part}") for part in (*PARTS, "country")}
    kinds = kinds_for(
        row.kind,
        row.state,
        row.cutoff_on,
        today,
        has_batch=row.batch_id is not None,
        is_gift=row.is_gift,
    )
    if LateKind.CONTENTS in kinds and late_offer(session, row) is None:
        kinds = tuple(kind for kind in kinds if kind is not LateKind.CONTENTS)
    return LateBox(
        row.public_id,
        row.subscription,
        row.cycle,
        row.plan,
        row.ship_from,
        kinds,
        {part: str(parts.get(part) or "") for part in PARTS},
        str(parts.get("country") or ""),
        Money(worth_of(session, [row])[row.id].left_minor, row.currency),
        None if last is None else _shown(session, [last])[0],
        _added(session, row.id, row.currency) if LateKind.KEEP_BACK in kinds else None,
    )


def _added(session: AnySession, box_id: int, currency: str) -> Money | None:
    minor = added_worth(session, [box_id])
    return Money(minor, currency) if minor else None


def _rows() -> sa.Select[Any]:
    wish, box, cycle = table_of(LateChange), table_of(Box), table_of(BoxCycle)
    table, plan, customer = table_of(Subscription), table_of(Plan), table_of(Customer)
    address = table_of(Address)
    return (
        sa.select(
            wish,
            box.c.state.label("box_state"),
            box.c.ship_to,
            box.c.currency,
            cycle.c.ship_from,
            cycle.c.public_id.label("cycle"),
            plan.c.name.label("plan"),
            customer.c.public_id.label("customer"),
            customer.c.name,
            address.c.name.label("to_name"),
            address.c.street.label("to_street"),
            address.c.postcode.label("to_postcode"),
            address.c.city.label("to_city"),
            address.c.region.label("to_region"),
            address.c.country.label("to_country"),
        )
        .join(box, box.c.id == wish.c.box_id)
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .join(table, table.c.id == box.c.subscription_id)
        .join(plan, plan.c.id == box.c.plan_id)
        .outerjoin(customer, customer.c.id == table.c.customer_id)
        .outerjoin(address, address.c.id == goes_to(box, table))
    )


def _shown(session: AnySession, rows: Sequence[AnyRow]) -> list[LateRow]:
    listed = [row.contents.get(part, ()) for row in rows for part in ("was", "then")]
    names = names_of(session, {key for pairs in listed for key, _pieces in pairs})
    worth = _worth(session, rows)
    return [_row(row, names, worth.get(row.id, row.credit_minor)) for row in rows]


def _worth(session: AnySession, rows: Sequence[AnyRow]) -> dict[int, int]:
    """Return what keeping the box back would give now, by wish for it that nobody accepted."""
    asked = {
        row.id: row.box_id
        for row in rows
        if row.kind == LateKind.KEEP_BACK and row.state != LateState.ACCEPTED
    }
    if not asked:
        return {}
    box = table_of(Box)
    boxes = session.execute(sa.select(box).where(box.c.id.in_(set(asked.values())))).all()
    worth = worth_of(session, boxes)
    return {wish: worth[key].left_minor for wish, key in asked.items()}


def _row(row: AnyRow, names: Mapping[int, str], worth: int) -> LateRow:
    shown = ("name", "street", "postcode", "city", "region", "country")
    goes_to = row.ship_to or {part: getattr(row, f"to_{part}") for part in shown}
    return LateRow(
        ref=row.public_id,
        kind=row.kind,
        state=row.state,
        note=row.note,
        reason=row.reason,
        asked_at=row.asked_at,
        asked_by=row.asked_by,
        decided_at=row.decided_at,
        customer=row.customer or "",
        name=row.name or "",
        plan=row.plan,
        ship_from=row.ship_from,
        box_state=row.box_state.value,
        cycle=row.cycle,
        now=", ".join(address_lines(goes_to)),
        wanted=", ".join(address_lines(row.address)),
        was=tuple((names[key], pieces) for key, pieces in row.contents.get("was", ())),
        then=tuple((names[key], pieces) for key, pieces in row.contents.get("then", ())),
        worth=Money(worth, row.currency),
        credited=Money(row.credit_minor, row.currency),
    )
