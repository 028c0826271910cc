"""The lines of an address as the post of its country writes them.

Sources: Universal Postal Union, "Addressing solutions: postal addressing systems in member
countries" (the example of each country's sheet); for the comma before a state of the United
States its post's Publication 28. Decision 0236.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

#: Lines below the street, with the names of parts in braces. Any other country writes the
#: postcode before the town, and the region, where there is one, on a line of its own.
_PLACES: dict[str, tuple[str, ...]] = {
    "AU": ("{city} {region} {postcode}",),
    "BR": ("{city} - {region}", "{postcode}"),
    "CA": ("{city} {region} {postcode}",),
    "CN": ("{city}", "{region}, {postcode}"),
    "GB": ("{city}", "{region}", "{postcode}"),
    "IE": ("{city}", "{region}", "{postcode}"),
    "IN": ("{city} {postcode}", "{region}"),
    "IT": ("{postcode} {city} {region}",),
    "JP": ("{city}, {region}", "{postcode}"),
    "KR": ("{city}", "{region} {postcode}"),
    "LV": ("{city}, {postcode}", "{region}"),
    "MT": ("{city} {postcode}", "{region}"),
    "MX": ("{postcode} {city}, {region}",),
    "NZ": ("{city} {postcode}", "{region}"),
    "SG": ("{city} {postcode}", "{region}"),
    "TW": ("{city}, {region} {postcode}",),
    "US": ("{city}, {region} {postcode}",),
    "ZA": ("{city}", "{region}", "{postcode}"),
}
_PLACES.update(dict.fromkeys(("GG", "IM", "JE"), _PLACES["GB"]))
_PLACES["PR"] = _PLACES["US"]
_USUAL = ("{postcode} {city}", "{region}")

#: Where an address in the country's own script goes from the large to the small, the name last.
_LARGE_FIRST = frozenset({"CN", "JP", "TW"})
_PARTS = ("name", "company", "extra", "street", "postcode", "city", "region", "country")


def address_lines(address: Mapping[str, Any]) -> list[str]:
    """Return the lines of an address without its country, as its country's post writes them.

    >>> address_lines({"name": "Ada", "street": "Am Markt 1", "postcode": "50667",
    ...     "city": "Köln", "country": "DE"})
    ['Ada', 'Am Markt 1', '50667 Köln']
    """
    parts = _parts_of(address)
    if _is_large_first(parts):
        return _filled(*_large_first(parts), parts["company"], parts["name"])
    return _filled(parts["name"], parts["company"], *_place_lines(parts))


def place_lines(address: Mapping[str, Any]) -> list[str]:
    """Return the lines that say where, without who gets it.

    >>> place_lines({"name": "Ada", "street": "1 Main St", "postcode": "62704",
    ...     "city": "Springfield", "region": "IL", "country": "US"})
    ['1 Main St', 'Springfield, IL 62704']
    """
    parts = _parts_of(address)
    large_first = _is_large_first(parts)
    return _filled(*(_large_first(parts) if large_first else _place_lines(parts)))


def _parts_of(address: Mapping[str, Any]) -> dict[str, str]:
    return {part: str(address.get(part) or "").strip() for part in _PARTS}


def _filled(*lines: str) -> list[str]:
    return [line for line in lines if line]


def _place_lines(parts: Mapping[str, str]) -> list[str]:
    patterns = _PLACES.get(parts["country"], _USUAL)
    return [parts["extra"], parts["street"], *(_written(one, parts) for one in patterns)]


def _written(pattern: str, parts: Mapping[str, str]) -> str:
    """Fill in the parts; what stands between two of them goes where one of them is missing.

    >>> _written("{city}, {region} {postcode}", {"city": "Rome", "region": "", "postcode": "1"})
    'Rome 1'
    """
    line = ""
    for piece in pattern.split("{")[1:]:
        name, _, between = piece.partition("}")
        # What stands before a part that is missing is not written; a space still parts the rest.
        if parts[name]:
            line = (line + parts[name]) if line else parts[name]
            line += between
        elif line and between:
            line = line.rstrip(" ,-") + between
    return line.rstrip(" ,-")


def _large_first(parts: Mapping[str, str]) -> list[str]:
    return [parts["postcode"], parts["region"] + parts["city"], parts["street"], parts["extra"]]


def _is_large_first(parts: Mapping[str, str]) -> bool:
    """True for an address in the script of a country that writes the large first."""
    where = parts["city"] + parts["street"]
    return parts["country"] in _LARGE_FIRST and any(_is_of_the_east(sign) for sign in where)


def _is_of_the_east(sign: str) -> bool:
    return sign > "\u2e00" and unicodedata.east_asian_width(sign) in "WF"
