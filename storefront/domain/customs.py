"""Which parcels cross a customs or tax border, and what is declared of their contents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storefront.domain.rates import EU
from storefront.domain.shipping import postcode_key

#: Countries inside another's customs territory. Source: Regulation (EU) No 952/2013, article
#: 4(2)(a) (Monaco); customs union of Switzerland and Liechtenstein of 29 March 1923; Isle of Man
#: Customs and Excise Agreement of 1979.
_WITH = {"MC": "EU", "LI": "CH", "IM": "GB"}
#: (country, beginning of the postcode) that parcels to and from leave the country's area for.
#: Source: outside the customs territory, Regulation (EU) No 952/2013, article 4(1): Heligoland,
#: Büsingen, Livigno, Ceuta, Melilla, French overseas territories; outside the tax area alone,
#: Directive 2006/112/EC, article 6(1): Mount Athos, Canary Islands, French overseas departments,
#: Åland, Campione d'Italia. United Kingdom: Jersey and Guernsey by postcode.
_APART = {
    "DE": ("27498", "78266"),
    "IT": ("23041", "22061"),
    "ES": ("35", "38", "51", "52"),
    "FR": ("97", "986", "987", "988"),
    "GR": ("63086", "63087"),
    "FI": ("22",),
    "GB": ("JE", "GY"),
}
#: Both inside the area of the United Kingdom and, for goods, that of the EU.
#: Source: Windsor Framework (protocol on Northern Ireland), articles 4 and 5.
_NORTHERN_IRELAND = ("GB", "BT")


@dataclass(frozen=True, slots=True)
class CustomsData:
    """What is declared of one piece; ``value_minor`` in ``currency``, None when unknown."""

    hs_code: str
    origin: str
    text: str
    value_minor: int | None
    currency: str

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of what is not known: hs_code, origin, text, value."""
        known = {
            "hs_code": self.hs_code,
            "origin": self.origin,
            "text": self.text,
            "value": self.value_minor,
        }
        return tuple(name for name, value in known.items() if not value)


def areas_of(country: str, postcode: str = "") -> frozenset[str]:
    """Return the areas a place belongs to: goods move freely between places that share one.

    >>> sorted(areas_of("AT", "8010")), sorted(areas_of("GB", "BT1 1AA"))
    (['EU'], ['EU', 'GB'])
    >>> sorted(areas_of("DE", "27498"))
    ['DE 27498']
    """
    code = postcode_key(postcode)
    apart = next((one for one in _APART.get(country, ()) if code.startswith(one)), "")
    if apart:
        return frozenset({f"{country} {apart}"})
    if country == _NORTHERN_IRELAND[0] and code.startswith(_NORTHERN_IRELAND[1]):
        return frozenset({"GB", "EU"})
    return frozenset({_WITH.get(country, "EU" if country in EU else country)})


def is_declared(seller_country: str, country: str, postcode: str = "") -> bool:
    """Return whether a parcel from the seller's country to a place needs a customs declaration.

    >>> is_declared("DE", "AT", "8010"), is_declared("DE", "CH", "8001")
    (False, True)
    """
    return areas_of(seller_country).isdisjoint(areas_of(country, postcode))


def customs_line(sku: str, pieces: int, grams: int, data: CustomsData) -> dict[str, Any]:
    """Return what is frozen of one product in a box; value and weight are of one piece."""
    return {
        "sku": sku,
        "pieces": pieces,
        "grams": grams,
        "hs_code": data.hs_code,
        "origin": data.origin,
        "text": data.text,
        "value_minor": data.value_minor,
        "currency": data.currency,
    }


def grams_by_sku(packing: Mapping[str, Any]) -> dict[str, int]:
    """Return the grams of one piece of each product in a packed box.

    In a box locked before they were kept, of those only that are declared.

    >>> grams_by_sku({"contents": [["TEA-1", 2]], "grams": [100]})
    {'TEA-1': 100}
    """
    # The first line of a product goes before another of it, as in files that were made before.
    lines = reversed(packing.get("customs", ()))
    declared = {str(line["sku"]): int(line["grams"]) for line in lines}
    skus = [str(sku) for sku, _pieces in packing.get("contents", ())]
    return declared | dict(zip(skus, packing.get("grams", ()), strict=False))


def missing_in(lines: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return what is not known of the products of a box, by SKU; empty when all is."""
    found = {}
    for line in lines:
        parts = (line["hs_code"], line["origin"], line["text"])
        missing = CustomsData(*parts, line["value_minor"], line["currency"]).missing
        if missing:
            found[line["sku"]] = missing
    return found


def hs_code_of(typed: str) -> str:
    """Return a tariff number without dots and blanks. Raises ``ValueError``.

    Six digits are the same in every country, eight or ten add the seller's own.

    >>> hs_code_of("0902.10 00")
    '09021000'
    """
    code = re.sub(r"[.\s]", "", typed)
    if not re.fullmatch(r"\d{6}(\d{2}){0,2}", code, re.ASCII):
        raise ValueError(typed)
    return code
