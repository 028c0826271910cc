"""Tell recipients of their gifts on the day, remind them, and take their address for a code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.gifts import REMIND_AFTER
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.shipping import is_blocked
from storefront.models import Address, Customer, Gift, Subscription
from storefront.models.base import public_id, table_of
from storefront.operations.addresses import address_row
from storefront.operations.gifts import (
    PAID_FOR,
    AlreadyClaimed,
    any_gift,
    gift_rows,
    has_boxes_left,
    move_unclaimed,
)
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.order_rows import ADDRESS_COLUMNS
from storefront.operations.outbox import Message, enqueue
from storefront.operations.secrets import gift_code, hash_secret, typed_gift_code
from storefront.operations.shipping import read_zones
from storefront.operations.subscriptions import (
    SubscriptionChange,
    change_subscriptions,
    decide_again,
)
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime

__all__ = [
    "AlreadyClaimed",
    "Claimed",
    "GiftReport",
    "NotServed",
    "OtherCountry",
    "UnknownCode",
    "claim",
    "run_gifts",
]

#: Gifts told of in one transaction.
_AT_ONCE = 100
#: Mails to recipients leave from this minute of their day on: 8:00.
_MORNING = 8 * 60


class UnknownCode(DomainError):
    """There is no such gift, its day is still to come, or its boxes were taken back."""

    code = "unknown_code"


class OtherCountry(DomainError):
    """The gift was paid for ``country`` and goes nowhere else."""

    code = "other_country"


class NotServed(DomainError):
    """Nothing is sent to this postcode."""

    code = "not_served"


@dataclass(frozen=True, slots=True)
class GiftReport:
    """What one run did."""

    told: int = 0
    reminded: int = 0
    moved: int = 0


@dataclass(frozen=True, slots=True)
class Claimed:
    """``new_customer_id`` names whom the claim made, None for a customer there was before."""

    subscription: str
    new_customer_id: int | None


def run_gifts(rt: Runtime) -> GiftReport:
    """Tell whose day has come, remind once, and move boxes that nobody has claimed in time.

    Running it again changes nothing.
    """
    if not any_gift(rt.session, is_claimed=False):
        return GiftReport()
    moved = decide_again(rt.session, partial(_move, rt))
    return GiftReport(_in_parts(rt, partial(_tell, rt)), _in_parts(rt, partial(_remind, rt)), moved)


def _move(rt: Runtime) -> int:
    moved = move_unclaimed(rt.session, rt.moment())
    if moved:
        rt.session.commit()
    else:
        rt.session.rollback()
    return moved


def _in_parts(rt: Runtime, work: partial[int]) -> int:
    done = 0
    while part := retrying(rt.session, work):
        done += part
    return done


def _running() -> tuple[sa.ColumnElement[bool], ...]:
    """Paid, and not held back: by a dispute of its giver, for one."""
    gift, table = table_of(Gift), table_of(Subscription)
    return (
        gift.c.claimed_at.is_(None),
        table.c.state == SubscriptionState.ACTIVE,
        table.c.held_at.is_(None),
    )


def _is_hour(moment: Moment) -> sa.ColumnElement[bool]:
    """A mail waits for the morning of its day; a code to hand over, and what was bought since
    midnight, do not."""
    if moment.now >= moment.at(moment.today, _MORNING):
        return sa.true()
    gift, table = table_of(Gift), table_of(Subscription)
    is_new = table.c.created_at >= moment.start_of(moment.today)
    return sa.or_(gift.c.is_quiet, gift.c.send_on < moment.today, is_new)


def _tell(rt: Runtime) -> int:
    gift = table_of(Gift)
    due = (gift.c.told_at.is_(None), gift.c.send_on <= rt.today(), _is_hour(rt.moment()))
    rows = gift_rows(rt.session, *due, *_running(), for_update=True)[:_AT_ONCE]
    for row in rows:
        # Hashed anew: the code in the mail is made of the key the shop has today. That of a
        # quiet one may be printed already.
        code = hash_secret(gift_code(rt.settings.secret_key, row.public_id))
        kept = row.code_hash if row.is_quiet else code
        mine = gift.c.id == row.id
        rt.session.execute(sa.update(gift).where(mine).values(told_at=rt.now(), code_hash=kept))
    mails = [_mail("gift_received", row) for row in rows if not row.is_quiet]
    enqueue(rt.session, mails, rt.now())
    _end(rt, rows)
    return len(rows)


def _remind(rt: Runtime) -> int:
    gift = table_of(Gift)
    due = (
        gift.c.told_at.is_not(None),
        gift.c.reminded_at.is_(None),
        gift.c.send_on <= rt.today() - REMIND_AFTER,
        # Its boxes leave without an answer where the giver knew the address.
        table_of(Subscription).c.address_id.is_(None),
    )
    rows = gift_rows(rt.session, *due, *_running(), for_update=True)[:_AT_ONCE]
    ids = [row.id for row in rows]
    rt.session.execute(sa.update(gift).where(gift.c.id.in_(ids)).values(reminded_at=rt.now()))
    mails = [_mail("gift_reminder", row) for row in rows if not row.is_quiet]
    mails += [_to_giver("gift_unclaimed", row) for row in rows]
    enqueue(rt.session, mails, rt.now())
    _end(rt, rows)
    return len(rows)


def _end(rt: Runtime, rows: Sequence[AnyRow]) -> None:
    if rows:
        rt.session.commit()
    else:
        rt.session.rollback()


def _mail(topic: str, row: AnyRow) -> Message:
    """Return a mail to the recipient, who is no customer yet."""
    payload = {"gift": row.public_id, "to": row.recipient_email, "locale": row.locale}
    return Message("mail", topic, f"mail:{topic}:{row.public_id}", payload)


def _to_giver(topic: str, row: AnyRow) -> Message:
    key = f"mail:{topic}:{row.public_id}"
    return Message("mail", topic, key, {"gift": row.public_id}, row.giver_id)


def claim(
    rt: Runtime,
    code: str,
    email: str,
    address: Mapping[str, str],
    *,
    customer_id: int | None = None,
    locale: str = "",
) -> Claimed:
    """Say where a gift goes, and whose it is from now on: who holds the code.

    ``email`` is normalised; a signed-in customer is ``customer_id``. Boxes whose cut-off is
    over by now come later, or go where the giver said. Raises ``UnknownCode``,
    ``AlreadyClaimed``, ``OtherCountry`` and ``NotServed``.
    """

    def work() -> Claimed:
        try:
            row = _claimable(rt, code, address)
        except DomainError:
            rt.session.rollback()
            raise
        table, moment = table_of(Subscription), rt.moment()
        move_unclaimed(rt.session, moment, table_of(Gift).c.id == row.id)
        owner, is_new = customer_id, False
        if owner is None:
            owner, is_new = _customer(rt, email, address["name"], locale)
        present = rt.session.execute(
            sa.select(table.c.version, table.c.address_id).where(table.c.id == row.subscription_id)
        ).one()
        before = address_row(rt.session, present.address_id)
        address_id, ref = _address(rt, owner, address)
        values = {"customer_id": owner, "address_id": address_id}
        change = SubscriptionChange(row.subscription_id, present.version, values)
        change_subscriptions(rt.session, [change])
        gift = table_of(Gift)
        rt.session.execute(sa.update(gift).where(gift.c.id == row.id).values(claimed_at=moment.now))
        kind = EventKind.ADDRESS_CHANGED
        was = before.public_id if before is not None else ""
        data = {"address": ref, "was": was, "city": address["city"]}
        entry = Entry(row.subscription_id, row.ref, kind, Actor.CUSTOMER, data=data)
        record(rt.session, [entry], moment)
        enqueue(rt.session, [_to_giver("gift_claimed", row)], moment.now)
        rt.session.commit()
        return Claimed(row.ref, owner if is_new else None)

    return decide_again(rt.session, work)


def _claimable(rt: Runtime, code: str, address: Mapping[str, str]) -> AnyRow:
    gift = table_of(Gift)
    digest = hash_secret(typed_gift_code(code))
    rows = gift_rows(rt.session, gift.c.code_hash == digest, for_update=True)
    row = rows[0] if rows else None
    if row is None or row.told_at is None or row.state not in PAID_FOR:
        raise UnknownCode
    if row.claimed_at is not None:
        raise AlreadyClaimed
    if not has_boxes_left(rt.session, row.subscription_id):
        raise UnknownCode
    if address["country"] != row.country:
        raise OtherCountry(country=row.country)
    if is_blocked(read_zones(rt.session), row.country, address["postcode"]):
        raise NotServed
    return row


def _customer(rt: Runtime, email: str, name: str, locale: str) -> tuple[int, bool]:
    """Return the customer with this e-mail, made if there is none."""
    table = table_of(Customer)
    dialect = postgresql if rt.session.get_bind().dialect.name == "postgresql" else sqlite
    made = rt.session.execute(
        dialect.insert(table)
        .values(
            public_id=public_id("cus"),
            email=email,
            name=name,
            locale=locale,
            source="gift",
            created_at=rt.now(),
        )
        .on_conflict_do_nothing(index_elements=["email"])
        .returning(table.c.id)
    ).scalar_one_or_none()
    if made is not None:
        return int(made), True
    found = rt.session.execute(sa.select(table.c.id).where(table.c.email == email))
    return int(found.scalar_one()), False


def _address(rt: Runtime, customer_id: int, typed: Mapping[str, str]) -> tuple[int, str]:
    """Write the address; returns its key and public id."""
    table, ref = table_of(Address), public_id("adr")
    parts = {name: typed.get(name, "") for name in ADDRESS_COLUMNS}
    made = rt.session.execute(
        sa.insert(table)
        .values(public_id=ref, customer_id=customer_id, created_at=rt.now(), **parts)
        .returning(table.c.id)
    )
    return int(made.scalar_one()), ref
