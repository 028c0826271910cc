"""Plans with their prices, questions and cycle groups, as the merchant edits them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import CycleState
from storefront.domain.lifecycle import RUNNING
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.models import (
    BoxCycle,
    CycleGroup,
    Option,
    OptionGroup,
    Plan,
    Price,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow

#: Coming cycles shown for a group.
CYCLES = 3


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One version of a price and how many run on it."""

    ref: str
    #: Empty: everywhere.
    country: str
    interval: Interval
    amount: Money
    version: int
    created_at: datetime
    retired_at: datetime | None
    running: int


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan in the list."""

    ref: str
    code: str
    name: str
    is_public: bool
    is_recommended: bool
    is_archived: bool
    shipping: Interval
    ships: bool
    group: str
    prices: tuple[PriceRow, ...]
    running: int


@dataclass(frozen=True, slots=True)
class OptionRow:
    """One answer to a question about the box."""

    code: str
    name: str
    surcharge: Money
    is_archived: bool
    #: Language to what is written in it.
    translations: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """A question about the box."""

    code: str
    name: str
    options: tuple[OptionRow, ...]
    #: Language to what is written in it.
    translations: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A cycle group with its next cycles."""

    ref: str
    name: str
    interval: Interval
    charge_day: int | None
    plans: int
    cycles: tuple[CycleDays, ...] = ()


@dataclass(frozen=True, slots=True)
class CycleDays:
    """The days of one coming cycle."""

    ref: str
    charge_on: date | None
    cutoff_on: date
    lock_on: date
    ship_from: date
    ship_to: date


@dataclass(frozen=True, slots=True)
class PlanDetail:
    """Everything that can be edited."""

    id: int
    ref: str
    code: str
    name: str
    tagline: str
    description: str
    benefits: tuple[str, ...]
    #: Language to what is written in it.
    translations: Mapping[str, Any]
    is_recommended: bool
    is_public: bool
    #: Capitals and digits; empty where none is needed.
    access_code: str
    position: int
    ships: bool
    shipping: Interval
    group: str
    tax_class: str
    retry_days: tuple[int, ...]
    last_action: str
    #: Minutes after the shop's midnight.
    retry_minute: int
    archived_at: datetime | None
    prices: tuple[PriceRow, ...]
    questions: tuple[QuestionRow, ...]

    @property
    def running(self) -> int:
        return sum(price.running for price in self.prices)

    @property
    def on_sale(self) -> tuple[PriceRow, ...]:
        return tuple(price for price in self.prices if price.retired_at is None)

    @property
    def kept(self) -> tuple[PriceRow, ...]:
        """Versions that are sold no more."""
        return tuple(price for price in self.prices if price.retired_at is not None)


def plan_list(session: AnySession) -> list[PlanRow]:
    """Return every plan in the order of the pricing page, the archived ones last."""
    plan, group = table_of(Plan), table_of(CycleGroup)
    prices = _prices(session)
    rows = session.execute(
        sa.select(plan, group.c.name.label("group_name"))
        .outerjoin(group, group.c.id == plan.c.cycle_group_id)
        .order_by(plan.c.archived_at.is_not(None), plan.c.position, plan.c.id)
    )
    return [
        PlanRow(
            row.public_id,
            row.code,
            row.name,
            row.is_public,
            row.is_recommended,
            row.archived_at is not None,
            Interval(row.shipping_unit, row.shipping_count),
            row.ships,
            row.group_name or "",
            tuple(p for p in prices.get(row.id, ()) if p.retired_at is None),
            sum(p.running for p in prices.get(row.id, ())),
        )
        for row in rows
    ]


def plan_detail(session: AnySession, ref: str, currency: str) -> PlanDetail | None:
    """Return one plan, or None."""
    plan, group = table_of(Plan), table_of(CycleGroup)
    row = session.execute(
        sa.select(plan, group.c.public_id.label("group_ref"))
        .outerjoin(group, group.c.id == plan.c.cycle_group_id)
        .where(plan.c.public_id == ref)
    ).one_or_none()
    if row is None:
        return None
    return PlanDetail(
        row.id,
        row.public_id,
        row.code,
        row.name,
        row.tagline,
        row.description,
        tuple(row.benefits),
        row.translations,
        row.is_recommended,
        row.is_public,
        row.access_code or "",
        row.position,
        row.ships,
        Interval(row.shipping_unit, row.shipping_count),
        row.group_ref or "",
        row.tax_class,
        tuple(row.retry_days),
        row.last_action,
        row.retry_minute,
        row.archived_at,
        tuple(_prices(session, row.id).get(row.id, ())),
        _questions(session, row.id, currency),
    )


def _prices(session: AnySession, plan_id: int | None = None) -> dict[int, list[PriceRow]]:
    """Return the versions of prices per plan: shortest interval, everywhere, newest first."""
    price, subscription = table_of(Price), table_of(Subscription)
    running = (
        sa.select(sa.func.count())
        .where(subscription.c.price_id == price.c.id, subscription.c.state.in_(RUNNING))
        .scalar_subquery()
    )
    statement = sa.select(
        *[column for column in price.c if column.name != "count"],
        price.c.count.label("unit_count"),
        running.label("running"),
    )
    if plan_id is not None:
        statement = statement.where(price.c.plan_id == plan_id)
    found: dict[int, list[tuple[float, str, int, PriceRow]]] = {}
    for row in session.execute(statement):
        interval = Interval(row.unit, row.unit_count)
        one = PriceRow(
            row.public_id,
            row.country,
            interval,
            Money(row.amount_minor, row.currency),
            row.version,
            row.created_at,
            row.retired_at,
            row.running,
        )
        length = interval.days or (interval.months or 0) * 30.5
        found.setdefault(row.plan_id, []).append((length, row.country, -row.version, one))
    return {
        key: [one for *_rest, one in sorted(rows, key=lambda row: row[:3])]
        for key, rows in found.items()
    }


def _questions(session: AnySession, plan_id: int, currency: str) -> tuple[QuestionRow, ...]:
    group, option = table_of(OptionGroup), table_of(Option)
    rows = session.execute(
        sa.select(
            group.c.code.label("group_code"),
            group.c.name.label("group_name"),
            group.c.translations.label("group_translations"),
            option.c.code,
            option.c.name,
            option.c.translations,
            option.c.surcharges,
            option.c.archived_at,
        )
        .outerjoin(option, option.c.group_id == group.c.id)
        .where(group.c.plan_id == plan_id)
        .order_by(group.c.position, group.c.id, option.c.position, option.c.id)
    )
    found: dict[str, tuple[AnyRow, list[OptionRow]]] = {}
    for row in rows:
        _first, options = found.setdefault(row.group_code, (row, []))
        if row.code is not None:
            options.append(_option(row, currency))
    return tuple(
        QuestionRow(code, first.group_name, tuple(answers), first.group_translations)
        for code, (first, answers) in found.items()
    )


def _option(row: AnyRow, currency: str) -> OptionRow:
    surcharges: Mapping[str, Any] = row.surcharges or {}
    amount = Money(int(surcharges.get(currency, 0)), currency)
    return OptionRow(row.code, row.name, amount, row.archived_at is not None, row.translations)


def group_list(session: AnySession, today: date) -> list[GroupRow]:
    """Return every cycle group with its next cycles; two statements."""
    group, plan = table_of(CycleGroup), table_of(Plan)
    plans = (
        sa.select(sa.func.count())
        .where(plan.c.cycle_group_id == group.c.id, plan.c.archived_at.is_(None))
        .scalar_subquery()
    )
    rows = session.execute(
        sa.select(
            group.c.id,
            group.c.public_id,
            group.c.name,
            group.c.unit,
            group.c.count.label("unit_count"),
            group.c.charge_day,
            plans.label("plans"),
        ).order_by(group.c.id)
    ).all()
    cycles = _cycles(session, [row.id for row in rows], today)
    return [
        GroupRow(
            row.public_id,
            row.name,
            Interval(row.unit, row.unit_count),
            row.charge_day,
            row.plans,
            tuple(cycles.get(row.id, ())[:CYCLES]),
        )
        for row in rows
    ]


def _cycles(session: AnySession, groups: Sequence[int], today: date) -> dict[int, list[CycleDays]]:
    cycle = table_of(BoxCycle)
    rows = session.execute(
        sa.select(cycle)
        .where(
            cycle.c.group_id.in_(groups),
            cycle.c.cutoff_on >= today,
            cycle.c.state.in_([CycleState.PLANNED, CycleState.OPEN]),
        )
        .order_by(cycle.c.ship_from, cycle.c.id)
        .limit(CYCLES * max(len(groups), 1) * 4)
    )
    found: dict[int, list[CycleDays]] = {}
    for row in rows:
        days = CycleDays(
            row.public_id, row.charge_on, row.cutoff_on, row.lock_on, row.ship_from, row.ship_to
        )
        found.setdefault(row.group_id, []).append(days)
    return found
