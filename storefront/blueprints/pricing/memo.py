"""Keep the finished page for visitors who are not signed in, and answer 304 where we can.

A page is kept until the catalogue's version, the day, the language or the like changes, and
never longer than half a minute; a shared cache in front of us may keep it as long again. Nothing
in it belongs to one browser: no form token, no nonce, no cookie.
Source: docs/decisions/0218-pages-that-a-cache-may-keep.md.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from flask import Response, current_app, g, make_response, render_template, request, session

from storefront.blueprints.context import runtime
from storefront.blueprints.opened import codes_of_visit
from storefront.blueprints.preferences import market_of_visit
from storefront.blueprints.sources import source_of_visit
from storefront.htmx import VARY
from storefront.languages import of_address
from storefront.logins import current_customer
from storefront.opt_out import HEADER as OPT_OUT
from storefront.opt_out import opted_out
from storefront.templating import locale_code, theme_choice, writing_locale

_MOST = 128
#: Seconds after which a kept page is made anew, whatever has changed.
_KEEP_SECONDS = 30
_KEPT = "storefront_pricing_pages"
#: Seconds that a cache in front of us may answer for us. A browser always asks.
SHARED_SECONDS = 30
_FOR_ALL = f"public, max-age=0, s-maxage={SHARED_SECONDS}, must-revalidate"
#: What the page depends on beside its address. Where a visit comes from is carried along in the
#: links, so a visit from another site is never answered with the page of one that is not.
#: Its language is the browser's only where the address names none.
_DEPENDS_ON = (*VARY, "Cookie", "Sec-Fetch-Site", OPT_OUT)
_FROM_ELSEWHERE = {"cross-site", "same-site"}


def answer(name: str, values: Callable[[], Mapping[str, Any]]) -> Response:
    """Return the page ``name`` (``template`` or ``template/which``) filled with ``values``.

    Kept for everybody who asks alike; made for one browser where somebody is signed in.
    """
    template = f"storefront/pricing/{name.partition('/')[0]}.html"

    def render() -> str:
        return render_template(template, **values())

    source = source_of_visit()
    if current_customer() or session.get("staff") or "_flashes" in session:
        return for_one(render())
    rt = runtime()
    shop = rt.shop
    key = (
        name,
        shop.catalogue_version,
        market_of_visit(rt).countries[0],
        str(writing_locale()),
        locale_code(),
        request.args.get("interval", "")[:8],
        rt.today(),
        shop.zone,
        theme_choice(),
        request.script_root,
        request.host,
        request.query_string[:200],
        tuple(source.items()),
        codes_of_visit(),
        opted_out(),
        int(rt.now().timestamp()) // _KEEP_SECONDS,
    )
    return remembered(key, render, is_for_all=not source and not session)


def remembered(key: Hashable, render: Callable[[], str], *, is_for_all: bool) -> Response:
    """Return the page kept under ``key``, rendering it if nobody has asked for it yet.

    ``is_for_all`` says that a cache may send it to others who ask alike.
    """
    pages: OrderedDict[Hashable, tuple[str, str]] = current_app.extensions.setdefault(
        _KEPT, OrderedDict()
    )
    found = pages.get(key)
    if found is None:
        html = render()
        if "csrf_token" in g:
            # A plugin's form stands on it: its token is this browser's alone.
            return for_one(html)
        html = _without_nonce(html)
        found = pages[key] = (html, hashlib.sha256(html.encode()).hexdigest()[:24])
        while len(pages) > _MOST:
            pages.popitem(last=False)
    else:
        pages.move_to_end(key)
    html, digest = found
    response = make_response(html)
    response.set_etag(digest)
    comes_from_elsewhere = request.headers.get("Sec-Fetch-Site") in _FROM_ELSEWHERE
    may_share = is_for_all and not comes_from_elsewhere
    response.headers["Cache-Control"] = _FOR_ALL if may_share else "private, no-cache"
    response.vary.update(_DEPENDS_ON if of_address() else (*_DEPENDS_ON, "Accept-Language"))
    response.make_conditional(request)
    return response


def for_one(html: str) -> Response:
    """Return a page that nobody may keep."""
    response = make_response(html)
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _without_nonce(html: str) -> str:
    """Take the nonce out of a page that many are sent: one that is known to all allows anything.

    What stands on it comes from files of ours, which the policy allows without.
    """
    nonce = g.pop("csp_nonce", None)
    return html.replace(f' nonce="{nonce}"', "") if nonce else html
