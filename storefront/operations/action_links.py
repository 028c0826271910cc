"""Mailed links that do one thing without signing in: what each names, and whether it was used.

A link names by public ids what it is about, and how often that was done before it was made. Doing
it raises the number, so a link works once, and nothing is stored for it.
Source: docs/decisions/0210-links-that-do-one-thing.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.domain.events import EventKind
from storefront.models import SubscriptionEvent
from storefront.models.base import table_of
from storefront.operations.keys import AnySession
from storefront.operations.secrets import action_token, read_action_token

#: Stands between the parts of a subject; no public id holds it.
_BETWEEN = "-"


@dataclass(frozen=True, slots=True)
class Link:
    """What a genuine link leads to: ``thing`` is the cycle of a box, or an address."""

    subscription: str
    thing: str
    #: How often it had been done when the link was made.
    done: int
    is_expired: bool


def make_link(
    key: str, purpose: str, subscription: str, thing: str, done: int, until: datetime
) -> str:
    """Return the secret of a link for ``purpose`` that works until ``until``, and once."""
    subject = _BETWEEN.join((subscription, thing, str(done)))
    return action_token(key, purpose, subject, int(until.timestamp()))


def read_link(keys: Sequence[str], purpose: str, token: str, now: datetime) -> Link | None:
    """Return what a link leads to; None for one we never made for ``purpose``."""
    found = read_action_token(keys, purpose, token[:300])
    if found is None:
        return None
    subscription, thing, done = found[0].split(_BETWEEN)
    return Link(subscription, thing, int(done), now.timestamp() >= found[1])


def skips_made(session: AnySession, subscription_id: int, cycle_key: str) -> int:
    """Return how often the box of a cycle was skipped, whether that was taken back or not."""
    events = _events(session, subscription_id, EventKind.BOX_SKIPPED)
    return sum(data.get("cycle") == cycle_key for data in events)


def times_confirmed(session: AnySession, subscription_id: int) -> int:
    """Return how often somebody said that the address of a subscription is right."""
    return len(_events(session, subscription_id, EventKind.ADDRESS_CONFIRMED))


def _events(session: AnySession, subscription_id: int, kind: EventKind) -> Sequence[dict[str, str]]:
    event = table_of(SubscriptionEvent)
    return session.scalars(
        sa.select(event.c.data).where(
            event.c.subscription_id == subscription_id, event.c.kind == kind.value
        )
    ).all()
