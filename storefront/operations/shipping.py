"""Read what sending a box costs, where, and what boxes count as."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import sqlalchemy as sa

from storefront.domain.money import Money
from storefront.domain.shipping import INCLUDED, Area, Band, Delivery, Tariff, Zone
from storefront.models import (
    BoxWeight,
    Plan,
    ShippingArea,
    ShippingBand,
    ShippingTariff,
    ShippingZone,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnySelect, AnySession


def read_delivery(session: AnySession) -> Delivery:
    """Return the zones with their prices, and the weights of boxes where a price asks for them.

    One statement in a shop whose prices hold delivery, two with zones, three with weights.
    """
    places = _places(session)
    if not places:
        return INCLUDED
    tariffs = _tariffs(session)
    zones = tuple(
        Zone(tuple(areas), tuple(tariffs.get(key, ())), is_blocked, ref, name)
        for (key, ref, name, is_blocked), areas in places.items()
    )
    by_weight = any(len(tariff.bands) > 1 for zone in zones for tariff in zone.tariffs)
    return Delivery(zones, _weights(session) if by_weight else {})


def read_zones(session: AnySession) -> tuple[Zone, ...]:
    """Return the zones alone, in the order they were made."""
    return read_delivery(session).zones


def _places(session: AnySession) -> dict[tuple[int, str, str, bool], list[Area]]:
    found: dict[tuple[int, str, str, bool], list[Area]] = defaultdict(list)
    for row in session.execute(_all_places()):
        areas = found[row.id, row.public_id, row.name, row.is_blocked]
        if row.country is not None:
            areas.append(Area(row.country, row.prefix))
    return found


@cache
def _all_places() -> AnySelect:
    zone, area = table_of(ShippingZone), table_of(ShippingArea)
    return (
        sa.select(
            zone.c.id, zone.c.public_id, zone.c.name, zone.c.is_blocked, area.c.country,
            area.c.prefix,
        )
        .outerjoin(area, area.c.zone_id == zone.c.id)
        .order_by(zone.c.id, area.c.country, area.c.prefix)
    )  # fmt: skip


def _tariffs(session: AnySession) -> dict[int, list[Tariff]]:
    """Return the tariffs by zone; one without a price from 0 grams on has never been written."""
    bands: dict[tuple[int, int, str, int | None], list[Band]] = defaultdict(list)
    for row in session.execute(_all_tariffs()):
        key = (row.zone_id, row.id, row.currency, row.free_from_minor)
        bands[key].append(Band(row.from_grams, Money(row.amount_minor, row.currency)))
    found: dict[int, list[Tariff]] = defaultdict(list)
    for (zone_id, _key, currency, free), each in bands.items():
        found[zone_id].append(Tariff(tuple(each), None if free is None else Money(free, currency)))
    return found


@cache
def _all_tariffs() -> AnySelect:
    tariff, band = table_of(ShippingTariff), table_of(ShippingBand)
    return (
        sa.select(
            tariff.c.id, tariff.c.zone_id, tariff.c.currency, tariff.c.free_from_minor,
            band.c.from_grams, band.c.amount_minor,
        )
        .join(band, band.c.tariff_id == tariff.c.id)
        .order_by(tariff.c.zone_id, tariff.c.currency, band.c.from_grams)
    )  # fmt: skip


@cache
def _all_weights() -> AnySelect:
    table, plan = table_of(BoxWeight), table_of(Plan)
    return (
        sa.select(plan.c.code, table.c.option_key, table.c.grams)
        .join(plan, plan.c.id == table.c.plan_id)
        .order_by(plan.c.code, table.c.option_key)
    )


def _weights(session: AnySession) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in session.execute(_all_weights()):
        found[row.code][row.option_key] = row.grams
    return dict(found)
