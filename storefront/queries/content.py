"""Pages and questions of the merchant, for readers and for staff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.content import MOST_PAGES, MOST_QUESTIONS
from storefront.models import ContentPage, FaqEntry, FormerAddress, Plan
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow

#: Questions that staff are shown; more have no room on any page.
_LISTED = 300


@dataclass(frozen=True, slots=True)
class PageRow:
    """A page; ``texts`` by language."""

    ref: str
    slug: str
    texts: Mapping[str, Mapping[str, str]]
    place: str
    is_public: bool
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """A question as staff see it."""

    ref: str
    texts: Mapping[str, Mapping[str, str]]
    is_public: bool
    #: Code and name of the plan on whose page it stands; empty: the shop.
    plan: str
    plan_name: str


def pages(session: AnySession) -> list[PageRow]:
    """Return every page in the order of its links."""
    table = table_of(ContentPage)
    ordered = sa.select(table).order_by(table.c.position, table.c.id).limit(MOST_PAGES)
    return [_page(row) for row in session.execute(ordered)]


def page(session: AnySession, ref: str) -> PageRow | None:
    """Return the page with this public id."""
    return _one(session, table_of(ContentPage).c.public_id == ref)


def page_at(session: AnySession, slug: str) -> PageRow | None:
    """Return the page at this address, also a draft."""
    return _one(session, table_of(ContentPage).c.slug == slug)


def renamed(session: AnySession, slug: str) -> str | None:
    """Return where the public page is that was at this address before; None for no such page."""
    page, former = table_of(ContentPage), table_of(FormerAddress)
    return session.scalar(
        sa.select(page.c.slug)
        .join(former, former.c.page_id == page.c.id)
        .where(former.c.slug == slug, page.c.is_public)
    )


def shown_first(session: AnySession) -> str | None:
    """Return the code of the plan whose picture stands for the shop; None where none is listed."""
    plan = table_of(Plan)
    return session.scalar(
        sa.select(plan.c.code)
        .where(plan.c.is_public, plan.c.archived_at.is_(None))
        .order_by(plan.c.is_recommended.desc(), plan.c.position, plan.c.id)
        .limit(1)
    )


def public_slugs(session: AnySession) -> list[str]:
    """Return the addresses of the pages that everybody may read."""
    table = table_of(ContentPage)
    shown = sa.select(table.c.slug).where(table.c.is_public)
    return list(session.scalars(shown.order_by(table.c.position, table.c.id)))


def questions(session: AnySession) -> list[QuestionRow]:
    """Return every question: the shop's first, then plan by plan, each in its order."""
    table, plan = table_of(FaqEntry), table_of(Plan)
    shops = sa.case((table.c.plan_id.is_(None), 0), else_=1)
    ordered = _questions().order_by(shops, plan.c.position, plan.c.id, *_order()).limit(_LISTED)
    return [_question(row) for row in session.execute(ordered)]


def question(session: AnySession, ref: str) -> QuestionRow | None:
    """Return the question with this public id."""
    chosen = _questions().where(table_of(FaqEntry).c.public_id == ref)
    row = session.execute(chosen).one_or_none()
    return None if row is None else _question(row)


def faq(session: AnySession, plan: str = "") -> list[Mapping[str, Mapping[str, str]]]:
    """Return the texts of what is asked of the shop; with ``plan`` what is asked of it first."""
    table, plans = table_of(FaqEntry), table_of(Plan)
    of_shop = table.c.plan_id.is_(None)
    shown = sa.select(table.c.texts).where(table.c.is_public).limit(2 * MOST_QUESTIONS)
    if not plan:
        return list(session.scalars(shown.where(of_shop).order_by(*_order())))
    own = sa.select(plans.c.id).where(plans.c.code == plan).scalar_subquery()
    shown = shown.where(sa.or_(of_shop, table.c.plan_id == own))
    return list(session.scalars(shown.order_by(sa.case((of_shop, 1), else_=0), *_order())))


def _order() -> tuple[sa.ColumnElement[Any], ...]:
    table = table_of(FaqEntry)
    return table.c.position, table.c.id


def _one(session: AnySession, condition: sa.ColumnElement[bool]) -> PageRow | None:
    row = session.execute(sa.select(table_of(ContentPage)).where(condition)).one_or_none()
    return None if row is None else _page(row)


def _page(row: AnyRow) -> PageRow:
    return PageRow(row.public_id, row.slug, row.texts, row.place, row.is_public, row.changed_at)


def _questions() -> sa.Select[Any]:
    table, plan = table_of(FaqEntry), table_of(Plan)
    return sa.select(table, plan.c.code.label("plan"), plan.c.name.label("plan_name")).outerjoin(
        plan, plan.c.id == table.c.plan_id
    )


def _question(row: AnyRow) -> QuestionRow:
    return QuestionRow(row.public_id, row.texts, row.is_public, row.plan or "", row.plan_name or "")
