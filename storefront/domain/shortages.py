"""What goes into a box when a product in it has run out or is not tolerated by who gets it.

Another product, nothing, or the box waits.

Boxes are decided one after the other, who paid first is served first, so the same boxes and the
same stock always end the same way.
Source: docs/decisions/0183-when-a-product-is-short.md, 0203-not-tolerated.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum

from storefront.domain.packing import StockBook, with_addons


class Policy(StrEnum):
    """What is done with a box in which a product is short."""

    HOLD = "hold"
    SUBSTITUTE = "substitute"
    DROP = "drop"
    #: Packed all the same: more is promised than there is, and made afterwards.
    MAKE = "make"


@dataclass(frozen=True, slots=True)
class Rule:
    """The policy of one variant, where it is to substitute or to drop.

    ``value`` is what one piece is worth in minor units, None when nobody said.
    """

    policy: Policy
    substitute: int | None = None
    value: int | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Pieces of a variant that are not in the box, and what went in instead, if anything.

    ``value`` in minor units is what the customer should get back for them.
    """

    variant: int
    pieces: int
    substitute: int | None = None
    value: int = 0
    #: False: there was some, and the subscriber does not tolerate it.
    ran_out: bool = True
    #: Asked for by name: an add-on, or chosen; what goes back for it is what was paid.
    by_name: bool = False


@dataclass(frozen=True, slots=True)
class Solved:
    """What a box holds after all, and what it lacks."""

    contents: tuple[tuple[int, int], ...]
    gaps: tuple[Gap, ...]

    @property
    def value(self) -> int:
        """What was left out is worth, in minor units."""
        return sum(gap.value for gap in self.gaps)


def solve(
    fixed: Sequence[tuple[int, int]],
    others: Sequence[tuple[int, int]],
    rules: Mapping[int, Rule],
    book: StockBook,
    barred: AbstractSet[int] = frozenset(),
    not_again: AbstractSet[int] = frozenset(),
) -> Solved | None:
    """Return what is packed when not all of a box can go in, None when it has to wait.

    ``fixed`` are the recipe's (variant, pieces), ``others`` add-ons and what was chosen, which
    are served first; for both the ``rules`` hold. What there is of a variant goes in, but
    of ``barred`` (not tolerated) nothing of ``fixed`` does, whatever is there: its substitute
    goes in, else it is left out for what it is worth, else the box waits. A substitute comes
    out of the stock as well, is never ``barred``, and has no substitute of its own; instead of
    one of ``others`` nothing goes in that is to come ``not_again``. A box is never packed empty,
    and waits where the same variant is missing in both.

    >>> rules = {1: Rule(Policy.SUBSTITUTE, 3), 2: Rule(Policy.DROP, value=400)}
    >>> found = solve([(1, 2), (2, 1)], [], rules, StockBook({1: 1, 2: 0, 3: 9}))
    >>> found.contents, found.value
    (((1, 1), (3, 1)), 400)
    """
    left, asked, lacking = _served_first(others, book)
    there: dict[int, int] = {}
    missing: dict[int, int] = {}
    for variant, pieces in fixed:
        room = 0 if variant in barred else _room(book, variant, left[variant])
        there[variant] = int(min(pieces, room))
        left[variant] += there[variant]
        if there[variant] < pieces:
            missing[variant] = pieces - there[variant]
    if missing.keys() & lacking.keys():
        return None
    gaps, instead = [], Counter[int]()
    for variant, pieces in (*lacking.items(), *missing.items()):
        rule = rules.get(variant)
        if variant in lacking:
            gap = _close_by_name(variant, pieces, rule, book, left, barred | not_again)
        else:
            gap = _close(variant, pieces, rule, book, left, barred)
        if gap is None:
            return None
        if gap.substitute is not None:
            left[gap.substitute] += pieces
            instead[gap.substitute] += pieces
        gaps.append(gap)
    packed = with_addons([(key, n) for key, n in there.items() if n], instead)
    contents = with_addons(packed, asked)
    return Solved(tuple(contents), tuple(gaps)) if contents else None


def _served_first(
    others: Sequence[tuple[int, int]], book: StockBook
) -> tuple[Counter[int], dict[int, int], dict[int, int]]:
    """Return what is taken so far, what there is of ``others``, and what is missing of them."""
    asked = {key: int(min(pieces, _room(book, key, 0))) for key, pieces in others}
    lacking = {key: pieces - asked[key] for key, pieces in others if asked[key] < pieces}
    return Counter(asked), {key: pieces for key, pieces in asked.items() if pieces}, lacking


def _close_by_name(
    variant: int,
    pieces: int,
    rule: Rule | None,
    book: StockBook,
    taken: Mapping[int, int],
    barred: AbstractSet[int],
) -> Gap | None:
    """Return how missing pieces that were asked for by name are made up for.

    By the rule alone: what is not tolerated bars a substitute, and not what was asked for.
    """
    if rule is None:
        return None
    if rule.policy is Policy.DROP:
        return Gap(variant, pieces, None, (rule.value or 0) * pieces, by_name=True)
    gap = _close(variant, pieces, Rule(rule.policy, rule.substitute), book, taken, barred)
    return None if gap is None else replace(gap, ran_out=True, by_name=True)


def _close(
    variant: int,
    pieces: int,
    rule: Rule | None,
    book: StockBook,
    taken: Mapping[int, int],
    barred: AbstractSet[int],
) -> Gap | None:
    """Return how the missing pieces of one variant are made up for, None if they are not."""
    if rule is None:
        return None
    ran_out = variant not in barred
    other = rule.substitute if rule.policy is Policy.SUBSTITUTE else None
    can_replace = other is not None and other not in barred
    if can_replace and _room(book, other or 0, taken.get(other or 0, 0)) >= pieces:
        return Gap(variant, pieces, other, ran_out=ran_out)
    # What is not tolerated today is not tolerated tomorrow: waiting for stock would not help.
    if (rule.policy is Policy.DROP or not ran_out) and rule.value is not None:
        return Gap(variant, pieces, None, rule.value * pieces, ran_out)
    return None


def _room(book: StockBook, variant: int, taken: int) -> float:
    """Return how many more pieces there are; infinity where it never runs out."""
    left = book.left(variant)
    return float("inf") if left is None else max(0, left - taken)
