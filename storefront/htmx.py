"""One place that knows htmx: page or partial, caching, redirects, refusals.

htmx 4 says what it wants in ``HX-Request-Type``: ``partial`` for a swap of one
element, ``full`` for a boosted link or a Back button, which want the whole page
although ``HX-Request`` is true for them as well. htmx-flask gives the class that
reads the older headers; what it does not know of version 4 is here.
"""

from typing import Any, cast

from flask import Flask, Response, flash, make_response, redirect, render_template, request
from htmx_flask.requests import HtmxAwareRequest

#: A page and its partial share an address, so a cache must keep them apart.
VARY = ("HX-Request", "HX-Request-Type")

#: A form that is shown again: its page's title says so, the script does it for a partial.
_REFUSED = 422

#: Where a message that belongs to no element of the page is put (frames render it).
STATUS_REGION = "#status"


def compose_request_class(app: Flask) -> None:
    """Add ``request.htmx`` to the request class the app already has.

    htmx-flask's own ``init_app`` replaces the class, which loses a host's.
    """
    if not issubclass(app.request_class, HtmxAwareRequest):
        bases = (HtmxAwareRequest, app.request_class)
        app.request_class = cast("type[HtmxAwareRequest]", type("StorefrontRequest", bases, {}))
    app.extensions["htmx"] = VARY


def is_htmx() -> bool:
    """Return whether the page's script sent this request, for a partial or a full page."""
    return request.headers.get("HX-Request") == "true"


def wants_partial() -> bool:
    """Return True only if one element of the page is to be swapped."""
    headers = request.headers
    return (
        is_htmx()
        and headers.get("HX-Request-Type") == "partial"
        and headers.get("HX-Boosted") != "true"
        and headers.get("HX-History-Restore-Request") != "true"
    )


def target_id() -> str | None:
    """Return the id of the element that will be swapped (htmx 4 sends ``tag#id``)."""
    _, _, identifier = request.headers.get("HX-Target", "").partition("#")
    return identifier or None


def show(page: str, partial: str, status: int = 200, **context: Any) -> Response:
    """Render ``partial`` for htmx, or ``page``, which includes it, for everyone else."""
    template = partial if wants_partial() else page
    if status == _REFUSED:
        context.setdefault("page_has_errors", True)
    response = make_response(render_template(template, **context), status)
    response.vary.update(VARY)
    return response


def done(message: str, partial: str, to: str, **context: Any) -> Response:
    """After a successful POST: swap in ``partial`` for htmx, else redirect to ``to``."""
    if wants_partial():
        return show(partial, partial, message=message, **context)
    flash(message)
    return _see_other(to)


def go(
    to: str, message: str | None = None, status: int = 200, *, is_problem: bool = False
) -> Response:
    """Leave for another page: 303 for a plain form, ``HX-Redirect`` for htmx.

    ``status`` is used for htmx only (401 when the session has ended); ``message``
    is shown on the page that follows, one that says what did not work until it is closed.
    """
    if message is not None:
        flash(message, "problem" if is_problem else "message")
    if not is_htmx():
        return _see_other(to)
    response = make_response("", status)
    response.headers["HX-Redirect"] = to
    response.vary.update(VARY)
    return response


def refuse(status: int, title: str, text: str, **context: Any) -> Response:
    """Answer with an error page, or for htmx with a message beside the untouched page.

    The partial goes to the status region, so an error never replaces a form.
    """
    values = {"status": status, "title": title, "text": text, **context}
    folder = "storefront/errors"
    response = show(f"{folder}/error.html", f"{folder}/_error.html", **values)
    response.status_code = status
    if wants_partial():
        response.headers["HX-Retarget"] = STATUS_REGION
        response.headers["HX-Reswap"] = "innerHTML"
    return response


def _see_other(to: str) -> Response:
    response = make_response(redirect(to, code=303))
    response.vary.update(VARY)
    return response
