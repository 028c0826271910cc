"""What is subscribed to: plans, versions of their prices, options."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.domain.periods import Interval
from storefront.models.base import Base


class Plan(Base):
    """A box template with its shipping interval. Archived, never deleted."""

    __tablename__ = "plan"
    __table_args__ = (
        sa.CheckConstraint("shipping_count > 0", name="shipping_count_positive"),
        sa.CheckConstraint(
            "shipping_unit IN ('day','week','month','year')", name="shipping_unit_known"
        ),
        sa.CheckConstraint(
            "NOT ships OR cycle_group_id IS NOT NULL", name="shipping_plan_has_cycles"
        ),
        sa.CheckConstraint("trial_days >= 0", name="trial_not_negative"),
        sa.CheckConstraint("min_boxes >= 0", name="min_boxes_not_negative"),
        sa.CheckConstraint("max_boxes IS NULL OR max_boxes > 0", name="max_boxes_positive"),
        sa.CheckConstraint("at_term_end IN ('renew','stop','monthly')", name="at_term_end"),
        sa.CheckConstraint("change_policy IN ('boxes','days','full','none')", name="change_policy"),
        sa.CheckConstraint("first_period IN ('full','prorated','free')", name="first_period"),
        sa.CheckConstraint(
            "past_due_shipping IN ('hold','ship','ship_once')", name="past_due_shipping"
        ),
        sa.CheckConstraint("pause_unpaid IN ('credit','keep')", name="pause_unpaid"),
        sa.CheckConstraint("retry_minute BETWEEN 0 AND 1439", name="retry_minute"),
        sa.CheckConstraint("skips_in_row >= 0", name="skips_in_row"),
        sa.CheckConstraint("skips_per_year >= 0", name="skips_per_year"),
        sa.CheckConstraint("skip_notice_days >= 0", name="skip_notice_days"),
        sa.CheckConstraint("box_notice_days BETWEEN 0 AND 14", name="box_notice_days"),
        sa.CheckConstraint(
            "first_box IN ('next','now') OR first_box = 'later' AND first_box_on IS NOT NULL",
            name="first_box",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: Short name in URLs, such as ``pot``.
    code: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    tagline: Mapped[str] = mapped_column(default="")
    description: Mapped[str] = mapped_column(sa.Text, default="")
    benefits: Mapped[list[Any]] = mapped_column(default=list)
    #: Language to those of the four texts above that are written in it.
    translations: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    is_recommended: Mapped[bool] = mapped_column(default=False)
    #: False: only reachable by its own link, not listed.
    is_public: Mapped[bool] = mapped_column(default=True)
    #: An unlisted plan with a code is found by nobody who does not know it; NULL: its link does.
    access_code: Mapped[str | None] = mapped_column(sa.String(40), index=True, unique=True)
    position: Mapped[int] = mapped_column(default=0)
    ships: Mapped[bool] = mapped_column(default=True)
    shipping_unit: Mapped[str] = mapped_column(sa.String(5), default="month")
    shipping_count: Mapped[int] = mapped_column(default=1)
    cycle_group_id: Mapped[int | None] = mapped_column(sa.ForeignKey("cycle_group.id"), index=True)
    #: ``standard``, ``reduced`` or ``zero``; the rate follows from country and tax point.
    tax_class: Mapped[str] = mapped_column(sa.String(12), default="standard")
    #: Days after the first decline on which the charge is tried again.
    retry_days: Mapped[list[Any]] = mapped_column(default=lambda: [3, 8, 15])
    #: Shop-local time of these tries, in minutes after midnight.
    retry_minute: Mapped[int] = mapped_column(default=540, server_default="540")
    #: What happens after the last retry: cancel, pause or leave.
    last_action: Mapped[str] = mapped_column(sa.String(8), default="cancel")
    #: What becomes of a past due subscription's boxes: hold, ship, ship_once.
    past_due_shipping: Mapped[str] = mapped_column(sa.String(9), default="hold")
    #: Days of free trial for somebody new; 0: none.
    trial_days: Mapped[int] = mapped_column(default=0)
    #: Whether a trial starts only with a payment method on file.
    trial_needs_card: Mapped[bool] = mapped_column(default=True)
    #: Boxes to take before a subscriber may cancel alone; 0: none.
    min_boxes: Mapped[int] = mapped_column(default=0)
    #: Ends by itself after this many boxes; NULL: never.
    max_boxes: Mapped[int | None]
    #: Ends by itself on this day; NULL: never.
    ends_on: Mapped[date | None]
    #: After a prepaid term: renew, stop, or go on paying per box (monthly).
    at_term_end: Mapped[str] = mapped_column(sa.String(8), default="renew")
    #: How an immediate change credits what was paid: boxes, days, full, none.
    change_policy: Mapped[str] = mapped_column(sa.String(8), default="boxes")
    #: Up to a fixed billing day the first period is paid full, prorated or free.
    first_period: Mapped[str] = mapped_column(sa.String(8), default="full")
    #: Fixed billing day of a plan that ships nothing: day of month, or of week (1 = Monday)
    #: when billed by weeks. A shipping plan's is that of its cycles.
    charge_day: Mapped[int | None]
    #: A pause credits open unpaid invoices of unsent boxes, or keeps them owed.
    pause_unpaid: Mapped[str] = mapped_column(sa.String(8), default="credit")
    #: Boxes a subscriber may skip in a row and in a calendar year; NULL: any number.
    skips_in_row: Mapped[int | None]
    skips_per_year: Mapped[int | None]
    #: Days before the cut-off day by which a skip is asked for.
    skip_notice_days: Mapped[int] = mapped_column(default=0, server_default="0")
    #: Days before the cut-off on which subscribers are told of their box; 0: never.
    box_notice_days: Mapped[int] = mapped_column(default=0, server_default="0")
    #: The first box of an order leaves with the next cycle, now (also with one that is locked),
    #: or later: not before ``first_box_on``.
    first_box: Mapped[str] = mapped_column(sa.String(5), default="next", server_default="next")
    first_box_on: Mapped[date | None]
    #: Who goes on after a free trial may withdraw again, from the first payment on.
    second_withdrawal: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    @property
    def shipping_interval(self) -> Interval:
        return Interval(self.shipping_unit, self.shipping_count)  # type: ignore[arg-type]


class Price(Base):
    """One version of a plan's price; immutable once a subscription uses it (trigger)."""

    __tablename__ = "price"
    __table_args__ = (
        sa.UniqueConstraint("plan_id", "currency", "country", "unit", "count", "version"),
        sa.CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        sa.CheckConstraint("sign_up_fee_minor >= 0", name="fee_not_negative"),
        sa.CheckConstraint('"count" > 0', name="count_positive"),
        sa.CheckConstraint("unit IN ('day','week','month','year')", name="unit_known"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"), index=True)
    currency: Mapped[str] = mapped_column(sa.String(3))
    #: ISO country the price is for; empty = all.
    country: Mapped[str] = mapped_column(sa.String(2), default="")
    unit: Mapped[str] = mapped_column(sa.String(5))
    count: Mapped[int]
    version: Mapped[int]
    #: For one billing interval, tax inside when ``tax_inclusive``.
    amount_minor: Mapped[int]
    tax_inclusive: Mapped[bool] = mapped_column(default=True)
    sign_up_fee_minor: Mapped[int] = mapped_column(default=0)
    #: ``[{"boxes": 3, "amount_minor": 900}]``: what one billing interval costs while its
    #: boxes are among the first three; then ``amount_minor``.
    phases: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    #: New sales stop here; running subscriptions keep their pinned version.
    retired_at: Mapped[datetime | None]

    @property
    def interval(self) -> Interval:
        return Interval(self.unit, self.count)  # type: ignore[arg-type]


class OptionGroup(Base):
    """A question asked when a plan is chosen, such as size or taste."""

    __tablename__ = "option_group"
    __table_args__ = (sa.UniqueConstraint("plan_id", "code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"), index=True)
    code: Mapped[str] = mapped_column(sa.String(40))
    name: Mapped[str] = mapped_column(sa.String(80))
    hint: Mapped[str] = mapped_column(default="")
    #: Language to what of name and hint is written in it.
    translations: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    position: Mapped[int] = mapped_column(default=0)


class Option(Base):
    """One answer to an option group."""

    __tablename__ = "option"
    __table_args__ = (sa.UniqueConstraint("group_id", "code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    group_id: Mapped[int] = mapped_column(sa.ForeignKey("option_group.id"), index=True)
    code: Mapped[str] = mapped_column(sa.String(40))
    name: Mapped[str] = mapped_column(sa.String(80))
    hint: Mapped[str] = mapped_column(default="")
    #: Language to what of name and hint is written in it.
    translations: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    position: Mapped[int] = mapped_column(default=0)
    #: Surcharge per box by currency code, minor units: ``{"EUR": 300}``.
    surcharges: Mapped[dict[str, Any]] = mapped_column(default=dict)
    archived_at: Mapped[datetime | None]


class Addon(Base):
    """Something sold beside a box, once or with every box."""

    __tablename__ = "addon"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    hint: Mapped[str] = mapped_column(default="")
    #: What goes into the parcel; NULL for a service.
    variant_id: Mapped[int | None] = mapped_column(sa.ForeignKey("product_variant.id"), index=True)
    #: Price of one by currency code, minor units: ``{"EUR": 900}``.
    amounts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    tax_class: Mapped[str] = mapped_column(sa.String(12), default="standard")
    #: Codes of the plans it is offered with; empty = all.
    plans: Mapped[list[Any]] = mapped_column(default=list)
    position: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
    #: By language: name and hint as they are said in it.
    translations: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
