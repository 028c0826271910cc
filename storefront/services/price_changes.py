"""Move running subscribers to a new price: plan it, look at it, tell them, and only then charge.

A subscriber is told first; the change that a renewal will apply is written in the transaction
of that message, so nobody pays a price they were not told of. Source:
docs/decisions/0065-new-prices-for-subscribers.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import sqlalchemy as sa

from storefront.database import reading, retrying
from storefront.domain.events import Actor, EventKind
from storefront.domain.lifecycle import ENDED
from storefront.domain.price_changes import ImpossibleMigration
from storefront.models import (
    Price,
    PriceMigration,
    PriceMigrationItem,
    ScheduledChange,
    Subscription,
)
from storefront.models.base import public_id, public_ids, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.bulk import insert_many
from storefront.operations.keys import AnyRow, reserve
from storefront.operations.outbox import Message, enqueue
from storefront.operations.price_changes import Moved, moved_one, moved_slice
from storefront.operations.subscriptions import (
    StaleSubscription,
    SubscriptionChange,
    change_subscriptions,
)
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime

#: How often stopping is tried while subscriptions change under it.
_TRIES = 5
#: Subscribers told in one run of the job.
TELL_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class MigrationDraft:
    """A price change to come. ``price`` is the public id of the new version.

    ``countries`` empty: everywhere. Everybody is told ``notice_days`` before they pay it.
    """

    name: str
    price: str
    effective_on: date
    countries: tuple[str, ...] = ()
    notice_days: int = 30


@dataclass(slots=True)
class TellReport:
    """What one run of the job did, in subscribers."""

    added: int = 0
    told: int = 0
    moved: int = 0
    opted_out: int = 0
    gone: int = 0


def draft_migration(rt: Runtime, who: Who, draft: MigrationDraft) -> str:
    """Keep a draft for everybody on another version of the same price; returns its public id.

    Raises ``ImpossibleMigration``: unknown_price, nobody (no other version), past.
    """
    if draft.effective_on <= rt.today():
        raise ImpossibleMigration(reason="past")
    table, migration = table_of(Price), table_of(PriceMigration)

    def write() -> str:
        price = rt.session.execute(
            sa.select(table).where(table.c.public_id == draft.price, table.c.retired_at.is_(None))
        ).one_or_none()
        if price is None:
            rt.session.rollback()
            raise ImpossibleMigration(reason="unknown_price")
        others = rt.session.scalars(
            sa.select(table.c.id).where(
                table.c.plan_id == price.plan_id,
                table.c.currency == price.currency,
                table.c.unit == price.unit,
                table.c["count"] == price._mapping["count"],
                table.c.country == price.country,
                table.c.id != price.id,
            )
        ).all()
        if not others:
            rt.session.rollback()
            raise ImpossibleMigration(reason="nobody")
        ref = public_id("pmg")
        values: dict[str, Any] = {
            "public_id": ref,
            "name": draft.name,
            "price_id": price.id,
            "segment": {"prices": list(others), "countries": list(draft.countries)},
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

    Raises ``LookupError`` for an unknown one.
    """
    after = 0
    while True:
        with reading():
            migration = _find(rt, ref)
            found, last = moved_slice(rt.session, migration, rt.shop.taxes, rt.today(), after)
            rt.session.rollback()
        yield from found
        if last is None:
            return
        after = last


def schedule(rt: Runtime, who: Who, ref: str) -> bool:
    """Set the change going; False when it is under way or over. Raises ``LookupError``."""
    return _move(rt, who, ref, "draft", "scheduled")


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


def tell_due(rt: Runtime) -> TellReport:
    """Do the day's work on scheduled changes; a second run at once does nothing new."""
    report = TellReport()
    with reading():
        rows = list(
            rt.session.execute(
                sa.select(table_of(PriceMigration)).where(PriceMigration.state == "scheduled")
            )
        )
        rt.session.rollback()
    for migration in rows:
        _add_items(rt, migration, report)
        retrying(rt.session, partial(_note_answers, rt, migration, report))
        for key in _to_tell(rt, migration):
            retrying(rt.session, partial(_tell, rt, migration, key, report))
        retrying(rt.session, partial(_finish, rt, migration))
    return report


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


def _add_items(rt: Runtime, migration: AnyRow, report: TellReport) -> None:
    """Note everybody who is concerned now, also who came since the last run."""

    def write(after: int) -> tuple[int, int | None]:
        found, last = moved_slice(rt.session, migration, rt.shop.taxes, rt.today(), after)
        refs = public_ids("pmi", len(found))
        insert_many(
            rt.session,
            PriceMigrationItem,
            [
                {
                    "public_id": ref,
                    "migration_id": migration.id,
                    "subscription_id": one.subscription_id,
                    "old_price_id": one.old_price_id,
                    "old_minor": one.old.minor,
                    "new_minor": one.new.minor,
                    "applies_on": one.applies_on,
                    "scheduled_change_id": None,
                    "state": "waiting",
                    "told_at": None,
                    "answered_at": None,
                }
                for ref, one in zip(refs, found, strict=True)
            ],
        )
        rt.session.commit()
        return len(found), last

    after: int | None = 0
    while after is not None:
        added, after = retrying(rt.session, partial(write, after))
        report.added += added


def _note_answers(rt: Runtime, migration: AnyRow, report: TellReport) -> None:
    """Follow up those who were told: moved by a renewal, staying by choice, or gone."""
    item, change = table_of(PriceMigrationItem), table_of(ScheduledChange)
    subscription = table_of(Subscription)
    rows = rt.session.execute(
        sa.select(item.c.id, change.c.state, subscription.c.state.label("of"))
        .join(change, change.c.id == item.c.scheduled_change_id)
        .join(subscription, subscription.c.id == item.c.subscription_id)
        .where(
            item.c.migration_id == migration.id,
            item.c.state == "told",
            sa.or_(change.c.state != "waiting", subscription.c.state.in_(ENDED)),
        )
    ).all()
    answers: dict[str, list[int]] = {"moved": [], "opted_out": [], "gone": []}
    for row in rows:
        if row.state == "applied":
            answers["moved"].append(row.id)
        else:
            answers["gone" if row.of in ENDED else "opted_out"].append(row.id)
    for state, keys in answers.items():
        if keys:
            rt.session.execute(
                sa.update(item).where(item.c.id.in_(keys)).values(state=state, answered_at=rt.now())
            )
            setattr(report, state, getattr(report, state) + len(keys))
    rt.session.commit()


def _to_tell(rt: Runtime, migration: AnyRow) -> list[int]:
    """Return the items whose notice is due today, the earliest new price first."""
    item = table_of(PriceMigrationItem)
    with reading():
        rows = rt.session.execute(
            sa.select(item.c.id, item.c.applies_on)
            .where(item.c.migration_id == migration.id, item.c.state == "waiting")
            .order_by(item.c.applies_on, item.c.id)
            .limit(TELL_AT_ONCE)
        ).all()
        rt.session.rollback()
    today, notice = rt.today(), migration.notice_days
    return [row.id for row in rows if (row.applies_on - today).days <= notice]


def _tell(rt: Runtime, migration: AnyRow, key: int, report: TellReport) -> None:
    """Tell one subscriber and write the change that their renewal will apply, together."""
    item, subscription = table_of(PriceMigrationItem), table_of(Subscription)
    change = table_of(ScheduledChange)
    row = rt.session.execute(
        sa.select(
            item.c.public_id.label("ref"),
            item.c.old_price_id,
            subscription,
        )
        .join(subscription, subscription.c.id == item.c.subscription_id)
        .where(item.c.id == key, item.c.state == "waiting")
    ).one_or_none()
    if row is None:
        rt.session.rollback()
        return
    if row.state in ENDED or row.cancel_on is not None or row.price_id != row.old_price_id:
        _set(rt, key, state="gone", answered_at=rt.now())
        rt.session.commit()
        report.gone += 1
        return
    waits = sa.exists().where(change.c.subscription_id == row.id, change.c.state == "waiting")
    if rt.session.scalar(sa.select(waits)):
        # Their own change of plan comes first; asked again tomorrow.
        rt.session.rollback()
        return
    # Priced anew: what was noted months ago may have had another quantity, code or address.
    now = moved_one(rt.session, migration, row.id, rt.shop.taxes, rt.today())
    if now is None:
        rt.session.rollback()
        return
    on = now.applies_on
    try:
        change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, {})])
    except StaleSubscription:
        rt.session.rollback()
        return
    change_key = reserve(rt.session, ScheduledChange, 1)[0]
    rt.session.execute(
        sa.insert(change).values(
            id=change_key,
            subscription_id=row.id,
            kind="price",
            effective_on=on,
            price_id=migration.price_id,
            data={"migration": migration.public_id},
            state="waiting",
            created_at=rt.now(),
        )
    )
    _set(
        rt,
        key,
        state="told",
        told_at=rt.now(),
        applies_on=on,
        old_minor=now.old.minor,
        new_minor=now.new.minor,
        scheduled_change_id=change_key,
    )
    payload = {
        "subscription": row.public_id,
        "old_minor": now.old.minor,
        "new_minor": now.new.minor,
        "currency": now.new.currency,
        "on": on.isoformat(),
    }
    mail = Message("mail", "price_change", f"mail:price_change:{row.ref}", payload, row.customer_id)
    enqueue(rt.session, [mail], rt.now())
    entry = Entry(
        row.id,
        row.public_id,
        EventKind.SUBSCRIPTION_CHANGED,
        Actor.WORKER,
        data={"price": now.new.minor, "on": on.isoformat()},
        ref=row.ref,
    )
    record(rt.session, [entry], rt.moment())
    rt.session.commit()
    report.told += 1


def _set(rt: Runtime, key: int, **values: Any) -> None:
    table = table_of(PriceMigrationItem)
    rt.session.execute(sa.update(table).where(table.c.id == key).values(**values))


def _finish(rt: Runtime, migration: AnyRow) -> None:
    """A change whose day has come and that waits for nobody any more is done."""
    item, table = table_of(PriceMigrationItem), table_of(PriceMigration)
    if migration.effective_on > rt.today():
        rt.session.rollback()
        return
    waiting = sa.exists().where(
        item.c.migration_id == migration.id, item.c.state.in_(["waiting", "told"])
    )
    rt.session.execute(
        sa.update(table).where(table.c.id == migration.id, ~waiting).values(state="done")
    )
    rt.session.commit()
