"""Keep the finished page for visitors who are not signed in, and answer 304 where we can.

A page is kept until the catalogue's version, the day, the language or the like changes, and
never longer than five minutes. The form token in it belongs to one browser: it is taken out
before the page is kept and each browser's own put in, so only the token differs.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable

from flask import Response, current_app, make_response, request, session
from flask_wtf.csrf import generate_csrf

from storefront.htmx import VARY

_MARK = "%%form-token%%"
_MOST = 128
_KEPT = "storefront_pricing_pages"


def remembered(key: Hashable, render: Callable[[], str]) -> Response:
    """Return the page kept under ``key``, rendering it if nobody has asked for it yet."""
    pages: OrderedDict[Hashable, tuple[str, str]] = current_app.extensions.setdefault(
        _KEPT, OrderedDict()
    )
    token = generate_csrf()
    found = pages.get(key)
    if found is None:
        html = render().replace(token, _MARK)
        found = pages[key] = (html, hashlib.sha256(html.encode()).hexdigest()[:24])
        while len(pages) > _MOST:
            pages.popitem(last=False)
    html, digest = found
    response = make_response(html.replace(_MARK, token))
    whose = hashlib.sha256(str(session.get("csrf_token")).encode()).hexdigest()[:8]
    response.set_etag(f"{digest}-{whose}", weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    response.vary.update([*VARY, "Accept-Language", "Cookie"])
    response.make_conditional(request)
    return response
