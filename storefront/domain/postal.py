"""What an address needs beside street and town, so that a carrier takes the parcel."""

from __future__ import annotations

import re
from enum import StrEnum

#: Countries where a parcel's address names a state, province or prefecture.
#: Source: Universal Postal Union, "Addressing solutions: postal addressing systems in member
#: countries" (lines "province, state or prefecture" of each country's sheet).
WITH_REGION = frozenset({"AU", "BR", "CA", "CN", "IN", "JP", "MX", "US"})

#: Digits of a number that can be rung: ITU-T E.164 allows 15; fewer than 6 is no number.
_FEWEST_DIGITS, _MOST_DIGITS = 6, 15
_SIGNS = re.compile(r"\+?[0-9 ()./-]+")


class PhoneWish(StrEnum):
    """Whether whoever gets boxes is asked for a phone number, for the carrier alone."""

    NO = "no"
    MAY = "may"
    MUST = "must"


def missing_for_carrier(country: str, region: str, phone: str, wish: str) -> tuple[str, ...]:
    """Return which of ``region`` and ``phone`` a parcel's address lacks; ``wish`` is the shop's.

    >>> missing_for_carrier("US", "", "", PhoneWish.MUST)
    ('region', 'phone')
    >>> missing_for_carrier("DE", "", "", PhoneWish.MAY)
    ()
    """
    lacking = {
        "region": country in WITH_REGION and not region,
        "phone": wish == PhoneWish.MUST and not phone,
    }
    return tuple(part for part, lacks in lacking.items() if lacks)


def is_phone(text: str) -> bool:
    """True for a phone number as people write it, with or without the country's code.

    >>> is_phone("+49 (0)3641 12-34"), is_phone("030/1234567"), is_phone("ring twice")
    (True, True, False)
    """
    digits = sum(sign in "0123456789" for sign in text)
    return bool(_SIGNS.fullmatch(text)) and _FEWEST_DIGITS <= digits <= _MOST_DIGITS
