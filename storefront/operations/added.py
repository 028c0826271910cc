"""What becomes of additions to paid boxes: put in once they are paid, withdrawn, given back.

An addition is an offered invoice until its success. The money of one that cannot be put in any
more is surplus and goes back. Source: docs/decisions/0208-add-ons-for-paid-boxes.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from storefront.domain.addons import Cadence
from storefront.domain.events import Actor, EventKind
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import ENDED
from storefront.models import (
    Addon,
    BoxAddition,
    BoxAdditionBox,
    BoxItem,
    Invoice,
    Subscription,
    SubscriptionAddon,
)
from storefront.models.base import public_id, table_of
from storefront.operations.added_stock import are_open, has_pieces
from storefront.operations.customer_credit import give_back_applied
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.subscriptions import SubscriptionChange, change_subscriptions
from storefront.operations.timeline import Entry, record


def additions_paid_by(session: AnySession, invoice_ids: Sequence[int]) -> dict[int, AnyRow]:
    """Return the additions that wait for these invoices, by invoice."""
    table, subscription, addon = table_of(BoxAddition), table_of(Subscription), table_of(Addon)
    rows = session.execute(
        sa.select(
            table,
            addon.c.name,
            subscription.c.public_id.label("subscription"),
            subscription.c.customer_id,
            subscription.c.state.label("stands"),
            subscription.c.version,
            subscription.c.next_on,
        )
        .join(subscription, subscription.c.id == table.c.subscription_id)
        .join(addon, addon.c.id == table.c.addon_id)
        .where(table.c.invoice_id.in_(invoice_ids), table.c.state == "waiting")
        .order_by(table.c.id)
    )
    return {row.invoice_id: row for row in rows}


def withdraw_late_additions(
    session: AnySession, invoice_ids: Sequence[int], moment: Moment
) -> None:
    """Withdraw additions that can no longer be made as they were shown; their money is surplus.

    A box was packed or taken back, the next period has begun without it, it comes with later
    payments already, the subscription has ended, or the last piece was somebody else's, while
    their payment was on its way.
    """
    _hold_subscriptions(session, invoice_ids)
    taken: Counter[int | None] = Counter()
    for row in additions_paid_by(session, invoice_ids).values():
        boxes = _boxes_of(session, row.id)
        fits = row.stands not in ENDED and _may_go_on(session, row) and are_open(session, boxes)
        # One before it in this call takes its pieces only later.
        pieces = taken[row.variant_id] + row.quantity * len(boxes)
        if fits and has_pieces(session, row.variant_id, pieces, moment):
            taken[row.variant_id] = pieces
        else:
            withdraw_additions(session, [row.invoice_id], moment)


def withdraw_additions(
    session: AnySession,
    invoice_ids: Sequence[int],
    moment: Moment,
    unseen: Collection[int] = (),
) -> None:
    """Drop additions whose payment did not come; nothing is put into a box.

    A mail says so of the invoices ``unseen``, of which no page said it.
    """
    found = additions_paid_by(session, invoice_ids) if invoice_ids else {}
    if not found:
        return
    _set_state(session, [row.id for row in found.values()], "withdrawn")
    invoice = table_of(Invoice)
    session.execute(
        sa.update(invoice)
        .where(invoice.c.id.in_(list(found)), invoice.c.state == InvoiceState.OFFERED)
        .values(state=InvoiceState.DISCARDED)
    )
    give_back_applied(session, list(found), moment)
    mails = [_not_added(row) for key, row in found.items() if key in unseen]
    enqueue(session, mails, moment.now)


def put_in(session: AnySession, row: AnyRow, invoice: AnyRow, moment: Moment) -> None:
    """Put a paid addition into its boxes, in the transaction of the money's arrival.

    ``row`` of ``additions_paid_by``; ``invoice`` has ``public_id`` and ``total_minor``.
    """
    boxes = _boxes_of(session, row.id)
    if row.variant_id is not None:
        numbers = Counter((box, row.variant_id) for box in boxes)
        lay_in(session, {key: number * row.quantity for key, number in numbers.items()})
    if row.goes_on_from is not None:
        session.execute(
            sa.insert(table_of(SubscriptionAddon)).values(
                public_id=public_id("sad"),
                subscription_id=row.subscription_id,
                addon_id=row.addon_id,
                quantity=row.quantity,
                unit_minor=row.unit_minor,
                cadence=Cadence.EVERY.value,
                created_at=moment.now,
            )
        )
        # A renewal that has read the add-ons already must not bill without it.
        change_subscriptions(session, [SubscriptionChange(row.subscription_id, row.version, {})])
    _set_state(session, [row.id], "applied")
    _tell(session, row, invoice, len(boxes), moment)


def lay_in(session: AnySession, pieces: Mapping[tuple[int, int], int]) -> None:
    """Add pieces, by (box, variant), to what lies in boxes that are not packed yet."""
    item = table_of(BoxItem)
    for (box, variant), number in sorted(pieces.items()):
        more = session.execute(
            sa.update(item)
            .where(item.c.box_id == box, item.c.variant_id == variant)
            .values(quantity=item.c.quantity + number)
            .returning(item.c.id)
        ).all()
        if not more:
            session.execute(
                sa.insert(item).values(
                    box_id=box, variant_id=variant, quantity=number, origin="addon"
                )
            )


def move_additions(session: AnySession, spare: Sequence[int], kept: Sequence[int]) -> None:
    """Let what was added to the boxes ``spare``, which are taken away, be of the last ``kept``.

    The pieces themselves are moved by ``operations.addons.rescue_items``. What is still being
    paid for was shown for other boxes: it finds them gone and is withdrawn.
    """
    if spare and kept:
        part, table = table_of(BoxAdditionBox), table_of(BoxAddition)
        applied = sa.select(table.c.id).where(table.c.state == "applied")
        session.execute(
            sa.update(part)
            .where(
                part.c.box_id.in_(spare),
                part.c.returned_at.is_(None),
                part.c.addition_id.in_(applied),
            )
            .values(box_id=kept[-1])
        )


def _hold_subscriptions(session: AnySession, invoice_ids: Sequence[int]) -> None:
    """Lock the subscriptions first, as whoever changes one does."""
    table, subscription = table_of(BoxAddition), table_of(Subscription)
    mine = sa.select(table.c.subscription_id).where(
        table.c.invoice_id.in_(invoice_ids), table.c.state == "waiting"
    )
    session.execute(
        sa.select(subscription.c.id)
        .where(subscription.c.id.in_(mine))
        .order_by(subscription.c.id)
        .with_for_update()
    )


def _may_go_on(session: AnySession, row: AnyRow) -> bool:
    """Return whether later payments may bring it as it was shown, where they were to."""
    if row.goes_on_from is None:
        return True
    table = table_of(SubscriptionAddon)
    runs = sa.select(table.c.id).where(
        table.c.subscription_id == row.subscription_id,
        table.c.addon_id == row.addon_id,
        table.c.ended_at.is_(None),
    )
    return bool(row.goes_on_from == row.next_on) and session.scalar(runs.limit(1)) is None


def _boxes_of(session: AnySession, addition_id: int) -> list[int]:
    part = table_of(BoxAdditionBox)
    rows = sa.select(part.c.box_id).where(part.c.addition_id == addition_id)
    return list(session.scalars(rows.order_by(part.c.box_id)))


def _set_state(session: AnySession, ids: Sequence[int], state: str) -> None:
    table = table_of(BoxAddition)
    session.execute(
        sa.update(table).where(table.c.id.in_(ids), table.c.state == "waiting").values(state=state)
    )


def _not_added(row: AnyRow) -> Message:
    payload = {"addition": row.public_id, "subscription": row.subscription}
    key = f"mail:box_not_added:{row.public_id}"
    return Message("mail", "box_not_added", key, payload, row.customer_id)


def _tell(session: AnySession, row: AnyRow, invoice: AnyRow, boxes: int, moment: Moment) -> None:
    data = {
        "name": row.name,
        "quantity": row.quantity,
        "boxes": boxes,
        "goes_on": row.goes_on_from is not None,
        "invoice": invoice.public_id,
        "amount_minor": invoice.total_minor,
    }
    entry = Entry(
        row.subscription_id,
        row.subscription,
        EventKind.ADDONS_CHANGED,
        Actor.CUSTOMER,
        data=data,
        ref=invoice.public_id,
    )
    record(session, [entry], moment)
    payload = {"addition": row.public_id, "invoice": invoice.public_id}
    key = f"mail:box_added:{row.public_id}"
    enqueue(session, [Message("mail", "box_added", key, payload, row.customer_id)], moment.now)
