"""What a handler needs from the request: the runtime, who is asking, and the page's links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from flask import abort, current_app, request, url_for

from storefront.logins import current_customer, current_staff
from storefront.navigation import page_url
from storefront.queries.logins import CustomerLogin, StaffLogin
from storefront.runtime import Runtime

#: Blueprint -> (words, endpoint, permission) of its menu, in the order shown.
_MENUS: dict[str, list[tuple[Any, str, str]]] = {}


def runtime() -> Runtime:
    """Return the runtime of this application."""
    return cast("Runtime", current_app.extensions["storefront"])


def customer() -> CustomerLogin:
    """Return the signed-in customer. The policy has let only such a request through."""
    found = current_customer()
    if found is None:
        abort(401)
    return found


def staff_user() -> StaffLogin:
    """Return the signed-in staff user. The policy has let only such a request through."""
    found = current_staff()
    if found is None:
        abort(401)
    return found


def external_url(endpoint: str, **values: Any) -> str:
    """Return a whole address for use outside the page, such as in a mail or at a gateway.

    It is built from the configured ``base_url``: the Host header is the visitor's to write.
    """
    return runtime().settings.base_url + url_for(endpoint, **values)


def register_menu(blueprint: str, entries: Sequence[tuple[Any, str, str]]) -> None:
    """Add (lazy words, endpoint, permission or "") to the menu of ``blueprint``'s pages.

    Registering the same endpoint again changes nothing.
    """
    menu = _MENUS.setdefault(blueprint, [])
    known = {endpoint for _words, endpoint, _permission in menu}
    menu.extend(entry for entry in entries if entry[1] not in known)


def menu_links() -> list[tuple[Any, str, bool]]:
    """Return (words, address, is here) of this page's menu: what exists and this person may."""
    menu = _MENUS.get((request.blueprint or "").partition(".")[0], [])
    who = current_staff() if any(permission for *_rest, permission in menu) else None
    links = []
    for words, endpoint, permission in menu:
        url = page_url(endpoint)
        if url and (not permission or (who is not None and who.may(permission))):
            links.append((words, url, _is_here(url, endpoint)))
    return links


def _is_here(url: str, endpoint: str) -> bool:
    """Whether this page is the menu's own, or one below it; the first page has none below."""
    if request.endpoint == endpoint:
        return True
    path = request.script_root + request.path
    return not url.endswith("/") and path.startswith(f"{url}/")
