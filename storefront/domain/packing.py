"""Which recipe a box is packed by, what it then holds, and what keeps a box from leaving."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from storefront.domain.choices import Rule
from storefront.domain.shipping import Zone, is_blocked


class Problem(StrEnum):
    """Why a box did not get through the lock, or not into a batch."""

    HELD = "held"
    NO_ADDRESS = "no_address"
    NO_RECIPE = "no_recipe"
    SHORT_STOCK = "short_stock"
    #: Locked, and left out of a batch because the format of its file has no room for it.
    NO_FIT = "no_fit"
    SHORT_CHOICE = "short_choice"


class Turn(StrEnum):
    """Which boxes of a cycle are decided: those somebody chose for come first.

    Those with swaps come last, so that a swap takes only what no recipe needs.
    """

    CHOSEN = "chosen"
    PLAIN = "plain"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class RecipeFacts:
    """A recipe: ``is_standing`` holds for every cycle, ``items`` are (variant, pieces).

    With a ``rule`` a subscriber chooses from ``pool``: (variant, most of it in one box).
    """

    id: int
    is_standing: bool
    option_key: str
    items: tuple[tuple[int, int], ...]
    rule: Rule | None = None
    pool: tuple[tuple[int, int], ...] = ()


def option_keys(options: Mapping[str, Any]) -> list[str]:
    """Return the option keys a box answers to, in a fixed order.

    >>> option_keys({"taste": "mild", "size": "large"})
    ['size=large', 'taste=mild']
    """
    return sorted(f"{group}={choice}" for group, choice in options.items())


def choose_recipe(recipes: Iterable[RecipeFacts], options: Mapping[str, Any]) -> RecipeFacts | None:
    """Return the most specific of a plan's ``recipes`` that has items, or None.

    A recipe of the cycle comes before the standing one, and within each the recipe of an
    option before the one for every box; of several options the first by name.
    Source: docs/decisions/0032-which-recipe.md.
    """
    keys = option_keys(options)
    ranked = {(one.is_standing, one.option_key): one for one in recipes if one.items or one.pool}
    for is_standing in (False, True):
        for key in (*keys, ""):
            found = ranked.get((is_standing, key))
            if found is not None:
                return found
    return None


def contents_of(recipe: RecipeFacts, quantity: int) -> list[tuple[int, int]]:
    """Return (variant, pieces) of a box sold ``quantity`` times, in the recipe's order."""
    return [(variant, pieces * quantity) for variant, pieces in recipe.items]


def with_addons(
    contents: Sequence[tuple[int, int]], addons: Mapping[int, int]
) -> list[tuple[int, int]]:
    """Return ``contents`` with the pieces of ``addons`` (by variant), each variant once.

    >>> with_addons([(1, 2), (2, 1)], {3: 1, 2: 4})
    [(1, 2), (2, 5), (3, 1)]
    """
    pieces = dict(contents)
    for variant, number in addons.items():
        pieces[variant] = pieces.get(variant, 0) + number
    return list(pieces.items())


def is_deliverable(
    address: Mapping[str, Any] | None, countries: Sequence[str], zones: Sequence[Zone] = ()
) -> bool:
    """Return whether a parcel can be sent: all of its address there, to a place delivered to."""
    if address is None:
        return False
    complete = all(str(address.get(part) or "").strip() for part in ("name", "street", "city"))
    country = str(address.get("country") or "")
    served = not countries or country in countries
    return (
        complete and served and not is_blocked(zones, country, str(address.get("postcode") or ""))
    )


class StockBook:
    """What is left while boxes are decided one after the other, first paid first served.

    ``on_hand`` holds the counted variants that may not be oversold; others never run out.
    """

    def __init__(self, on_hand: Mapping[int, int]) -> None:
        self._left = dict(on_hand)

    def left(self, variant: int) -> int | None:
        """Return the pieces of ``variant`` still there, None if it never runs out."""
        return self._left.get(variant)

    def take(self, contents: Sequence[tuple[int, int]]) -> bool:
        """Take all of ``contents``, or nothing and return False."""
        wanted: Counter[int] = Counter()
        for variant, pieces in contents:
            wanted[variant] += pieces
        if any(self._left.get(variant, pieces) < pieces for variant, pieces in wanted.items()):
            return False
        for variant, pieces in wanted.items():
            if variant in self._left:
                self._left[variant] -= pieces
        return True
