"""Slow down guessing and card testing: counts of tries in a table that all processes share."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.database import is_postgresql, retrying
from storefront.models.settings import Throttle
from storefront.runtime import Runtime


def throttle(
    rt: Runtime, bucket: str, key: str, limit: int, window_seconds: int
) -> datetime | None:
    """Count one try of ``key`` in ``bucket``; None to go on, else when to try again.

    ``limit`` tries are let through per window, which starts with the first of them. Call it once
    per account and once per address, before anything else is written: it commits at once, so
    that a refused attempt is counted too. ``key`` is stored as a keyed hash only.
    """
    now = rt.now()
    statement = _count_one(rt, bucket, _hashed(rt, key), now, timedelta(seconds=window_seconds))

    def write() -> tuple[datetime, int]:
        started, count = rt.session.execute(statement).one()
        rt.session.commit()
        return started, count

    started, count = retrying(rt.session, write)
    return started + timedelta(seconds=window_seconds) if count > limit else None


def forget_tries(rt: Runtime, bucket: str, key: str) -> None:
    """Start from zero, after the right password was given."""
    table = Throttle.__table__
    statement = sa.delete(Throttle).where(table.c.bucket == bucket, table.c.key == _hashed(rt, key))

    def write() -> None:
        rt.session.execute(statement)
        rt.session.commit()

    retrying(rt.session, write)


def _count_one(rt: Runtime, bucket: str, key: str, now: datetime, window: timedelta) -> Any:
    insert = postgresql.insert if is_postgresql(rt.session) else sqlite.insert
    is_over = Throttle.window_start_at <= now - window
    return (
        insert(Throttle)
        .values(bucket=bucket, key=key, window_start_at=now, count=1)
        .on_conflict_do_update(
            index_elements=["bucket", "key"],
            set_={
                "count": sa.case((is_over, 1), else_=Throttle.count + 1),
                "window_start_at": sa.case((is_over, now), else_=Throttle.window_start_at),
            },
        )
        .returning(Throttle.window_start_at, Throttle.count)
    )


def _hashed(rt: Runtime, key: str) -> str:
    secret = rt.settings.secret_key.encode()
    return hmac.new(secret, f"throttle:{key}".encode(), hashlib.sha256).hexdigest()
