"""What subscribers decide about the contents of their boxes."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class ChoiceRule(Base):
    """How a subscriber chooses from the pool of a recipe."""

    __tablename__ = "choice_rule"
    __table_args__ = (
        sa.CheckConstraint("pieces > 0", name="pieces_positive"),
        sa.CheckConstraint("value_minor IS NULL OR value_minor > 0", name="value_positive"),
        sa.CheckConstraint("reminder_days BETWEEN 0 AND 14", name="reminder_days"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    recipe_id: Mapped[int] = mapped_column(sa.ForeignKey("recipe.id"), unique=True)
    #: How many pieces are chosen for one box.
    pieces: Mapped[int]
    #: Most that the chosen pieces may be worth at retail price; NULL: any value.
    value_minor: Mapped[int | None]
    #: ``[{"category": "Tea", "least": 1, "most": 3}]``; ``most`` null: no limit.
    limits: Mapped[list[Any]] = mapped_column(default=list)
    #: Leaves out what the subscriber said not to tolerate.
    avoids_allergens: Mapped[bool] = mapped_column(default=False)
    #: Leaves out what the subscriber was sent before, as long as enough else is left.
    never_repeats: Mapped[bool] = mapped_column(default=False)
    #: Days before the cut-off on which who has not chosen is reminded; 0: never.
    reminder_days: Mapped[int] = mapped_column(default=3, server_default="3")


class ChoiceReminder(Base):
    """How far the subscribers of a plan were reminded to choose for a cycle."""

    __tablename__ = "choice_reminder"
    __table_args__ = (
        sa.UniqueConstraint("cycle_id", "plan_id"),
        sa.CheckConstraint("through_id >= 0", name="through_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    cycle_id: Mapped[int] = mapped_column(sa.ForeignKey("box_cycle.id"))
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"))
    #: The last subscription that was looked at.
    through_id: Mapped[int] = mapped_column(default=0)
    #: Everybody was; NULL: not yet.
    done_at: Mapped[datetime | None]


class BoxNotice(Base):
    """How far the subscribers of a plan were told of their box of a cycle."""

    __tablename__ = "box_notice"
    __table_args__ = (
        sa.UniqueConstraint("cycle_id", "plan_id"),
        sa.CheckConstraint("through_id >= 0", name="through_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    cycle_id: Mapped[int] = mapped_column(sa.ForeignKey("box_cycle.id"))
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"))
    #: The last subscription that was looked at.
    through_id: Mapped[int] = mapped_column(default=0)
    #: Everybody was; NULL: not yet.
    done_at: Mapped[datetime | None]


class ShipDayNotice(Base):
    """How far the subscribers of a plan were told that a cycle leaves on another day."""

    __tablename__ = "ship_day_notice"
    __table_args__ = (
        sa.UniqueConstraint("cycle_id", "plan_id"),
        sa.CheckConstraint("through_id >= 0", name="through_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    cycle_id: Mapped[int] = mapped_column(sa.ForeignKey("box_cycle.id"))
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"))
    #: The day on which it was to leave, as far as they know.
    told_from: Mapped[date]
    due_at: Mapped[datetime]
    #: The last subscription that was looked at.
    through_id: Mapped[int] = mapped_column(default=0)
    #: Everybody was; NULL: not yet.
    done_at: Mapped[datetime | None]


class BoxChoice(Base):
    """What a subscriber chose for the box of a cycle; kept when that box is packed."""

    __tablename__ = "box_choice"
    __table_args__ = (sa.UniqueConstraint("subscription_id", "cycle_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"))
    cycle_id: Mapped[int] = mapped_column(sa.ForeignKey("box_cycle.id"), index=True)
    chosen_at: Mapped[datetime]


class BoxChoiceItem(Base):
    """A variant that was chosen, and how many of it for one box."""

    __tablename__ = "box_choice_item"
    __table_args__ = (
        sa.UniqueConstraint("choice_id", "variant_id"),
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    choice_id: Mapped[int] = mapped_column(sa.ForeignKey("box_choice.id"))
    variant_id: Mapped[int] = mapped_column(sa.ForeignKey("product_variant.id"), index=True)
    quantity: Mapped[int]


class AllergyAnswer(Base):
    """What a subscriber said not to tolerate: a row for each time they answered."""

    __tablename__ = "allergy_answer"
    __table_args__ = (
        sa.UniqueConstraint("subscription_id", "number"),
        sa.CheckConstraint("number > 0", name="number_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"))
    #: 1 … the newest, which holds for boxes not packed yet.
    number: Mapped[int]
    #: Words of ``product.allergens``.
    allergens: Mapped[list[Any]] = mapped_column(default=list)
    answered_at: Mapped[datetime]
