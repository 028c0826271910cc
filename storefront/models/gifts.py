"""Subscriptions that somebody gives."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class Gift(Base):
    """Who gives a subscription to whom, what they say with it, and whether it was claimed.

    The code that claims it is derived from the shop's key and ``public_id``; only its hash is
    kept. Source: docs/decisions/0160-gift-subscriptions.md.
    """

    __tablename__ = "gift"
    __table_args__ = (sa.Index("ix_gift_waiting", "claimed_at", "send_on"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"), unique=True)
    giver_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    #: As the recipient reads it.
    giver_name: Mapped[str] = mapped_column(sa.String(80))
    recipient_name: Mapped[str] = mapped_column(sa.String(80))
    recipient_email: Mapped[str] = mapped_column(sa.String(254))
    #: Language the giver ordered in; the recipient is written to in it.
    locale: Mapped[str] = mapped_column(sa.String(12))
    #: Where the boxes may go: delivery and tax were paid for this country.
    country: Mapped[str] = mapped_column(sa.String(2))
    message: Mapped[str] = mapped_column(sa.String(400))
    #: First day of the term; the recipient hears nothing before it.
    send_on: Mapped[date]
    #: We write nothing to the recipient: the giver hands over the code, or keeps it.
    is_quiet: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    code_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    told_at: Mapped[datetime | None]
    reminded_at: Mapped[datetime | None]
    claimed_at: Mapped[datetime | None]
    #: The order by which the recipient goes on with a card of their own: one per gift.
    checkout_id: Mapped[int | None] = mapped_column(sa.ForeignKey("checkout.id"), index=True)
    #: First payment day that the gift's boxes last gave to that order; its customer may have
    #: moved it since. None until one moved: it is the day agreed on then.
    follows_on: Mapped[date | None]
