"""What a merchant writes for everybody to read: pages, and questions with their answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class ContentPage(Base):
    """A page of the shop such as "About us"; without ``is_public`` it is a draft."""

    __tablename__ = "content_page"
    __table_args__ = (
        sa.CheckConstraint("place IN ('footer','header','nowhere')", name="place"),
        sa.Index("ix_content_page_position", "position"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: Ends its address.
    slug: Mapped[str] = mapped_column(sa.String(60), unique=True)
    #: Language to ``{"title": …, "text": …}``, the text as Markdown; in the shop's own always.
    texts: Mapped[dict[str, Any]]
    #: Where it is linked from.
    place: Mapped[str] = mapped_column(sa.String(8))
    #: Among the links of its place.
    position: Mapped[int]
    is_public: Mapped[bool]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class FormerAddress(Base):
    """An address that a page had before; it leads to where the page is now."""

    __tablename__ = "former_address"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(sa.String(60), unique=True)
    page_id: Mapped[int] = mapped_column(sa.ForeignKey("content_page.id"), index=True)


class FaqEntry(Base):
    """A question that is asked often, and its answer."""

    __tablename__ = "faq_entry"
    __table_args__ = (sa.Index("ix_faq_entry_plan_id_position", "plan_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: Language to ``{"question": …, "answer": …}``, the answer as Markdown.
    texts: Mapped[dict[str, Any]]
    #: On whose page it stands; None: on the pricing page and on every plan's.
    plan_id: Mapped[int | None] = mapped_column(sa.ForeignKey("plan.id"))
    #: Among those of the same plan, or of the shop.
    position: Mapped[int]
    is_public: Mapped[bool]
    created_at: Mapped[datetime]
