"""What must happen after a commit, notices sent once, and rows that failed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class OutboxMessage(Base):
    """Written in the transaction of its cause; delivered at least once, bounded tries."""

    __tablename__ = "outbox_message"
    __table_args__ = (
        sa.CheckConstraint("state IN ('waiting','delivered','dead','stopped')", name="state"),
        sa.CheckConstraint("kind IN ('mail','event')", name="kind"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(8))
    #: Which mail or event: ``order_confirmed``, ``payment_failed`` …
    topic: Mapped[str] = mapped_column(sa.String(40))
    #: Two messages with one key are one message.
    key: Mapped[str] = mapped_column(sa.String(120), unique=True)
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    customer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    state: Mapped[str] = mapped_column(sa.String(12), default="waiting")
    due_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(sa.String(500), default="")
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    #: When its customer read it as a notice of the account; None also where it is none.
    read_at: Mapped[datetime | None]
    #: Rises with each claim; a claim also moves ``due_at`` behind its lease.
    fence: Mapped[int] = mapped_column(default=0)


class Notice(Base):
    """A notice that law or the scheme asks for: sent at most once per period."""

    __tablename__ = "notice"
    __table_args__ = (sa.UniqueConstraint("kind", "subscription_id", "period_start_on"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(40))
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"))
    #: First day of the period it announces, as ISO text.
    period_start_on: Mapped[str] = mapped_column(sa.String(10))
    at: Mapped[datetime]


class ParkedWork(Base):
    """A row that failed: what, why, since when, how to go on. Never silently dropped."""

    __tablename__ = "parked_work"
    __table_args__ = (sa.Index("ix_parked_work_open", "resolved_at", "kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    #: renewal, charge, box, outbox …
    kind: Mapped[str] = mapped_column(sa.String(24))
    #: Public id of the row.
    subject: Mapped[str] = mapped_column(sa.String(40), index=True)
    reason: Mapped[str] = mapped_column(sa.String(80))
    detail: Mapped[str] = mapped_column(sa.Text, default="")
    parked_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    #: Public id of the staff user, or ``worker``.
    resolved_by: Mapped[str] = mapped_column(sa.String(40), default="")


class JobRun(Base):
    """The last run of each job of the worker, for the health and job pages."""

    __tablename__ = "job_run"

    job: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    #: What it did, such as ``{"renewed": 12, "parked": 0}``.
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    error: Mapped[str] = mapped_column(sa.Text, default="")
