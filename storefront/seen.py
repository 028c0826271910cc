"""Note once a day that a session is in use, after its page was made.

A GET only reads. So nothing is written while a page is made: only once it is, in a transaction
of its own, and a database that is busy or gone costs the note and nothing else.
Source: docs/decisions/0216-sign-ins-that-are-listed.md.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa
from flask import Flask, current_app, g, has_request_context

from storefront.database import stop_reading
from storefront.queries.logins import CustomerLogin, StaffLogin
from storefront.services import sessions

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Note the sessions that requests of ``app`` are made in."""
    app.teardown_request(lambda _error: _note())


def seen(kind: str, login: CustomerLogin | StaffLogin | None) -> None:
    """Remember for the end of the request that the session of ``login`` is in use."""
    if login is not None and login.session_id is not None:
        rt = current_app.extensions["storefront"]
        if sessions.is_due(login.seen_at, rt.now()):
            g.setdefault("sessions_seen", {})[kind] = login.session_id


def _note() -> None:
    found: dict[str, int] = g.pop("sessions_seen", {}) if has_request_context() else {}
    if not found:
        return
    rt = current_app.extensions["storefront"]
    stop_reading()
    try:
        rt.session.rollback()
        for kind, session_id in found.items():
            sessions.note_seen(rt, kind, session_id)
    except sa.exc.SQLAlchemyError as error:
        rt.session.rollback()
        log.info("not noted that a session is in use: %s", type(error).__name__)
