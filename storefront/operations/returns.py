"""Keep that boxes came back or are lost until somebody decides, and tell their subscribers.

Source: docs/decisions/0201-boxes-that-came-back.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.invoices import CreditReason
from storefront.models import (
    Box,
    BoxReturn,
    CreditNote,
    CreditNoteLine,
    Gift,
    InvoiceLine,
    Plan,
    Shipment,
    Staff,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.bulk import insert_many
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.packing_words import reachable

#: What is on the list until somebody decides.
GONE_WRONG = (BoxState.RETURNED, BoxState.LOST)


def note_returns(
    session: AnySession,
    box_ids: Sequence[int],
    moment: Moment,
    *,
    is_told: bool = True,
    topic: str = "box_returned",
) -> None:
    """Put boxes that just came back on the list, and mail whom they were for, once per parcel.

    Lost ones likewise, with ``box_lost`` as ``topic`` of the mail. Without ``is_told`` nobody is
    mailed: they are told otherwise what becomes of the box.
    """
    if not box_ids:
        return
    table = table_of(BoxReturn)
    # One that arrived after all and came back again: what was settled was about the first time.
    session.execute(
        sa.update(table)
        .where(table.c.box_id.in_(box_ids))
        .values(came_back_at=moment.now, settled_at=None, settled_ref="")
    )
    insert_many(
        session,
        BoxReturn,
        [
            {"box_id": key, "came_back_at": moment.now, "settled_at": None, "settled_ref": ""}
            for key in sorted(box_ids)
        ],
        once_per="box_id",
    )
    # One that was sent again before it was back.
    settle_sent_again(session, box_ids, moment)
    if is_told:
        enqueue(session, _mails(_parcels(session, box_ids), topic), moment.now)


def settle(session: AnySession, box_ref: str, actor_ref: str, moment: Moment) -> bool:
    """Put a box that came back or is lost aside; False when it is not on the list."""
    table, box = table_of(BoxReturn), table_of(Box)
    key = (
        sa.select(box.c.id)
        .where(box.c.public_id == box_ref, box.c.state.in_(GONE_WRONG))
        .scalar_subquery()
    )
    done: Any = session.execute(
        sa.update(table)
        .where(table.c.box_id == key, table.c.settled_at.is_(None))
        .values(settled_at=moment.now, settled_ref=actor_ref)
    )
    return bool(done.rowcount)


def settle_sent_again(session: AnySession, box_ids: Sequence[int], moment: Moment) -> None:
    """Take those of the boxes off the list that another box replaces."""
    table, again = table_of(BoxReturn), table_of(Box)
    other = (
        sa.select(again.c.public_id)
        .where(again.c.replaces_id == table.c.box_id, again.c.state != BoxState.CANCELED)
        .limit(1)
    )
    session.execute(
        sa.update(table)
        .where(table.c.box_id.in_(box_ids), table.c.settled_at.is_(None), other.exists())
        .values(settled_at=moment.now, settled_ref=other.scalar_subquery())
    )


def settle_refunded(
    session: AnySession, subscription_ids: Sequence[int], credit_note: str, moment: Moment
) -> None:
    """Take boxes of these subscriptions off the list whose price has gone back by now.

    Call it when the refund has canceled what it cancels: those boxes count as well.
    """
    table, box = table_of(BoxReturn), table_of(Box)
    done = session.scalars(
        sa.select(table.c.id)
        .join(box, box.c.id == table.c.box_id)
        .where(
            table.c.settled_at.is_(None),
            box.c.subscription_id.in_(subscription_ids),
            box.c.state.in_(GONE_WRONG),
            is_refunded(box, table),
        )
    ).all()
    if done:
        session.execute(
            sa.update(table)
            .where(table.c.id.in_(done))
            .values(settled_at=moment.now, settled_ref=credit_note)
        )


def list_again(session: AnySession, replacement_ids: Sequence[int]) -> None:
    """Put what these boxes replaced back on the list: they are canceled, so nothing is sent."""
    table, box = table_of(BoxReturn), table_of(Box)
    gone = box.c.id.in_(replacement_ids)
    session.execute(
        sa.update(table)
        .where(
            table.c.box_id.in_(
                sa.select(box.c.replaces_id).where(gone, box.c.replaces_id.is_not(None))
            ),
            table.c.settled_ref.in_(sa.select(box.c.public_id).where(gone)),
        )
        .values(settled_at=None, settled_ref="")
    )


def is_sent_again(box: sa.Table) -> sa.ColumnElement[bool]:
    """True of a box that another one replaces."""
    again = box.alias("again")
    return sa.exists().where(again.c.replaces_id == box.c.id, again.c.state != BoxState.CANCELED)


def is_refunded(box: sa.Table, back: sa.Table) -> sa.ColumnElement[bool]:
    """What paid for the box gave back as much as its period's boxes on the list cost.

    Only what was given back since this one came back counts, and nothing that a change of plan
    took over. With two of one period, both stay until both are refunded, and boxes that were
    called off before they left come first: one is never taken for the other. So another that was
    refunded or sent again since this one came back counts as if it were on the list.
    """
    line, part, note = table_of(InvoiceLine), table_of(CreditNoteLine), table_of(CreditNote)
    given = (
        sa.select(sa.func.coalesce(sa.func.sum(part.c.gross_minor), 0))
        .join(note, note.c.id == part.c.credit_note_id)
        .join(line, line.c.id == part.c.invoice_line_id)
        .where(
            line.c.period_id == box.c.period_id,
            note.c.created_at >= back.c.came_back_at,
            note.c.reason != CreditReason.CHANGE,
        )
        .correlate(box, back)
        .scalar_subquery()
    )
    other, listed = box.alias("of_period"), back.alias("listed")
    by_staff = listed.c.settled_ref.in_(sa.select(table_of(Staff).c.public_id))
    cost = (
        sa.select(sa.func.sum(other.c.net_minor + other.c.tax_minor))
        .outerjoin(listed, listed.c.box_id == other.c.id)
        .where(
            other.c.period_id == box.c.period_id,
            sa.or_(
                sa.and_(
                    other.c.state.in_(GONE_WRONG),
                    listed.c.id.is_not(None),
                    sa.or_(
                        listed.c.settled_at.is_(None),
                        sa.and_(listed.c.settled_at >= back.c.came_back_at, ~by_staff),
                    ),
                ),
                other.c.state == BoxState.CANCELED,
            ),
        )
        .correlate(box, back)
        .scalar_subquery()
    )
    return sa.and_(box.c.net_minor + box.c.tax_minor > 0, given > 0, given >= cost)


def _parcels(session: AnySession, box_ids: Sequence[int]) -> list[list[AnyRow]]:
    """Return the boxes by the parcel in which they left."""
    box, shipment = table_of(Box), table_of(Shipment)
    subscription, plan, gift = table_of(Subscription), table_of(Plan), table_of(Gift)
    rows = session.execute(
        sa.select(
            box.c.public_id,
            subscription.c.public_id.label("subscription"),
            reachable(subscription).label("customer_id"),
            # Its giver, who knew the address, is the one to mend it while nobody has claimed it.
            sa.case((subscription.c.customer_id.is_(None), gift.c.public_id)).label("gift"),
            plan.c.name.label("plan"),
            sa.func.coalesce(shipment.c.public_id, box.c.public_id).label("parcel"),
        )
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .join(plan, plan.c.id == box.c.plan_id)
        .outerjoin(shipment, shipment.c.id == box.c.shipment_id)
        .outerjoin(gift, gift.c.subscription_id == subscription.c.id)
        .where(box.c.id.in_(box_ids), reachable(subscription).is_not(None))
        .order_by(box.c.id)
    )
    found: dict[tuple[str, int, str | None], list[AnyRow]] = {}
    for row in rows:
        found.setdefault((row.parcel, row.customer_id, row.gift), []).append(row)
    return list(found.values())


def _mails(parcels: Sequence[Sequence[AnyRow]], topic: str) -> list[Message]:
    return [
        Message(
            "mail",
            topic,
            f"mail:{topic}:{inside[0].parcel}:{inside[0].gift or inside[0].customer_id}",
            {
                "box": inside[0].public_id,
                "subscription": inside[0].subscription,
                "plan": ", ".join(dict.fromkeys(one.plan for one in inside)),
                **({"gift": inside[0].gift} if inside[0].gift else {}),
            },
            inside[0].customer_id,
        )
        for inside in parcels
    ]
