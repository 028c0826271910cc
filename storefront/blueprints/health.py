"""Two questions a supervisor asks: is the process alive, and can it serve?

Neither answer holds personal data, a version or an address.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, jsonify

from storefront.blueprints.context import runtime
from storefront.database import journal_mode
from storefront.migrate import schema_state
from storefront.models.outbox import JobRun
from storefront.operations.gateway_states import stopped_accounts
from storefront.queries.differences import count_open, last_comparisons
from storefront.queries.gateway_events import gateways
from storefront.queries.selfcheck import last_check
from storefront.runtime import Runtime
from storefront.security import PUBLIC, register_policy

bp = Blueprint("health", __name__)
register_policy({"health.alive": PUBLIC, "health.ready": PUBLIC})


@bp.get("/healthz")
def alive() -> Response:
    """The process answers; nothing else is asked."""
    return jsonify(status="ok")


@bp.get("/readyz")
def ready() -> tuple[Response, int]:
    """Database, schema, worker and plugins; 503 when pages cannot be served."""
    rt = runtime()
    checks: dict[str, Any] = {"plugins_failed": len(rt.hooks.failed)}
    try:
        checks |= _database(rt)
        is_ready = bool(checks["schema"] == "current")
    except sa.exc.SQLAlchemyError as error:
        checks["database"] = type(error).__name__
        is_ready = False
    status = "ready" if is_ready else "not ready"
    return jsonify(status=status, **checks), 200 if is_ready else 503


def _database(rt: Runtime) -> dict[str, Any]:
    engine = rt.session.get_bind()
    state = schema_state(engine if isinstance(engine, sa.Engine) else engine.engine)
    if not state.is_current:
        return {"database": "ok", "schema": state.describe()}
    found: dict[str, Any] = {"database": "ok", "schema": "current"}
    if engine.dialect.name == "sqlite":
        found["journal_mode"] = journal_mode()
    last = rt.session.scalar(sa.select(sa.func.max(JobRun.finished_at)))
    found["worker_seconds_ago"] = round((rt.now() - last).total_seconds()) if last else None
    stopped = sorted({gateway for gateway, _account in stopped_accounts(rt.session)})
    if stopped:
        found["gateways_stopped"] = stopped
    return found | _messages(rt) | _compared(rt) | _books(rt)


def _messages(rt: Runtime) -> dict[str, Any]:
    """What came from each payment gateway; ``silent`` while charges go out and nothing comes."""
    accounts = [(name, gateway.account) for name, gateway in rt.gateways.items()]
    told = {}
    for one in gateways(rt.session, accounts):
        age = rt.now() - one.last_event_at if one.last_event_at else None
        told[one.gateway] = {
            "last_message_seconds_ago": round(age.total_seconds()) if age is not None else None,
            "refused": one.refused,
            "waiting": one.waiting,
            "failed": one.failed,
            "orphans": one.orphans,
            "silent": one.is_silent,
        }
    return {"gateways": told}


def _compared(rt: Runtime) -> dict[str, Any]:
    """Our charges beside the gateways' own lists: what differs, and how old the last look is."""
    accounts = [(name, gateway.account) for name, gateway in rt.gateways.items()]
    told: dict[str, Any] = {}
    for one in last_comparisons(rt.session, accounts):
        age = rt.now() - one.compared_until if one.compared_until else None
        told[one.gateway] = {
            "seconds_ago": round(age.total_seconds()) if age is not None else None,
            "error": one.error,
        }
    return {"compared": told, "differences": count_open(rt.session)}


def _books(rt: Runtime) -> dict[str, Any]:
    """What the nightly check found: broken books still serve pages, but somebody must look."""
    checked = last_check(rt.session)
    if checked is None:
        return {"books": "not checked yet"}
    age = round((rt.now() - checked.at).total_seconds())
    if checked.is_whole:
        return {"books": "whole", "books_checked_seconds_ago": age}
    return {
        "books": "broken",
        "books_checked_seconds_ago": age,
        "broken": sorted(checked.broken),
        "what_to_do": "run storefront self-check; docs/invariants.md explains each id",
    }
