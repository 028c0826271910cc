"""Where a shopper came from: carried along in addresses, so no cookie is set before an order."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import request

from storefront.blueprints.typed import one_line
from storefront.opt_out import opted_out

#: What is kept; ``ref`` is the host of another site that linked here.
NAMES = ("utm_source", "utm_medium", "utm_campaign", "ref")
_LENGTH = 80


def source_of_visit() -> dict[str, str]:
    """Return the campaign or the site that led to this page, empty for a direct visit.

    Empty as well for a browser that says it is not to be followed.
    """
    if opted_out():
        return {}
    given = {name: one_line(request.values.get(name, ""))[:_LENGTH] for name in NAMES}
    found = {name: value for name, value in given.items() if value}
    came_from = urlsplit(request.referrer or "") if not found else None
    if came_from is not None and came_from.hostname and came_from.netloc != request.host:
        found["ref"] = one_line(came_from.hostname)[:_LENGTH]
    return found
