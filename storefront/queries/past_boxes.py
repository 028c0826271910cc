"""What was in the boxes that have left, for everybody: the newest first, a page at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.models import BoxCycle, Plan, Product, ProductVariant, Recipe, RecipeItem
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.queries.rounds import PastBox

#: Boxes on one page of the gallery.
PAGE = 24


@dataclass(frozen=True, slots=True)
class Thing:
    """A product that was in a box; ``quantity`` in one box."""

    name: str
    sku: str
    kind: str
    maker: str
    allergens: tuple[str, ...]
    quantity: int
    #: One of those that a subscriber chose from.
    is_choice: bool


@dataclass(frozen=True, slots=True)
class Gallery:
    """One page of past boxes, and what it can be narrowed to: ``plans`` (code, name), ``years``."""

    boxes: tuple[PastBox, ...]
    plans: tuple[tuple[str, str], ...]
    years: tuple[int, ...]
    #: Where the next page begins; empty on the last one.
    older: str
    #: It begins at a place of its own, not with the newest box.
    is_later: bool


@dataclass(frozen=True, slots=True)
class BoxPage:
    """One past box with its things, and the boxes of its plan before and after it."""

    box: PastBox
    things: tuple[Thing, ...]
    #: (key, ship day) of its neighbours, None where there is none.
    before: tuple[str, date] | None
    after: tuple[str, date] | None


def gallery(
    session: AnySession, today: date, *, plan: str = "", year: int | None = None, after: str = ""
) -> Gallery:
    """Return a page of the boxes of listed plans that have left; keyset paging by recipe.

    Four statements, three on the first page. An unknown ``after`` is the first page.
    """
    table, cycle, recipe = table_of(Plan), table_of(BoxCycle), table_of(Recipe)
    plans, years = _kinds(session, today)
    statement = _boxes(today)
    if plan:
        statement = statement.where(table.c.code == plan)
    if year is not None:
        first, last = date(year, 1, 1), date(year, 12, 31)
        statement = statement.where(cycle.c.ship_from.between(first, last))
    start = _start(session, today, after) if after else None
    if start is not None:
        statement = statement.where(_behind(start))
    ordered = statement.order_by(
        cycle.c.ship_from.desc(), table.c.position, table.c.id, recipe.c.id
    )
    rows = session.execute(ordered.limit(PAGE + 1)).all()
    more, rows = len(rows) > PAGE, rows[:PAGE]
    return Gallery(
        _with_items(session, rows),
        plans,
        years,
        rows[-1].public_id if more else "",
        start is not None,
    )


def past_box(session: AnySession, code: str, key: str, today: date) -> BoxPage | None:
    """Return one box of a listed plan that has left, or None; three statements."""
    table, cycle = table_of(Plan), table_of(BoxCycle)
    own = _boxes(today).where(table.c.code == code)
    row = session.execute(own.where(cycle.c.key == key)).first()
    if row is None:
        return None
    things = tuple(
        Thing(
            item.name if not item.variant else f"{item.name}, {item.variant}",
            item.sku,
            item.picture,
            item.vendor,
            tuple(item.allergens),
            item.quantity,
            item.is_choice,
        )
        for item in _items(session, [row.recipe_id])
    )
    box = _box(row, [(one.name, one.sku, one.kind) for one in things])
    days = own.with_only_columns(cycle.c.key, cycle.c.ship_from)
    newest = days.where(cycle.c.ship_from < row.ship_from).order_by(cycle.c.ship_from.desc())
    oldest = days.where(cycle.c.ship_from > row.ship_from).order_by(cycle.c.ship_from)
    beside = session.execute(
        sa.union_all(sa.select(newest.limit(1).subquery()), sa.select(oldest.limit(1).subquery()))
    ).all()
    days_beside = [(one.key, one.ship_from) for one in beside]
    before = next((one for one in days_beside if one[1] < row.ship_from), None)
    after = next((one for one in days_beside if one[1] > row.ship_from), None)
    return BoxPage(box, things, before, after)


def _boxes(today: date) -> sa.Select[Any]:
    """Select the recipes of cycles that have begun to ship, of plans on the pricing page."""
    plan, cycle, recipe = table_of(Plan), table_of(BoxCycle), table_of(Recipe)
    item = table_of(RecipeItem)
    return (
        sa.select(
            recipe.c.id.label("recipe_id"),
            recipe.c.public_id,
            cycle.c.key,
            cycle.c.ship_from,
            plan.c.id.label("plan_id"),
            plan.c.position,
            plan.c.code,
            plan.c.name,
        )
        .select_from(
            recipe.join(cycle, cycle.c.id == recipe.c.cycle_id).join(
                plan, plan.c.id == recipe.c.plan_id
            )
        )
        .where(
            recipe.c.option_key == "",
            sa.exists().where(item.c.recipe_id == recipe.c.id),
            cycle.c.ship_from <= today,
            plan.c.is_public,
            plan.c.archived_at.is_(None),
        )
    )


def _kinds(session: AnySession, today: date) -> tuple[tuple[tuple[str, str], ...], tuple[int, ...]]:
    """Return the plans that have past boxes, and the years in which they left, newest first."""
    plan, cycle = table_of(Plan), table_of(BoxCycle)
    year = sa.extract("year", cycle.c.ship_from).label("year")
    columns = (plan.c.code, plan.c.name, plan.c.position, plan.c.id, year)
    rows = session.execute(
        _boxes(today).with_only_columns(*columns).distinct().order_by(plan.c.position, plan.c.id)
    ).all()
    plans = dict.fromkeys((row.code, row.name) for row in rows)
    return tuple(plans), tuple(sorted({int(row.year) for row in rows}, reverse=True))


def _start(session: AnySession, today: date, after: str) -> AnyRow | None:
    return session.execute(_boxes(today).where(table_of(Recipe).c.public_id == after)).one_or_none()


def _behind(start: AnyRow) -> sa.ColumnElement[bool]:
    """Return what comes behind ``start`` in the order of the gallery."""
    plan, cycle, recipe = table_of(Plan), table_of(BoxCycle), table_of(Recipe)
    place = sa.tuple_(plan.c.position, plan.c.id, recipe.c.id)
    return sa.or_(
        cycle.c.ship_from < start.ship_from,
        sa.and_(
            cycle.c.ship_from == start.ship_from,
            place > sa.tuple_(start.position, start.plan_id, start.recipe_id),
        ),
    )


def _with_items(session: AnySession, rows: Sequence[AnyRow]) -> tuple[PastBox, ...]:
    items: dict[int, list[tuple[str, str, str]]] = defaultdict(list)
    for item in _items(session, [row.recipe_id for row in rows]):
        items[item.recipe_id].append((item.name, item.sku, item.picture))
    return tuple(_box(row, items[row.recipe_id]) for row in rows)


def _items(session: AnySession, recipes: Sequence[int]) -> Sequence[AnyRow]:
    if not recipes:
        return []
    item, variant, product = table_of(RecipeItem), table_of(ProductVariant), table_of(Product)
    return session.execute(
        sa.select(
            item.c.recipe_id,
            item.c.quantity,
            item.c.is_choice,
            product.c.name,
            product.c.picture,
            product.c.vendor,
            product.c.allergens,
            variant.c.sku,
            variant.c.name.label("variant"),
        )
        .select_from(
            item.join(variant, variant.c.id == item.c.variant_id).join(
                product, product.c.id == variant.c.product_id
            )
        )
        .where(item.c.recipe_id.in_(recipes))
        .order_by(item.c.recipe_id, item.c.position, item.c.id)
    ).all()


def _box(row: AnyRow, items: Iterable[tuple[str, str, str]]) -> PastBox:
    return PastBox(row.code, row.name, row.ship_from, row.key, tuple(items))
