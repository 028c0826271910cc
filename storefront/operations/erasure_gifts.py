"""Who gave and who got: gifts while somebody is erased, and of people nobody knows any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa

from storefront.domain.events import EventKind
from storefront.domain.gifts import without_recipient_of
from storefront.domain.lifecycle import ENDED
from storefront.models import (
    Address,
    AllergyAnswer,
    Box,
    BoxAddress,
    Checkout,
    Gift,
    OutboxMessage,
    Subscription,
    SubscriptionEvent,
)
from storefront.models.base import table_of
from storefront.operations.erasure_rows import (
    LEAVING,
    NOWHERE,
    blank_messages,
    erase_boxes,
    set_values,
)
from storefront.operations.keys import AnyRow, AnySelect, AnySession


def erase_gifts(session: AnySession, ids: Sequence[int], email: str) -> None:
    """Take out who gave and what they said, and who got it; one side leaves the other's."""
    table, subscription = table_of(Gift), table_of(Subscription)
    own = sa.select(subscription.c.id).where(subscription.c.customer_id.in_(ids))
    got = sa.or_(table.c.subscription_id.in_(own), table.c.recipient_email == email)
    unclaimed = sa.and_(table.c.giver_id.in_(ids), table.c.claimed_at.is_(None))
    gone = session.execute(_recipients().where(sa.or_(got, unclaimed))).all()
    _erase_recipients(session, gone, email)
    given = sa.select(table.c.subscription_id).where(table.c.giver_id.in_(ids))
    _erase_cards(session, given, email)
    set_values(session, Gift, table.c.giver_id.in_(ids), giver_name="", message="")
    keys = [one.id for one in gone]
    set_values(session, Gift, table.c.id.in_(keys), recipient_name="", recipient_email="")


def _recipients() -> AnySelect:
    """Gifts as ``_erase_recipients`` wants them."""
    table, subscription = table_of(Gift), table_of(Subscription)
    return (
        sa.select(table, subscription.c.checkout_id.label("order_id"), subscription.c.address_id)
        .join(subscription, subscription.c.id == table.c.subscription_id)
        .order_by(table.c.id)
    )


def _erase_recipients(session: AnySession, gifts: Sequence[AnyRow], email: str) -> None:
    """Take who gets these gifts out of their mails, and out of the orders they were bought by.

    And, where the giver said where to send what nobody has claimed, out of its boxes.

    The mails name no customer: a recipient is none yet. Orders that are open stay as they are.
    """
    mail, order = table_of(OutboxMessage), table_of(Checkout)
    topics = ("gift_received", "gift_reminder")
    blank_messages(
        session, mail.c.key.in_([f"mail:{topic}:{g.public_id}" for g in gifts for topic in topics])
    )
    _erase_given(session, [one for one in gifts if one.claimed_at is None])
    _blank(session, _left_behind(table_of(Gift).c.id.in_([one.id for one in gifts])))
    bought = {(one.giver_id, one.recipient_email) for one in gifts}
    orders = {one.order_id for one in gifts}
    to = order.c.gift["email"].as_string()
    named = to.in_({email, *(one for _giver, one in bought)} - {""})
    rows = session.execute(
        sa.select(order.c.id, order.c.customer_id, order.c.gift)
        .where(sa.or_(named, order.c.id.in_(orders)))
        .where(order.c.state.not_in(["open", "paying"]))
        .order_by(order.c.id)
    ).all()
    for one in rows:
        whose = (one.customer_id, one.gift.get("email", ""))
        if not one.gift or (one.id not in orders and whose[1] != email and whose not in bought):
            continue
        kept = without_recipient_of(one.gift)
        set_values(session, Checkout, order.c.id == one.id, gift=kept, version=order.c.version + 1)


def _erase_given(session: AnySession, gifts: Sequence[AnyRow]) -> None:
    """Take out where these were sent, by a row of their giver's that nothing else goes to."""
    keys = [one.subscription_id for one in gifts if one.address_id is not None]
    table, address, answer = table_of(Subscription), table_of(Address), table_of(AllergyAnswer)
    of_these = sa.select(table.c.id).where(table.c.id.in_(keys))
    erase_boxes(session, of_these)
    session.execute(sa.delete(answer).where(answer.c.subscription_id.in_(keys)))
    given = address.c.id.in_([one.address_id for one in gifts if one.address_id is not None])
    set_values(session, Address, sa.and_(given, sa.not_(_is_used(keys))), **NOWHERE)
    _blank(session, _sent_elsewhere(table.c.id.in_(keys)))
    _blank(session, _corrected(keys))


def _blank(session: AnySession, which: AnySelect) -> int:
    """Leave nothing but the country of the addresses that ``which`` names; returns how many."""
    found = session.scalars(which).all()
    if found:
        set_values(session, Address, table_of(Address).c.id.in_(found), **NOWHERE)
    return len(found)


def _left_behind(*conditions: sa.ColumnElement[bool]) -> AnySelect:
    """Select what givers said of claimed gifts that have all left: it is theirs, and of no use.

    The subscription goes to an address of its recipient since; its timeline knows the former.
    Whose recipient is the giver keeps it: it is their own.
    """
    gift, table, box = table_of(Gift), table_of(Subscription), table_of(Box)
    address = table_of(Address)
    leaves = sa.exists().where(box.c.subscription_id == table.c.id, box.c.state.in_(LEAVING))
    was, leaves = _was(table, address), leaves.correlate(table)
    sent = sa.exists().where(box.c.subscription_id == table.c.id, box.c.address_id == address.c.id)
    sent = sent.correlate(table, address)
    return (
        sa.select(address.c.id, table.c.checkout_id)
        .select_from(address)
        .join(gift, gift.c.giver_id == address.c.customer_id)
        .join(table, table.c.id == gift.c.subscription_id)
        .where(
            *conditions,
            gift.c.claimed_at.is_not(None),
            table.c.customer_id != gift.c.giver_id,
            sa.not_(leaves),
            address.c.name + address.c.street != "",
            sa.or_(was, sent),
            sa.not_(_is_used([])),
        )
        .order_by(address.c.id, table.c.checkout_id)
    )


def _was(subscription: sa.Table, address: sa.Table) -> sa.ColumnElement[bool]:
    """Whether ``subscription`` went to ``address`` before, as its timeline knows."""
    event = table_of(SubscriptionEvent)
    found = sa.exists().where(
        event.c.subscription_id == subscription.c.id,
        event.c.kind == EventKind.ADDRESS_CHANGED.value,
        event.c.data["was"].as_string() == address.c.public_id,
    )
    return found.correlate(subscription, address)


def _corrected(keys: Sequence[int]) -> AnySelect:
    """Select where these were to go before staff corrected it as their giver said."""
    gift, table, address = table_of(Gift), table_of(Subscription), table_of(Address)
    return (
        sa.select(address.c.id)
        .select_from(address)
        .join(gift, gift.c.giver_id == address.c.customer_id)
        .join(table, table.c.id == gift.c.subscription_id)
        .where(table.c.id.in_(keys), _was(table, address), sa.not_(_is_used(keys)))
        .order_by(address.c.id)
    )


def _sent_elsewhere(whose: sa.ColumnElement[bool]) -> AnySelect:
    """Select where single boxes of these went that late changes sent somewhere else."""
    gift, table, box = table_of(Gift), table_of(Subscription), table_of(Box)
    address = table_of(Address)
    return (
        sa.select(address.c.id)
        .select_from(address)
        .join(box, box.c.address_id == address.c.id)
        .join(table, table.c.id == box.c.subscription_id)
        .join(gift, gift.c.subscription_id == table.c.id)
        .where(whose, address.c.customer_id == gift.c.giver_id, sa.not_(_is_used([])))
        .distinct()
        .order_by(address.c.id)
    )


def forget_left_behind(session: AnySession, until: date, limit: int) -> int:
    """Take out where givers said that claimed gifts go which ended before ``until``.

    Returns how many that were. Their orders say it no more, either.
    """
    table, order = table_of(Subscription), table_of(Checkout)
    is_over = (table.c.state.in_(ENDED), table.c.ended_on < until)
    rows = session.execute(_left_behind(*is_over).limit(limit)).all()
    bought = sa.select(order.c.id, order.c.gift).where(
        order.c.id.in_([one.checkout_id for one in rows])
    )
    for one in session.execute(bought).all() if rows else ():
        kept = {name: value for name, value in one.gift.items() if name != "address"}
        set_values(session, Checkout, order.c.id == one.id, gift=kept, version=order.c.version + 1)
    set_values(session, Address, table_of(Address).c.id.in_([one.id for one in rows]), **NOWHERE)
    return len(rows)


def _is_used(keys: Sequence[int]) -> sa.ColumnElement[bool]:
    """Whether an address is its giver's own, or of what else is still to be sent to it than these.

    Orders of before gifts had addresses of their own may share one.
    """
    address, table = table_of(Address), table_of(Subscription).alias("used_for")
    box, chosen = table_of(Box).alias("used_by"), table_of(BoxAddress).alias("used_once")
    leaves = sa.exists().where(box.c.subscription_id == table.c.id, box.c.state.in_(LEAVING))
    runs = sa.or_(table.c.state.not_in(ENDED), leaves.correlate(table))
    goes_there = sa.exists().where(
        table.c.address_id == address.c.id,
        table.c.id.not_in(keys),
        sa.or_(table.c.customer_id == address.c.customer_id, runs),
    )
    goes_there = goes_there.correlate(address)
    one_goes_there = sa.exists().where(box.c.address_id == address.c.id, box.c.state.in_(LEAVING))
    one_goes_there = one_goes_there.correlate(address)
    one_will = sa.exists().where(chosen.c.address_id == address.c.id).correlate(address)
    return sa.or_(goes_there, one_goes_there, one_will)


def forget_recipients(session: AnySession, until: date, limit: int) -> int:
    """Take out who was to get gifts that nobody claimed and nobody can any more.

    Of gifts that were to begin before ``until`` and are over; returns how many.
    """
    table, subscription, box = table_of(Gift), table_of(Subscription), table_of(Box)
    is_leaving = sa.exists().where(
        box.c.subscription_id == subscription.c.id, box.c.state.in_(LEAVING)
    )
    rows = session.execute(
        _recipients()
        .where(
            table.c.claimed_at.is_(None),
            table.c.send_on < until,
            table.c.recipient_name != "",
            subscription.c.state.in_(ENDED),
            # What goes to an address that the giver knew still needs it.
            sa.or_(subscription.c.address_id.is_(None), sa.not_(is_leaving)),
        )
        .limit(limit)
    ).all()
    if rows:
        _erase_recipients(session, rows, "")
        keys = [one.id for one in rows]
        set_values(
            session, Gift, table.c.id.in_(keys), recipient_name="", recipient_email="", message=""
        )
    return len(rows)


def _erase_cards(session: AnySession, subscriptions: AnySelect, email: str) -> None:
    """Take the card that lies in a box, and the giver whom the carrier wrote to, from these."""
    table = table_of(Box)
    rows = session.execute(
        sa.select(table.c.id, table.c.packing)
        .where(table.c.subscription_id.in_(subscriptions), table.c.packing.is_not(None))
        .order_by(table.c.id)
    ).all()
    for one in rows:
        kept = {key: value for key, value in (one.packing or {}).items() if key != "gift"}
        if kept.get("email") == email:
            kept["email"] = ""
        if kept != one.packing:
            set_values(session, Box, table.c.id == one.id, packing=kept)
