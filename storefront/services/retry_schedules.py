"""Keep schedules of tries after a decline for groups of subscribers, and their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.dunning import (
    Began,
    LastAction,
    RetryPolicy,
    Segment,
    is_within_ceilings,
)
from storefront.domain.errors import DomainError
from storefront.models import Plan, RetrySchedule
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import UnknownPlan, lock_catalogue
from storefront.operations.keys import AnyRow
from storefront.runtime import Runtime


class ScheduleGone(DomainError):
    """No such schedule."""

    code = "schedule_gone"


class BadSchedule(DomainError):
    """The card schemes do not allow so many tries, or nobody is named whom it is for."""

    code = "bad_schedule"


@dataclass(frozen=True, slots=True)
class ScheduleDraft:
    """A schedule as typed; ``plan`` is the public id of the plan it is for, empty: of any.

    ``retry_minute``: minutes after midnight in the shop.
    """

    name: str
    retry_days: tuple[int, ...]
    last_action: LastAction
    retry_minute: int = 540
    plan: str = ""
    countries: tuple[str, ...] = ()
    began: Began = "any"
    began_days: int = 90


def save_schedule(rt: Runtime, who: Who, draft: ScheduleDraft, ref: str = "") -> str:
    """Make a schedule, behind the others, or write the one called ``ref`` anew.

    Returns its name. It holds for charges that are declined for the first time from now on.
    Raises ``ScheduleGone``, ``UnknownPlan`` and ``BadSchedule``.
    """
    _check(draft)

    def write() -> str:
        table = table_of(RetrySchedule)
        lock_catalogue(rt.session)
        row = _found(rt, ref) if ref else None
        before, after = _told(row) if row is not None else {}, _values(rt, draft)
        if row is not None:
            rt.session.execute(sa.update(table).where(table.c.id == row.id).values(**after))
        else:
            last = rt.session.scalar(sa.select(sa.func.max(table.c.position))) or 0
            new = {"public_id": public_id("rsc"), "position": last + 1, "created_at": rt.now()}
            rt.session.execute(sa.insert(table).values(**after, **new))
        public = str(row.public_id if row is not None else new["public_id"])
        return _noted(rt, who, "retry_schedule.saved", public, before, after)

    return retrying(rt.session, write)


def remove_schedule(rt: Runtime, who: Who, ref: str) -> None:
    """Forget a schedule; what runs by it goes on as it began. Raises ``ScheduleGone``."""

    def write() -> str:
        table = table_of(RetrySchedule)
        lock_catalogue(rt.session)
        row = _found(rt, ref)
        rt.session.execute(sa.delete(table).where(table.c.id == row.id))
        return _noted(rt, who, "retry_schedule.removed", ref, _told(row), {})

    retrying(rt.session, write)


def move_up(rt: Runtime, who: Who, ref: str) -> bool:
    """Look at a schedule one place earlier; False for the first. Raises ``ScheduleGone``."""

    def write() -> bool:
        table = table_of(RetrySchedule)
        lock_catalogue(rt.session)
        row = _found(rt, ref)
        order = list(
            rt.session.scalars(sa.select(table.c.id).order_by(table.c.position, table.c.id))
        )
        place = order.index(row.id)
        if place == 0:
            rt.session.rollback()
            return False
        order.insert(place - 1, order.pop(place))
        for position, key in enumerate(order, 1):
            rt.session.execute(sa.update(table).where(table.c.id == key).values(position=position))
        _noted(rt, who, "retry_schedule.moved", ref, {"place": place + 1}, {"place": place})
        return True

    return retrying(rt.session, write)


def _check(draft: ScheduleDraft) -> None:
    try:
        RetryPolicy(draft.retry_days, draft.last_action, draft.retry_minute)
    except ValueError as error:
        raise BadSchedule(reason="days") from error
    if not is_within_ceilings(draft.retry_days):
        raise BadSchedule(reason="ceilings")
    if not draft.name or draft.began_days < 1:
        raise BadSchedule(reason="group")
    if Segment(1 if draft.plan else None, frozenset(draft.countries), draft.began) == Segment():
        raise BadSchedule(reason="everybody")


def _values(rt: Runtime, draft: ScheduleDraft) -> dict[str, Any]:
    table, plan_id = table_of(Plan), None
    if draft.plan:
        plan_id = rt.session.scalar(sa.select(table.c.id).where(table.c.public_id == draft.plan))
        if plan_id is None:
            rt.session.rollback()
            raise UnknownPlan(plan=draft.plan)
    return {
        "name": draft.name,
        "plan_id": plan_id,
        "countries": sorted(set(draft.countries)),
        "began": draft.began,
        "began_days": draft.began_days,
        "retry_days": list(draft.retry_days),
        "retry_minute": draft.retry_minute,
        "last_action": draft.last_action,
    }


def _found(rt: Runtime, ref: str) -> AnyRow:
    table = table_of(RetrySchedule)
    row = rt.session.execute(sa.select(table).where(table.c.public_id == ref)).one_or_none()
    if row is None:
        rt.session.rollback()
        raise ScheduleGone(schedule=ref)
    return row


def _told(row: AnyRow) -> dict[str, Any]:
    own = ("id", "public_id", "position", "created_at")
    return {name: value for name, value in row._mapping.items() if name not in own}


def _noted(
    rt: Runtime,
    who: Who,
    action: str,
    ref: str,
    before: dict[str, Any],
    after: dict[str, Any],
) -> str:
    """Write the audit entry and commit; returns ``ref``."""
    audit.write(rt.session, who.id, action, ref, before, after, rt.moment(), who.ip)
    rt.session.commit()
    return ref
