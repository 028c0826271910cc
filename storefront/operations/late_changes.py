"""The queue of late changes: read, write, apply, and close what the export has overtaken.

Rows are locked in one order, the box before its wish, so that a decision and an export of the
same moment wait for each other. Source: docs/decisions/0182-late-changes.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.late_changes import LateKind, LateState, is_in_the_house
from storefront.domain.packing import Problem
from storefront.domain.shipping import is_blocked
from storefront.models import (
    Address,
    Box,
    BoxCycle,
    Invoice,
    InvoiceLine,
    LateChange,
    Plan,
    Subscription,
)
from storefront.models.base import public_id, table_of
from storefront.operations.audit import Who
from storefront.operations.box_addresses import goes_to
from storefront.operations.box_worth import worth_of
from storefront.operations.cycles import mark_shipped
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.repacking import names_of, packing_for
from storefront.operations.shipping import read_zones
from storefront.operations.shortage_credits import Credit
from storefront.operations.shortages import give_credit, mail_of_credit
from storefront.operations.stopping import cancel_boxes

#: What a box in the house looks like in the database.
OPEN_BOXES = (BoxState.PLANNED, BoxState.HELD, BoxState.LOCKED)
#: Parts of an address that may be asked for; another country would be another price.
PARTS = ("name", "company", "street", "extra", "postcode", "city", "region", "phone")


def locked_box(session: AnySession, *conditions: sa.ColumnElement[bool]) -> AnyRow | None:
    """Return the box with its subscription and plan, locked for us until the commit."""
    box, subscription, plan = table_of(Box), table_of(Subscription), table_of(Plan)
    cycle = table_of(BoxCycle)
    return session.execute(
        sa.select(
            box,
            subscription.c.public_id.label("subscription"),
            subscription.c.customer_id,
            goes_to(box, subscription).label("goes_to"),
            subscription.c.is_gift,
            plan.c.name.label("plan"),
            cycle.c.cutoff_on,
            cycle.c.public_id.label("cycle"),
        )
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .join(plan, plan.c.id == box.c.plan_id)
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .where(*conditions)
        .order_by(box.c.id)
        .limit(1)
        .with_for_update(of=box)
    ).one_or_none()


def hold_subscription(session: AnySession, box_id: int) -> None:
    """Lock the subscription of a box, as whoever chooses for it does, before the box."""
    box, subscription = table_of(Box), table_of(Subscription)
    mine = sa.select(box.c.subscription_id).where(box.c.id == box_id).scalar_subquery()
    session.execute(sa.select(subscription.c.id).where(subscription.c.id == mine).with_for_update())


def is_open_box(row: AnyRow) -> bool:
    """Return whether a row of ``locked_box`` is not with the packers yet."""
    return is_in_the_house(row.state, has_batch=row.batch_id is not None)


def insert_wish(
    session: AnySession,
    box_id: int,
    kind: LateKind,
    address: Mapping[str, str],
    contents: Mapping[str, Any],
    note: str,
    asked: tuple[str, str],
    moment: Moment,
) -> str:
    """Write a wish, ``asked`` by (customer or staff, public id); returns its public id.

    Raises ``IntegrityError`` while another one about the same box is open.
    """
    ref = public_id("lat")
    session.execute(
        sa.insert(table_of(LateChange)).values(
            public_id=ref,
            box_id=box_id,
            kind=kind.value,
            address=dict(address),
            contents=dict(contents),
            note=note,
            state=LateState.OPEN.value,
            asked_at=moment.now,
            asked_by=asked[0],
            asked_ref=asked[1],
        )
    )
    return ref


def redirect_box(session: AnySession, row: AnyRow, parts: Mapping[str, str]) -> bool:
    """Send a box of ``locked_box`` elsewhere; the subscription's own address stays.

    A packed one, also while a dispute holds it, has its address frozen; any other gets one of
    its own. False, and nothing is written, where nothing is sent there or no country is known.
    """
    box, address = table_of(Box), table_of(Address)
    mine = (box.c.id == row.id, box.c.state == row.state, box.c.batch_id.is_(None))
    is_packed = row.locked_at is not None
    was = None
    if not is_packed:
        was = session.execute(sa.select(address).where(address.c.id == row.goes_to)).one_or_none()
    country = row.ship_to.get("country") if is_packed else was.country if was is not None else ""
    if not country or is_blocked(read_zones(session), country, parts["postcode"]):
        return False
    if was is None:
        problem = "" if row.problem == Problem.NO_FIT.value else row.problem
        ship_to = {**row.ship_to, **parts}
        packing = packing_for(session, row.id, row.packing, ship_to)
        values: dict[str, Any] = {"ship_to": ship_to, "packing": packing, "problem": problem}
    else:
        (key,) = reserve(session, Address, 1)
        kept = {**was._mapping, **parts, "id": key, "public_id": public_id("adr")}
        session.execute(sa.insert(address).values(**kept))
        values = {"address_id": key}
        if row.problem == Problem.NO_ADDRESS.value:
            # It waited for this alone: the worker that locks cycles decides it again.
            values |= {"state": BoxState.PLANNED, "problem": ""}
    session.execute(sa.update(box).where(*mine).values(**values))
    return True


def keep_back(session: AnySession, row: AnyRow, who: Who, moment: Moment) -> Credit | None:
    """Take a box of ``locked_box`` out of its cycle and credit what it cost.

    Its stock is released, and what went back for it before is not credited again.
    None, and nothing is written, where its money cannot be given back now: it is not paid, or
    the bank has it.
    """
    # What went back before is read behind the lock of what gives it back.
    line, invoice = table_of(InvoiceLine), table_of(Invoice)
    paying = sa.select(line.c.invoice_id).where(line.c.id == row.invoice_line_id)
    held = sa.select(invoice.c.id).where(invoice.c.id == paying.scalar_subquery())
    session.execute(held.with_for_update())
    worth = worth_of(session, [row])[row.id]
    credit: Credit | None = Credit()
    if worth.left_minor:
        credit = give_credit(session, row, worth.left_minor, moment, worth)
    if credit is not None:
        cancel_boxes(session, [row], who, moment)
        # Perhaps it was the last one its cycle waited for.
        mark_shipped(session, row.cycle_id)
    return credit


def close_wish(
    session: AnySession,
    wish_id: int,
    state: LateState,
    decided_ref: str,
    reason: str,
    credit_minor: int,
    moment: Moment,
) -> bool:
    """Write the decision; False when somebody else decided meanwhile."""
    table = table_of(LateChange)
    done: Any = session.execute(
        sa.update(table)
        .where(table.c.id == wish_id, table.c.state == LateState.OPEN.value)
        .values(
            state=state.value,
            decided_at=moment.now,
            decided_ref=decided_ref,
            reason=reason,
            credit_minor=credit_minor,
        )
    )
    return bool(done.rowcount)


def tell(
    session: AnySession,
    row: AnyRow,
    wish: AnyRow,
    state: LateState,
    reason: str,
    credit: Credit,
    moment: Moment,
) -> None:
    """Mail the subscriber what became of the wish, once; of the money only who paid is told."""
    is_own = credit.payer_id == row.customer_id
    if credit.minor and not is_own:
        enqueue(session, [mail_of_credit(credit, row.currency)], moment.now)
    if row.customer_id is None:
        return
    payload = {
        "subscription": row.subscription,
        "plan": row.plan,
        "kind": wish.kind,
        "state": state.value,
        "reason": reason,
        "credit_minor": credit.minor if is_own else 0,
        "currency": row.currency,
        "holds": _holds(session, wish.contents),
    }
    key = f"mail:late_change:{wish.public_id}"
    enqueue(session, [Message("mail", "late_change", key, payload, row.customer_id)], moment.now)


def _holds(session: AnySession, contents: Mapping[str, Any]) -> list[list[Any]]:
    """Return name and pieces of what was asked for; nothing where it was something else."""
    pieces = dict(contents.get("then", ()))
    names = names_of(session, pieces)
    return [[names[key], count] for key, count in pieces.items() if key in names]


def expire_gone(session: AnySession, moment: Moment) -> int:
    """Close the open wishes about boxes that left the house or were kept back; tell their owners.

    Called with each slice of an export, in its transaction.
    """
    wish, box = table_of(LateChange), table_of(Box)
    stays = sa.and_(box.c.state.in_(OPEN_BOXES), box.c.batch_id.is_(None))
    rows = session.execute(
        sa.select(wish.c.id, wish.c.box_id, wish.c.public_id, wish.c.kind, wish.c.contents)
        .join(box, box.c.id == wish.c.box_id)
        # As the index of open ones is written, so that it is used.
        .where(sa.text("late_change.state = 'open'"), ~stays)
        .order_by(wish.c.id)
    ).all()
    count = 0
    for one in rows:
        row = locked_box(session, box.c.id == one.box_id)
        if close_wish(session, one.id, LateState.EXPIRED, "", "", 0, moment):
            count += 1
            if row is not None:
                tell(session, row, one, LateState.EXPIRED, "", Credit(), moment)
    return count
