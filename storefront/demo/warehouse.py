"""What the demo's staff do with boxes: recipes, parcels, a shortage and its repair."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import cache
from random import Random
from typing import Any

import sqlalchemy as sa

from storefront.database import reading
from storefront.demo import catalogue, opening
from storefront.domain.boxes import BoxKind, BoxState, CycleState
from storefront.domain.replacements import Reason
from storefront.domain.shortages import Policy
from storefront.models import (
    Box,
    BoxCycle,
    BoxItem,
    FulfilmentBatch,
    Plan,
    ProductVariant,
    Recipe,
    RecipeItem,
    Shipment,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnySelect
from storefront.runtime import Runtime
from storefront.services.fulfilment import deliver_batch, ship_batch
from storefront.services.packing import retry_boxes
from storefront.services.replacements import NoNextCycle, Wanted, replace_box
from storefront.services.stock import adjust_stock, set_rule

CARRIER = "DHL"
#: How many days the late round waited.
LATE_DAYS = 5
#: How long a parcel is on its way, until staff note that it arrived.
ROAD = timedelta(days=3)
#: What the shortage leaves of the tea it meets, and the dropped pallet of the bake.
_LEFT, _DROPPED = 12, 65
#: Boxes of a batch of which one parcel gets lost.
_LARGE = 6
#: What becomes of it.
_FATES = (
    (Reason.LOST, "No scan for days"),
    (Reason.RETURNED, "Nobody at home, not fetched"),
)


def write_recipes(rt: Runtime, ahead: int = 2) -> None:
    """Give the next ``ahead`` cycles that are still to be packed their recipes, once."""
    recipe = table_of(Recipe)
    rows = rt.session.scalars(sa.select(BoxCycle).order_by(BoxCycle.ship_from)).all()
    known = set(rt.session.scalars(sa.select(recipe.c.cycle_id).distinct()))
    rt.session.expunge_all()
    rt.session.rollback()
    coming = [
        (number, row)
        for number, row in enumerate(rows)
        if row.state in (CycleState.PLANNED, CycleState.OPEN) and row.lock_on >= rt.today()
    ]
    for number, row in coming[:ahead]:
        if row.id not in known:
            opening.save_recipes(rt, row, number)


def ship_due(rt: Runtime, rng: Random, *, late_key: str = "") -> int:
    """Hand every exported batch whose ship day has come to the carrier; returns the boxes.

    The cycle ``late_key`` leaves ``LATE_DAYS`` later than planned.
    """
    today = rt.today()
    with reading():
        rows = rt.session.execute(_to_leave(), {"today": today}).all()
        rt.session.rollback()
    tracking: dict[str, dict[str, str]] = {}
    for row in rows:
        wait = timedelta(days=LATE_DAYS if row.key == late_key else 0)
        if row.ship_from + wait <= today:
            number = f"0034{rng.randrange(10**16):016d}"
            if row.parcel_id in (None, row.id):
                tracking.setdefault(row.public_id, {})[row.box] = number
    return sum(
        ship_batch(rt, ref, carrier=CARRIER, tracking=numbers) for ref, numbers in tracking.items()
    )


@cache
def _to_leave() -> AnySelect:
    box, cycle, batch = table_of(Box), table_of(BoxCycle), table_of(FulfilmentBatch)
    return (
        sa.select(
            batch.c.public_id,
            cycle.c.key,
            cycle.c.ship_from,
            box.c.public_id.label("box"),
            box.c.id,
            box.c.parcel_id,
        )
        .join(cycle, cycle.c.id == batch.c.cycle_id)
        .join(box, box.c.batch_id == batch.c.id)
        .where(box.c.state == BoxState.EXPORTED, cycle.c.ship_from <= sa.bindparam("today"))
        .order_by(batch.c.id, box.c.id)
    )


def note_arrivals(rt: Runtime) -> int:
    """Have staff mark the parcels that were on the road long enough as arrived.

    Returns the boxes; batches leave as a whole, so they arrive as a whole.
    """
    with reading():
        refs = rt.session.scalars(_to_arrive(), {"left": rt.now() - ROAD}).all()
        rt.session.rollback()
    for ref in refs:
        _lose_a_parcel(rt, ref)
    return sum(deliver_batch(rt, ref, (), opening.packer_of(rt)) for ref in refs)


@cache
def _to_arrive() -> sa.Select[str]:
    box, batch, shipment = table_of(Box), table_of(FulfilmentBatch), table_of(Shipment)
    left = sa.bindparam("left", type_=shipment.c.shipped_at.type)
    return (
        sa.select(batch.c.public_id)
        .join(box, box.c.batch_id == batch.c.id)
        .join(shipment, shipment.c.id == box.c.shipment_id)
        .where(box.c.state == BoxState.SHIPPED, shipment.c.shipped_at <= left)
        .group_by(batch.c.id, batch.c.public_id)
        .order_by(batch.c.id)
    )


def _lose_a_parcel(rt: Runtime, batch_ref: str) -> None:
    """Let one parcel of a large batch be lost, and send its box again with the next cycle.

    Of every second one it comes back instead: nobody was at home.
    """
    box, batch, item = table_of(Box), table_of(FulfilmentBatch), table_of(BoxItem)
    variant = table_of(ProductVariant)
    found = rt.session.execute(
        sa.select(box.c.public_id, batch.c.id)
        .join(batch, batch.c.id == box.c.batch_id)
        .where(
            batch.c.public_id == batch_ref,
            batch.c.row_count >= _LARGE,
            box.c.state == BoxState.SHIPPED,
            box.c.kind == BoxKind.REGULAR,
            box.c.parcel_id.is_(None),
        )
        .order_by(box.c.id.desc())
        .limit(1)
    ).one_or_none()
    ref, number = found or (None, 0)
    rows = rt.session.execute(
        sa.select(variant.c.public_id, item.c.quantity)
        .join(item, item.c.variant_id == variant.c.id)
        .join(box, box.c.id == item.c.box_id)
        .where(box.c.public_id == ref)
    ).all()
    rt.session.rollback()
    if ref is None or not rows:
        return
    pieces = {row.public_id: row.quantity for row in rows}
    reason, note = _FATES[number % 2]
    wanted = Wanted(reason, pieces, is_now=False, shipping_minor=490, note=note)
    with suppress(NoNextCycle):
        replace_box(rt, ref, wanted, opening.packer_of(rt))


def lose_some(rt: Runtime) -> None:
    """On the day of a lock, lose most of the first tea that its boxes hold."""
    cycle, item = table_of(BoxCycle), table_of(RecipeItem)
    _lose(rt, cycle.c.lock_on == rt.today(), item.c.position, _LEFT, "Rain through the roof")


def drop_a_pallet(rt: Runtime) -> None:
    """Lose most of a bake of the coming boxes, which nobody has ordered again yet."""
    cycle, item = table_of(BoxCycle), table_of(RecipeItem)
    coming = (
        sa.select(sa.func.min(cycle.c.lock_on)).where(cycle.c.lock_on >= rt.today())
    ).scalar_subquery()
    ref = _lose(rt, cycle.c.lock_on == coming, item.c.position.desc(), _DROPPED, "Pallet dropped")
    if ref is not None:
        _let_stand_in(rt, ref)


def _let_stand_in(rt: Runtime, variant_ref: str) -> None:
    """Say which bake comes where that one is short."""
    table = table_of(ProductVariant)
    sku = rt.session.scalar(sa.select(table.c.sku).where(table.c.public_id == variant_ref))
    rt.session.rollback()
    other = next(one.sku for one in catalogue.BAKES if one.sku not in (sku, catalogue.POOL_BAKE))
    set_rule(
        rt,
        variant_ref,
        is_counted=True,
        policy=Policy.SUBSTITUTE,
        substitute=other,
        who=opening.packer_of(rt),
    )


def _lose(
    rt: Runtime,
    which: sa.ColumnElement[bool],
    order: sa.ColumnElement[Any],
    left: int,
    reason: str,
) -> str | None:
    """Lose all but ``left`` pieces of the first product in the boxes of Pot in that cycle.

    Returns what it was, None where there were not more.
    """
    variant, cycle, plan = table_of(ProductVariant), table_of(BoxCycle), table_of(Plan)
    recipe, item = table_of(Recipe), table_of(RecipeItem)
    row = rt.session.execute(
        sa.select(variant.c.public_id, variant.c.on_hand)
        .join(item, item.c.variant_id == variant.c.id)
        .join(recipe, recipe.c.id == item.c.recipe_id)
        .join(plan, plan.c.id == recipe.c.plan_id)
        .join(cycle, cycle.c.id == recipe.c.cycle_id)
        .where(which, recipe.c.option_key == "", plan.c.code == "pot")
        .order_by(order)
        .limit(1)
    ).one_or_none()
    rt.session.rollback()
    if row is None or row.on_hand <= left:
        return None
    adjust_stock(rt, row.public_id, "loss", left - row.on_hand, reason)
    return str(row.public_id)


def make_good(rt: Runtime) -> None:
    """Take in what was lost, and pack the boxes that were held back for it."""
    opening.reorder(rt)
    box, cycle = table_of(Box), table_of(BoxCycle)
    held = rt.session.scalars(
        sa.select(cycle.c.public_id)
        .join(box, box.c.cycle_id == cycle.c.id)
        .where(box.c.state == BoxState.HELD, cycle.c.state != CycleState.OPEN)
        .distinct()
    ).all()
    rt.session.rollback()
    for ref in held:
        retry_boxes(rt, ref)
