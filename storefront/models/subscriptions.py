"""A standing order, the periods that tile its time, and everything that happened to it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.domain.lifecycle import (
    EndReason,
    HoldReason,
    PeriodKind,
    PeriodState,
    SubscriptionState,
)
from storefront.models.base import Base, values_enum


class Subscription(Base):
    """A customer's standing order for a plan at a pinned price version."""

    __tablename__ = "subscription"
    __table_args__ = (
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
        sa.CheckConstraint("anchor_day BETWEEN 1 AND 31", name="anchor_day_in_month"),
        sa.Index("ix_subscription_created", "created_at", "id"),
        sa.Index("ix_subscription_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: Who receives and steers it; NULL only for a gift nobody has claimed yet.
    customer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    #: Who pays when somebody else does; NULL: the customer.
    payer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("customer.id"))
    #: Paid once by its giver: nothing is ever charged for it. See ``Gift``.
    is_gift: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"), index=True)
    #: The pinned price version; a catalogue edit never changes it.
    price_id: Mapped[int] = mapped_column(sa.ForeignKey("price.id"), index=True)
    quantity: Mapped[int] = mapped_column(default=1)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    address_id: Mapped[int | None] = mapped_column(sa.ForeignKey("address.id"))
    #: NULL: the customer's default method.
    payment_method_id: Mapped[int | None] = mapped_column(sa.ForeignKey("payment_method.id"))
    checkout_id: Mapped[int | None] = mapped_column(sa.ForeignKey("checkout.id"))
    #: Which item of its checkout it is, from 0.
    checkout_position: Mapped[int] = mapped_column(default=0)
    #: Ordered under an e-mail that was somebody's already, signed out: the number and exemption
    #: of that account do not hold for it until its owner or staff say so.
    is_taxed_as_ordered: Mapped[bool] = mapped_column(server_default=sa.false())
    #: VAT number, valid, of such an order: its renewals'.
    order_tax_id: Mapped[str] = mapped_column(sa.String(20), server_default="")
    state: Mapped[SubscriptionState] = mapped_column(values_enum(SubscriptionState))
    #: Day the periods hang on; period ``anchor_number`` starts there.
    anchor_on: Mapped[date]
    anchor_number: Mapped[int] = mapped_column(default=0)
    #: Day of month wished for, 1-31; survives re-anchoring and short months.
    anchor_day: Mapped[int]
    #: First day not covered by a period row yet; where the next period starts.
    next_on: Mapped[date]
    #: Number of the next period to open.
    next_number: Mapped[int]
    #: Billed and gift periods opened so far.
    billed_count: Mapped[int] = mapped_column(default=0)
    #: Boxes of those periods (a period that ships nothing counts as one); phases, minimum
    #: and maximum terms count these.
    boxes_billed: Mapped[int] = mapped_column(default=0)
    #: Pinned when it was sold, as the price is; see the plan's columns of the same name.
    min_boxes: Mapped[int] = mapped_column(default=0)
    max_boxes: Mapped[int | None]
    ends_on: Mapped[date | None]
    #: No new period from the first boundary on or after this day; NULL: no pause wanted.
    pauses_on: Mapped[date | None]
    #: A pause ends on this day by itself; NULL: not paused, or until the customer resumes.
    resumes_on: Mapped[date | None]
    #: When the renewal run may pick it up; NULL when nothing will be billed by the clock.
    renews_at: Mapped[datetime | None]
    #: Ends on this day (first day not served); undo clears it.
    cancel_on: Mapped[date | None]
    #: When the cancellation was confirmed by a click; billing stops at this instant.
    canceled_at: Mapped[datetime | None]
    end_reason: Mapped[EndReason | None] = mapped_column(values_enum(EndReason))
    ended_on: Mapped[date | None]
    held_at: Mapped[datetime | None]
    hold_reason: Mapped[HoldReason | None] = mapped_column(values_enum(HoldReason))
    #: A row that failed in a run waits here for a person; see ``parked_work``.
    parked_at: Mapped[datetime | None]
    #: Where the customer came from, for analytics.
    source: Mapped[str] = mapped_column(sa.String(80), default="")
    #: The system it was imported from and its id there; both empty for one made here.
    imported_from: Mapped[str] = mapped_column(sa.String(40), default="", server_default="")
    imported_id: Mapped[str] = mapped_column(sa.String(120), default="", server_default="")
    #: Monthly value booked as movements so far; the sum of its movements.
    mrr_minor: Mapped[int] = mapped_column(default=0)
    #: Month of the first non-trial payment, ``2027-03``; empty before it.
    cohort: Mapped[str] = mapped_column(sa.String(7), default="")
    created_at: Mapped[datetime]
    #: Rises with each claim of a worker; a claim also moves ``renews_at`` behind its lease.
    fence: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}


class SubscriptionPeriod(Base):
    """The backbone: inserted by the run that opens the period and by nothing else."""

    __tablename__ = "subscription_period"
    __table_args__ = (
        sa.UniqueConstraint("subscription_id", "number"),
        sa.UniqueConstraint("subscription_id", "start_on"),
        sa.CheckConstraint("end_on > start_on", name="not_empty"),
        sa.CheckConstraint("box_count >= 0", name="box_count_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"))
    number: Mapped[int]
    kind: Mapped[PeriodKind] = mapped_column(values_enum(PeriodKind))
    state: Mapped[PeriodState] = mapped_column(values_enum(PeriodState))
    #: Half-open range of shop-local days.
    start_on: Mapped[date]
    end_on: Mapped[date]
    #: Counts billed and gift periods only, from 1; 0 for the others.
    billed_number: Mapped[int] = mapped_column(default=0)
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"))
    price_id: Mapped[int] = mapped_column(sa.ForeignKey("price.id"))
    #: Boxes this period yields once paid: billing interval / shipping interval.
    box_count: Mapped[int] = mapped_column(default=0)
    #: Monthly value of the subscription while this period runs (docs/measures.md).
    mrr_minor: Mapped[int] = mapped_column(default=0)
    #: Why a period was skipped, empty otherwise: skip, moved_box, missed, pause.
    reason: Mapped[str] = mapped_column(sa.String(24), default="")
    opened_at: Mapped[datetime]
    paid_at: Mapped[datetime | None]
    #: Days before it are booked as revenue; only of periods that ship nothing.
    earned_on: Mapped[date | None]


class SubscriptionEvent(Base):
    """Append-only timeline (trigger): who changed what, before and after, when."""

    __tablename__ = "subscription_event"
    __table_args__ = (sa.Index("ix_subscription_event_of", "subscription_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"))
    at: Mapped[datetime]
    #: Stable code of ``domain.events``, such as ``subscription.canceled``.
    kind: Mapped[str] = mapped_column(sa.String(40))
    #: customer, staff, shopper or worker.
    actor: Mapped[str] = mapped_column(sa.String(12))
    #: Public id of the person, empty for the worker.
    actor_ref: Mapped[str] = mapped_column(sa.String(40), default="")
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)


class ScheduledChange(Base):
    """A change that waits: for its day, or for the payment of its invoice.

    One with ``invoice_id`` is applied by the success that pays it; any other by the renewal
    that reaches ``effective_on``. Kind ``plan`` is what the plan sold says follows its term:
    nobody's change, so it may wait beside one, which goes first.
    """

    __tablename__ = "scheduled_change"
    __table_args__ = (
        sa.CheckConstraint(
            "kind IN ('plan','quantity','option','price','pause','resume')", name="kind"
        ),
        sa.CheckConstraint("state IN ('waiting','applied','withdrawn')", name="state"),
        sa.Index("ix_scheduled_change_due", "subscription_id", "state", "effective_on"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"))
    kind: Mapped[str] = mapped_column(sa.String(12))
    effective_on: Mapped[date]
    #: The price version, and with it the plan, that it changes to.
    price_id: Mapped[int | None] = mapped_column(sa.ForeignKey("price.id"))
    #: Offered invoice that has to be paid first.
    invoice_id: Mapped[int | None] = mapped_column(sa.ForeignKey("invoice.id"), index=True)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(sa.String(12), default="waiting")
    created_at: Mapped[datetime]


class SubscriptionAddon(Base):
    """Something sold beside the boxes of a subscription, at the price it was agreed at."""

    __tablename__ = "subscription_addon"
    __table_args__ = (
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
        sa.CheckConstraint("unit_minor >= 0", name="unit_not_negative"),
        sa.CheckConstraint("cadence IN ('once','every')", name="cadence"),
        sa.Index("ix_subscription_addon_of", "subscription_id", "ended_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"))
    addon_id: Mapped[int] = mapped_column(sa.ForeignKey("addon.id"), index=True)
    quantity: Mapped[int]
    #: Pinned price of one, in the subscription's currency.
    unit_minor: Mapped[int]
    #: ``once``: charged with the next invoice and done; ``every``: with every box.
    cadence: Mapped[str] = mapped_column(sa.String(8))
    created_at: Mapped[datetime]
    #: When it was charged for the last time or taken off.
    ended_at: Mapped[datetime | None]
    #: The period it was billed with last: its pieces lie in the boxes of that one.
    period_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("subscription_period.id"), index=True
    )


class PriceMigration(Base):
    """Moves many subscribers to another price version on a day, after notice."""

    __tablename__ = "price_migration"
    __table_args__ = (
        sa.CheckConstraint("state IN ('draft','scheduled','done','withdrawn')", name="state"),
        sa.CheckConstraint("notice_days >= 0", name="notice_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    price_id: Mapped[int] = mapped_column(sa.ForeignKey("price.id"), index=True)
    #: Whom it moves: ``{"prices": [keys], "countries": ["DE"], "began_before": "2027-01-01",
    #: "began_before_at": the instant that day begins in the shop}``; the last two may be missing.
    segment: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: First boundary on or after this day is billed at the new price.
    effective_on: Mapped[date]
    notice_days: Mapped[int]
    state: Mapped[str] = mapped_column(sa.String(12), default="draft")
    created_at: Mapped[datetime]
    #: Public id of the staff member who scheduled it.
    scheduled_by: Mapped[str] = mapped_column(sa.String(40), default="")


class PriceMigrationItem(Base):
    """One subscriber of a price migration: told, moved, or staying at the old price."""

    __tablename__ = "price_migration_item"
    __table_args__ = (
        sa.UniqueConstraint("migration_id", "subscription_id"),
        sa.CheckConstraint("state IN ('waiting','told','opted_out','moved','gone')", name="state"),
        sa.Index("ix_price_migration_item_state", "migration_id", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    migration_id: Mapped[int] = mapped_column(sa.ForeignKey("price_migration.id"))
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"), index=True)
    old_price_id: Mapped[int] = mapped_column(sa.ForeignKey("price.id"))
    #: What a billing interval cost and will cost them, discounts in it.
    old_minor: Mapped[int]
    new_minor: Mapped[int]
    #: First day billed at the new price.
    applies_on: Mapped[date]
    scheduled_change_id: Mapped[int | None] = mapped_column(sa.ForeignKey("scheduled_change.id"))
    state: Mapped[str] = mapped_column(sa.String(12), default="waiting")
    told_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
