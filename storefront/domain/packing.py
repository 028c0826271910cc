"""Which recipe a box is packed by, what it then holds, and what keeps a box from leaving."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from storefront.domain.choices import Rule
from storefront.domain.recipe_scopes import BoxFacts, Scope, key_of, scope_of
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
    #: It holds what its subscriber does not tolerate, and that cannot be left out.
    NOT_TOLERATED = "not_tolerated"


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

    ``option_key`` names the boxes it is for, as ``recipe_scopes.key_of`` writes it; empty: all.
    With a ``rule`` a subscriber chooses from ``pool``: (variant, most of it in one box).
    """

    id: int
    is_standing: bool
    option_key: str
    items: tuple[tuple[int, int], ...]
    rule: Rule | None = None
    pool: tuple[tuple[int, int], ...] = ()

    @property
    def scope(self) -> Scope:
        """The boxes it is for."""
        return scope_of(self.option_key)


def option_keys(options: Mapping[str, Any]) -> list[str]:
    """Return the option keys a box answers to, in a fixed order.

    >>> option_keys({"taste": "mild", "size": "large"})
    ['size=large', 'taste=mild']
    """
    return sorted(f"{group}={choice}" for group, choice in options.items())


def recipe_key(answers: Iterable[str]) -> str:
    """Return the key of the recipe for boxes with all of ``answers``, in whatever order.

    >>> recipe_key(["taste=mild", "size=large"])
    'size=large&taste=mild'
    """
    return key_of(Scope(frozenset(answers)))


def answers_in(option_key: str) -> frozenset[str]:
    """Return the answers a recipe's key asks for, none for every box.

    >>> sorted(answers_in("#1&@AT&size=large&taste=mild"))
    ['size=large', 'taste=mild']
    """
    return scope_of(option_key).answers


def precedence(recipe: RecipeFacts) -> tuple[bool, bool, int, bool, str, int]:
    """Return what recipes of one plan that fit a box are ordered by; the first is packed.

    The cycle's own before standing ones; then one that names countries, the one for the most
    answers, one that names boxes, and the first by its key. Two that fit the same box and are
    alike in all but the key's countries or boxes are refused when they are written.
    Sources: docs/decisions/0198-recipes-for-several-answers.md and
    docs/decisions/0200-recipes-for-some-subscribers.md.
    """
    scope = recipe.scope
    return (
        recipe.is_standing,
        not scope.countries,
        -len(scope.answers),
        not scope.names_boxes,
        recipe.option_key,
        recipe.id,
    )


def choose_recipe(recipes: Iterable[RecipeFacts], box: BoxFacts) -> RecipeFacts | None:
    """Return the most specific of a plan's ``recipes`` that has items and is for ``box``, or None.

    It fits a box that goes to one of its countries, is one of its numbers, and has given all of
    its answers, whatever else was answered.
    """
    fitting = (one for one in recipes if (one.items or one.pool) and one.scope.fits(box))
    return min(fitting, key=precedence, default=None)


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
