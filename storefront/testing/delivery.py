"""Builders of zones of delivery. Re-exported by ``storefront.testing.factories``."""

from __future__ import annotations

from collections.abc import Mapping

from storefront.models import ShippingArea, ShippingBand, ShippingTariff, ShippingZone
from storefront.models.base import public_id
from storefront.operations.catalogue import raise_version
from storefront.runtime import Runtime
from storefront.testing.catalogue import save


def make_zone(
    rt: Runtime,
    places: str = "*",
    prices: Mapping[int, int] | int | None = 490,
    *,
    free_from_minor: int | None = None,
    currency: str = "EUR",
    name: str = "",
) -> ShippingZone:
    """Return a zone of ``places`` such as "DE, AT 6, *"; ``*`` is every other country.

    ``prices`` are minor units by the grams they begin at, or one for every weight; None
    blocks the zone. The version of the catalogue is raised, as by whoever saves one.
    """
    zone = ShippingZone(
        public_id=public_id("zon"), name=name, is_blocked=prices is None, created_at=rt.now()
    )
    save(rt, zone)
    for place in places.split(","):
        country, _space, prefix = place.strip().partition(" ")
        where = "" if country == "*" else country
        save(rt, ShippingArea(zone_id=zone.id, country=where, prefix=prefix))
    if prices is not None:
        tariff = ShippingTariff(zone_id=zone.id, currency=currency, free_from_minor=free_from_minor)
        save(rt, tariff)
        bands = {0: prices} if isinstance(prices, int) else prices
        save(
            rt,
            *(
                ShippingBand(tariff_id=tariff.id, from_grams=grams, amount_minor=minor)
                for grams, minor in bands.items()
            ),
        )
    raise_version(rt.session)
    rt.session.commit()
    rt.forget_shop()
    return zone
