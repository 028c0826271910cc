"""What a recipe is for: answers, countries, and which boxes of a subscription.

All of it stands in the recipe's key, so that no two recipes of a plan for one cycle are for the
same. Source: docs/decisions/0200-recipes-for-some-subscribers.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

#: Between the parts of a key. Codes are slugs, so none of these signs is in an answer.
_AND = "&"
_BOXES, _UNTIL = "#", "-"
_TO, _OR = "@", "+"
#: Room for one key, in characters.
KEY_LENGTH = 80
#: Highest number of a box that a recipe can name.
MOST_NUMBER = 24


@dataclass(frozen=True, slots=True)
class BoxFacts:
    """What decides by which recipe a box is packed.

    ``country`` is where it goes, empty while nobody knows. ``number`` says which regular box of
    its subscription it is, in the order in which they leave, from 1 on; 0 while nobody knows.
    """

    options: Mapping[str, Any]
    country: str
    number: int


@dataclass(frozen=True, slots=True)
class Scope:
    """The boxes a recipe is for; with nothing named, every box."""

    answers: frozenset[str] = frozenset()
    #: None named: every country.
    countries: frozenset[str] = frozenset()
    #: First and last number of the boxes it is for; ``last`` None: all behind ``first``.
    first: int = 1
    last: int | None = None

    @property
    def names_boxes(self) -> bool:
        """Whether it is for some of a subscription's boxes only."""
        return self.first > 1 or self.last is not None

    @property
    def is_turned(self) -> bool:
        """Whether it ends before it begins, so that it is for no box.

        >>> Scope(first=3, last=1).is_turned, Scope(first=3).is_turned
        (True, False)
        """
        return self.last is not None and self.first > self.last

    @property
    def is_for_some(self) -> bool:
        """Whether it names countries or boxes."""
        return bool(self.countries) or self.names_boxes

    def fits(self, box: BoxFacts) -> bool:
        """Return whether ``box`` is one of those it is for, whatever else is true of it."""
        if self.countries and box.country not in self.countries:
            return False
        if self.names_boxes and not self.first <= box.number <= (self.last or box.number):
            return False
        if not self.answers:
            return True
        given = {f"{group}={choice}" for group, choice in box.options.items()}
        return self.answers <= given

    def ties_with(self, other: Scope) -> bool:
        """Return whether some box fits both and no rule says which of them is packed."""
        if self.answers != other.answers or self == other:
            return False
        kinds = (bool(self.countries), self.names_boxes)
        if kinds != (bool(other.countries), other.names_boxes):
            return False
        apart = self.countries and not self.countries & other.countries
        return (
            not apart
            and self.first <= (other.last or self.first)
            and other.first <= (self.last or other.first)
        )


@lru_cache(maxsize=4096)
def scope_of(key: str) -> Scope:
    """Return what the recipe with this key is for.

    >>> scope_of("#2-&@AT+DE&taste=mild").first, scope_of("#1").last, scope_of("").answers
    (2, 1, frozenset())
    """
    answers, countries, first, last = set(), frozenset[str](), 1, None
    for part in key.split(_AND) if key else ():
        if part.startswith(_BOXES):
            low, dash, high = part[1:].partition(_UNTIL)
            first = int(low)
            last = int(high) if high else None if dash else first
        elif part.startswith(_TO):
            countries = frozenset(part[1:].split(_OR))
        else:
            answers.add(part)
    return Scope(frozenset(answers), countries, first, last)


def key_of(scope: Scope) -> str:
    """Return the key of a recipe for ``scope``, in one way only.

    >>> key_of(Scope(frozenset({"taste=mild", "size=large"}), frozenset({"DE", "AT"}), 2, 3))
    '#2-3&@AT+DE&size=large&taste=mild'
    """
    parts = sorted(scope.answers)
    if scope.countries:
        parts.insert(0, _TO + _OR.join(sorted(scope.countries)))
    if scope.names_boxes:
        parts.insert(0, _BOXES + _numbers(scope.first, scope.last))
    return _AND.join(parts)


def _numbers(first: int, last: int | None) -> str:
    if last is None:
        return f"{first}{_UNTIL}"
    return str(first) if first == last else f"{first}{_UNTIL}{last}"


@dataclass(frozen=True, slots=True)
class Tells:
    """By what else than answers some recipes tell boxes apart; what is not asked is not read."""

    countries: bool = False
    numbers: bool = False

    @property
    def any(self) -> bool:
        """Whether answers alone do not tell them apart."""
        return self.countries or self.numbers


def tells_of(keys: Iterable[str]) -> Tells:
    """Return by what the recipes with these keys tell boxes apart."""
    scopes = [scope_of(key) for key in set(keys)]
    return Tells(any(one.countries for one in scopes), any(one.names_boxes for one in scopes))
