"""Move running subscribers to a new price: plan it, look at it, tell them, and only then charge.

A subscriber is told first; the change that a renewal will apply is written in the transaction
of that message, so nobody pays a price they were not told of. Source:
docs/decisions/0065-new-prices-for-subscribers.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront import tax_desk
from storefront.database import reading, retrying
from storefront.domain.price_changes import ImpossibleMigration, last_day
from storefront.models import (
    Price,
    PriceMigration,
    PriceMigrationItem,
    ScheduledChange,
    Subscription,
)
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.keys import AnyRow
from storefront.operations.price_changes import (
    Moved,
    coming_slice,
    count_concerned,
    priced,
    same_price,
)
from storefront.operations.subscriptions import (
    StaleSubscription,
    SubscriptionChange,
    change_subscriptions,
)
from storefront.runtime import Runtime

#: How often stopping is tried while subscriptions change under it.
_TRIES = 5


@dataclass(frozen=True, slots=True)
class MigrationDraft:
    """A price change to come. ``price`` is the public id of the new version.

    ``countries`` empty: everywhere. ``began_before``: only who signed up before that day.
    Everybody is told ``notice_days`` before they pay it.
    """

    name: str
    price: str
    effective_on: date
    countries: tuple[str, ...] = ()
    notice_days: int = 30
    began_before: date | None = None


def draft_migration(rt: Runtime, who: Who, draft: MigrationDraft) -> str:
    """Keep a draft for everybody on another version of the same price; returns its public id.

    Raises ``ImpossibleMigration``: unknown_price, nobody (no other version), past, far.
    """
    if draft.effective_on <= rt.today():
        raise ImpossibleMigration(reason="past")
    if draft.effective_on > last_day(rt.today()):
        raise ImpossibleMigration(reason="far")
    segment: dict[str, Any] = {"countries": list(draft.countries)}
    if draft.began_before is not None:
        begins = rt.moment().start_of(draft.began_before)
        segment["began_before"] = draft.began_before.isoformat()
        segment["began_before_at"] = begins.isoformat()
    table, migration = table_of(Price), table_of(PriceMigration)
    others_of = table.alias()

    def write() -> str:
        price = rt.session.execute(
            sa.select(table).where(table.c.public_id == draft.price, table.c.retired_at.is_(None))
        ).one_or_none()
        if price is None:
            rt.session.rollback()
            raise ImpossibleMigration(reason="unknown_price")
        others = rt.session.scalars(
            sa.select(others_of.c.id)
            .join(table, same_price(table, others_of))
            .where(table.c.id == price.id)
        ).all()
        if not others:
            rt.session.rollback()
            raise ImpossibleMigration(reason="nobody")
        ref = public_id("pmg")
        values: dict[str, Any] = {
            "public_id": ref,
            "name": draft.name,
            "price_id": price.id,
            "segment": {"prices": list(others), **segment},
            "effective_on": draft.effective_on,
            "notice_days": draft.notice_days,
            "state": "draft",
            "created_at": rt.now(),
            "scheduled_by": "",
        }
        rt.session.execute(sa.insert(migration).values(**values))
        shown = {**values, "effective_on": draft.effective_on.isoformat()}
        shown.pop("created_at")
        audit.write(rt.session, who.id, "price_change.drafted", ref, {}, shown, rt.moment(), who.ip)
        rt.session.commit()
        return ref

    return retrying(rt.session, write)


def dry_run(rt: Runtime, ref: str) -> Iterator[Moved]:
    """Yield everybody the change would move from today on; writes nothing, memory stays flat.

    A tax provider is asked about the first slice only, so nobody waits longer than for one
    answer: the rest is at the shop's own rates. Raises ``LookupError`` for an unknown one.
    """
    after: int | None = 0
    while after is not None:
        with reading():
            coming = coming_slice(rt.session, _find(rt, ref), rt.today(), after)
            rt.session.rollback()
        taxes = tax_desk.rules_at(rt, coming.taxed()) if after == 0 else rt.shop.taxes
        yield from priced(coming, taxes)
        after = coming.last


def concerned(rt: Runtime, ref: str) -> int:
    """Return how many the change is for: whom ``dry_run`` yields and those who end before it.

    Raises ``LookupError`` for an unknown one.
    """
    with reading():
        count = count_concerned(rt.session, _find(rt, ref))
        rt.session.rollback()
    return count


def schedule(rt: Runtime, who: Who, ref: str) -> bool:
    """Set the change going; False when it is under way or over. Raises ``LookupError``."""
    return _move(rt, who, ref, "draft", "scheduled")


def discard(rt: Runtime, who: Who, ref: str) -> bool:
    """Delete a draft; False when it is none any more. Raises ``LookupError``."""
    table = table_of(PriceMigration)

    def write() -> bool:
        migration = _find(rt, ref)
        gone = rt.session.execute(
            sa.delete(table)
            .where(table.c.id == migration.id, table.c.state == "draft")
            .returning(table.c.id)
        ).one_or_none()
        if gone is None:
            rt.session.rollback()
            return False
        before = {"name": migration.name, "effective_on": migration.effective_on.isoformat()}
        audit.write(
            rt.session, who.id, "price_change.deleted", ref, before, {}, rt.moment(), who.ip
        )
        rt.session.commit()
        return True

    return retrying(rt.session, write)


def stop(rt: Runtime, who: Who, ref: str) -> bool:
    """Stop a change: nobody else is told, and who was told keeps the old price.

    False when it is over already. Raises ``LookupError``.
    """
    item, change = table_of(PriceMigrationItem), table_of(ScheduledChange)
    subscription = table_of(Subscription)

    def withdraw(migration: AnyRow) -> None:
        told = rt.session.execute(
            sa.select(subscription.c.id, subscription.c.version)
            .join(item, item.c.subscription_id == subscription.c.id)
            .where(item.c.migration_id == migration.id, item.c.state == "told")
        ).all()
        # A renewal that has read the change already must not apply it any more.
        change_subscriptions(
            rt.session, [SubscriptionChange(row.id, row.version, {}) for row in told]
        )
        waiting = sa.select(item.c.scheduled_change_id).where(
            item.c.migration_id == migration.id, item.c.state == "told"
        )
        rt.session.execute(
            sa.update(change)
            .where(change.c.id.in_(waiting), change.c.state == "waiting")
            .values(state="withdrawn")
        )
        rt.session.execute(
            sa.update(item)
            .where(item.c.migration_id == migration.id, item.c.state.in_(["waiting", "told"]))
            .values(state="gone", answered_at=rt.now())
        )

    return _move(rt, who, ref, "scheduled", "withdrawn", withdraw)


def _move(
    rt: Runtime,
    who: Who,
    ref: str,
    before: str,
    after: str,
    also: Callable[[AnyRow], None] = lambda _migration: None,
) -> bool:
    table = table_of(PriceMigration)

    def write() -> bool:
        migration = _find(rt, ref)
        done = rt.session.execute(
            sa.update(table)
            .where(table.c.id == migration.id, table.c.state == before)
            .values(state=after, scheduled_by=who.public_id)
            .returning(table.c.id)
        ).one_or_none()
        if done is None:
            rt.session.rollback()
            return False
        also(migration)
        audit.write(
            rt.session,
            who.id,
            f"price_change.{after}",
            ref,
            {"state": before},
            {"state": after},
            rt.moment(),
            who.ip,
        )
        rt.session.commit()
        return True

    for left in range(_TRIES, 0, -1):
        try:
            return retrying(rt.session, write)
        except StaleSubscription:
            # A renewal or its customer was faster with one of them: decide again.
            rt.session.rollback()
            if left == 1:
                raise
    raise AssertionError("unreachable: the last try returns or raises")


def _find(rt: Runtime, ref: str) -> AnyRow:
    table = table_of(PriceMigration)
    row = rt.session.execute(sa.select(table).where(table.c.public_id == ref)).one_or_none()
    if row is None:
        rt.session.rollback()
        raise LookupError(ref)
    return row
