"""Every kind of page that links lead to, each kind once."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from werkzeug.exceptions import HTTPException

from tests.browser.support import LiveShop, Visitor

#: Links that lead away from what is looked at: to files, out of the session, to another shop.
_LEAVE = ("/static/", "/admin/sign-out", "/account/sign-out")
_LINKS = """() => [...document.querySelectorAll("a[href]:not([download])")]
  .filter(link => !link.target).map(link => link.pathname + link.search)"""


def endpoints(live: LiveShop, start: str, visitor: Visitor) -> Iterator[tuple[str, str]]:
    """Go through every kind of page from ``start``: name of the kind, its HTML as it was sent."""
    adapter = live.app.url_map.bind("127.0.0.1")
    seen: set[object] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop(0)
        try:
            kind = adapter.match(urlsplit(path).path, method="GET")[0]
        except HTTPException:
            continue
        if kind in seen or path.startswith(_LEAVE):
            continue
        seen.add(kind)
        answer = visitor.context.request.get(path)
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        visitor.page.goto(path)
        visitor.page.wait_for_load_state()
        yield str(kind), answer.text()
        waiting += visitor.page.evaluate(_LINKS)
