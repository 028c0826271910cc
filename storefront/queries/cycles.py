"""The cycle board: what each stage of a round still needs, its exceptions and batches."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import BoxKind, BoxState, CycleState
from storefront.domain.packing import Problem, RecipeFacts, choose_recipe
from storefront.models import (
    Box,
    BoxCycle,
    Customer,
    CycleGroup,
    FulfilmentBatch,
    Gift,
    Plan,
    ProviderParcel,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.box_facts import told_apart
from storefront.operations.keys import AnyRow
from storefront.operations.recipe_losses import number_fallen
from storefront.operations.recipes import recipes_of
from storefront.queries.box_waits import Lacking, still_made, waiting_for
from storefront.queries.cycle_demand import Demand, demand_of
from storefront.queries.short_stock import ShortProduct, runs_short

#: How many coming or past cycles a list shows.
LISTED = 60
#: How many exceptions a board shows.
EXCEPTIONS = 100
_CURRENT = (CycleState.OPEN, CycleState.LOCKED)
_DONE = (CycleState.SHIPPED, CycleState.CLOSED)
_LEFT = (BoxState.SHIPPED, BoxState.DELIVERED, BoxState.RETURNED, BoxState.LOST)


@dataclass(frozen=True, slots=True)
class CycleRow:
    """One cycle in a list; counts are of its boxes without canceled ones."""

    public_id: str
    key: str
    group: str
    state: CycleState
    charge_on: date | None
    cutoff_on: date
    lock_on: date
    ship_from: date
    ship_to: date
    locked_at: datetime | None
    boxes: int
    held: int
    #: Boxes per state value.
    by_state: dict[str, int]
    #: First and last day on which orders begin with it; None: up to the cut-off.
    sells_from: date | None = None
    sells_until: date | None = None


@dataclass(frozen=True, slots=True)
class PlanNeed:
    """A plan of the cycle's group: its boxes, and whether each of them has a recipe."""

    public_id: str
    name: str
    #: All of them; ``again`` of these are sent again and hold what the first one held.
    boxes: int
    again: int
    #: Boxes for which no recipe is found.
    bare: int
    has_own_recipe: bool


@dataclass(frozen=True, slots=True)
class HeldBox:
    """A box that did not get through the lock, or will not, and why."""

    public_id: str
    problem: str
    customer: str
    #: Empty for a gift that nobody has claimed.
    customer_ref: str
    #: The gift of which it is a box, empty for none.
    gift: str
    subscription: str
    is_sent_again: bool
    #: What it lacks: name, pieces, what does not go in instead, and if that is not tolerated.
    waits_for: tuple[tuple[str, int, str, bool], ...]
    plan: str
    plan_ref: str
    quantity: int


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch; ``sha256`` is empty until its file is published."""

    public_id: str
    cycle_ref: str
    cycle_key: str
    number: int
    row_count: int
    #: Boxes that need no parcel of their own, because they leave with another.
    spared: int
    sha256: str
    file_name: str
    created_at: datetime
    actor: str
    shipped: int
    to_ship: int
    #: On their way, as far as anybody said.
    to_deliver: int
    #: Boxes that a shipping provider has or is to get, and those of them it refused.
    handed: int
    refused: int


@dataclass(frozen=True, slots=True)
class Board:
    """Everything the board of one cycle shows."""

    cycle: CycleRow
    plans: tuple[PlanNeed, ...]
    #: What runs short of it, or of all next cycles together where it is the next of its group.
    shortages: tuple[ShortProduct, ...]
    held: tuple[HeldBox, ...]
    #: What those lack, and what of packed boxes is still made.
    waiting: tuple[Lacking, ...]
    made: tuple[Lacking, ...]
    batches: tuple[BatchRow, ...]
    #: Locked boxes that are in no batch, and how many of them did not fit the last one's format.
    exportable: int
    misfits: int
    #: Its lock day is over and it is not locked.
    is_lock_due: bool
    #: Subscriptions that chose for it what its recipes do not offer.
    fallen: int = 0

    @property
    def bare_plans(self) -> tuple[PlanNeed, ...]:
        """Plans with boxes for which no recipe is found."""
        return tuple(plan for plan in self.plans if plan.bare)


def cycle_list(session: AnySession, show: str) -> list[CycleRow]:
    """Return the cycles that are ``current``, ``coming`` or ``done``, by their ship day.

    A locked cycle without boxes has nothing to ship and is done.
    """
    cycle, box = table_of(BoxCycle), table_of(Box)
    has_boxes = sa.exists().where(box.c.cycle_id == cycle.c.id, box.c.state != BoxState.CANCELED)
    is_void = sa.and_(cycle.c.state == CycleState.LOCKED, ~has_boxes)
    order: sa.ColumnElement[Any]
    if show == "coming":
        wanted, order = cycle.c.state == CycleState.PLANNED, cycle.c.ship_from
    elif show == "done":
        wanted, order = cycle.c.state.in_(_DONE) | is_void, cycle.c.ship_from.desc()
    else:
        wanted, order = cycle.c.state.in_(_CURRENT) & ~is_void, cycle.c.ship_from
    return _cycles(session, wanted, order)


def board(session: AnySession, cycle_ref: str, today: date) -> Board | None:
    """Return the board of a cycle, None if there is no such cycle."""
    table = table_of(BoxCycle)
    row = session.execute(
        sa.select(table.c.id, table.c.group_id).where(table.c.public_id == cycle_ref)
    ).one_or_none()
    if row is None:
        return None
    cycle = _cycles(session, table.c.id == row.id, table.c.id)[0]
    is_open = cycle.state in {CycleState.PLANNED, CycleState.OPEN}
    recipes = recipes_of(session, _plan_ids(session, row.group_id), row.id)
    demand = demand_of(session, row.id, told_apart(recipes))
    box = table_of(Box)
    waiting = (box.c.cycle_id == row.id, box.c.state == BoxState.LOCKED, box.c.batch_id.is_(None))
    exportable = session.scalar(sa.select(sa.func.count()).where(*waiting))
    misfits = session.scalar(
        sa.select(sa.func.count()).where(*waiting, box.c.problem == Problem.NO_FIT.value)
    )
    return Board(
        cycle=cycle,
        plans=_plans(session, row, demand, recipes),
        shortages=runs_short(session, row, demand, recipes, today) if is_open else (),
        held=_held(session, row.id),
        waiting=waiting_for(session, row.id) if cycle.held else (),
        made=() if is_open else still_made(session, row.id),
        batches=tuple(_batches(session, table_of(FulfilmentBatch).c.cycle_id == row.id)),
        exportable=exportable or 0,
        misfits=misfits or 0,
        is_lock_due=is_open and cycle.lock_on < today,
        fallen=number_fallen(session, row.id, today) if is_open else 0,
    )


def cycle_row(session: AnySession, cycle_ref: str) -> CycleRow | None:
    """Return one cycle, None if there is no such cycle."""
    table = table_of(BoxCycle)
    found = _cycles(session, table.c.public_id == cycle_ref, table.c.id)
    return found[0] if found else None


def batch(session: AnySession, batch_ref: str) -> BatchRow | None:
    """Return a batch, None if there is no such batch."""
    found = _batches(session, table_of(FulfilmentBatch).c.public_id == batch_ref)
    return found[0] if found else None


def _cycles(
    session: AnySession, wanted: sa.ColumnElement[bool], order: sa.ColumnElement[Any]
) -> list[CycleRow]:
    cycle, group = table_of(BoxCycle), table_of(CycleGroup)
    rows = session.execute(
        sa.select(cycle, group.c.name.label("group_name"))
        .join(group, group.c.id == cycle.c.group_id)
        .where(wanted)
        .order_by(order, cycle.c.id)
        .limit(LISTED)
    ).all()
    box = table_of(Box)
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for found in session.execute(
        sa.select(box.c.cycle_id, box.c.state, sa.func.count().label("boxes"))
        .where(box.c.cycle_id.in_([row.id for row in rows]), box.c.state != BoxState.CANCELED)
        .group_by(box.c.cycle_id, box.c.state)
    ):
        counts[found.cycle_id][found.state.value] += found.boxes
    return [_cycle_row(row, counts[row.id]) for row in rows]


def _cycle_row(row: AnyRow, counts: Counter[str]) -> CycleRow:
    return CycleRow(
        public_id=row.public_id,
        key=row.key,
        group=row.group_name,
        state=row.state,
        charge_on=row.charge_on,
        cutoff_on=row.cutoff_on,
        lock_on=row.lock_on,
        ship_from=row.ship_from,
        ship_to=row.ship_to,
        locked_at=row.locked_at,
        boxes=counts.total(),
        held=counts[BoxState.HELD],
        by_state=dict(counts),
        sells_from=row.sells_from,
        sells_until=row.sells_until,
    )


def _plan_ids(session: AnySession, group_id: int) -> list[int]:
    plan = table_of(Plan)
    return list(session.scalars(sa.select(plan.c.id).where(plan.c.cycle_group_id == group_id)))


def _plans(
    session: AnySession,
    cycle: AnyRow,
    demand: Demand,
    recipes: dict[int, list[RecipeFacts]],
) -> tuple[PlanNeed, ...]:
    plan, again = table_of(Plan), _sent_again(session, cycle.id)
    rows = session.execute(
        sa.select(plan.c.id, plan.c.public_id, plan.c.name, plan.c.archived_at)
        .where(plan.c.cycle_group_id == cycle.group_id)
        .order_by(plan.c.position, plan.c.id)
    )
    boxes, bare = Counter(again), Counter[int]()
    for kind, (count, _sold) in demand.items():
        boxes[kind.plan_id] += count
        own = recipes.get(kind.plan_id, ())
        if kind.undecided and choose_recipe(own, kind.facts) is None:
            bare[kind.plan_id] += count
    return tuple(
        PlanNeed(
            row.public_id,
            row.name,
            boxes[row.id],
            again[row.id],
            bare[row.id],
            any(not one.is_standing for one in recipes.get(row.id, ())),
        )
        for row in rows
        if row.archived_at is None or boxes[row.id]
    )


def _sent_again(session: AnySession, cycle_id: int) -> Counter[int]:
    """Return how many boxes of each plan leave with the cycle in place of another."""
    box = table_of(Box)
    rows = session.execute(
        sa.select(box.c.plan_id, sa.func.count().label("boxes"))
        .where(
            box.c.cycle_id == cycle_id,
            box.c.kind == BoxKind.REPLACEMENT,
            box.c.state != BoxState.CANCELED,
        )
        .group_by(box.c.plan_id)
    )
    return Counter({row.plan_id: row.boxes for row in rows})


def _held(session: AnySession, cycle_id: int) -> tuple[HeldBox, ...]:
    box, subscription = table_of(Box), table_of(Subscription)
    plan, customer, gift = table_of(Plan), table_of(Customer), table_of(Gift)
    rows = session.execute(
        sa.select(
            box.c.public_id,
            box.c.problem,
            box.c.quantity,
            sa.func.coalesce(customer.c.name, "").label("customer"),
            sa.func.coalesce(customer.c.public_id, "").label("customer_ref"),
            sa.func.coalesce(gift.c.public_id, "").label("gift"),
            subscription.c.public_id.label("subscription"),
            (box.c.kind == BoxKind.REPLACEMENT).label("is_sent_again"),
            box.c.packing["waits_for"].label("waits_for"),
            plan.c.name.label("plan"),
            plan.c.public_id.label("plan_ref"),
        )
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .join(plan, plan.c.id == box.c.plan_id)
        .outerjoin(customer, customer.c.id == subscription.c.customer_id)
        .outerjoin(gift, gift.c.subscription_id == subscription.c.id)
        .where(box.c.cycle_id == cycle_id, box.c.state == BoxState.HELD)
        .order_by(box.c.problem, box.c.id)
        .limit(EXCEPTIONS)
    )
    return tuple(
        HeldBox(**{**row._mapping, "waits_for": tuple(map(tuple, row.waits_for or ()))})
        for row in rows
    )


def _batches(session: AnySession, wanted: sa.ColumnElement[bool]) -> Sequence[BatchRow]:
    table, cycle, box = table_of(FulfilmentBatch), table_of(BoxCycle), table_of(Box)

    def counted(*states: BoxState) -> sa.ScalarSelect[Any]:
        return (
            sa.select(sa.func.count())
            .where(box.c.batch_id == table.c.id, box.c.state.in_(states))
            .scalar_subquery()
        )

    spared = (
        sa.select(sa.func.count())
        .where(box.c.batch_id == table.c.id, box.c.parcel_id != box.c.id)
        .scalar_subquery()
    )
    parcel = table_of(ProviderParcel)
    handed = (
        sa.select(sa.func.count())
        .select_from(parcel.join(box, box.c.id == parcel.c.box_id))
        .where(box.c.batch_id == table.c.id)
    )
    rows = session.execute(
        sa.select(
            table.c.public_id,
            cycle.c.public_id.label("cycle_ref"),
            cycle.c.key.label("cycle_key"),
            table.c.number,
            table.c.row_count,
            spared.label("spared"),
            table.c.sha256,
            table.c.file_name,
            table.c.created_at,
            table.c.actor,
            counted(*_LEFT).label("shipped"),
            counted(BoxState.EXPORTED, BoxState.LOCKED).label("to_ship"),
            counted(BoxState.SHIPPED).label("to_deliver"),
            handed.scalar_subquery().label("handed"),
            handed.where(parcel.c.state == "refused").scalar_subquery().label("refused"),
        )
        .join(cycle, cycle.c.id == table.c.cycle_id)
        .where(wanted)
        .order_by(table.c.number.desc(), table.c.id)
    )
    return [BatchRow(**row._mapping) for row in rows]
