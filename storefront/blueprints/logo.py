"""The shop's logo as a file: an address that changes with the picture, so it is kept for ever."""

from __future__ import annotations

from flask import Blueprint, Response, abort, make_response, request

from storefront.assets import BRIEFLY, FOR_EVER
from storefront.blueprints.context import runtime
from storefront.queries.logo import logo
from storefront.security import PUBLIC, register_policy

bp = Blueprint("logo", __name__, url_prefix="/logo")
register_policy({"logo.picture": PUBLIC})


@bp.get("/<digest>.png")
def picture(digest: str) -> Response:
    """Send the logo; who asks for an earlier one gets today's."""
    found = logo(runtime().session)
    if found is None:
        abort(404)
    response = make_response(found.png)
    response.content_type = "image/png"
    response.headers["Cache-Control"] = FOR_EVER if digest == found.digest else BRIEFLY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.set_etag(found.digest)
    response.make_conditional(request)
    return response
