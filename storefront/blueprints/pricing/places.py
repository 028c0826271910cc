"""Where boxes go, as the pages with prices say it."""

from __future__ import annotations

from typing import Any

from storefront.blueprints.catalogue import delivery_of
from storefront.domain.regions import region_name
from storefront.domain.shipping import Told, is_blocked, told
from storefront.operations.checkout import Market
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
        "deliveries": costs,
        "countries": names,
        "places": list(zip(market.countries, names, strict=True)),
    }


def place_name(country: str, region: str) -> str:
    """Return what a country, or a region of it, is called: California (United States)."""
    (name,) = _country_names((country,))
    return f"{region_name(country, region)} ({name})" if region else name


def _country_names(codes: tuple[str, ...]) -> list[str]:
    names = writing_locale().territories
    return [str(names.get(code, code)) for code in codes]
