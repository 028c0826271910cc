"""What subscribers answered to the questions of their plan, and what those were called before."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class OptionAnswer(Base):
    """One answer to one question, in the words it had: a row for each time it changed.

    The rows of a question begin when its answer first changes; until then the subscription's
    own ``options`` say all there is. Rows are never changed.
    """

    __tablename__ = "option_answer"
    __table_args__ = (
        sa.UniqueConstraint("subscription_id", "question", "number"),
        sa.CheckConstraint("number > 0", name="number_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"))
    #: Code of the question, and 1 … the newest answer to it.
    question: Mapped[str] = mapped_column(sa.String(40))
    number: Mapped[int]
    #: Code of the answer; empty: none any more.
    answer: Mapped[str] = mapped_column(sa.String(40), default="")
    #: Question and answer as they were asked and given.
    question_name: Mapped[str] = mapped_column(sa.String(80), default="")
    answer_name: Mapped[str] = mapped_column(sa.String(80), default="")
    #: The first cycle it holds for; NULL: given with the order or a change of plan, and so
    #: with whatever is paid for from then on.
    cycle_id: Mapped[int | None] = mapped_column(sa.ForeignKey("box_cycle.id"))
    #: NULL: given with the order.
    answered_at: Mapped[datetime | None]


class OptionWording(Base):
    """What a question or an answer of a plan was called before it was renamed."""

    __tablename__ = "option_wording"
    __table_args__ = (sa.Index("ix_option_wording_plan", "plan_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"))
    #: Codes of question and answer; ``answer`` empty: the question itself.
    question: Mapped[str] = mapped_column(sa.String(40))
    answer: Mapped[str] = mapped_column(sa.String(40), default="")
    name: Mapped[str] = mapped_column(sa.String(80))
    #: When it got its next name.
    until_at: Mapped[datetime]
