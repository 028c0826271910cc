"""The boxes of a period that a paid change touches: re-priced, moved, more or fewer of them."""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState, CycleSlot
from storefront.domain.first_boxes import boxes_of_restart
from storefront.domain.invoices import DEFERRED_KINDS, InvoiceState, LineKind
from storefront.domain.ledger import DEFERRED_REVENUE, REVENUE, JournalKind
from storefront.domain.money import split_minor
from storefront.domain.periods import Interval
from storefront.models import Box, BoxSkip, Invoice, InvoiceLine, SubscriptionPeriod
from storefront.models.base import public_ids, table_of
from storefront.operations.added import move_additions
from storefront.operations.added_back import return_additions
from storefront.operations.addons import rescue_items
from storefront.operations.boxes import cycle_use, slots_of
from storefront.operations.bulk import insert_many
from storefront.operations.earning import TO_COME, deferred_of
from storefront.operations.kept_places import forget_moved
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.ledger import Journal, Transfer, book
from storefront.operations.moment import Moment


def reshape_boxes(session: AnySession, change: AnyRow, moment: Moment) -> None:
    """Give the boxes that were not packed to what a paid change brings.

    They keep their rows. A restart moves them into the new period and the cycles an order of
    its day would join; it adds what is missing and cancels what is too much.
    """
    data = change.data
    if data["how"] == "adjust":
        _price(session, change, data["period_id"], data["unsent"])
        return
    box = table_of(Box)
    target = _target_period(session, change)
    kept, spare = data["unsent"][: data["boxes"]], data["unsent"][data["boxes"] :]
    if spare:
        values: dict[str, Any] = {"state": BoxState.CANCELED, "net_minor": 0, "tax_minor": 0}
        session.execute(sa.update(box).where(box.c.id.in_(spare)).values(values))
        rescue_items(session, spare, kept)
        move_additions(session, spare, kept)
        if not kept:
            return_additions(session, spare, moment)
    joined = _free_cycles(session, change, moment)
    for ordinal, key in enumerate(kept, start=1):
        slot = joined[ordinal - 1]
        moved = {"period_id": target, "ordinal": ordinal} if data["opens"] else {}
        values = {"cycle_id": slot.id if slot else None, **moved}
        session.execute(sa.update(box).where(box.c.id == key).values(values))
    added = _add_boxes(session, change, target, joined[len(kept) :], moment)
    _price(session, change, target, [*kept, *added])
    forget_moved(session, target)
    if data["opens"]:
        _leave(session, data["period_id"], len(kept))


def level_deferred(session: AnySession, period_id: int, invoice: AnyRow, moment: Moment) -> None:
    """Book what rounding left of the period a change took from, so that nothing stays behind.

    The credit is a share of the lines, the boxes' shares are rounded one by one: with nothing
    more to come of the period, or less than nothing deferred, revenue takes the difference.
    """
    rest = deferred_of(session, [period_id]).get(period_id, 0)
    if not rest or (rest > 0 and _is_more_to_come(session, period_id)):
        return
    levelled = Transfer(
        DEFERRED_REVENUE,
        REVENUE,
        rest,
        invoice.currency,
        invoice.payer_id,
        invoice.id,
        period_id,
    )
    book(session, [Journal(JournalKind.REVERSAL, invoice.public_id, (levelled,))], moment.now)


def _is_more_to_come(session: AnySession, period_id: int) -> bool:
    box, period = table_of(Box), table_of(SubscriptionPeriod)
    to_come = sa.exists().where(
        box.c.period_id == period.c.id,
        box.c.kind == BoxKind.REGULAR,
        box.c.state.in_(TO_COME),
    )
    by_days = sa.and_(
        period.c.box_count == 0,
        sa.or_(period.c.earned_on.is_(None), period.c.earned_on < period.c.end_on),
    )
    found = session.scalar(
        sa.select(sa.or_(to_come, by_days)).select_from(period).where(period.c.id == period_id)
    )
    return bool(found)


def _target_period(session: AnySession, change: AnyRow) -> int:
    data, period = change.data, table_of(SubscriptionPeriod)
    if not data["opens"]:
        return int(data["period_id"])
    found = session.execute(
        sa.select(period.c.id).where(
            period.c.subscription_id == change.subscription_id,
            period.c.start_on == date.fromisoformat(data["start_on"]),
        )
    )
    return int(found.scalar_one())


def _free_cycles(session: AnySession, change: AnyRow, moment: Moment) -> list[CycleSlot | None]:
    """Take the boxes out of their cycles and return those an order of the change's day joins."""
    data, box, skip = change.data, table_of(Box), table_of(BoxSkip)
    mine = data["unsent"]
    session.execute(sa.update(box).where(box.c.id.in_(mine)).values(cycle_id=None))
    # A skip does not lead back to a box that is arranged anew.
    session.execute(
        sa.update(skip)
        .where(skip.c.moved_box_id.in_(mine))
        .values(moved_box_id=None, moved_to_id=None)
    )
    if not data["boxes"]:
        return []
    group = change.cycle_group_id
    use = cycle_use(session, [change.subscription_id])
    return boxes_of_restart(
        slots_of(session, [group], moment.today)[group],
        (use.taken[change.subscription_id], use.skipped[change.subscription_id]),
        data["boxes"],
        (date.fromisoformat(data["start_on"]), moment.today),
        Interval(change.shipping_unit, change.shipping_count),
        change.first_box_on if change.first_box == "later" else None,
    )


def _price(session: AnySession, change: AnyRow, period_id: int, keys: list[int]) -> None:
    """Give boxes the plan, the answers and, together, what other boxes leave of the lines."""
    if not keys:
        return
    box, line = table_of(Box), table_of(InvoiceLine)
    net, tax = _left_for(session, period_id, keys)
    paying = session.execute(
        sa.select(line.c.id)
        .where(line.c.invoice_id == change.invoice_id, line.c.kind == LineKind.PRORATION_CHARGE)
        .order_by(line.c.position)
        .limit(1)
    ).scalar_one()
    nets, taxes = split_minor(net, [1] * len(keys)), split_minor(tax, [1] * len(keys))
    for key, net_minor, tax_minor in zip(keys, nets, taxes, strict=True):
        session.execute(
            sa.update(box)
            .where(box.c.id == key)
            .values(
                plan_id=change.plan_id,
                options=dict(change.data["options"]),
                quantity=change.data["quantity"],
                invoice_line_id=paying,
                net_minor=net_minor,
                tax_minor=tax_minor,
            )
        )


def _left_for(session: AnySession, period_id: int, keys: list[int]) -> tuple[int, int]:
    """Return (net, tax) of the period's lines that its boxes other than ``keys`` do not have."""
    box, line, invoice = table_of(Box), table_of(InvoiceLine), table_of(Invoice)
    paid = session.execute(
        sa.select(
            sa.func.coalesce(sa.func.sum(line.c.gross_minor - line.c.tax_minor), 0).label("net"),
            sa.func.coalesce(sa.func.sum(line.c.tax_minor), 0).label("tax"),
        )
        .join(invoice, invoice.c.id == line.c.invoice_id)
        .where(
            line.c.period_id == period_id,
            line.c.kind.in_(DEFERRED_KINDS),
            invoice.c.state == InvoiceState.PAID,
        )
    ).one()
    others = session.execute(
        sa.select(
            sa.func.coalesce(sa.func.sum(box.c.net_minor), 0).label("net"),
            sa.func.coalesce(sa.func.sum(box.c.tax_minor), 0).label("tax"),
        ).where(box.c.period_id == period_id, box.c.kind == BoxKind.REGULAR, box.c.id.not_in(keys))
    ).one()
    return int(paid.net - others.net), int(paid.tax - others.tax)


def _leave(session: AnySession, period_id: int, moved: int) -> None:
    """Write down what stays with the period that was left: fewer boxes, and all of its money."""
    period, box = table_of(SubscriptionPeriod), table_of(Box)
    session.execute(
        sa.update(period)
        .where(period.c.id == period_id)
        .values(box_count=period.c.box_count - moved)
    )
    last = session.scalar(
        sa.select(box.c.id)
        .where(box.c.period_id == period_id, box.c.kind == BoxKind.REGULAR)
        .order_by(sa.case((box.c.state == BoxState.CANCELED, 1), else_=0), box.c.ordinal.desc())
        .limit(1)
    )
    if last is not None:
        net, tax = _left_for(session, period_id, [last])
        session.execute(sa.update(box).where(box.c.id == last).values(net_minor=net, tax_minor=tax))


def _add_boxes(
    session: AnySession,
    change: AnyRow,
    period_id: int,
    joined: list[CycleSlot | None],
    moment: Moment,
) -> list[int]:
    """Insert the boxes the new period has more; what they cost follows."""
    if not joined:
        return []
    box, data = table_of(Box), change.data
    last = session.scalar(
        sa.select(sa.func.max(box.c.ordinal)).where(
            box.c.period_id == period_id, box.c.kind == BoxKind.REGULAR
        )
    )
    keys, publics = reserve(session, Box, len(joined)), public_ids("box", len(joined))
    insert_many(
        session,
        Box,
        [
            {
                "id": key,
                "public_id": public,
                "subscription_id": change.subscription_id,
                "period_id": period_id,
                "plan_id": change.plan_id,
                "options": dict(data["options"]),
                "quantity": data["quantity"],
                "kind": BoxKind.REGULAR,
                "ordinal": ordinal,
                "cycle_id": slot.id if slot else None,
                "invoice_line_id": None,
                "net_minor": 0,
                "tax_minor": 0,
                "currency": change.currency,
                "state": BoxState.PLANNED,
                "problem": "",
                "created_at": moment.now,
            }
            for ordinal, (key, public, slot) in enumerate(
                zip(keys, publics, joined, strict=True), start=(last or 0) + 1
            )
        ],
    )
    return list(keys)
