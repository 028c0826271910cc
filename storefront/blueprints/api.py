"""Where the merchant's programs say where parcels are: JSON in, JSON out.

Source: docs/decisions/0177-tracking-by-program.md; for programmers: docs/tracking.md.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, g, jsonify, request

from storefront.blueprints.context import runtime
from storefront.domain.tracking_rows import MOST_CALLED
from storefront.security import register_policy, token
from storefront.services.tracking import take_called

bp = Blueprint("api", __name__, url_prefix="/api")
register_policy({"api.tracking": token("tracking")})

#: The biggest body taken, in bytes.
MOST_BYTES = 1 << 20


@bp.post("/tracking")
def tracking() -> Response:
    """Take rows of ``{box, number, carrier, state, at}``; the same call again changes nothing."""
    items, error, status = _items()
    if error:
        return _say(status, error=error, most=MOST_CALLED)
    report = take_called(runtime(), items, g.api_token)
    return _say(
        200,
        rows=report.rows,
        shipped=report.ship,
        numbered=report.numbered,
        delivered=report.deliver,
        returned=report.come_back,
        known=report.here,
        errors=[{"row": one.row, "code": one.code, "value": one.value} for one in report.issues],
    )


def _items() -> tuple[list[Any], str, int]:
    """Return the rows of the body, or why there are none, with a status."""
    raw = request.stream.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        return [], "too_big", 413
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return [], "no_json", 400
    items = body.get("parcels") if isinstance(body, dict) else None
    if not isinstance(items, list) or not items:
        return [], "no_parcels", 422
    if len(items) > MOST_CALLED:
        return [], "too_many", 422
    return items, "", 200


def _say(status: int, **body: Any) -> Response:
    response = jsonify(body)
    response.status_code = status
    return response
