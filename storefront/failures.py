"""What a visitor sees when something is refused or broken: a page or a partial, never a trace."""

from __future__ import annotations

import logging
import secrets
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from flask import Flask, Response, current_app, g, jsonify, make_response, request
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from markupsafe import escape
from werkzeug.exceptions import HTTPException, SecurityError

from storefront.database import is_busy
from storefront.htmx import refuse
from storefront.runtime import ShopNotSetUp
from storefront.security import SIGNED, CrossSiteRequest, access_of_request

log = logging.getLogger(__name__)
_RETRY_SECONDS = 5
#: Statuses that have a text of their own.
STATUSES = (400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 503)
_SERVER_ERROR = 500
#: What a program is told.
_CODES = {401: "unauthorized", 405: "method", 413: "too_big", 429: "slow_down", 503: "try_again"}


def init_app(app: Flask) -> None:
    """Answer errors of ``app`` with our pages."""
    app.before_request(_number_request)
    app.after_request(_tell_number)
    app.register_error_handler(HTTPException, refused)
    app.register_error_handler(ShopNotSetUp, _not_set_up)
    app.register_error_handler(sa.exc.DBAPIError, _database_failed)
    app.register_error_handler(Exception, _failed)


def request_id() -> str:
    """Return the number of this request, for the log and for the visitor to name."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(6)
    return str(g.request_id)


def _number_request() -> None:
    request_id()


def _tell_number(response: Response) -> Response:
    response.headers["X-Request-ID"] = request_id()
    return response


def _words(status: int) -> tuple[str, str]:
    """Return title and text of an error page."""
    known = {
        400: (_("We could not read that"), _("Please go back and try again.")),
        401: (_("Please sign in"), _("This page belongs to an account.")),
        403: (_("This is not for you"), _("Your account may not open this page.")),
        404: (_("There is nothing here"), _("The page may have moved, or the link has a slip.")),
        405: (_("That does not work here"), _("Please go back and use the page's own buttons.")),
        409: (_("Something changed meanwhile"), _("Reload the page and look again.")),
        413: (_("That file is too big"), _("Please choose a smaller one.")),
        422: (_("Something is missing"), _("Please go back and check what you typed.")),
        429: (_("Too many tries"), _("Please wait a little and try again.")),
        503: (_("We are busy for a moment"), _("Nothing was changed. Please try again shortly.")),
    }
    broken = (_("Something broke on our side"), _("It is written down and we look into it."))
    return known.get(status, broken)


def refused(error: HTTPException) -> Any:
    """Answer an HTTP error with our page; blueprints hand on what they do not treat themselves."""
    if error.response is not None:  # a handler made its own answer, or a redirect of the router
        return error.get_response()
    if isinstance(error, SecurityError):
        # Asked for by another name: no address of ours can be built for it, so no page either.
        # It is the everyday noise of scanners, not a fault.
        return _bare(400, "This is another address", "No shop answers under this name.")
    status = error.code or _SERVER_ERROR
    if status >= _SERVER_ERROR:
        log.error("answered %d, request %s", status, request_id())
    response = _answer(status, forged=isinstance(error, CSRFError | CrossSiteRequest))
    for name, value in error.get_headers():
        if name.lower() in {"allow", "retry-after"}:
            response.headers[name] = value
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None and "Retry-After" not in response.headers:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _not_set_up(error: ShopNotSetUp) -> Response:
    log.error("%s, request %s", error, request_id())
    return _not_open()


def _database_failed(error: sa.exc.DBAPIError) -> Response:
    if not is_busy(error):
        return _failed(error)
    log.warning("database busy, answered 503, request %s", request_id())
    response = _answer(503)
    response.headers["Retry-After"] = str(_RETRY_SECONDS)
    return response


def _failed(error: Exception) -> Response:
    if current_app.extensions["storefront_overrides"].blame(error):
        return _with_ours()
    log.error("request %s failed", request_id(), exc_info=error)
    return _answer(_SERVER_ERROR)


def _with_ours() -> Response:
    """Make the page again without the override that failed; a change is never made again."""
    if request.method not in {"GET", "HEAD"}:
        return _answer(_SERVER_ERROR)
    current_app.extensions["storefront"].session.rollback()
    try:
        return current_app.make_response(current_app.dispatch_request())
    except HTTPException as error:
        return current_app.make_response(refused(error))
    except Exception as error:  # noqa: BLE001 - another override may fail too; each only once
        return _failed(error)


def _answer(status: int, *, forged: bool = False) -> Response:
    """Answer with a page; with a bare one if even the page cannot be made."""
    access = access_of_request()
    if access is not None and access.kind == "token":
        error = _CODES.get(status, "failed" if status >= _SERVER_ERROR else "refused")
        return make_response(jsonify(error=error, request=request_id()), status)
    if access is SIGNED:
        return make_response(f"{status} {request_id()}\n", status, {"Content-Type": "text/plain"})
    try:
        # Whatever the handler had begun is off: the page must not wait in its transaction.
        current_app.extensions["storefront"].session.rollback()
        title, text = _words(status)
        if forged:
            text = _("The form was open for too long, or came from another page. Reload it.")
        reference = request_id() if status >= _SERVER_ERROR else None
        way_on = _page_before() if forged else None
        return refuse(status, title, text, reference=reference, way_on=way_on)
    except ShopNotSetUp:
        return _not_open(status)
    except Exception:
        log.exception("the error page itself failed, request %s", request_id())
        return _bare(status, "Something broke on our side", "It is written down.")


def _page_before() -> tuple[str, str] | None:
    """Offer the page of ours whose form was sent: to reload the answer would only send it again.

    Signing in in another tab makes the forms of this one too old, so it happens to the honest.
    """
    before = urlsplit(request.referrer or "")
    if f"{before.scheme}://{before.netloc}/" != request.host_url or not before.path:
        return None
    return _("Open the page again"), before.path + (f"?{before.query}" if before.query else "")


def _not_open(status: int = 503) -> Response:
    return _bare(status, "This shop is not open yet", "It has not been set up.")


def _bare(status: int, title: str, text: str) -> Response:
    """Answer without template, settings or database: for when those are what is broken."""
    body = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<h1>{escape(title)}</h1><p>{escape(text)}</p><p>{escape(request_id())}</p></html>"
    )
    return make_response(body, status)
