"""Write the gift of an order, find it by its code, and keep boxes that nobody claimed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from storefront.domain.boxes import BoxState, CycleSlot
from storefront.domain.errors import DomainError
from storefront.domain.events import EventKind
from storefront.domain.gifts import GiftWish, closed_without_address
from storefront.domain.lifecycle import SubscriptionState
from storefront.models import Box, BoxCycle, BoxSkip, Gift, Subscription
from storefront.models.base import public_id, table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import enqueue
from storefront.operations.secrets import gift_code, hash_secret
from storefront.operations.skips import MOVABLE, Coming, read_coming, skip_cycle
from storefront.operations.timeline import Entry, record
from storefront.operations.waiting_boxes import to_giver

#: States of a subscription that was paid for; a code of any other opens nothing.
PAID_FOR = (SubscriptionState.ACTIVE, SubscriptionState.PAUSED, SubscriptionState.CANCELED)


class AlreadyClaimed(DomainError):
    """Somebody has said where this gift goes."""

    code = "already_claimed"


def write_gift(
    session: AnySession,
    subscription_id: int,
    wish: GiftWish,
    giver: tuple[int, str],
    locale: str,
    key: str,
) -> None:
    """Write what is given with a subscription, or what a second try of its order changed.

    ``giver`` is their id and name, ``key`` the shop's key that the code is derived from.
    """
    table = table_of(Gift)
    values = {
        "giver_id": giver[0],
        "giver_name": giver[1],
        "recipient_name": wish.name,
        "recipient_email": wish.email,
        "locale": locale,
        "country": wish.country,
        "message": wish.message,
        "send_on": wish.send_on,
        "is_quiet": wish.is_quiet,
    }
    mine = table.c.subscription_id == subscription_id
    done = session.execute(sa.update(table).where(mine).values(**values).returning(table.c.id))
    if done.one_or_none() is not None:
        return
    ref = public_id("gft")
    session.execute(
        sa.insert(table).values(
            public_id=ref,
            subscription_id=subscription_id,
            code_hash=hash_secret(gift_code(key, ref)),
            **values,
        )
    )


def drop_gifts(session: AnySession, subscription_ids: Sequence[int]) -> None:
    """Forget that subscriptions which have not begun were to be given."""
    table = table_of(Gift)
    session.execute(sa.delete(table).where(table.c.subscription_id.in_(subscription_ids)))


def gift_rows(
    session: AnySession, *conditions: sa.ColumnElement[bool], for_update: bool = False
) -> Sequence[AnyRow]:
    """Return gifts with ``ref``, ``customer_id``, ``address_id``, ``version`` and ``state`` of
    their subscription."""
    gift, table = table_of(Gift), table_of(Subscription)
    statement = (
        sa.select(
            gift,
            table.c.public_id.label("ref"),
            table.c.customer_id,
            table.c.address_id,
            table.c.state,
            table.c.version,
        )
        .join(table, table.c.id == gift.c.subscription_id)
        .where(*conditions)
        .order_by(gift.c.id)
    )
    if for_update and session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(of=gift)
    return session.execute(statement).all()


def any_gift(session: AnySession, *, is_claimed: bool) -> bool:
    """Return whether a gift was, or was not, claimed; ends the transaction of the question."""
    at = table_of(Gift).c.claimed_at
    which = at.is_not(None) if is_claimed else at.is_(None)
    found = session.execute(sa.select(at).where(which).limit(1)).first()
    session.rollback()
    return found is not None


def has_boxes_left(session: AnySession, subscription_id: int) -> bool:
    """False once all boxes of a gift were taken back, as by a refund to its giver."""
    found = session.scalar(sa.select(stands(sa.literal(subscription_id))))
    return bool(found)


def stands(subscription: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """True of a gift as long as not all its boxes were taken back, also when all have left."""
    box = table_of(Box)
    return sa.exists().where(
        box.c.subscription_id == subscription, box.c.state != BoxState.CANCELED
    )


def move_unclaimed(session: AnySession, moment: Moment, *conditions: sa.ColumnElement[bool]) -> int:
    """Move boxes of gifts without an address out of rounds whose cut-off is over.

    Behind the last box of the gift, as a skip that no limit counts, and its giver is told once
    of each box; returns how many moved.
    ``conditions`` narrow to some gifts, subscriptions or rounds. Running it again changes
    nothing. Raises ``StaleSubscription`` when somebody changed one of them meanwhile.
    """
    box, cycle, gift = table_of(Box), table_of(BoxCycle), table_of(Gift)
    table = table_of(Subscription)
    rows = session.execute(
        sa.select(
            box.c.subscription_id,
            box.c.public_id.label("box"),
            # Nobody is written to of one whose day is to come, or which a dispute holds.
            sa.case(
                (gift.c.told_at.is_not(None) & table.c.held_at.is_(None), gift.c.giver_id)
            ).label("giver_id"),
            cycle.c.id,
            cycle.c.charge_on,
            cycle.c.cutoff_on,
            cycle.c.lock_on,
            cycle.c.ship_from,
        )
        .join(gift, gift.c.subscription_id == box.c.subscription_id)
        .join(table, table.c.id == box.c.subscription_id)
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .where(
            gift.c.claimed_at.is_(None),
            # What the giver knows the address of goes there.
            table.c.address_id.is_(None),
            box.c.state.in_(MOVABLE),
            box.c.address_id.is_(None),
            cycle.c.cutoff_on < moment.today,
            *conditions,
        )
        .order_by(box.c.subscription_id)
    )
    closed: dict[int, list[CycleSlot]] = defaultdict(list)
    boxes: dict[tuple[int, int], AnyRow] = {}
    for row in rows:
        slot = CycleSlot(row.id, row.charge_on, row.cutoff_on, row.lock_on, row.ship_from)
        closed[row.subscription_id].append(slot)
        boxes[row.subscription_id, row.id] = row
    moved, mails = 0, []
    for key, slots in closed.items():
        for cycle_id, moves in _move(session, key, slots, moment):
            row, moved = boxes[key, cycle_id], moved + moves
            mails += to_giver(row.box, row.giver_id, "address")
    enqueue(session, mails, moment.now)
    return moved


def _move(
    session: AnySession, key: int, slots: Sequence[CycleSlot], moment: Moment
) -> list[tuple[int, int]]:
    """Return the rounds that boxes were taken out of, each with how many boxes moved."""
    table, skip = table_of(Subscription), table_of(BoxSkip)
    moved = []
    for slot in closed_without_address(slots, moment.today):
        # Each move may change where the others stand, so the subscription is read anew.
        (coming,) = read_coming(session, table.c.id == key, moment.today, for_update=True)
        is_addressed = coming.row.customer_id is not None or coming.row.address_id is not None
        if is_addressed or slot.id in coming.skips:
            continue
        moved.append((slot.id, len(skip_cycle(session, coming, slot.id, moment.now))))
        session.execute(
            sa.update(skip)
            .where(skip.c.subscription_id == key, skip.c.cycle_id == slot.id)
            .values(is_forced=True)
        )
        _note(session, coming, slot, moment)
    return moved


def _note(session: AnySession, coming: Coming, slot: CycleSlot, moment: Moment) -> None:
    data = {"ship_on": slot.ship_from.isoformat(), "reason": "no_address"}
    row = coming.row
    record(session, [Entry(row.id, row.public_id, EventKind.BOX_SKIPPED, data=data)], moment)
