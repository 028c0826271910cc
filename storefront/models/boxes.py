"""Cycles, recipes and boxes. A box is a row only once it is paid for, gifted or replaced."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.domain.boxes import BoxKind, BoxState, CycleState
from storefront.models.base import Base, values_enum


class CycleGroup(Base):
    """Plans that are packed together, and the rhythm their cycles are made from."""

    __tablename__ = "cycle_group"
    __table_args__ = (
        sa.CheckConstraint("charge_day IS NULL OR charge_day BETWEEN 1 AND 31", name="charge_day"),
        sa.CheckConstraint(
            "cutoff_days >= 0 AND lock_days >= 0 AND ship_days >= lock_days"
            " AND ship_window_days >= 0",
            name="dates_in_order",
        ),
        sa.CheckConstraint("capacity > 0", name="capacity"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    code: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    unit: Mapped[str] = mapped_column(sa.String(5))
    count: Mapped[int] = mapped_column(default=1)
    #: Day of month (or ISO weekday) everyone is charged on; NULL: rolling, own anchors.
    charge_day: Mapped[int | None]
    #: First day from which cycles are made; of a rolling group a packing day.
    anchor_on: Mapped[date]
    #: These four count days from the base day: the charge day, rolling the packing day.
    #: See ``domain.cycles.CycleRhythm``.
    cutoff_days: Mapped[int] = mapped_column(default=1)
    lock_days: Mapped[int] = mapped_column(default=3)
    ship_days: Mapped[int] = mapped_column(default=6)
    ship_window_days: Mapped[int] = mapped_column(default=2)
    #: What the worker exports: code of a preset, or public id of an ``ExportFormat``.
    export_format: Mapped[str] = mapped_column(
        sa.String(40), default="generic_csv", server_default="generic_csv"
    )
    #: Who gets each batch's file by mail; empty: nobody.
    export_mail: Mapped[str] = mapped_column(sa.String(254), default="", server_default="")
    #: Shipping provider that boxes are handed to, or that follows them; empty: none.
    export_provider: Mapped[str] = mapped_column(sa.String(24), default="", server_default="")
    #: Boxes that one of its cycles can make; NULL: any number.
    capacity: Mapped[int | None]


class BoxCycle(Base):
    """One round of boxes for a group of plans with its dates."""

    __tablename__ = "box_cycle"
    __table_args__ = (
        sa.UniqueConstraint("group_id", "key"),
        sa.CheckConstraint(
            "cutoff_on <= lock_on AND lock_on <= ship_from AND ship_from <= ship_to",
            name="dates_in_order",
        ),
        sa.CheckConstraint("charge_on IS NULL OR charge_on <= lock_on", name="charge_before_lock"),
        sa.CheckConstraint("capacity >= 0", name="capacity"),
        sa.CheckConstraint("sells_from <= sells_until", name="sales_in_order"),
        sa.Index("ix_box_cycle_state", "state", "lock_on"),
        sa.Index("ix_box_cycle_ship", "group_id", "ship_from"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    group_id: Mapped[int] = mapped_column(sa.ForeignKey("cycle_group.id"))
    key: Mapped[str] = mapped_column(sa.String(16))
    charge_on: Mapped[date | None]
    #: Last day on which a subscriber may change or skip the box.
    cutoff_on: Mapped[date]
    #: Contents and addresses freeze with the last second of this day.
    lock_on: Mapped[date]
    ship_from: Mapped[date]
    ship_to: Mapped[date]
    state: Mapped[CycleState] = mapped_column(values_enum(CycleState))
    locked_at: Mapped[datetime | None]
    #: First and last day on which an order begins with this cycle; NULL: from the start, and
    #: up to the cut-off.
    sells_from: Mapped[date | None]
    sells_until: Mapped[date | None]
    #: The ship day it would have if there were no days off; NULL: not noted yet.
    planned_from: Mapped[date | None]
    #: Staff typed its days: it follows no other rhythm of its group.
    own_days: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    #: Boxes that it can make, where that is not the capacity of its group.
    capacity: Mapped[int | None]


class Recipe(Base):
    """What goes into the boxes of a plan: for one cycle, or standing (cycle NULL)."""

    __tablename__ = "recipe"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"), index=True)
    cycle_id: Mapped[int | None] = mapped_column(sa.ForeignKey("box_cycle.id"), index=True)
    #: ``group=option``, joined by ``&`` where it is for several; empty: every box of the plan.
    option_key: Mapped[str] = mapped_column(sa.String(80), default="")


class RecipeItem(Base):
    """A variant and how many of it go into one box, or may be chosen for it."""

    __tablename__ = "recipe_item"
    __table_args__ = (
        sa.UniqueConstraint("recipe_id", "variant_id"),
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    recipe_id: Mapped[int] = mapped_column(sa.ForeignKey("recipe.id"))
    variant_id: Mapped[int] = mapped_column(sa.ForeignKey("product_variant.id"), index=True)
    quantity: Mapped[int] = mapped_column(default=1)
    position: Mapped[int] = mapped_column(default=0)
    #: In the pool that a subscriber chooses from: ``quantity`` is then the most of it.
    is_choice: Mapped[bool] = mapped_column(default=False, server_default=sa.false())


class Box(Base):
    """One parcel's worth for one paid period."""

    __tablename__ = "box"
    __table_args__ = (
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
        sa.CheckConstraint("ordinal > 0", name="ordinal_positive"),
        sa.Index("ix_box_cycle", "cycle_id", "state"),
        sa.Index("ix_box_subscription", "subscription_id", "id"),
        sa.Index("ix_box_batch", "batch_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"))
    period_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription_period.id"), index=True)
    #: Plan, options and quantity as sold.
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"))
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    quantity: Mapped[int] = mapped_column(default=1)
    kind: Mapped[BoxKind] = mapped_column(values_enum(BoxKind))
    #: 1 … the period's number of boxes.
    ordinal: Mapped[int]
    replaces_id: Mapped[int | None] = mapped_column(sa.ForeignKey("box.id"))
    #: NULL until that cycle is generated.
    cycle_id: Mapped[int | None] = mapped_column(sa.ForeignKey("box_cycle.id"))
    #: The line that paid for it, and the box's share of it.
    invoice_line_id: Mapped[int | None] = mapped_column(sa.ForeignKey("invoice_line.id"))
    net_minor: Mapped[int]
    tax_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(sa.String(3))
    state: Mapped[BoxState] = mapped_column(values_enum(BoxState))
    #: Why a box is held back, empty otherwise: no_address, no_recipe, short_stock,
    #: short_choice, not_tolerated, held; locked and of no batch: no_fit.
    problem: Mapped[str] = mapped_column(sa.String(24), default="")
    #: Address of this box alone; NULL: the subscription's at the lock.
    address_id: Mapped[int | None] = mapped_column(sa.ForeignKey("address.id"))
    #: Address as frozen at the lock.
    ship_to: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON)
    #: What else a packer is told, as frozen at the lock: plan, contents, weight, e-mail. An
    #: export is made of these two, so that it can be made again byte for byte.
    packing: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON)
    batch_id: Mapped[int | None] = mapped_column(sa.ForeignKey("fulfilment_batch.id"))
    shipment_id: Mapped[int | None] = mapped_column(sa.ForeignKey("shipment.id"), index=True)
    #: The first box of the parcel it leaves in with others, on that box too; NULL: alone.
    parcel_id: Mapped[int | None] = mapped_column(sa.ForeignKey("box.id"), index=True)
    created_at: Mapped[datetime]
    locked_at: Mapped[datetime | None]


class BoxItem(Base):
    """What a locked box contains; what a late change took out of it belongs to no box."""

    __tablename__ = "box_item"
    __table_args__ = (
        sa.UniqueConstraint("box_id", "variant_id"),
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
        sa.CheckConstraint("origin IN ('recipe','choice','addon','substitute')", name="origin"),
        sa.CheckConstraint("(box_id IS NULL) <> (taken_from_id IS NULL)", name="of_one_box"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    #: NULL: taken out again, and kept for the moves of stock that name it.
    box_id: Mapped[int | None] = mapped_column(sa.ForeignKey("box.id"))
    variant_id: Mapped[int] = mapped_column(sa.ForeignKey("product_variant.id"), index=True)
    quantity: Mapped[int]
    origin: Mapped[str] = mapped_column(sa.String(12), default="recipe")
    #: The box it lay in before a late change took it out.
    taken_from_id: Mapped[int | None] = mapped_column(sa.ForeignKey("box.id"), index=True)


class BoxSkip(Base):
    """A cycle a subscriber does not want; names the paid box that moved, if one did."""

    __tablename__ = "box_skip"
    __table_args__ = (sa.UniqueConstraint("subscription_id", "cycle_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"))
    cycle_id: Mapped[int] = mapped_column(sa.ForeignKey("box_cycle.id"), index=True)
    #: The paid box that left this cycle, and the cycle it went to.
    moved_box_id: Mapped[int | None] = mapped_column(sa.ForeignKey("box.id"))
    moved_to_id: Mapped[int | None] = mapped_column(sa.ForeignKey("box_cycle.id"))
    #: Nobody asked for it: the box of a gift had no address at its cut-off. No limit counts it.
    is_forced: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    created_at: Mapped[datetime]
