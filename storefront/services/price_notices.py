"""Tell subscribers of a new price: the day's work on the price changes that are under way.

A subscriber is told first; the change that a renewal will apply is written in the transaction
of that message, so nobody pays a price they were not told of. Source:
docs/decisions/0065-new-prices-for-subscribers.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from typing import Any

import sqlalchemy as sa

from storefront import tax_desk
from storefront.database import reading, retrying
from storefront.domain.events import Actor, EventKind
from storefront.domain.lifecycle import ENDED
from storefront.domain.tax_treatment import TaxRules
from storefront.models import (
    PriceMigration,
    PriceMigrationItem,
    ScheduledChange,
    Subscription,
)
from storefront.models.base import public_ids, table_of
from storefront.operations.bulk import insert_many
from storefront.operations.keys import AnyRow, AnySelect, reserve
from storefront.operations.outbox import Message, enqueue
from storefront.operations.price_changes import (
    SLICE,
    coming_for,
    coming_slice,
    priced,
)
from storefront.operations.questions import Question
from storefront.operations.subscriptions import (
    StaleSubscription,
    SubscriptionChange,
    change_subscriptions,
)
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime

#: Subscribers told in one run of the job.
TELL_AT_ONCE = 500


@dataclass(slots=True)
class TellReport:
    """What one run of the job did, in subscribers."""

    added: int = 0
    told: int = 0
    moved: int = 0
    opted_out: int = 0
    gone: int = 0


def tell_due(rt: Runtime) -> TellReport:
    """Do the day's work on scheduled changes; a second run at once does nothing new."""
    report = TellReport()
    with reading():
        rows = rt.session.execute(_under_way()).all()
        rt.session.rollback()
    for migration in rows:
        _add_items(rt, migration, report)
        retrying(rt.session, partial(_note_answers, rt, migration, report))
        due = _to_tell(rt, migration)
        for place in range(0, len(due), SLICE):
            part = dict(islice(due.items(), place, place + SLICE))
            taxes = _taxed(rt, migration, list(part.values()))
            for key in part:
                retrying(rt.session, partial(_tell, rt, migration, key, taxes, report))
        retrying(rt.session, partial(_finish, rt, migration))
    return report


@cache
def _under_way() -> AnySelect:
    table = table_of(PriceMigration)
    return sa.select(table).where(table.c.state == "scheduled")


#: Whether price changes are under way, whatever is left to be done for them today.
PRICE_CHANGES_UNDER_WAY = Question(lambda: [_under_way()], lambda _moment: {})


def _add_items(rt: Runtime, migration: AnyRow, report: TellReport) -> None:
    """Note everybody who is concerned now, also who came since the last run."""

    def write(after: int) -> tuple[int, int | None]:
        # At the shop's own rates: the notice prices each anew.
        coming = coming_slice(rt.session, migration, rt.today(), after)
        found, last = priced(coming, rt.shop.taxes), coming.last
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


def _to_tell(rt: Runtime, migration: AnyRow) -> dict[int, int]:
    """Return item and subscription whose notice is due today, the earliest new price first."""
    item = table_of(PriceMigrationItem)
    with reading():
        rows = rt.session.execute(
            sa.select(item.c.id, item.c.subscription_id, item.c.applies_on)
            .where(item.c.migration_id == migration.id, item.c.state == "waiting")
            .order_by(item.c.applies_on, item.c.id)
            .limit(TELL_AT_ONCE)
        ).all()
        rt.session.rollback()
    today, notice = rt.today(), migration.notice_days
    return {row.id: row.subscription_id for row in rows if (row.applies_on - today).days <= notice}


def _taxed(rt: Runtime, migration: AnyRow, subscriptions: list[int]) -> TaxRules:
    """Return the tax rules with what a provider says of these subscribers on their days."""
    with reading():
        coming = coming_for(rt.session, migration, subscriptions, rt.today())
        rt.session.rollback()
    return tax_desk.rules_at(rt, coming.taxed())


def _tell(rt: Runtime, migration: AnyRow, key: int, taxes: TaxRules, report: TellReport) -> None:
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
    found = priced(coming_for(rt.session, migration, [row.id], rt.today()), taxes)
    if not found:
        # It ends by itself before the new price would be paid.
        _set(rt, key, state="gone", answered_at=rt.now())
        rt.session.commit()
        report.gone += 1
        return
    now = found[0]
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
