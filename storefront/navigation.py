"""The fixed links of the page frames. A page that does not exist (yet) is never linked."""

from collections.abc import Collection, Mapping
from typing import Any

from flask import current_app, request, url_for
from flask_babel import LazyString
from flask_babel import lazy_gettext as _

from storefront.blueprints.sources import source_of_visit
from storefront.domain.content import in_language
from storefront.domain.declarations import links_end, links_withdrawal

Links = tuple[tuple[LazyString, str], ...]

#: The blueprint of the pages that lead to an order.
_PRICES = "pricing"

#: (words, endpoint) in the order they are shown.
SHOP: Links = (
    (_("Plans"), "pricing.index"),
    (_("Past boxes"), "pricing.past_boxes"),
    (_("Gifts"), "pricing.gifts"),
)
#: By law on every page of a shop that sells where it holds.
_END: Links = ((_("Cancel a contract here"), "contracts.end"),)
_WITHDRAW: Links = ((_("Withdraw from contract here"), "contracts.withdraw"),)
ACCOUNT_MENU: Links = (
    (_("Inquiries"), "account.inquiries"),
    (_("Your profile"), "account.you"),
    (_("Your data"), "account.privacy"),
    (_("Help"), "pricing.help"),
)
STAFF_MENU: Links = (
    (_("Your sign-in"), "admin.profile"),
    (_("Design"), "admin.design"),
    (_("See the shop"), "pricing.index"),
)


def legal_links(countries: Collection[str]) -> Links:
    """Return the links at the foot of every page of a shop that delivers to ``countries``."""
    found: Links = ()
    if links_end(countries):
        found += _END
    if links_withdrawal(countries):
        found += _WITHDRAW
    return found


def content_links(
    content: Mapping[str, Any], place: str, locale: str, shop_locale: str
) -> list[tuple[str, str, bool]]:
    """Return (title, address, is here) of the merchant's own pages that are linked in ``place``."""
    slug = (request.view_args or {}).get("slug") if here_is("pricing.content") else None
    found = []
    for link in content.get("links", ()):
        if link["place"] == place:
            texts = {code: {"title": title} for code, title in link["titles"].items()}
            _language, chosen = in_language(texts, locale, shop_locale)
            url = url_for("pricing.content", slug=link["slug"])
            found.append((chosen.get("title", ""), url, link["slug"] == slug))
    return found


def page_url(endpoint: str, **values: object) -> str:
    """Return the address of a page, or an empty string if this shop has no such page.

    From one page with prices to another it carries along where the shopper came from.
    """
    if endpoint not in current_app.view_functions:
        return ""
    if request.blueprint == _PRICES and endpoint.startswith(f"{_PRICES}."):
        values = {**source_of_visit(), **values}
    return url_for(endpoint, **values)  # type: ignore[arg-type]


def here() -> str:
    """Return the path of this page with its query, under the prefix it is mounted at."""
    query = request.query_string.decode("utf-8", "replace")
    path = request.script_root + request.path
    return f"{path}?{query}" if query else path


def here_is(endpoint: str) -> bool:
    """Return whether this request was answered by ``endpoint``."""
    return request.endpoint == endpoint
