"""What the list of subscribers is narrowed to, read from the address and written into one."""

from __future__ import annotations

from typing import Any

from flask import request

from storefront.blueprints.typed import one_line, read_day
from storefront.queries import subscribers as query


def read_filters() -> query.Filters:
    """Read the filters; what is not known narrows nothing rather than failing."""
    args = request.args
    state = args.get("state", "")
    return query.Filters(
        q=one_line(args.get("q"))[:120],
        state=state if state in query.STATES else "",
        plan=args.get("plan", "")[:40],
        renews=read_day(args.get("renews")),
        price=args.get("price", "")[:40],
    )


def file_filters(filters: query.Filters) -> dict[str, Any]:
    """Return the filters that narrow the list, as the address has them."""
    renews = filters.renews.isoformat() if filters.renews else ""
    names = ("q", "state", "plan", "price")
    values = {name: str(getattr(filters, name)) for name in names} | {"renews": renews}
    return {name: value for name, value in values.items() if value}
