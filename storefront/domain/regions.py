"""Regions of countries that are taxed by region, by code and by the names people type."""

from __future__ import annotations

import re

_US = """
    AL Alabama, AK Alaska, AZ Arizona, AR Arkansas, CA California, CO Colorado, CT Connecticut,
    DE Delaware, DC District of Columbia, FL Florida, GA Georgia, HI Hawaii, ID Idaho,
    IL Illinois, IN Indiana, IA Iowa, KS Kansas, KY Kentucky, LA Louisiana, ME Maine,
    MD Maryland, MA Massachusetts, MI Michigan, MN Minnesota, MS Mississippi, MO Missouri,
    MT Montana, NE Nebraska, NV Nevada, NH New Hampshire, NJ New Jersey, NM New Mexico,
    NY New York, NC North Carolina, ND North Dakota, OH Ohio, OK Oklahoma, OR Oregon,
    PA Pennsylvania, RI Rhode Island, SC South Carolina, SD South Dakota, TN Tennessee,
    TX Texas, UT Utah, VT Vermont, VA Virginia, WA Washington, WV West Virginia,
    WI Wisconsin, WY Wyoming
"""


def _named(text: str) -> dict[str, str]:
    pairs = (" ".join(entry.split()).partition(" ") for entry in text.split(","))
    return {name.upper(): code for code, _space, name in pairs}


#: Country -> name in upper case -> code.
_NAMES: dict[str, dict[str, str]] = {"US": _named(_US)}
#: Country -> the codes an address there may name.
CODES: dict[str, frozenset[str]] = {
    country: frozenset(names.values()) for country, names in _NAMES.items()
}


def region_name(country: str, code: str) -> str:
    """Return what a region is called, its code where it has no name here.

    >>> region_name("US", "NY"), region_name("DE", "TH")
    ('New York', 'TH')
    """
    names = {known: name for name, known in _NAMES.get(country, {}).items()}
    return names.get(code, code).title() if code in names else code


def region_code(country: str, typed: str) -> str:
    """Return the code of a region by code or name, else what was typed, in upper case.

    >>> region_code("US", "california"), region_code("US", " n.y. "), region_code("DE", "Bayern")
    ('CA', 'NY', 'BAYERN')
    """
    text = " ".join(re.sub(r"[^\w ]", "", typed).split()).upper()
    return _NAMES.get(country, {}).get(text, text)
