"""Zones, bands of weight, and what a box counts as."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.recurring import PeriodTerms, SoldBeside, price_period
from storefront.domain.shipping import (
    Area,
    Band,
    Delivery,
    Tariff,
    Zone,
    blocked_part,
    flat,
    is_blocked,
    shipping_cost,
    told,
    with_shipping,
    zones_at,
)


def euros(minor: int) -> Money:
    return Money(minor, "EUR")


def banded(*bands: tuple[int, int], free: int | None = None) -> Tariff:
    prices = tuple(Band(grams, euros(minor)) for grams, minor in bands)
    return Tariff(prices, None if free is None else euros(free))


HOME = Zone((Area("DE"), Area("AT")), (banded((0, 390), (1000, 590), (5000, 990)),))
ISLANDS = Zone((Area("DE", "18565"), Area("DE", "2584")), (flat(euros(1290)),))
NOT_SENT = Zone((Area("DE", "27498"), Area("CH")), is_blocked=True)
REST = Zone((Area(""),), (flat(euros(1490), euros(10_000)),))
ZONES = (REST, HOME, NOT_SENT, ISLANDS)


@pytest.mark.parametrize(
    ("country", "postcode", "grams", "cost"),
    [
        ("DE", "07743", 0, 390),
        ("DE", "07743", 999, 390),
        ("DE", "07743", 1000, 590),
        ("AT", "8010", 1200, 590),
        ("AT", "8010", 4999, 590),
        ("AT", "8010", 90_000, 990),
        ("DE", "18565", 1200, 1290),
        ("DE", "25 845", 1200, 1290),
        ("DE", "D-25845", 1200, 590),
        ("DE", "", 1200, 590),
        ("FR", "25845", 1200, 1490),
    ],
)
def test_a_box_costs_what_its_nearest_zone_asks_for_its_weight(
    country: str, postcode: str, grams: int, cost: int
) -> None:
    assert shipping_cost(ZONES, country, postcode, grams, euros(2600)) == euros(cost)


@pytest.mark.parametrize(
    ("country", "postcode", "part"),
    [
        ("DE", "27498", "postcode"),
        ("DE", "27499", ""),
        ("CH", "8001", "country"),
        ("FR", "27498", ""),
    ],
)
def test_what_is_to_blame_for_a_blocked_address_is_named(
    country: str, postcode: str, part: str
) -> None:
    assert blocked_part(ZONES, country, postcode) == part
    assert is_blocked(ZONES, country, postcode) is bool(part)


def test_an_allowed_town_of_a_blocked_country_is_sent_to() -> None:
    zones = (Zone((Area("CH"),), is_blocked=True), Zone((Area("CH", "4"),), (flat(euros(900)),)))
    assert not is_blocked(zones, "CH", "4051")
    assert is_blocked(zones, "CH", "8001")


areas = st.builds(
    Area, st.sampled_from(["DE", "AT", "FR"]), st.sampled_from(["", "1", "18", "185", "6"])
) | st.just(Area(""))


@st.composite
def zones_strategy(draw: st.DrawFn) -> tuple[Zone, ...]:
    """Zones as the database keeps them: no place is in two of them."""
    places = draw(st.lists(areas, unique=True, max_size=10))
    found = []
    while places:
        size = draw(st.integers(1, len(places)))
        mine, places = places[:size], places[size:]
        begins = sorted(draw(st.sets(st.integers(1, 20_000), max_size=4)) | {0})
        prices = draw(st.lists(st.integers(0, 5000), min_size=len(begins), max_size=len(begins)))
        free = draw(st.none() | st.integers(0, 9000))
        blocked = draw(st.booleans())
        tariffs = () if blocked else (banded(*zip(begins, prices, strict=True), free=free),)
        found.append(Zone(tuple(mine), tariffs, blocked))
    return tuple(found)


@given(
    zones_strategy(),
    st.randoms(),
    st.sampled_from(["DE", "AT", "FR", "US"]),
    st.text(alphabet="0123456789 ", max_size=6),
    st.integers(0, 30_000),
)
def test_every_place_and_weight_has_one_price_in_whatever_order_zones_come(
    zones: tuple[Zone, ...], random: object, country: str, postcode: str, grams: int
) -> None:
    found = shipping_cost(zones, country, postcode, grams, euros(2600))
    known = {area.country for zone in zones for area in zone.areas if not zone.is_blocked}
    if found is None:
        # Only a place without a zone of its own, its country's or every other's has no price.
        whole = {Area(country), Area("")}
        assert not any(whole & set(z.areas) for z in zones if not z.is_blocked)
    else:
        assert known
    mixed = list(zones)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert shipping_cost(mixed, country, postcode, grams, euros(2600)) == found
    assert blocked_part(mixed, country, postcode) == blocked_part(zones, country, postcode)


@given(zones_strategy(), st.sampled_from(["DE", "AT"]), st.text(alphabet="0168", max_size=5))
def test_the_nearest_zone_comes_first(zones: tuple[Zone, ...], country: str, postcode: str) -> None:
    found = zones_at(zones, country, postcode)

    def nearness(zone: Zone) -> int:
        inside = [
            1 + len(area.prefix)
            for area in zone.areas
            if area.country == country and postcode.startswith(area.prefix)
        ]
        return max(inside, default=0)

    first = nearness(found[0]) if found else 0
    assert all(nearness(zone) <= first for zone in zones)


TEA = PeriodTerms("Tea", "tea", euros(2600), Interval("month"), 1, 1, Decimal(7), inclusive=True)
DELIVERY = Delivery((HOME,), {"tea": {"": 600, "size=big": 1400}})


@pytest.mark.parametrize(
    ("quantity", "options", "pieces", "cost"),
    [
        (1, (), 0, 390),
        (2, (), 0, 590),
        (1, ("size=big",), 0, 590),
        (4, ("size=big",), 0, 990),
        (1, ("size=small",), 0, 390),
        (1, (), 1, 390),
        (1, (), 2, 590),
    ],
)
def test_a_box_weighs_its_plan_times_the_quantity_and_its_add_ons(
    quantity: int, options: tuple[str, ...], pieces: int, cost: int
) -> None:
    beside = (SoldBeside("Tin", "tin", euros(900), pieces, Decimal(19), True, 200),)
    terms = replace(TEA, quantity=quantity, beside=beside if pieces else ())
    assert with_shipping(terms, DELIVERY, "DE", "07743", options).shipping == euros(cost)


def test_what_has_no_weight_counts_as_the_lightest() -> None:
    assert with_shipping(TEA, Delivery((HOME,)), "DE", "07743").shipping == euros(390)


@given(zones_strategy(), st.integers(0, 20_000), st.integers(1, 3), st.integers(1, 12))
def test_lines_of_delivery_add_up_to_the_cent(
    zones: tuple[Zone, ...], grams: int, quantity: int, boxes: int
) -> None:
    delivery = Delivery(zones, {"tea": {"": grams}})
    terms = with_shipping(replace(TEA, boxes=boxes, quantity=quantity), delivery, "DE", "18565")
    priced = price_period(terms).quote
    plain = price_period(replace(TEA, boxes=boxes, quantity=quantity)).quote
    each = terms.shipping.minor if terms.shipping else 0
    assert priced.total.minor == plain.total.minor + each * boxes
    assert sum(line.amount.minor for line in priced.lines) == priced.total.minor


def test_a_page_names_the_least_price_before_an_address_is_known() -> None:
    light = told(ZONES, "AT", "EUR")
    assert light is not None
    assert (light.amount, light.free_from, light.has_more) == (euros(390), None, True)
    rest = told(ZONES, "FR", "EUR")
    assert rest is not None
    assert (rest.amount, rest.free_from, rest.has_more) == (euros(1490), euros(10_000), False)
    assert told(ZONES, "FR", "CHF") is None
