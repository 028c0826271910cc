"""The rows of the lists behind the first page's counts, and why charges wait."""

from __future__ import annotations

from dataclasses import replace

from storefront import charges
from storefront.blueprints.context import runtime
from storefront.operations.moment import Moment
from storefront.queries import worklists


def rows_of(code: str, moment: Moment) -> list[worklists.Listed]:
    """Return a list; where the shop as a whole charges nothing, that is why each charge waits."""
    rt = runtime()
    rows = worklists.listed(rt.session, code, moment, tuple(sorted(rt.notices)))
    why = charges.shop_refusal(rt) if code == "waiting" else None
    return [replace(row, detail=why.value) for row in rows] if why else rows
