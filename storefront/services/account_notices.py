"""Read notices, put announcements away, and write them.

Source: docs/decisions/0215-notices-in-the-account.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.models import Announcement, AnnouncementDismissal, Plan
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.account_notices import (
    find_notice,
    put_away,
    read_one,
    read_until,
    shown_to,
)
from storefront.operations.audit import Who
from storefront.operations.keys import AnyRow
from storefront.runtime import Runtime


class NoticeNotFound(DomainError):
    """There is no such notice or announcement, or it is not for this customer."""

    code = "notice_not_found"


@dataclass(frozen=True, slots=True)
class Announced:
    """What an announcement says, when, and to whom."""

    texts: Mapping[str, Mapping[str, str]]
    from_on: date
    until_on: date
    #: Code of the plan; empty: everybody.
    plan: str = ""


def mark_read(rt: Runtime, customer_id: int, ref: str, *, all_before: bool = False) -> None:
    """Mark a notice as read, with ``all_before`` those before it too. Raises ``NoticeNotFound``."""

    def change() -> None:
        key = find_notice(rt.session, customer_id, ref)
        if key is None:
            rt.session.rollback()
            raise NoticeNotFound(notice=ref)
        if all_before:
            read_until(rt.session, customer_id, key, rt.now())
        else:
            read_one(rt.session, key, rt.now())
        rt.session.commit()

    retrying(rt.session, change)


def dismiss(rt: Runtime, customer_id: int, ref: str) -> None:
    """Show an announcement to this customer no more. Raises ``NoticeNotFound``."""
    table = table_of(Announcement)

    def change() -> None:
        moment = rt.moment()
        key = rt.session.scalar(
            sa.select(table.c.id).where(
                table.c.public_id == ref, *shown_to(customer_id, moment.today)
            )
        )
        if key is None:
            rt.session.rollback()
            if _was_put_away(rt, customer_id, ref):
                return
            raise NoticeNotFound(announcement=ref)
        put_away(rt.session, customer_id, key, moment.today, moment.now)
        rt.session.commit()

    retrying(rt.session, change)


def announce(rt: Runtime, who: Who, said: Announced, ref: str = "") -> str:
    """Write an announcement, or another text over the one named ``ref``; returns its public id.

    Who put it away does not see it again. Raises ``NoticeNotFound``.
    """
    table = table_of(Announcement)
    made = ref or public_id("ann")

    def change() -> None:
        before = _announcement(rt, ref) if ref else None
        values: dict[str, Any] = {
            "texts": {code: dict(texts) for code, texts in said.texts.items()},
            "from_on": said.from_on,
            "until_on": said.until_on,
            "plan_id": _plan(rt, said.plan),
        }
        if before is None:
            insert = sa.insert(table).values(public_id=made, created_at=rt.now(), **values)
            rt.session.execute(insert)
        else:
            rt.session.execute(sa.update(table).where(table.c.id == before.id).values(**values))
        _log(rt, who, "announcement.saved", made, said)
        rt.session.commit()

    retrying(rt.session, change)
    return made


def withdraw(rt: Runtime, who: Who, ref: str) -> None:
    """Take an announcement away for good. Raises ``NoticeNotFound``."""
    table, away = table_of(Announcement), table_of(AnnouncementDismissal)

    def change() -> None:
        row = _announcement(rt, ref)
        rt.session.execute(sa.delete(away).where(away.c.announcement_id == row.id))
        rt.session.execute(sa.delete(table).where(table.c.id == row.id))
        _log(rt, who, "announcement.removed", ref, None)
        rt.session.commit()

    retrying(rt.session, change)


def _announcement(rt: Runtime, ref: str) -> AnyRow:
    table = table_of(Announcement)
    row = rt.session.execute(sa.select(table).where(table.c.public_id == ref)).one_or_none()
    if row is None:
        rt.session.rollback()
        raise NoticeNotFound(announcement=ref)
    return row


def _was_put_away(rt: Runtime, customer_id: int, ref: str) -> bool:
    table, away = table_of(Announcement), table_of(AnnouncementDismissal)
    found = rt.session.scalar(
        sa.select(away.c.id)
        .join(table, table.c.id == away.c.announcement_id)
        .where(table.c.public_id == ref, away.c.customer_id == customer_id)
    )
    rt.session.rollback()
    return found is not None


def _plan(rt: Runtime, code: str) -> int | None:
    table = table_of(Plan)
    found: int | None = (
        rt.session.scalar(sa.select(table.c.id).where(table.c.code == code)) if code else None
    )
    if code and found is None:
        rt.session.rollback()
        raise NoticeNotFound(plan=code)
    return found


def _log(rt: Runtime, who: Who, code: str, ref: str, said: Announced | None) -> None:
    after: dict[str, Any] = {}
    if said is not None:
        titles = [texts.get("title", "") for texts in said.texts.values()]
        after = {
            "title": titles[0] if titles else "",
            "from": said.from_on.isoformat(),
            "until": said.until_on.isoformat(),
            "plan": said.plan,
        }
    audit.write(rt.session, who.id, code, ref, {}, after, rt.moment(), who.ip)
