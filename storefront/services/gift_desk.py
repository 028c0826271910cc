"""What staff do about a gift that nobody has claimed, when its giver writes to the shop.

Source: docs/decisions/0204-an-address-from-the-giver.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.packing import Problem
from storefront.domain.shipping import is_blocked
from storefront.models import Box, BoxCycle, Gift, OutboxMessage, Subscription
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.addresses import (
    NotServed,
    OtherCountry,
    PostalAddress,
    TooLate,
    address_row,
    insert_address,
    is_same,
)
from storefront.operations.audit import Who
from storefront.operations.gifts import (
    PAID_FOR,
    AlreadyClaimed,
    gift_rows,
    has_boxes_left,
    move_unclaimed,
)
from storefront.operations.keys import AnyRow
from storefront.operations.outbox import Message, enqueue
from storefront.operations.secrets import gift_code, hash_secret
from storefront.operations.shipping import read_zones
from storefront.operations.skips import MOVABLE
from storefront.operations.subscriptions import (
    SubscriptionChange,
    change_subscriptions,
    decide_again,
)
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime

__all__ = [
    "AlreadyClaimed",
    "GiftNotFound",
    "NotMailed",
    "NotServed",
    "OtherCountry",
    "PostalAddress",
    "TooLate",
    "enter_address",
    "send_link",
]

Done = TypeVar("Done")
_TOPIC = "gift_received"


class GiftNotFound(DomainError):
    """There is no such gift, or it was not paid for."""

    code = "gift_not_found"


class NotMailed(DomainError):
    """Its recipient is not to hear of it: quiet, not yet due, held, or taken back."""

    code = "not_mailed"


def enter_address(rt: Runtime, who: Who, gift: str, typed: PostalAddress) -> bool:
    """Send an unclaimed gift to ``typed``, as if its giver had known it; False where it goes there.

    For every box whose cut-off is not over, in the country that was paid for. The recipient may
    correct it with the code. Raises ``GiftNotFound``, ``AlreadyClaimed``, ``OtherCountry``,
    ``NotServed``, and ``TooLate`` when no box can go elsewhere any more.
    """

    def work() -> bool:
        row, moment = _open(rt, gift), rt.moment()
        if typed.country != row.country:
            raise OtherCountry(country=row.country)
        if typed.country not in rt.shop.countries or is_blocked(
            read_zones(rt.session), typed.country, typed.postcode
        ):
            raise NotServed(country=typed.country, postcode=typed.postcode)
        move_unclaimed(rt.session, moment, table_of(Gift).c.id == row.id)
        if not _may_go_elsewhere(rt, row):
            raise TooLate
        table = table_of(Subscription)
        present = rt.session.execute(
            sa.select(table.c.version, table.c.address_id).where(table.c.id == row.subscription_id)
        ).one()
        before = address_row(rt.session, present.address_id)
        if is_same(before, typed):
            rt.session.rollback()
            return False
        key, ref = insert_address(rt.session, row.giver_id, typed, moment.now)
        change = SubscriptionChange(row.subscription_id, present.version, {"address_id": key})
        change_subscriptions(rt.session, [change])
        was = {"address": "", "city": ""}
        if before is not None:
            was = {"address": before.public_id, "city": before.city}
        now, kind = {"address": ref, "city": typed.city}, EventKind.ADDRESS_CHANGED
        data = {**now, "was": was["address"]}
        entry = Entry(row.subscription_id, row.ref, kind, Actor.STAFF, who.public_id, data)
        record(rt.session, [entry], moment)
        audit.write(rt.session, who.id, kind.value, row.ref, was, now, moment, who.ip)
        rt.session.commit()
        return True

    return decide_again(rt.session, lambda: _undone(rt, work))


def send_link(rt: Runtime, who: Who, gift: str, email: str) -> None:
    """Mail the link of a gift to its recipient again, to ``email``, which is normalised.

    Raises ``GiftNotFound``, ``AlreadyClaimed`` and ``NotMailed``.
    """

    def work() -> None:
        row, moment, table = _open(rt, gift), rt.moment(), table_of(Gift)
        if row.is_quiet or row.told_at is None or not _is_running(rt, row):
            raise NotMailed
        code = hash_secret(gift_code(rt.settings.secret_key, row.public_id))
        values = {"recipient_email": email, "code_hash": code}
        rt.session.execute(sa.update(table).where(table.c.id == row.id).values(**values))
        _mail_again(rt, row, email)
        after = {"is_other_email": email != row.recipient_email}
        audit.write(rt.session, who.id, "gift.link_sent", row.public_id, {}, after, moment, who.ip)
        rt.session.commit()

    retrying(rt.session, lambda: _undone(rt, work))


def _undone(rt: Runtime, work: Callable[[], Done]) -> Done:
    try:
        return work()
    except DomainError:
        rt.session.rollback()
        raise


def _open(rt: Runtime, gift: str) -> AnyRow:
    rows = gift_rows(rt.session, table_of(Gift).c.public_id == gift, for_update=True)
    row = rows[0] if rows else None
    if row is None or row.state not in PAID_FOR:
        raise GiftNotFound(gift=gift)
    if row.claimed_at is not None:
        raise AlreadyClaimed
    return row


def _is_running(rt: Runtime, row: AnyRow) -> bool:
    held_at = rt.session.scalar(
        sa.select(table_of(Subscription).c.held_at).where(Subscription.id == row.subscription_id)
    )
    return held_at is None and has_boxes_left(rt.session, row.subscription_id)


def _may_go_elsewhere(rt: Runtime, row: AnyRow) -> bool:
    """Return whether a box of the gift is still to leave whose cut-off is not over."""
    box, cycle = table_of(Box), table_of(BoxCycle)
    found = rt.session.execute(
        sa.select(box.c.id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(
            box.c.subscription_id == row.subscription_id,
            box.c.state.in_(MOVABLE),
            sa.or_(
                box.c.cycle_id.is_(None),
                cycle.c.cutoff_on >= rt.today(),
                # It could not go anywhere.
                box.c.problem == Problem.NO_ADDRESS.value,
            ),
        )
        .limit(1)
    )
    return found.first() is not None


def _mail_again(rt: Runtime, row: AnyRow, email: str) -> None:
    """Put the mail of the day back, or write it anew where it was deleted since."""
    table, key = table_of(OutboxMessage), f"mail:{_TOPIC}:{row.public_id}"
    payload = {"gift": row.public_id, "to": email, "locale": row.locale}
    again = {"state": "waiting", "tries": 0, "error": "", "due_at": rt.now(), "payload": payload}
    # Whoever hands it out just now notes nothing of it any more.
    values = {**again, "fence": table.c.fence + 1}
    found = rt.session.execute(
        sa.update(table).where(table.c.key == key).values(**values).returning(table.c.id)
    ).first()
    if found is None:
        enqueue(rt.session, [Message("mail", _TOPIC, key, payload)], rt.now())
