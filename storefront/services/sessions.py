"""Begin and end signed-in sessions of customers and staff: rows that can be listed and revoked.

The browser keeps a random secret, the table its hash. Who is behind a secret is read by
``queries.logins``. Every sign-in makes a new row and a new secret.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.models import LoginSession, StaffSession
from storefront.models.base import table_of
from storefront.operations.secrets import REFERENCE, hash_secret, new_secret
from storefront.runtime import Runtime

#: How often it is noted that a session is in use.
SEEN_EVERY = timedelta(days=1)
#: How long a customer stays signed in; staff sign in every working day.
CUSTOMER_SESSION = timedelta(days=60)
STAFF_SESSION = timedelta(hours=12)


def start_session(rt: Runtime, customer_id: int, method: str, ip: str, user_agent: str) -> str:
    """Sign a customer in and return the secret for ``logins.remember_customer``.

    ``method`` is how it began: password, link, code, host, checkout or demo.
    """
    values = {"customer_id": customer_id, "method": method}
    return _start(rt, table_of(LoginSession), values, CUSTOMER_SESSION, ip, user_agent)


def end_session(rt: Runtime, session_id: int) -> None:
    """Sign one browser of a customer out. Ending it again changes nothing."""
    _revoke(rt, table_of(LoginSession), LoginSession.id == session_id)


def revoke(rt: Runtime, customer_id: int, reference: str) -> bool:
    """End one session of ``customer_id``; False if that customer has no such open session.

    ``reference`` is the start of the stored hash (``REFERENCE`` characters): it names a row
    on a page and opens nothing.
    """
    table = table_of(LoginSession)
    which = sa.and_(_named(table, reference), table.c.customer_id == customer_id)
    return bool(_revoke(rt, table, which))


def end_all_sessions(rt: Runtime, customer_id: int, *, keep: int | None = None) -> int:
    """Sign a customer out everywhere, except in session ``keep``; returns how many ended."""
    which = LoginSession.customer_id == customer_id
    if keep is not None:
        which = sa.and_(which, LoginSession.id != keep)
    return _revoke(rt, table_of(LoginSession), which)


def start_staff_session(rt: Runtime, staff_id: int, ip: str, user_agent: str) -> str:
    """Sign a staff user in and return the secret for ``logins.remember_staff``."""
    values = {"staff_id": staff_id}
    return _start(rt, table_of(StaffSession), values, STAFF_SESSION, ip, user_agent)


def end_staff_session(rt: Runtime, session_id: int) -> None:
    """Sign one browser of a staff user out. Ending it again changes nothing."""
    _revoke(rt, table_of(StaffSession), StaffSession.id == session_id)


def prolong_staff_session(rt: Runtime, session_id: int) -> None:
    """Begin the working day of an open session anew, as when a demo's clock has been moved."""
    table = table_of(StaffSession)

    def write() -> None:
        rt.session.execute(
            sa.update(table)
            .where(table.c.id == session_id, table.c.revoked_at.is_(None))
            .values(expires_at=rt.now() + STAFF_SESSION)
        )
        rt.session.commit()

    retrying(rt.session, write)


def revoke_of_staff(rt: Runtime, staff_id: int, reference: str) -> bool:
    """End one session of a staff user; see :func:`revoke`."""
    table = table_of(StaffSession)
    return bool(_revoke(rt, table, sa.and_(_named(table, reference), table.c.staff_id == staff_id)))


def end_all_staff_sessions(rt: Runtime, staff_id: int, *, keep: int | None = None) -> int:
    """Sign a staff user out everywhere, except in session ``keep``; returns how many ended."""
    which = StaffSession.staff_id == staff_id
    if keep is not None:
        which = sa.and_(which, StaffSession.id != keep)
    return _revoke(rt, table_of(StaffSession), which)


def is_due(seen_at: datetime | None, now: datetime) -> bool:
    """Whether it is time to note that a session is in use."""
    return seen_at is None or now - seen_at >= SEEN_EVERY


def note_seen(rt: Runtime, kind: str, session_id: int) -> None:
    """Note that a session of a ``customer`` or of ``staff`` is in use; a busy database may skip it.

    No retries: the next page tries again.
    """
    table = table_of(LoginSession if kind == "customer" else StaffSession)
    now = rt.now()
    late = sa.or_(table.c.seen_at.is_(None), table.c.seen_at <= now - SEEN_EVERY)
    rt.session.execute(sa.update(table).where(table.c.id == session_id, late).values(seen_at=now))
    rt.session.commit()


def _start(
    rt: Runtime,
    table: sa.Table,
    values: dict[str, Any],
    lasts: timedelta,
    ip: str,
    user_agent: str,
) -> str:
    secret, now = new_secret(), rt.now()
    row = {
        **values,
        "token_hash": hash_secret(secret),
        "created_at": now,
        "expires_at": now + lasts,
        "seen_at": now,
        "ip": ip[:45],
        "user_agent": user_agent[:255],
    }

    def write() -> None:
        rt.session.execute(sa.insert(table).values(row))
        rt.session.commit()

    retrying(rt.session, write)
    return secret


def _named(table: sa.Table, reference: str) -> sa.ColumnElement[bool]:
    return sa.func.substr(table.c.token_hash, 1, REFERENCE) == reference


def _revoke(rt: Runtime, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
    now: datetime = rt.now()

    def write() -> int:
        ended = rt.session.execute(
            sa.update(table)
            .where(which, table.c.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(table.c.id)
        ).all()
        rt.session.commit()
        return len(ended)

    return retrying(rt.session, write)
