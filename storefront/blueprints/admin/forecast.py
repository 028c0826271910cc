"""What the next cycles will need: boxes, pieces, and the list to order by."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from markupsafe import Markup

from storefront.blueprints.admin.base import page
from storefront.blueprints.context import runtime
from storefront.charts import Point, Series, bar_chart
from storefront.domain import permissions as may
from storefront.domain.exports import safe_cell
from storefront.formats import number, percent, short_day
from storefront.queries import units as query
from storefront.queries.shortages import rules_by_sku
from storefront.queries.units import Forecast
from storefront.security import register_policy, staff
from storefront.templating import shop_today, writing_locale

#: Cycles ahead when nobody says how many.
DEFAULT_AHEAD = 3
#: Head of the file; names that a merchant's own sheet can rely on.
COLUMNS = ("sku", "product", "on_hand", "committed", "needed", "to_buy", "buy_by")

register_policy(
    dict.fromkeys(("admin.forecast", "admin.forecast_file"), staff(may.PRODUCTS_MANAGE))
)


def add_forecast(bp: Blueprint) -> None:
    """Add the forecast of boxes and pieces to the admin's blueprint."""
    bp.add_url_rule("/forecast", "forecast", forecast)
    bp.add_url_rule("/forecast/purchases.csv", "forecast_file", purchases)


def forecast() -> Response:
    """Show the boxes and pieces of the next cycles."""
    ahead, found = _found()
    locale = writing_locale()
    kept: dict[str, Any] = {"cycles": ahead}
    return page(
        "forecast/forecast",
        found=found,
        rules=rules_by_sku(runtime().session, [one.sku for one in found.purchases]),
        tabs=[
            (_cycles_word(each), url_for("admin.forecast", cycles=each), each == ahead)
            for each in query.AHEAD
        ],
        chart=_chart(found) if found.cycles else "",
        rows=[
            (
                f"{short_day(one.ship_from, locale, shop_today())} · {one.group}",
                *(number(count, locale) for count in (one.paid, one.planned, one.expected)),
            )
            for one in found.cycles
        ],
        leaving=leaving_words(found.leaving),
        days=query.LOOK_BACK,
        csv_url=url_for("admin.forecast_file", **kept),
    )


def purchases() -> Response:
    """Give out what each variant needs and what to buy of it, for a spreadsheet."""
    ahead, found = _found()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for one in found.variants:
        by = one.by.isoformat() if one.by else ""
        counts = (one.on_hand, one.committed, one.needed, one.to_buy)
        writer.writerow([safe_cell(one.sku), safe_cell(one.name), *counts, by])
    response = Response(text.getvalue(), mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename=f"purchases-{ahead}.csv")
    return response


def _found() -> tuple[int, Forecast]:
    """Return how many cycles are asked for, and their forecast."""
    rt = runtime()
    asked = request.args.get("cycles", "")
    ahead = next((each for each in query.AHEAD if str(each) == asked), DEFAULT_AHEAD)
    return ahead, query.forecast(rt.session, rt.today(), ahead)


def _cycles_word(count: int) -> str:
    return ngettext("Next cycle", "Next %(num)s cycles", count)


def leaving_words(daily: float) -> str:
    """Return the share of subscribers who leave in 30 days, in percent with one decimal."""
    share = Decimal((1 - (1 - daily) ** 30) * 100).quantize(Decimal("0.1"))
    return percent(share, writing_locale())


def _chart(found: Forecast) -> Markup:
    """Draw the boxes of each cycle: those paid for, and on top those still to be charged."""
    locale = writing_locale()

    def points(values: list[int]) -> list[Point]:
        return [
            Point(
                short_day(one.ship_from, locale, shop_today()),
                value,
                url_for("admin.cycle", cycle=one.public_id),
            )
            for one, value in zip(found.cycles, values, strict=True)
        ]

    paid = points([one.paid for one in found.cycles])
    coming = points([max(one.expected - one.paid, 0) for one in found.cycles])
    return bar_chart(
        [Series(_("Paid"), paid), Series(_("To come"), coming, forecast=True)],
        unit=lambda count: number(int(count), locale),
    )
