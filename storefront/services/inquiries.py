"""Ask the merchant, answer, note for the staff, close: a conversation kept where both see it.

Source: docs/decisions/0214-inquiries.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.inquiries import (
    MOST_MESSAGES,
    Author,
    ConversationFull,
    InquiryNotFound,
    NewerMessage,
    Standing,
    Topic,
    about_kind,
    after,
    key_of,
)
from storefront.domain.privacy import mask_card_numbers
from storefront.models.base import public_id
from storefront.operations import audit, inquiries
from storefront.operations.audit import Who
from storefront.operations.keys import AnyRow
from storefront.operations.outbox import Message, enqueue
from storefront.operations.subscriptions import decide_again
from storefront.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks; ``subject`` is one line, ``once`` was drawn for the page."""

    topic: Topic
    subject: str
    text: str
    once: str
    #: Public id of a subscription, box or invoice of theirs; anybody else's is left out.
    about: str = ""


def ask(rt: Runtime, customer_id: int, customer: str, question: Question) -> str:
    """Begin a conversation and tell the shop; sent twice it is the one that began first."""
    key = key_of(customer, question.once, question.topic, question.subject, question.text)

    def change() -> str:
        before = inquiries.by_once(rt.session, key)
        if before is not None:
            rt.session.rollback()
            return before
        now, ref, kind = rt.now(), public_id("inq"), about_kind(question.about)
        is_theirs = inquiries.owns(rt.session, customer_id, kind, question.about)
        inquiry_id = inquiries.insert_inquiry(
            rt.session,
            public_id=ref,
            customer_id=customer_id,
            topic=question.topic.value,
            subject=mask_card_numbers(question.subject),
            about_ref=question.about if is_theirs else "",
            state=Standing.OPEN.value,
            opened_at=now,
            last_at=now,
        )
        text = mask_card_numbers(question.text)
        inquiries.add_message(rt.session, inquiry_id, 1, Author.CUSTOMER, text, key, now)
        inquiries.set_inquiry(rt.session, inquiry_id, messages=1)
        enqueue(rt.session, [_to_shop(rt, ref, 1)], now)
        rt.session.commit()
        return ref

    return decide_again(rt.session, change, sa.exc.IntegrityError)


def reply(rt: Runtime, customer_id: int, customer: str, ref: str, text: str, once: str) -> None:
    """Write once more; a conversation that was closed is open again.

    Raises ``InquiryNotFound`` and ``ConversationFull``.
    """
    key = key_of(customer, once, ref, text)

    def change() -> None:
        row = _row(rt, ref, customer_id)
        if inquiries.by_once(rt.session, key) is None:
            number = _write(rt, row, Author.CUSTOMER, text, key)
            enqueue(rt.session, [_to_shop(rt, ref, number)], rt.now())
        rt.session.commit()

    decide_again(rt.session, change, sa.exc.IntegrityError)


def answer(rt: Runtime, who: Who, ref: str, text: str, once: str, seen: int) -> None:
    """Answer as the shop and mail it. Raises ``InquiryNotFound``, ``ConversationFull``.

    Raises ``NewerMessage`` where more than the ``seen`` messages stand there by now.
    """
    key = key_of(who.public_id, once, ref, text)

    def change() -> None:
        row = _row(rt, ref)
        if inquiries.by_once(rt.session, key) is None:
            _check_seen(row, seen)
            number = _write(rt, row, Author.STAFF, text, key, who)
            told = inquiries.told_customer(ref, number, row.customer_id)
            enqueue(rt.session, [told], rt.now())
            _log(rt, who, "inquiry.answered", ref)
        rt.session.commit()

    decide_again(rt.session, change, sa.exc.IntegrityError)


def note(rt: Runtime, who: Who, ref: str, text: str, once: str) -> None:
    """Write something down for the staff alone. Raises as ``reply``."""
    key = key_of(who.public_id, once, "note", ref, text)

    def change() -> None:
        row = _row(rt, ref)
        if inquiries.by_once(rt.session, key) is None:
            _write(rt, row, Author.NOTE, text, key, who)
            _log(rt, who, "inquiry.noted", ref)
        rt.session.commit()

    decide_again(rt.session, change, sa.exc.IntegrityError)


def close(rt: Runtime, who: Who, ref: str, seen: int) -> None:
    """Say that nothing is left to do; closing twice is closing. Raises as ``answer``."""

    def change() -> None:
        row = _row(rt, ref)
        if row.state != Standing.CLOSED.value:
            _check_seen(row, seen)
            inquiries.set_inquiry(rt.session, row.id, state=Standing.CLOSED.value)
            _log(rt, who, "inquiry.closed", ref)
        rt.session.commit()

    retrying(rt.session, change)


def _row(rt: Runtime, ref: str, customer_id: int | None = None) -> AnyRow:
    row = inquiries.find(rt.session, ref, customer_id)
    if row is None:
        rt.session.rollback()
        raise InquiryNotFound(inquiry=ref)
    return row


def _check_seen(row: AnyRow, seen: int) -> None:
    if row.messages != seen:
        raise NewerMessage(inquiry=row.public_id)


def _write(
    rt: Runtime, row: AnyRow, author: Author, text: str, key: str, who: Who | None = None
) -> int:
    """Add a message as the next one; returns its number."""
    number, now = int(row.messages) + 1, rt.now()
    if number > MOST_MESSAGES and author is not Author.STAFF:
        raise ConversationFull(inquiry=row.public_id)
    staff_id = who.id if who is not None else None
    masked = mask_card_numbers(text)
    inquiries.add_message(rt.session, row.id, number, author, masked, key, now, staff_id)
    values: dict[str, Any] = {"messages": number, "state": after(author, Standing(row.state)).value}
    if author is not Author.NOTE:
        values["last_at"] = now
    inquiries.set_inquiry(rt.session, row.id, **values)
    return number


def _to_shop(rt: Runtime, ref: str, number: int) -> Message:
    return inquiries.told_shop(ref, number, rt.shop.support_email, rt.shop.locale)


def _log(rt: Runtime, who: Who, code: str, ref: str) -> None:
    audit.write(rt.session, who.id, code, ref, {}, {}, rt.moment(), who.ip)
