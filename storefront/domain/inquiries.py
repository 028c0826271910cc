"""What a subscriber asks the merchant, and where the conversation stands.

Source: docs/decisions/0214-inquiries.md.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256

from storefront.domain.errors import DomainError

#: Longest message, and longest subject.
LONGEST, SUBJECT = 4000, 120
#: Messages of one customer in one hour: each sends a mail to the shop.
PER_HOUR = 12
#: Messages of one conversation; the next begins a new one.
MOST_MESSAGES = 200


class Topic(StrEnum):
    """What an inquiry is about, in the order shown."""

    BOX = "box"
    PAYMENT = "payment"
    SUBSCRIPTION = "subscription"
    ACCOUNT = "account"
    OTHER = "other"


class Standing(StrEnum):
    """Whose turn it is."""

    OPEN = "open"
    ANSWERED = "answered"
    CLOSED = "closed"


class Author(StrEnum):
    """Who wrote a message; a note is staff's to staff."""

    CUSTOMER = "customer"
    STAFF = "staff"
    NOTE = "note"


class InquiryNotFound(DomainError):
    """There is no such inquiry, or it is somebody else's."""

    code = "inquiry_not_found"


class NewerMessage(DomainError):
    """Something was written since the page was made; it is read first."""

    code = "newer_message"


class ConversationFull(DomainError):
    """A conversation this long is closed; what is left to say begins another."""

    code = "conversation_full"


def after(author: Author, standing: Standing) -> Standing:
    """Return where a conversation stands once ``author`` has written.

    Who writes to a closed one opens it again; a note changes nothing.

    >>> after(Author.CUSTOMER, Standing.CLOSED), after(Author.STAFF, Standing.OPEN)
    (<Standing.OPEN: 'open'>, <Standing.ANSWERED: 'answered'>)
    >>> after(Author.NOTE, Standing.CLOSED)
    <Standing.CLOSED: 'closed'>
    """
    return {Author.CUSTOMER: Standing.OPEN, Author.STAFF: Standing.ANSWERED}.get(author, standing)


def about_kind(ref: str) -> str:
    """Return what a public id names: subscription, box or invoice; empty for anything else.

    >>> about_kind("inv_22"), about_kind("cus_22"), about_kind("")
    ('invoice', '', '')
    """
    kinds = {"sub": "subscription", "box": "box", "inv": "invoice"}
    return kinds.get(ref.partition("_")[0], "") if "_" in ref else ""


def key_of(writer: str, once: str, *parts: str) -> str:
    """Return what is the same for a page sent twice, and another once its text was corrected.

    >>> key_of("cus_1", "n", "a") == key_of("cus_1", "n", "a")
    True
    >>> key_of("cus_1", "n", "a") == key_of("cus_2", "n", "a")
    False
    """
    return sha256("\0".join((writer, once, *parts)).encode()).hexdigest()
