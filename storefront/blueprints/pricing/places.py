"""Where boxes go, as the pages with prices say it."""

from __future__ import annotations

from functools import partial
from typing import Any

from storefront.blueprints.catalogue import delivery_of
from storefront.domain.money import Money
from storefront.domain.regions import region_name
from storefront.domain.shipping import Delivery, Told, is_blocked, told, told_of_plan
from storefront.operations.checkout import Market
from storefront.queries.plan_offers import Offer
from storefront.runtime import Runtime
from storefront.templating import writing_locale


def delivery_values(rt: Runtime, market: Market) -> dict[str, Any]:
    """Return where is delivered to and for how much; the country of the prices comes first."""
    zones = delivery_of(rt).zones
    names = _country_names(market.countries)
    costs: dict[Told | None, list[str]] = {}
    for country, name in zip(market.countries, names, strict=True):
        if not is_blocked(zones, country):
            costs.setdefault(told(zones, country, market.currency), []).append(name)
    return {
        "delivery": told(zones, market.countries[0], market.currency),
        "delivery_of": partial(delivery_of_offer, delivery_of(rt), market.countries[0]),
        "deliveries": costs,
        "countries": names,
        "places": list(zip(market.countries, names, strict=True)),
    }


def delivery_of_offer(delivery: Delivery, country: str, plan: str, offer: Offer) -> Told | None:
    """Return what a box of a plan costs to ``country`` at an offer's price."""
    goods = Money(offer.total.minor // max(offer.boxes, 1), offer.total.currency)
    return told_of_plan(delivery, country, plan, goods)


def place_name(country: str, region: str) -> str:
    """Return what a country, or a region of it, is called: California (United States)."""
    (name,) = _country_names((country,))
    return f"{region_name(country, region)} ({name})" if region else name


def _country_names(codes: tuple[str, ...]) -> list[str]:
    names = writing_locale().territories
    return [str(names.get(code, code)) for code in codes]
