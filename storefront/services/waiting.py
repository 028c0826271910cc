"""Waiting lists: come and go, invite the next when a place is free, invite or remove by hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.database import is_postgresql, reading, retrying
from storefront.domain.errors import DomainError
from storefront.models import Plan, WaitingPlace
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations import waiting as rules
from storefront.operations.audit import Who
from storefront.operations.capacity import lock_groups
from storefront.operations.offers import sold_on
from storefront.operations.places import places_of
from storefront.runtime import Runtime


class NoList(DomainError):
    """The plan is not on sale, or it has places: there is nothing to wait for."""

    code = "no_list"


class NotWaiting(DomainError):
    """Nobody waits under that name (any more), or they are invited already."""

    code = "not_waiting"


class NoPlaceFree(DomainError):
    """Every place of the plan is taken or kept for somebody."""

    code = "no_place_free"


@dataclass(frozen=True, slots=True)
class WaitingReport:
    """What one run did."""

    invited: int = 0
    over: int = 0


def join_list(rt: Runtime, plan_code: str, email: str, locale: str) -> None:
    """Put a normalised e-mail on the list of a plan that is full; twice is once.

    Raises ``NoList``. Who is on it already is told nothing else than who is new.
    """

    def write() -> None:
        plan, table, moment = table_of(Plan), table_of(WaitingPlace), rt.moment()
        plan_id = rt.session.scalar(
            sa.select(plan.c.id).where(plan.c.code == plan_code, sold_on(plan, moment.today))
        )
        limits = places_of(rt.session, [plan_id], moment).get(plan_id) if plan_id else None
        left = limits.left if limits is not None else None
        if plan_id is None or left is None or left > rules.in_line(rt.session, [plan_id])[plan_id]:
            rt.session.rollback()
            raise NoList(plan=plan_code)
        insert: Any = (postgresql if is_postgresql(rt.session) else sqlite).insert(table)
        row = rt.session.execute(
            insert.values(
                public_id=public_id("wtg"),
                plan_id=plan_id,
                email=email,
                locale=locale,
                created_at=moment.now,
            )
            .on_conflict_do_nothing(index_elements=["plan_id", "email"])
            .returning(*table.c)
        ).one_or_none()
        if row is not None:
            rules.mail_joined(rt.session, row, moment)
        rt.session.commit()

    retrying(rt.session, write)


def leave_list(rt: Runtime, place: str) -> None:
    """Take somebody off; whoever left before is off. A place kept for them is free again."""

    def write() -> None:
        rules.forget(rt.session, table_of(WaitingPlace).c.public_id == place)
        rt.session.commit()

    retrying(rt.session, write)


def invite_waiting(rt: Runtime) -> WaitingReport:
    """Let go what was kept too long, and invite as many as there are places, who came first."""
    with reading():
        # Without the lock for which every order of the group would wait: most often all is full.
        plans = [key for key in rules.due_plans(rt.session, rt.now()) if _is_due(rt, key)]
        rt.session.rollback()
    invited = over = 0
    for plan_id in plans:
        some, gone = retrying(rt.session, partial(_invite_next, rt, plan_id))
        invited, over = invited + some, over + gone
    return WaitingReport(invited, over)


def _is_due(rt: Runtime, plan_id: int) -> bool:
    """Whether there may be somebody to let go or to invite; the lock looks again."""
    return rules.is_over(rt.session, plan_id, rt.now()) or _free(rt, plan_id) > 0


def _invite_next(rt: Runtime, plan_id: int) -> tuple[int, int]:
    moment = rt.moment()
    hours = rules.lock_limits(rt.session, plan_id)
    lock_groups(rt.session, [plan_id])
    over = rules.drop_over(rt.session, plan_id, moment.now)
    rows = rules.next_in_line(rt.session, plan_id, _free(rt, plan_id))
    invited = rules.invite_rows(rt.session, rows, hours, moment) if rows else 0
    if invited or over:
        rt.session.commit()
    else:
        rt.session.rollback()
    return invited, over


def _free(rt: Runtime, plan_id: int) -> int:
    """Return how many can be invited now; a plan without limits has room for all."""
    limits = places_of(rt.session, [plan_id], rt.moment()).get(plan_id)
    left = limits.left if limits is not None else None
    return rules.AT_ONCE if left is None else min(left, rules.AT_ONCE)


def invite(rt: Runtime, who: Who, place: str) -> None:
    """Invite somebody before their turn. Raises ``NotWaiting`` and ``NoPlaceFree``."""

    def write() -> None:
        table, moment = table_of(WaitingPlace), rt.moment()
        mine = sa.select(table).where(table.c.public_id == place, table.c.until_at.is_(None))
        row = rt.session.execute(mine).one_or_none()
        if row is None:
            rt.session.rollback()
            raise NotWaiting(place=place)
        hours = rules.lock_limits(rt.session, row.plan_id)
        lock_groups(rt.session, [row.plan_id])
        rules.drop_over(rt.session, row.plan_id, moment.now)
        if not _free(rt, row.plan_id):
            rt.session.rollback()
            raise NoPlaceFree(place=place)
        if not rules.invite_rows(rt.session, [row], hours, moment):
            # Gone, or on the way to an order, while we waited for the lock.
            rt.session.rollback()
            raise NotWaiting(place=place)
        audit.write(rt.session, who.id, "waiting.invited", place, {}, {}, moment, who.ip)
        rt.session.commit()

    retrying(rt.session, write)


def remove(rt: Runtime, who: Who, place: str) -> None:
    """Take somebody off the list for the staff. Raises ``NotWaiting``."""

    def write() -> None:
        if not rules.forget(rt.session, table_of(WaitingPlace).c.public_id == place):
            rt.session.rollback()
            raise NotWaiting(place=place)
        audit.write(rt.session, who.id, "waiting.removed", place, {}, {}, rt.moment(), who.ip)
        rt.session.commit()

    retrying(rt.session, write)
