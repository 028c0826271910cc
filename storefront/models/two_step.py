"""The second step of a sign-in: an authenticator app, and codes for when it is lost."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class TwoStep(Base):
    """A customer or staff user has an authenticator; asked for once it is confirmed."""

    __tablename__ = "two_step"
    __table_args__ = (
        sa.CheckConstraint("(customer_id IS NULL) <> (staff_id IS NULL)", name="of_one"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("customer.id"), unique=True)
    staff_id: Mapped[int | None] = mapped_column(sa.ForeignKey("staff.id"), unique=True)
    #: Sealed with a key that is not in the database; see ``adapters.sealing``.
    secret_sealed: Mapped[str] = mapped_column(sa.Text)
    #: NULL until a first code was typed; nothing is asked before.
    confirmed_at: Mapped[datetime | None]
    #: Half minute of the last code that was taken: none of it or before it is taken again.
    last_step: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    created_at: Mapped[datetime]


class RecoveryCode(Base):
    """One way in without the authenticator; used once."""

    __tablename__ = "recovery_code"

    id: Mapped[int] = mapped_column(primary_key=True)
    two_step_id: Mapped[int] = mapped_column(sa.ForeignKey("two_step.id"), index=True)
    #: SHA-256 of 80 random bits; the code itself is stored nowhere.
    code_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    used_at: Mapped[datetime | None]
