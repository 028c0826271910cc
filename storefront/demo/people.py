"""Who shops at *Nine Kettles*: names, addresses, cards and tempers, drawn from a fixed seed."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import TypeVar

T = TypeVar("T")

_FIRST = (
    "Ada", "Amélie", "Anke", "Anton", "Bas", "Beate", "Camille", "Carl", "Clara", "David", "Dora",
    "Elif", "Emil", "Fenna", "Finn", "Frieda", "Gesa", "Hannah", "Hugo", "Ida", "Ines", "Jan",
    "Jana", "Jeanne", "Jonas", "Julia", "Karim", "Katrin", "Lars", "Lea", "Lena", "Léo", "Lotte",
    "Luca", "Maren", "Marie", "Mathis", "Mila", "Nadia", "Nina", "Noor", "Olga", "Oskar", "Paul",
    "Pia", "Quentin", "Rosa", "Ruth", "Sanne", "Selma", "Sofie", "Theo", "Tilda", "Tom", "Ulla",
    "Vera", "Willem", "Yara", "Zoé",
)  # fmt: skip
_LAST = (
    "Albrecht", "Bauer", "Becker", "Benoît", "Berger", "Blanc", "Brandt", "Busch", "de Boer",
    "de Vries", "Dubois", "Ebner", "Fischer", "Fontaine", "Frank", "Garnier", "Graf", "Gruber",
    "Haas", "Hartmann", "Huber", "Jansen", "Kaya", "Keller", "Koch", "Krüger", "Lambert", "Lang",
    "Lorenz", "Marchand", "Mayer", "Meijer", "Moser", "Mulder", "Neumann", "Otto", "Peters",
    "Pichler", "Renard", "Richter", "Roth", "Sauer", "Schmitt", "Seidel", "Simon", "Smit",
    "Steiner", "Thomas", "Vogel", "Wagner", "Weber", "Winkler", "Yıldız", "Zimmermann",
)  # fmt: skip
#: Country -> (share of shoppers, streets, (postcode, city) pairs).
_PLACES: dict[str, tuple[int, tuple[str, ...], tuple[tuple[str, str], ...]]] = {
    "DE": (
        72,
        ("Lindenweg", "Gartenstraße", "Bahnhofstraße", "Am Markt", "Schillerstraße", "Mühlgasse"),
        (
            ("10115", "Berlin"), ("20357", "Hamburg"), ("04109", "Leipzig"), ("50667", "Köln"),
            ("80331", "München"), ("07743", "Jena"), ("28195", "Bremen"), ("79098", "Freiburg"),
            ("99084", "Erfurt"), ("37073", "Göttingen"), ("18055", "Rostock"), ("45127", "Essen"),
        ),
    ),
    "AT": (
        14,
        ("Ringstraße", "Hauptplatz", "Feldgasse", "Kirchengasse"),
        (("1070", "Wien"), ("8010", "Graz"), ("5020", "Salzburg"), ("6020", "Innsbruck")),
    ),
    "FR": (
        8,
        ("rue des Tilleuls", "rue du Moulin", "place du Marché"),
        (("67000", "Strasbourg"), ("75011", "Paris"), ("69003", "Lyon"), ("35000", "Rennes")),
    ),
    "NL": (
        6,
        ("Lindelaan", "Dorpsstraat", "Molenweg"),
        (("1012 AB", "Amsterdam"), ("3511 LM", "Utrecht"), ("9711 GK", "Groningen")),
    ),
}  # fmt: skip
#: Where a shopper came from; empty is a direct visit.
_SOURCES = ("", "", "", "newsletter", "instagram", "search", "search", "friends", "teablog.example")
#: Demo card -> share of shoppers. 0341 is refused at every renewal, 3220 asks its bank once,
#: 0408 pays and loses the answer on the way; 9995 and 0069 are refused at once, and most who
#: meet that take another card.
_CARDS = {"4242": 872, "0341": 34, "3220": 40, "0408": 12, "9995": 28, "0069": 14}
_PLANS = {"cup": 30, "pot": 50, "table": 20}
_INTERVALS = {("month", 1): 74, ("month", 3): 15, ("year", 1): 11}
_REASONS = {"too_much": 38, "price": 24, "not_for_me": 14, "delivery": 8, "other": 6, "": 10}
_NOTES = {
    "too_much": "Three tins behind, and the kettle is only so big.",
    "price": "Between jobs until spring. Then again.",
    "not_for_me": "We turned out to be coffee people after all.",
    "delivery": "The letter slot was fine, the neighbour's dog was not.",
}
_SUMMER = (7, 8)


@dataclass(frozen=True, slots=True)
class OneMore:
    """A further box in the same order."""

    plan: str
    interval: tuple[str, int]
    options: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Shopper:
    """One person with everything the story needs to know of them.

    ``leaves`` and ``skips`` are chances per month, ``own`` draws what only they do, so that a
    change in one person's story leaves the others as they were.
    """

    name: str
    email: str
    address: dict[str, str]
    plan: str
    interval: tuple[str, int]
    card: str
    options: dict[str, str]
    code: str = ""
    more: tuple[OneMore, ...] = ()
    source: dict[str, str] = field(default_factory=dict)
    #: Comes to the payment page and goes again.
    abandons: bool = False
    leaves: float = 0.03
    skips: float = 0.05
    #: Brings another card when theirs is declined.
    returns: bool = True
    why: str = ""
    note: str = ""
    own: Random = field(default_factory=Random)


def draw_shopper(seed: int, number: int, on: date) -> Shopper:
    """Return the ``number``-th shopper, who comes on day ``on``; the same seed, the same one.

    >>> draw_shopper(9, 1, date(2027, 3, 2)).email == draw_shopper(9, 1, date(2027, 3, 2)).email
    True
    """
    rng = Random(f"{seed}:{number}")  # noqa: S311 - a story, not a secret
    name = f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
    plan = _pick(rng, _PLANS)
    interval = _pick(rng, _INTERVALS)
    why = _pick(rng, _REASONS)
    source = rng.choice(_SOURCES)
    answer = "free" if rng.random() < 0.22 else "usual"
    return Shopper(
        name=name,
        email=f"{_plain(name)}.{number}@example.org",
        address=_draw_address(rng, name),
        plan=plan,
        interval=interval,
        card=_pick(rng, _CARDS),
        options={} if plan == "cup" else {"caffeine": answer},
        code=_draw_code(rng, interval, on),
        source={"ref" if "." in source else "utm_source": source} if source else {},
        abandons=rng.random() < 0.05,
        leaves=rng.uniform(0.01, 0.075) * (0.4 if interval == ("year", 1) else 1),
        skips=rng.choice((0, 0, 0.03, 0.06, 0.12)),
        returns=rng.random() < 0.62,
        why=why,
        note=_NOTES.get(why, "") if rng.random() < 0.3 else "",
        own=rng,
    )


def leaves_this_month(shopper: Shopper, months: int, month: int) -> bool:
    """Draw whether a shopper of ``months`` months ends the subscription in calendar ``month``."""
    early = 1.7 if months <= 3 else 1.0
    summer = 1.4 if month in _SUMMER else 1.0
    return shopper.own.random() < shopper.leaves * early * summer


def skips_this_month(shopper: Shopper, month: int) -> bool:
    """Draw whether a shopper skips the box of this month; people travel in summer."""
    return shopper.own.random() < shopper.skips * (2.5 if month in _SUMMER else 1.0)


def wants_more(shopper: Shopper, month: date) -> bool:
    """Return whether a shopper adds something to a box this month; no draw of theirs is used."""
    return Random(f"{shopper.email}:{month}").random() < 0.02  # noqa: S311 - a story, not a secret


def busyness(on: date, begin: date, end: date) -> float:
    """Return how many shoppers come on ``on`` compared with an average day.

    The shop grows threefold over its story; July and August are quiet, the weeks before
    Christmas are not, and Sundays are for browsing.
    """
    grown = 1 + 2 * (on - begin).days / max((end - begin).days, 1)
    season = {7: 0.45, 8: 0.4, 11: 1.5, 12: 1.7, 1: 1.1}.get(on.month, 1.0)
    weekday = 1.3 if on.isoweekday() >= 6 else 1.0
    return grown * season * weekday


def _draw_code(rng: Random, interval: tuple[str, int], on: date) -> str:
    drawn = rng.random()
    if interval == ("year", 1) and drawn < 0.3:
        return "TWELVE"
    if interval == ("month", 1) and on.month in (3, 4, 5) and drawn < 0.35:
        return "SPRING"
    if drawn < 0.5:
        return ""
    return "LEMON" if drawn < 0.68 else "FIRSTFLUSH" if drawn < 0.74 else ""


def _draw_address(rng: Random, name: str) -> dict[str, str]:
    country = _pick(rng, {code: share for code, (share, _, _) in _PLACES.items()})
    _, streets, cities = _PLACES[country]
    postcode, city = rng.choice(cities)
    street, house = rng.choice(streets), rng.randint(1, 98)
    line = f"{house} {street}" if country == "FR" else f"{street} {house}"
    return {
        "name": name,
        "street": line,
        "postcode": postcode,
        "city": city,
        "country": country,
    }


def _pick(rng: Random, shares: Mapping[T, int]) -> T:
    return rng.choices(list(shares), weights=list(shares.values()))[0]


def _plain(name: str) -> str:
    """Return ``name`` as the first part of an address: no accents, dots for spaces."""
    text = unicodedata.normalize("NFKD", name.lower().replace("ı", "i").replace("ß", "ss"))
    return "".join(char for char in text if char.isascii()).replace(" ", ".")
