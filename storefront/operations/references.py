"""New references for gateways, with the mark of this installation in each.

Source: docs/decisions/0130-nightly-comparison.md.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.domain.references import mark_of
from storefront.models import Installation
from storefront.models.base import public_id, public_ids, table_of
from storefront.operations.keys import AnySelect, AnySession


def known_mark(session: AnySession) -> str:
    """Return the mark of this installation; empty before it has made its first reference."""
    found = session.execute(_installation()).scalar_one_or_none()
    return mark_of(found) if found else ""


@cache
def _installation() -> AnySelect:
    return sa.select(table_of(Installation).c.public_id)


def new_references(session: AnySession, kind: str, count: int, now: datetime) -> list[str]:
    """Return ``count`` references such as ``pay_k7q2_…``; ``kind`` has three letters.

    The first call writes the row of the installation, which nobody has confirmed by that.
    """
    mark = known_mark(session)
    if not mark:
        _begin(session, now)
        mark = known_mark(session)
    return public_ids(f"{kind}_{mark}", count)


def _begin(session: AnySession, now: datetime) -> None:
    table = table_of(Installation)
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    insert = (postgresql if is_postgresql else sqlite).insert(table)
    session.execute(
        insert.values(
            id=1,
            public_id=public_id("ins"),
            site_url="",
            accounts={},
            confirmed_at=None,
            created_at=now,
        ).on_conflict_do_nothing(index_elements=["id"])
    )
