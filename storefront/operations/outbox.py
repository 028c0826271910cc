"""Messages that leave after the commit, written in the transaction of their cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from storefront.models import OutboxMessage
from storefront.models.base import public_ids
from storefront.operations.bulk import insert_many
from storefront.operations.keys import AnySession

#: The mail that tells somebody they are erased: it holds the last that is known of them, so its
#: row goes with it.
LAST_MAIL = "account_erased"


class Message(NamedTuple):
    """A mail or an event. Two messages with one ``key`` are one message."""

    kind: Literal["mail", "event"]
    topic: str
    key: str
    payload: Mapping[str, Any] = MappingProxyType({})
    customer_id: int | None = None
    due_at: datetime | None = None


def enqueue(session: AnySession, messages: Sequence[Message], now: datetime) -> None:
    """Put ``messages`` into the outbox; one whose key is there already is left alone."""
    if not messages:
        return
    rows = [
        {
            "public_id": public,
            "kind": message.kind,
            "topic": message.topic,
            "key": message.key,
            "payload": dict(message.payload),
            "customer_id": message.customer_id,
            "state": "waiting",
            "due_at": message.due_at or now,
            "tries": 0,
            "error": "",
            "created_at": now,
            "fence": 0,
        }
        for public, message in zip(public_ids("msg", len(messages)), messages, strict=True)
    ]
    insert_many(session, OutboxMessage, rows, once_per="key")
