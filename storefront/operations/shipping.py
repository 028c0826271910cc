"""Read what sending a box costs, where, and what boxes count as."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any

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

    Places and prices come from one statement, so that nobody is shown the places of one saving
    with the prices of another. One statement, two where prices go by weight.
    """
    found = _zones(session)
    if not found:
        return INCLUDED
    zones = tuple(found)
    by_weight = any(len(tariff.bands) > 1 for zone in zones for tariff in zone.tariffs)
    return Delivery(zones, _weights(session) if by_weight else {})


def read_zones(session: AnySession) -> tuple[Zone, ...]:
    """Return the zones alone, in the order they were made."""
    return read_delivery(session).zones


def _zones(session: AnySession) -> list[Zone]:
    """Return each zone; a tariff without a price from 0 grams on has never been written."""
    areas: dict[tuple[int, str, str, bool], list[Area]] = defaultdict(list)
    bands: dict[int, dict[tuple[str, int | None], list[Band]]] = defaultdict(dict)
    for row in session.execute(_all_zones()):
        if row.currency is not None:
            band = Band(row.from_grams, Money(row.amount_minor, row.currency))
            own = (row.currency, row.free_from_minor)
            bands[row.id].setdefault(own, []).append(band)
            continue
        places = areas[row.id, row.public_id, row.name, row.is_blocked]
        if row.country is not None:
            places.append(Area(row.country, row.prefix))
    return [
        Zone(tuple(places), _tariffs(bands.get(key, {})), is_blocked, ref, name)
        for (key, ref, name, is_blocked), places in areas.items()
    ]


def _tariffs(bands: dict[tuple[str, int | None], list[Band]]) -> tuple[Tariff, ...]:
    return tuple(
        Tariff(tuple(each), None if free is None else Money(free, currency))
        for (currency, free), each in bands.items()
    )


@cache
def _all_zones() -> AnySelect:
    """Places, and then prices: rows of one have NULL where the other has its own."""
    zone, area = table_of(ShippingZone), table_of(ShippingArea)
    tariff, band = table_of(ShippingTariff), table_of(ShippingBand)

    def none(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[Any]:
        return sa.cast(sa.null(), column.type).label(name)

    own = (zone.c.id, zone.c.public_id, zone.c.name, zone.c.is_blocked)
    places = sa.select(
        *own,
        area.c.country,
        area.c.prefix,
        none(tariff.c.currency, "currency"),
        none(tariff.c.free_from_minor, "free_from_minor"),
        none(band.c.from_grams, "from_grams"),
        none(band.c.amount_minor, "amount_minor"),
    ).outerjoin(area, area.c.zone_id == zone.c.id)
    prices = (
        sa.select(
            *own,
            none(area.c.country, "country"),
            none(area.c.prefix, "prefix"),
            tariff.c.currency,
            tariff.c.free_from_minor,
            band.c.from_grams,
            band.c.amount_minor,
        )
        .join(tariff, tariff.c.zone_id == zone.c.id)
        .join(band, band.c.tariff_id == tariff.c.id)
    )
    both = sa.union_all(places, prices).subquery()
    order = (both.c.id, both.c.country, both.c.prefix, both.c.currency, both.c.from_grams)
    return sa.select(both).order_by(*order)


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
