"""Write what happened to subscriptions: the timeline, movements of MRR, events for plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any, NamedTuple

from storefront.domain.events import Actor, EventKind
from storefront.domain.metrics import MovementKind
from storefront.models import Movement, SubscriptionEvent
from storefront.operations.bulk import insert_many
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue


class Entry(NamedTuple):
    """One line of a subscription's timeline. ``subject`` is the subscription's public id."""

    subscription_id: int
    subject: str
    kind: EventKind
    actor: Actor = Actor.WORKER
    actor_ref: str = ""
    data: Mapping[str, Any] = MappingProxyType({})
    #: Tells this event from another of its kind on the same subscription.
    ref: str = ""


def record(session: AnySession, entries: Sequence[Entry], moment: Moment) -> None:
    """Append ``entries`` to the timelines and, where plugins observe, to the outbox."""
    if not entries:
        return
    insert_many(
        session,
        SubscriptionEvent,
        [
            {
                "subscription_id": entry.subscription_id,
                "at": moment.now,
                "kind": entry.kind.value,
                "actor": entry.actor.value,
                "actor_ref": entry.actor_ref,
                "data": dict(entry.data),
            }
            for entry in entries
        ],
    )
    if moment.announce:
        stamp = moment.now.isoformat()
        messages = [
            Message(
                "event",
                entry.kind.value,
                f"event:{entry.kind.value}:{entry.subject}:{entry.ref or stamp}",
                {"subject": entry.subject, "occurred_at": stamp, "data": dict(entry.data)},
            )
            for entry in entries
        ]
        enqueue(session, messages, moment.now)


class MrrChange(NamedTuple):
    """A delta of monthly recurring revenue; minor units, net of tax."""

    subscription_id: int
    kind: MovementKind
    delta_minor: int
    currency: str
    plan_id: int
    source: str
    cohort: str
    reason: str
    on_day: date


def move(session: AnySession, changes: Sequence[MrrChange]) -> None:
    """Append movements; the caller writes the new ``subscription.mrr_minor`` itself."""
    if not changes:
        return
    insert_many(
        session,
        Movement,
        [
            {
                "subscription_id": change.subscription_id,
                "on_day": change.on_day,
                "kind": change.kind.value,
                "reason": change.reason,
                "plan_id": change.plan_id,
                "source": change.source,
                "cohort": change.cohort,
                "currency": change.currency,
                "delta_minor": change.delta_minor,
            }
            for change in changes
        ],
    )
