"""What sending a box costs, and where none is sent: by zone, weight and the goods inside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from storefront.domain.money import Money
from storefront.domain.recurring import PeriodTerms, amount_of


@dataclass(frozen=True, slots=True)
class Band:
    """What a box of ``from_grams`` and more costs, until the next band begins."""

    from_grams: int
    amount: Money


@dataclass(frozen=True, slots=True)
class Tariff:
    """The prices of a zone in one currency: ``bands`` rise by weight, the first begins at 0.

    From ``free_from`` of goods per box on it costs nothing; None: it always costs. A band ends
    where the next begins and the last one never ends, so every weight has exactly one price.
    """

    bands: tuple[Band, ...]
    free_from: Money | None = None

    @property
    def currency(self) -> str:
        return self.bands[0].amount.currency

    def cost(self, grams: int, goods: Money) -> Money:
        """Return what a box of ``grams`` with ``goods`` in it costs to send."""
        if self.free_from is not None and goods.minor >= self.free_from.minor:
            return Money(0, self.currency)
        return next(band.amount for band in reversed(self.bands) if band.from_grams <= grams)


@dataclass(frozen=True, slots=True)
class Area:
    """A country (empty: every other), or the postcodes in it that begin with ``prefix``."""

    country: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Zone:
    """Places with the same prices, or with ``is_blocked`` places nothing is sent to."""

    areas: tuple[Area, ...]
    tariffs: tuple[Tariff, ...] = ()
    is_blocked: bool = False
    ref: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Everything that decides what a box costs to send; without zones it is inside the price.

    ``boxes`` has grams of one box by plan code and option key (empty: every box).
    """

    zones: tuple[Zone, ...] = ()
    boxes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def grams(self, plan: str, options: Iterable[str] = ()) -> int:
        """Return what one box of a plan counts as; the first of ``options`` with a weight wins.

        >>> Delivery(boxes={"tea": {"": 900, "size=big": 1800}}).grams("tea", ["size=big"])
        1800
        """
        known = self.boxes.get(plan, {})
        return next((known[key] for key in (*options, "") if key in known), 0)


#: Prices hold delivery, and every country of the shop is sent to.
INCLUDED = Delivery()


def postcode_key(typed: str) -> str:
    """Return a postcode as it is compared: letters and digits, in upper case.

    >>> postcode_key("bt1 1aa"), postcode_key("D-25 845")
    ('BT11AA', 'D25845')
    """
    return re.sub(r"[\W_]", "", typed).upper()


def zones_at(zones: Sequence[Zone], country: str, postcode: str = "") -> list[Zone]:
    """Return the zones of a place, the nearest first.

    The longest beginning of the postcode is nearest, then the country, then every other one.
    A place belongs to one zone only, so there is no tie.
    """
    code = postcode_key(postcode)
    found = [
        (len(area.country), len(area.prefix), number)
        for number, zone in enumerate(zones)
        for area in zone.areas
        if area.country in ("", country) and code.startswith(area.prefix)
    ]
    ranked = sorted(found, key=lambda each: (-each[0], -each[1], each[2]))
    return [zones[number] for *_, number in ranked]


def is_blocked(zones: Sequence[Zone], country: str, postcode: str = "") -> bool:
    """Return whether nothing is sent to a place, though perhaps to others in its country."""
    return any(zone.is_blocked for zone in zones_at(zones, country, postcode)[:1])


def blocked_part(zones: Sequence[Zone], country: str, postcode: str) -> str:
    """Return which part of an address nothing is sent to, country or postcode; else empty."""
    if not is_blocked(zones, country, postcode):
        return ""
    return "country" if is_blocked(zones, country) else "postcode"


def tariff_at(
    zones: Sequence[Zone], country: str, postcode: str, currency: str
) -> tuple[Zone, Tariff] | None:
    """Return the nearest zone of a place with prices in ``currency``, and these; else None."""
    for zone in zones_at(zones, country, postcode):
        for tariff in zone.tariffs:
            if tariff.currency == currency:
                return zone, tariff
    return None


def shipping_cost(
    zones: Sequence[Zone], country: str, postcode: str, grams: int, goods: Money
) -> Money | None:
    """Return what sending one box costs, or None where no price is set: it is in the box's.

    Source: docs/decisions/0081-shipping-per-box.md, 0147-shipping-zones.md.

    >>> zone = Zone((Area(""),), (flat(Money(490, "EUR"), Money(4000, "EUR")),))
    >>> shipping_cost([zone], "DE", "07743", 900, Money(3999, "EUR"))
    Money(minor=490, currency='EUR')
    >>> shipping_cost([zone], "DE", "07743", 900, Money(4000, "EUR"))
    Money(minor=0, currency='EUR')
    """
    found = tariff_at(zones, country, postcode, goods.currency)
    return None if found is None else found[1].cost(grams, goods)


def flat(amount: Money, free_from: Money | None = None) -> Tariff:
    """Return the tariff of a zone where every box costs the same."""
    return Tariff((Band(0, amount),), free_from)


def with_shipping(
    terms: PeriodTerms,
    delivery: Delivery,
    country: str,
    postcode: str = "",
    options: Sequence[str] = (),
) -> PeriodTerms:
    """Return ``terms`` with what each of their boxes costs to send.

    The goods of one box are plan, options and add-ons of the period before discounts, divided
    by its boxes and rounded down. Its weight is the one the plan has for ``options``, times
    the quantity, and its share of the add-ons, rounded down too: known before anybody knows
    what lies inside, and no heavier contents change it. A plan that ships nothing costs
    nothing to send.
    """
    if not delivery.zones or not terms.boxes:
        return terms
    goods = amount_of(terms).minor * terms.quantity
    goods += sum(one.minor for *_, one in terms.surcharges) * terms.quantity * terms.boxes
    goods += sum(item.unit.minor * item.quantity for item in terms.beside)
    beside = sum(item.grams * item.quantity for item in terms.beside)
    grams = delivery.grams(terms.plan_ref, options) * terms.quantity + beside // terms.boxes
    each = Money(goods // terms.boxes, terms.amount.currency)
    cost = shipping_cost(delivery.zones, country, postcode, grams, each)
    return replace(terms, shipping=cost)


@dataclass(frozen=True, slots=True)
class Told:
    """What a page says of delivery before it knows an address; ``has_more``: by weight."""

    amount: Money
    free_from: Money | None
    has_more: bool


def told(zones: Sequence[Zone], country: str, currency: str) -> Told | None:
    """Return what a box to most of ``country`` costs at least, or None where it is included."""
    found = tariff_at(zones, country, "", currency)
    if found is None:
        return None
    return _told([band.amount for band in found[1].bands], found[1].free_from)


def told_of_plan(delivery: Delivery, country: str, plan: str, goods: Money) -> Told | None:
    """Return what one box of a plan costs to most of ``country``, as ``told``.

    ``goods``: what is in one box at the plan's own price. By weight only where options of the
    plan weigh differently.

    >>> bands = (Band(0, Money(190, "EUR")), Band(1000, Money(490, "EUR")))
    >>> tea = Delivery((Zone((Area(""),), (Tariff(bands),)),), {"tea": {"": 1200}})
    >>> told_of_plan(tea, "DE", "tea", Money(1900, "EUR"))
    Told(amount=Money(minor=490, currency='EUR'), free_from=None, has_more=False)
    """
    found = tariff_at(delivery.zones, country, "", goods.currency)
    if found is None:
        return None
    weights = {delivery.grams(plan), *delivery.boxes.get(plan, {}).values()}
    return _told([found[1].cost(grams, goods) for grams in weights], found[1].free_from)


def _told(amounts: Sequence[Money], free_from: Money | None) -> Told | None:
    if all(amount.is_zero for amount in amounts):
        return None
    least = min(amounts, key=lambda amount: amount.minor)
    return Told(least, free_from, len(set(amounts)) > 1)
