"""Who waits for a place, for the staff, and how one who waits stands, for themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import Plan, WaitingPlace
from storefront.models.base import table_of
from storefront.operations.offers import opened_by, sold_on

#: What the signed half of a link to somebody's place is for.
WAITING = "waiting"
#: Rows of the list that are shown.
LISTED = 200


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody on the list of a plan; ``until_at`` is None until they are invited."""

    public_id: str
    plan: str
    plan_code: str
    plan_ref: str
    email: str
    created_at: datetime
    until_at: datetime | None
    #: What opens the plan where it is private; who was invited need not know it.
    access_code: str | None


@dataclass(frozen=True, slots=True)
class PlanName:
    """A plan that can be waited for."""

    public_id: str
    code: str
    name: str


def _rows() -> sa.Select[tuple[object, ...]]:
    table, plan = table_of(WaitingPlace), table_of(Plan)
    return sa.select(
        table.c.public_id,
        plan.c.name.label("plan"),
        plan.c.code.label("plan_code"),
        plan.c.public_id.label("plan_ref"),
        table.c.email,
        table.c.created_at,
        table.c.until_at,
        plan.c.access_code,
    ).join(plan, plan.c.id == table.c.plan_id)


def waiting_one(session: AnySession, place: str) -> Waiting | None:
    """Return one who waits, None if they are not on the list (any more)."""
    row = session.execute(_rows().where(table_of(WaitingPlace).c.public_id == place)).one_or_none()
    return Waiting(**row._mapping) if row is not None else None


def has_kept_place(session: AnySession, plan_code: str, email: str, now: datetime) -> bool:
    """Return whether a place of the plan is kept for this e-mail."""
    table, plan = table_of(WaitingPlace), table_of(Plan)
    found = session.execute(
        sa.select(table.c.id)
        .join(plan, plan.c.id == table.c.plan_id)
        .where(plan.c.code == plan_code, table.c.email == email, table.c.until_at > now)
        .limit(1)
    )
    return found.first() is not None


def waiting_list(session: AnySession, plan_ref: str) -> tuple[Waiting, ...]:
    """Return who waits for a plan: those invited first, then in the order they came."""
    table, plan = table_of(WaitingPlace), table_of(Plan)
    rows = session.execute(
        _rows()
        .where(plan.c.public_id == plan_ref)
        .order_by(table.c.until_at.is_(None), table.c.id)
        .limit(LISTED)
    )
    return tuple(Waiting(**row._mapping) for row in rows)


def waiting_counts(session: AnySession, plan_refs: Iterable[str]) -> dict[str, int]:
    """Return how many wait for each of these plans."""
    table, plan = table_of(WaitingPlace), table_of(Plan)
    rows = session.execute(
        sa.select(plan.c.public_id, sa.func.count().label("people"))
        .join(table, table.c.plan_id == plan.c.id)
        .where(plan.c.public_id.in_(set(plan_refs)))
        .group_by(plan.c.public_id)
    )
    return {row.public_id: int(row.people) for row in rows}


def plan_by_code(
    session: AnySession, code: str, today: date, codes: Sequence[str] = ()
) -> PlanName | None:
    """Return a plan on sale that ``codes`` open, None if there is none with this code."""
    plan = table_of(Plan)
    row = session.execute(
        sa.select(plan.c.public_id, plan.c.code, plan.c.name).where(
            plan.c.code == code, sold_on(plan, today), opened_by(plan, codes)
        )
    ).one_or_none()
    return PlanName(row.public_id, row.code, row.name) if row is not None else None


def plan_by_ref(session: AnySession, ref: str) -> PlanName | None:
    """Return a plan, None if there is none."""
    plan = table_of(Plan)
    row = session.execute(
        sa.select(plan.c.public_id, plan.c.code, plan.c.name).where(plan.c.public_id == ref)
    ).one_or_none()
    return PlanName(row.public_id, row.code, row.name) if row is not None else None
