"""Conversations between a customer and the merchant."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class Inquiry(Base):
    """One conversation; goes with its messages when its customer is erased."""

    __tablename__ = "inquiry"
    __table_args__ = (
        sa.CheckConstraint("state IN ('open','answered','closed')", name="state"),
        sa.CheckConstraint(
            "topic IN ('box','payment','subscription','account','other')", name="topic"
        ),
        sa.Index("ix_inquiry_state_last_at", "state", "last_at"),
        sa.Index("ix_inquiry_last_at", "last_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    topic: Mapped[str] = mapped_column(sa.String(16))
    #: In their own words; empty: the topic says it.
    subject: Mapped[str] = mapped_column(sa.String(120))
    #: Public id of the subscription, box or invoice it is about; empty: none.
    about_ref: Mapped[str] = mapped_column(sa.String(40))
    state: Mapped[str] = mapped_column(sa.String(12))
    #: How many messages and notes there are; the number of the last one.
    messages: Mapped[int]
    opened_at: Mapped[datetime]
    #: When the customer or the merchant wrote last.
    last_at: Mapped[datetime]


class InquiryMessage(Base):
    """One message of a conversation, or a note that only staff see."""

    __tablename__ = "inquiry_message"
    __table_args__ = (
        sa.CheckConstraint("author IN ('customer','staff','note')", name="author"),
        sa.UniqueConstraint("inquiry_id", "number"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    inquiry_id: Mapped[int] = mapped_column(sa.ForeignKey("inquiry.id"))
    number: Mapped[int]
    #: Hash of what was typed with what was drawn for the page: a second click is the same one.
    once: Mapped[str] = mapped_column(sa.String(64), unique=True)
    author: Mapped[str] = mapped_column(sa.String(12))
    #: Staff user; None: the customer.
    staff_id: Mapped[int | None] = mapped_column(sa.ForeignKey("staff.id"))
    text: Mapped[str] = mapped_column(sa.Text)
    at: Mapped[datetime]
