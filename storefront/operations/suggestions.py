"""Keep which suggestions a customer has put away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.database import is_postgresql
from storefront.domain.suggestions import SuggestionKind
from storefront.models import SuggestionDismissal
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


def put_away(session: AnySession, customer_id: int, kind: SuggestionKind, now: datetime) -> None:
    """Note that a kind of suggestion is not wanted; a second time changes nothing."""
    insert = postgresql.insert if is_postgresql(session) else sqlite.insert
    row = {"customer_id": customer_id, "kind": kind.value, "at": now}
    session.execute(insert(SuggestionDismissal).values(**row).on_conflict_do_nothing())


def move_put_away(session: AnySession, to: int, of: int) -> None:
    """Give what one account put away to another that has everything of it now."""
    table = table_of(SuggestionDismissal)
    known = sa.select(table.c.kind).where(table.c.customer_id == to)
    twice = session.scalars(known).all()
    mine = table.c.customer_id == of
    session.execute(sa.delete(table).where(mine, table.c.kind.in_(twice)))
    session.execute(sa.update(table).where(mine).values(customer_id=to))


def forget_put_away(session: AnySession, ids: Sequence[int]) -> None:
    """Forget what erased customers put away."""
    table = table_of(SuggestionDismissal)
    session.execute(sa.delete(table).where(table.c.customer_id.in_(ids)))
