"""Write the shop's pages and the questions that are asked often.

Source: docs/decisions/0230-pages-and-questions-of-the-merchant.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.content import MOST_PAGES, MOST_QUESTIONS, SlugTaken, TooMany
from storefront.domain.errors import DomainError
from storefront.models import ContentPage, FaqEntry, FormerAddress, Plan
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import UnknownPlan, lock_catalogue
from storefront.operations.content import tell_content
from storefront.operations.keys import AnyRow
from storefront.runtime import Runtime

_Done = TypeVar("_Done", str, bool)
Texts = Mapping[str, Mapping[str, str]]


class ContentGone(DomainError):
    """There is no such page or question (any more)."""

    code = "content_gone"


@dataclass(frozen=True, slots=True)
class PageDraft:
    """A page as staff wrote it; ``texts`` by language, with title and text."""

    slug: str
    texts: Texts
    place: str
    is_public: bool


@dataclass(frozen=True, slots=True)
class QuestionDraft:
    """A question as staff wrote it; ``texts`` by language, with question and answer."""

    texts: Texts
    is_public: bool
    #: Code of the plan; empty: the shop.
    plan: str = ""


def save_page(rt: Runtime, who: Who, draft: PageDraft, ref: str = "") -> str:
    """Write a page, behind the others, or the one called ``ref`` anew; returns its public id.

    Raises ``SlugTaken``, ``TooMany`` and ``ContentGone``.
    """
    table = table_of(ContentPage)

    def write() -> str:
        lock_catalogue(rt.session)
        row = _found(rt, ContentPage, ref) if ref else None
        same = sa.select(table.c.public_id).where(table.c.slug == draft.slug)
        if (rt.session.scalar(same) or ref) != ref:
            rt.session.rollback()
            raise SlugTaken(slug=draft.slug)
        values = {
            "slug": draft.slug,
            "texts": _plain(draft.texts),
            "place": draft.place,
            "is_public": draft.is_public,
            "changed_at": rt.now(),
        }
        public = _put(rt, ContentPage, row, values, "pg", MOST_PAGES)
        _keep_address(rt, row, draft.slug)
        _noted(rt, who, "page.saved", public, _told_page(row), _told_page(values))
        return public

    return _told(rt, write)


def _keep_address(rt: Runtime, row: AnyRow | None, slug: str) -> None:
    """Let the address a page had lead to it; that of a page which is there leads to that."""
    former = table_of(FormerAddress)
    rt.session.execute(sa.delete(former).where(former.c.slug == slug))
    if row is not None and row.slug != slug:
        rt.session.execute(sa.insert(former).values(slug=row.slug, page_id=row.id))


def remove_page(rt: Runtime, who: Who, ref: str) -> None:
    """Take a page away for good. Raises ``ContentGone``."""

    def write() -> str:
        lock_catalogue(rt.session)
        row = _found(rt, ContentPage, ref)
        table, former = table_of(ContentPage), table_of(FormerAddress)
        rt.session.execute(sa.delete(former).where(former.c.page_id == row.id))
        rt.session.execute(sa.delete(table).where(table.c.id == row.id))
        _noted(rt, who, "page.removed", ref, _told_page(row), {})
        return ref

    _told(rt, write)


def save_question(rt: Runtime, who: Who, draft: QuestionDraft, ref: str = "") -> str:
    """Write a question, behind the others, or the one called ``ref`` anew; returns its public id.

    Raises ``UnknownPlan``, ``TooMany`` and ``ContentGone``.
    """

    def write() -> str:
        lock_catalogue(rt.session)
        row = _found(rt, FaqEntry, ref) if ref else None
        values: dict[str, Any] = {
            "texts": _plain(draft.texts),
            "is_public": draft.is_public,
            "plan_id": _plan(rt, draft.plan),
        }
        if row is not None and row.plan_id != values["plan_id"]:
            values["position"] = _next(rt, FaqEntry, _beside(values["plan_id"]), MOST_QUESTIONS)
        among = _beside(values["plan_id"])
        public = _put(rt, FaqEntry, row, values, "faq", MOST_QUESTIONS, among)
        _noted(rt, who, "faq.saved", public, _told_question(row), _told_question(values))
        return public

    return _told(rt, write)


def remove_question(rt: Runtime, who: Who, ref: str) -> None:
    """Take a question away for good. Raises ``ContentGone``."""

    def write() -> str:
        lock_catalogue(rt.session)
        row, table = _found(rt, FaqEntry, ref), table_of(FaqEntry)
        rt.session.execute(sa.delete(table).where(table.c.id == row.id))
        _noted(rt, who, "faq.removed", ref, _told_question(row), {})
        return ref

    _told(rt, write)


def move_page_up(rt: Runtime, who: Who, ref: str) -> bool:
    """Link a page before the one in front of it; False for the first. Raises ``ContentGone``."""
    return _move_up(rt, who, ContentPage, ref)


def move_question_up(rt: Runtime, who: Who, ref: str) -> bool:
    """Ask a question before the one in front of it; False for the first. Raises ``ContentGone``."""
    return _move_up(rt, who, FaqEntry, ref)


def _move_up(rt: Runtime, who: Who, model: type[ContentPage | FaqEntry], ref: str) -> bool:
    table = table_of(model)

    def write() -> bool:
        lock_catalogue(rt.session)
        row = _found(rt, model, ref)
        among = _beside(row.plan_id) if model is FaqEntry else sa.true()
        ordered = sa.select(table.c.id).where(among).order_by(table.c.position, table.c.id)
        order = list(rt.session.scalars(ordered))
        place = order.index(row.id)
        if place == 0:
            rt.session.rollback()
            return False
        order.insert(place - 1, order.pop(place))
        places = {key: number for number, key in enumerate(order, 1)}
        moved = sa.update(table).values(position=sa.case(places, value=table.c.id))
        rt.session.execute(moved.where(among))
        code = "page.moved" if model is ContentPage else "faq.moved"
        _noted(rt, who, code, ref, {"place": place + 1}, {"place": place})
        return True

    return _told(rt, write)


def _told(rt: Runtime, write: Callable[[], _Done]) -> _Done:
    """Run ``write`` and have every page know of it, in one transaction."""

    def change() -> _Done:
        done = write()
        if done:
            tell_content(rt.session)
            rt.session.commit()
        return done

    done = retrying(rt.session, change)
    rt.forget_shop()
    return done


def _put(
    rt: Runtime,
    model: type[ContentPage | FaqEntry],
    row: AnyRow | None,
    values: dict[str, Any],
    prefix: str,
    most: int,
    among: sa.ColumnElement[bool] | None = None,
) -> str:
    """Write ``values`` over ``row``, or as a new row behind those ``among``."""
    table = table_of(model)
    if row is not None:
        rt.session.execute(sa.update(table).where(table.c.id == row.id).values(**values))
        return str(row.public_id)
    place = _next(rt, model, sa.true() if among is None else among, most)
    new = {"public_id": public_id(prefix), "position": place, "created_at": rt.now()}
    rt.session.execute(sa.insert(table).values(**values, **new))
    return str(new["public_id"])


def _next(
    rt: Runtime, model: type[ContentPage | FaqEntry], among: sa.ColumnElement[bool], most: int
) -> int:
    table = table_of(model)
    counted = sa.select(sa.func.count(), sa.func.max(table.c.position)).where(among)
    many, last = rt.session.execute(counted.select_from(table)).one()
    if many >= most:
        rt.session.rollback()
        raise TooMany(most=most)
    return (last or 0) + 1


def _beside(plan_id: int | None) -> sa.ColumnElement[bool]:
    """Return what the questions of one plan, or of the shop, have in common."""
    column = table_of(FaqEntry).c.plan_id
    return column.is_(None) if plan_id is None else column == plan_id


def _found(rt: Runtime, model: type[ContentPage | FaqEntry], ref: str) -> AnyRow:
    table = table_of(model)
    row = rt.session.execute(sa.select(table).where(table.c.public_id == ref)).one_or_none()
    if row is None:
        rt.session.rollback()
        raise ContentGone(ref=ref)
    return row


def _plan(rt: Runtime, code: str) -> int | None:
    if not code:
        return None
    table = table_of(Plan)
    found: int | None = rt.session.scalar(sa.select(table.c.id).where(table.c.code == code))
    if found is None:
        rt.session.rollback()
        raise UnknownPlan(plan=code)
    return found


def _plain(texts: Texts) -> dict[str, dict[str, str]]:
    return {code: dict(one) for code, one in texts.items()}


def _told_page(values: Any) -> dict[str, Any]:
    """Return what the log keeps of a page."""
    known = _mapping(values)
    if not known:
        return {}
    titles = [one.get("title", "") for one in known["texts"].values()]
    return {
        "title": titles[0] if titles else "",
        "slug": known["slug"],
        "linked_from": known["place"],
        "is_public": known["is_public"],
    }


def _told_question(values: Any) -> dict[str, Any]:
    """Return what the log keeps of a question."""
    known = _mapping(values)
    asked = [one.get("question", "") for one in known.get("texts", {}).values()]
    return {"question": asked[0] if asked else "", "is_public": known["is_public"]} if known else {}


def _mapping(values: Any) -> dict[str, Any]:
    if values is None:
        return {}
    return dict(values) if isinstance(values, dict) else dict(values._mapping)


def _noted(
    rt: Runtime, who: Who, code: str, ref: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    audit.write(rt.session, who.id, code, ref, before, after, rt.moment(), who.ip)
