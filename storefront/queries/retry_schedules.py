"""Schedules of tries for groups of subscribers, as staff see them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from storefront.domain.dunning import Began, LastAction
from storefront.models import Plan, RetrySchedule
from storefront.models.base import table_of
from storefront.operations.keys import AnySelect, AnySession


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """One schedule; ``plan`` is the public id of its plan, empty: of any plan."""

    ref: str
    name: str
    plan: str
    plan_name: str
    countries: tuple[str, ...]
    began: Began
    began_days: int
    retry_days: tuple[int, ...]
    retry_minute: int
    last_action: LastAction


@dataclass(frozen=True, slots=True)
class PlanChoice:
    """A plan that a schedule can be for."""

    ref: str
    name: str


def schedules(session: AnySession) -> list[ScheduleView]:
    """Return the schedules in the order in which they are looked through."""
    return [
        ScheduleView(
            row.public_id,
            row.name,
            row.plan_ref or "",
            row.plan_name or "",
            tuple(row.countries),
            row.began,
            row.began_days,
            tuple(row.retry_days),
            row.retry_minute,
            row.last_action,
        )
        for row in session.execute(_schedules())
    ]


@cache
def _schedules() -> AnySelect:
    table, plan = table_of(RetrySchedule), table_of(Plan)
    return (
        sa.select(table, plan.c.public_id.label("plan_ref"), plan.c.name.label("plan_name"))
        .outerjoin(plan, plan.c.id == table.c.plan_id)
        .order_by(table.c.position, table.c.id)
    )


def plan_choices(session: AnySession) -> list[PlanChoice]:
    """Return every plan: an archived one has subscribers still."""
    table = table_of(Plan)
    rows = session.execute(
        sa.select(table.c.public_id, table.c.name).order_by(table.c.position, table.c.id)
    )
    return [PlanChoice(row.public_id, row.name) for row in rows]
