"""How a postal address is written in each country: which parts, in what order, by what names.

Sources: Universal Postal Union, "Addressing solutions: postal addressing systems in member
countries" (one sheet a country: order of lines, format of postcodes, countries without any); for
the regions see ``domain.regions``. Decision 0228.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from storefront.domain.regions import regions_of


@dataclass(frozen=True, slots=True)
class PostalLayout:
    """What an address form of one country looks like.

    ``order`` holds the parts that say where; ``words`` which name a part goes by, where it is not
    its usual one. ``pattern`` matches a whole postcode, empty where any is taken as it comes.
    """

    order: tuple[str, ...] = ("street", "postcode", "city", "region")
    pattern: str = ""
    #: A postcode as it looks there.
    example: str = ""
    needs_postcode: bool = True
    #: The name of who gets it stands below the place, not above it.
    name_last: bool = False
    words: Mapping[str, str] = field(default_factory=dict)
    #: (what the post writes, name) of each region that an address can name; empty: as typed.
    regions: tuple[tuple[str, str], ...] = ()

    @property
    def is_numeric(self) -> bool:
        """True where a postcode is typed with digits alone."""
        return self.example.isdigit()

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the parts line by line: a postcode stands beside the town that follows it.

        >>> list(layout_of("DE").rows())
        [('street',), ('postcode', 'city'), ('region',)]
        >>> list(layout_of("US").rows())
        [('street',), ('city',), ('region',), ('postcode',)]
        """
        rest = list(self.order)
        while rest:
            size = 2 if rest[:2] == ["postcode", "city"] else 1
            yield tuple(rest[:size])
            del rest[:size]


_TOWN_FIRST = ("street", "city", "postcode", "region")
_REGION_BETWEEN = ("street", "city", "region", "postcode")
_CITY = {"city": "city"}

#: Layouts that differ from the usual one; postcodes follow.
_LAYOUTS = {
    "AU": PostalLayout(_REGION_BETWEEN, words={"city": "suburb", "region": "state"}),
    "BR": PostalLayout(_REGION_BETWEEN, words=_CITY | {"region": "state"}),
    "CA": PostalLayout(_REGION_BETWEEN, words=_CITY | {"region": "province"}),
    "CN": PostalLayout(
        ("postcode", "region", "city", "street"),
        name_last=True,
        words=_CITY | {"region": "province"},
    ),
    "GB": PostalLayout(_TOWN_FIRST),
    "IE": PostalLayout(
        ("street", "city", "region", "postcode"),
        words={"postcode": "eircode", "region": "county"},
        needs_postcode=False,
    ),
    "IN": PostalLayout(
        ("street", "city", "postcode", "region"),
        words=_CITY | {"postcode": "pin", "region": "state"},
    ),
    "JP": PostalLayout(
        ("postcode", "region", "city", "street"),
        name_last=True,
        words=_CITY | {"region": "prefecture"},
    ),
    "KR": PostalLayout(
        ("postcode", "region", "city", "street"),
        name_last=True,
        words=_CITY | {"region": "province"},
    ),
    "MX": PostalLayout(words=_CITY | {"region": "state"}),
    "NL": PostalLayout(("postcode", "street", "city", "region")),
    "NZ": PostalLayout(_TOWN_FIRST),
    "SG": PostalLayout(_TOWN_FIRST),
    "TW": PostalLayout(("postcode", "city", "street", "region"), name_last=True, words=_CITY),
    "US": PostalLayout(_REGION_BETWEEN, words=_CITY | {"postcode": "zip", "region": "state"}),
    "ZA": PostalLayout(_TOWN_FIRST),
}

_FOUR, _FIVE, _SIX = r"\d{4}", r"\d{5}", r"\d{6}"
#: Country: (pattern of a postcode, what it looks like).
_POSTCODES = {
    "AT": (_FOUR, "1010"),
    "AU": (_FOUR, "2000"),
    "BE": (_FOUR, "1000"),
    "BG": (_FOUR, "1000"),
    "BR": (r"\d{5}-?\d{3}", "01310-100"),
    "CA": (r"[A-Za-z]\d[A-Za-z] ?\d[A-Za-z]\d", "K1A 0B1"),
    "CH": (_FOUR, "8001"),
    "CN": (_SIX, "100000"),
    "CY": (_FOUR, "1010"),
    "CZ": (r"\d{3} ?\d{2}", "110 00"),
    "DE": (_FIVE, "07743"),
    "DK": (_FOUR, "1050"),
    "EE": (_FIVE, "10111"),
    "ES": (_FIVE, "28001"),
    "FI": (_FIVE, "00100"),
    "FR": (_FIVE, "75001"),
    "GB": (r"[A-Za-z]{1,2}\d[A-Za-z\d]? ?\d[A-Za-z]{2}", "SW1A 1AA"),
    "GR": (r"\d{3} ?\d{2}", "105 57"),
    "HR": (_FIVE, "10000"),
    "HU": (_FOUR, "1051"),
    "IE": (r"[A-Za-z]\d[\dWw] ?[A-Za-z\d]{4}", "D02 AF30"),
    "IN": (r"\d{3} ?\d{3}", "110001"),
    "IS": (r"\d{3}", "101"),
    "IT": (_FIVE, "00184"),
    "JP": (r"\d{3}-?\d{4}", "100-0001"),
    "KR": (_FIVE, "04524"),
    "LI": (_FOUR, "9490"),
    "LT": (r"(LT-?)?\d{5}", "01100"),
    "LU": (r"(L-?)?\d{4}", "1009"),
    "LV": (r"(LV-?)?\d{4}", "LV-1050"),
    "MC": (_FIVE, "98000"),
    "MT": (r"[A-Za-z]{3} ?\d{4}", "VLT 1117"),
    "MX": (_FIVE, "06000"),
    "NL": (r"\d{4} ?[A-Za-z]{2}", "1012 AB"),
    "NO": (_FOUR, "0150"),
    "NZ": (_FOUR, "6011"),
    "PL": (r"\d{2}-?\d{3}", "00-001"),
    "PT": (r"\d{4}-?\d{3}", "1000-001"),
    "RO": (_SIX, "010011"),
    "SE": (r"\d{3} ?\d{2}", "111 20"),
    "SG": (_SIX, "018956"),
    "SI": (r"(SI-?)?\d{4}", "1000"),
    "SK": (r"\d{3} ?\d{2}", "811 01"),
    "UA": (_FIVE, "01001"),
    "US": (r"\d{5}(-?\d{4})?", "10001"),
    "ZA": (_FOUR, "0002"),
}

#: Where the post knows no postcodes, or hardly anybody has one to give.
_WITHOUT_POSTCODE = frozenset(
    """
    AE AG AO AW BI BJ BO BS BW BZ CD CF CG CM DJ DM ER FJ GA GD GM GQ GY HK KI KM KN ML MO MR NR
    QA RW SB SC SL SR ST TD TG TO TV UG VU YE ZW
    """.split()  # noqa: SIM905 - one a line would hide the rest
)


def layout_of(country: str) -> PostalLayout:
    """Return how an address in ``country`` is asked for.

    >>> layout_of("IE").needs_postcode, layout_of("US").words["postcode"]
    (False, 'zip')
    """
    pattern, example = _POSTCODES.get(country, ("", ""))
    layout = _LAYOUTS.get(country, PostalLayout())
    return replace(
        layout,
        pattern=pattern,
        example=example,
        needs_postcode=layout.needs_postcode and country not in _WITHOUT_POSTCODE,
        regions=regions_of(country),
    )


def needed_parts(country: str) -> tuple[str, ...]:
    """Return the parts without which nothing can be sent to an address in ``country``.

    >>> needed_parts("DE"), needed_parts("HK")
    (('name', 'street', 'postcode', 'city', 'country'), ('name', 'street', 'city', 'country'))
    """
    parts = ("name", "street", "postcode", "city", "country")
    needs = layout_of(country).needs_postcode
    return tuple(part for part in parts if part != "postcode" or needs)
