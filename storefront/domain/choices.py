"""What a subscriber may choose for a box, and how a box is filled that nobody chose for.

A rule asks for a number of pieces out of a pool. The pool stands in the merchant's order, and
everything here follows that order alone: the same choice typed in another order is the same
choice, and the same box is filled the same way on every run.
Source: docs/decisions/0150-choosing-contents.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from types import MappingProxyType


class Bar(StrEnum):
    """Why something in the pool cannot be chosen."""

    ALLERGEN = "allergen"
    SOLD_OUT = "sold_out"
    REPEATED = "repeated"


class FaultKind(StrEnum):
    """Which rule a choice breaks."""

    TOO_FEW = "too_few"
    TOO_MANY = "too_many"
    UNKNOWN = "unknown"
    BARRED = "barred"
    #: More than the rule allows of one product, or than there is.
    MOST_OF_ONE = "most_of_one"
    NOT_ENOUGH_LEFT = "not_enough_left"
    CATEGORY_LEAST = "category_least"
    CATEGORY_MOST = "category_most"
    VALUE = "value"
    #: What a category still needs has no room: so many of the other pieces must come out.
    NO_ROOM = "no_room"
    #: Filled up with the cheapest, the box is worth this, which is more than the rule allows.
    NO_VALUE_LEFT = "no_value_left"
    #: What is left of the pool fills no box, whatever is chosen.
    POOL_TOO_SMALL = "pool_too_small"


@dataclass(frozen=True, slots=True)
class Limit:
    """At least and at most so many pieces of a category; ``most`` None: any number."""

    category: str
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """How many pieces are chosen, and what they must keep to."""

    pieces: int
    limits: tuple[Limit, ...] = ()
    #: Most that the pieces may be worth together at retail price, in minor units.
    value: int | None = None
    avoids_allergens: bool = False
    never_repeats: bool = False
    #: Days before the cut-off on which who has not chosen is reminded; 0: never.
    reminder_days: int = 3


@dataclass(frozen=True, slots=True)
class PoolItem:
    """Something to choose; ``most`` is how many of it one box may hold."""

    variant: int
    most: int = 1
    category: str = ""
    #: Retail price in minor units; 0 when none is known.
    price: int = 0
    allergens: frozenset[str] = frozenset()
    #: How often it can still be put into this box; None: never runs out.
    left: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule that a choice breaks: about which variant or category, and the rule's number."""

    kind: FaultKind
    variant: int | None = None
    category: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Filled:
    """What a box holds of the pool: kept from the choice, and added by the default rule."""

    kept: Mapping[int, int]
    added: Mapping[int, int]

    @property
    def picks(self) -> dict[int, int]:
        """Pieces by variant, chosen or not."""
        return dict(Counter(self.kept) + Counter(self.added))


def bars(
    rule: Rule,
    pool: Sequence[PoolItem],
    avoided: AbstractSet[str] = frozenset(),
    sent: Mapping[int, date] = MappingProxyType({}),
) -> dict[int, Bar]:
    """Return what of the ``pool`` cannot be chosen, and why.

    ``avoided`` are the words for what the subscriber does not tolerate, ``sent`` the variants
    they were sent before, with the day on which they were last. An allergen always bars. Of what
    was sent before so much is offered again as it takes to fill a box, what was sent longest ago
    first, and all of one day together.

    >>> ago, pool = [date(2027, month, 1) for month in (1, 2, 3)], [PoolItem(n) for n in range(4)]
    >>> sorted(bars(Rule(2, never_repeats=True), pool, sent=dict(enumerate(ago))))
    [1, 2]
    """
    found: dict[int, Bar] = {}
    for item in pool:
        if rule.avoids_allergens and item.allergens & avoided:
            found[item.variant] = Bar.ALLERGEN
        elif item.left is not None and item.left < 1:
            found[item.variant] = Bar.SOLD_OUT
    if not rule.never_repeats:
        return found
    repeated = {
        item.variant: sent[item.variant]
        for item in pool
        if item.variant in sent and item.variant not in found
    }
    for day in sorted({date.min, *repeated.values()}):
        later = {variant: Bar.REPEATED for variant, last in repeated.items() if last > day}
        if not later or _Box(rule, pool, later | found).least_value({}) is not None:
            return later | found
    return found


def faults(
    rule: Rule,
    pool: Sequence[PoolItem],
    barred: Mapping[int, Bar],
    picks: Mapping[int, int],
) -> list[Fault]:
    """Return every rule that ``picks`` (pieces by variant) breaks; empty for a good choice.

    Faults of single products come first, in the order of the pool.
    """
    known = {item.variant: item for item in pool}
    chosen = {variant: pieces for variant, pieces in picks.items() if pieces > 0}
    # Fewer than none of something is no choice of it.
    odd = {variant for variant, pieces in picks.items() if pieces < 0 or variant not in known}
    found = [Fault(FaultKind.UNKNOWN, variant) for variant in sorted(odd) if picks[variant]]
    for item in pool:
        pieces = chosen.get(item.variant, 0)
        if pieces and item.variant in barred:
            found.append(Fault(FaultKind.BARRED, item.variant))
        elif pieces > item.most:
            found.append(Fault(FaultKind.MOST_OF_ONE, item.variant, number=item.most))
        elif item.left is not None and pieces > item.left:
            found.append(Fault(FaultKind.NOT_ENOUGH_LEFT, item.variant, number=item.left))
    return found + _faults_of_all(rule, known, chosen)


def _faults_of_all(
    rule: Rule, known: Mapping[int, PoolItem], chosen: Mapping[int, int]
) -> list[Fault]:
    found = []
    total = sum(chosen.values())
    if total < rule.pieces:
        found.append(Fault(FaultKind.TOO_FEW, number=rule.pieces - total))
    if total > rule.pieces:
        found.append(Fault(FaultKind.TOO_MANY, number=total - rule.pieces))
    in_pool = [(known[variant], pieces) for variant, pieces in chosen.items() if variant in known]
    counts: Counter[str] = Counter()
    for item, pieces in in_pool:
        counts[item.category] += pieces
    for limit in rule.limits:
        found += _faults_of_category(limit, counts[limit.category])
    value = sum(item.price * pieces for item, pieces in in_pool)
    if rule.value is not None and value > rule.value:
        found.append(Fault(FaultKind.VALUE, number=rule.value))
    return found


def _faults_of_category(limit: Limit, pieces: int) -> list[Fault]:
    if pieces < limit.least:
        return [Fault(FaultKind.CATEGORY_LEAST, category=limit.category, number=limit.least)]
    if limit.most is not None and pieces > limit.most:
        return [Fault(FaultKind.CATEGORY_MOST, category=limit.category, number=limit.most)]
    return []


def refusals(
    rule: Rule,
    pool: Sequence[PoolItem],
    barred: Mapping[int, Bar],
    picks: Mapping[int, int],
) -> list[Fault]:
    """Return why ``picks`` cannot be saved; empty for a good choice and for the part of one.

    Part of a choice is good when the default rule can add the rest and keep all of it. That
    pieces are missing is therefore no reason of its own; what stands in their way is named.

    >>> pool = [PoolItem(1, price=900), PoolItem(2, price=500), PoolItem(3, price=400)]
    >>> [(one.kind.value, one.number) for one in refusals(Rule(2, value=1200), pool, {}, {1: 1})]
    [('no_value_left', 1300)]
    """
    found = faults(rule, pool, barred, picks)
    if not any(picks.values()):
        return found
    missing, room = _missing(rule, pool, picks), rule.pieces - sum(picks.values())
    lacks_room = missing > room
    unfinished = (
        {FaultKind.TOO_FEW} if lacks_room else {FaultKind.TOO_FEW, FaultKind.CATEGORY_LEAST}
    )
    broken = [fault for fault in found if fault.kind not in unfinished]
    if lacks_room and room >= 0:
        broken.append(Fault(FaultKind.NO_ROOM, number=missing - room))
    return broken or _in_the_way(rule, pool, barred, {v: n for v, n in picks.items() if n})


def _missing(rule: Rule, pool: Sequence[PoolItem], picks: Mapping[int, int]) -> int:
    """Return how many pieces the categories lack of what they need at least."""
    counts: Counter[str] = Counter()
    for item in pool:
        counts[item.category] += picks.get(item.variant, 0)
    return sum(max(0, limit.least - counts[limit.category]) for limit in rule.limits)


def _in_the_way(
    rule: Rule,
    pool: Sequence[PoolItem],
    barred: Mapping[int, Bar],
    picks: Mapping[int, int],
) -> list[Fault]:
    """Return what keeps the rest from being added to ``picks`` that have room for every category.

    Where the pool fills a box at all, that is the value: of each category there is enough.
    """
    box = _Box(rule, pool, barred)
    if box.least_value(picks) is not None:
        return []
    least = _Box(replace(rule, value=None), pool, barred).least_value(picks)
    if least is None or box.least_value({}) is None:
        return [Fault(FaultKind.POOL_TOO_SMALL)]
    return [Fault(FaultKind.NO_VALUE_LEFT, number=least)]


def fill(
    rule: Rule,
    pool: Sequence[PoolItem],
    barred: Mapping[int, Bar],
    chosen: Mapping[int, int],
    sent: Mapping[int, date] = MappingProxyType({}),
) -> Filled | None:
    """Return the box: of ``chosen`` all that still can be kept, then the default rule.

    The default rule goes through the pool in its order, one piece of each, then a second of
    those of which a box may hold two, and so on; it passes over what would leave the rest of
    the box impossible to fill. Where nothing is to be repeated, it does so with what was never
    ``sent``, and then with what was sent, day by day, longest ago first. None when the pool
    fills no box at all.

    >>> pool = [PoolItem(1), PoolItem(2, left=0), PoolItem(3), PoolItem(4)]
    >>> fill(Rule(2), pool, bars(Rule(2), pool), {2: 1, 4: 1}).picks
    {4: 1, 1: 1}
    """
    box = _Box(rule, pool, barred)
    if box.least_value({}) is None:
        return None
    taken: dict[int, int] = {}
    for item in pool:
        for _piece in range(chosen.get(item.variant, 0)):
            box.take(taken, item)
    kept = dict(taken)
    for tier in _tiers(pool, sent if rule.never_repeats else {}):
        for number in range(1, max(item.most for item in tier) + 1):
            for item in tier:
                if taken.get(item.variant, 0) < number:
                    box.take(taken, item)
    return Filled(kept, dict(Counter(taken) - Counter(kept)))


def _tiers(pool: Sequence[PoolItem], sent: Mapping[int, date]) -> list[list[PoolItem]]:
    """Return the pool by when it was sent, never first and longest ago next, each in its order."""
    tiers: dict[date, list[PoolItem]] = defaultdict(list)
    for item in pool:
        tiers[sent.get(item.variant, date.min)].append(item)
    return [tiers[day] for day in sorted(tiers)]


def falls_out(
    rule: Rule | None,
    items: Mapping[int, int],
    pool: Sequence[PoolItem],
    barred: Mapping[int, Bar],
    chosen: Mapping[int, int],
) -> dict[int, int]:
    """Return the pieces of ``chosen`` that do not come in a box of ``items`` and ``pool``.

    Without a rule nothing is chosen, and of what was chosen only comes what the box holds anyway.

    >>> falls_out(Rule(2), {}, [PoolItem(1), PoolItem(2)], {}, {1: 1, 3: 1})
    {3: 1}
    >>> falls_out(None, {1: 2}, [], {}, {1: 1, 3: 1})
    {3: 1}
    """
    if rule is None:
        kept: Mapping[int, int] = items
    else:
        filled = fill(rule, pool, barred, chosen)
        # A pool that fills no box now may do so later, with what is in it.
        kept = filled.kept if filled else {item.variant: item.most for item in pool}
    return dict(Counter(chosen) - Counter(kept))


class _Box:
    """What can go into one box of a rule, and whether the rest can still be filled."""

    def __init__(self, rule: Rule, pool: Sequence[PoolItem], barred: Mapping[int, Bar]) -> None:
        self._rule = rule
        self._caps = {
            item.variant: item.most if item.left is None else min(item.most, item.left)
            for item in pool
            if item.variant not in barred
        }
        self._items = {item.variant: item for item in pool if item.variant in self._caps}
        cheapest = sorted(self._items.values(), key=lambda item: item.price)
        self._cheapest = [item.variant for item in cheapest]
        self._limits = {limit.category: limit for limit in rule.limits}

    def take(self, taken: dict[int, int], item: PoolItem) -> None:
        """Put one more of ``item`` into ``taken`` if the rest can be filled then."""
        pieces = taken.get(item.variant, 0) + 1
        if pieces > self._caps.get(item.variant, 0):
            return
        value = self.least_value(taken | {item.variant: pieces})
        if value is not None:
            taken[item.variant] = pieces

    def least_value(self, taken: Mapping[int, int]) -> int | None:
        """Return the least that a full box with ``taken`` in it is worth, None if there is none.

        Within a category the cheapest are taken first, so that its least number costs least;
        what is still missing then comes from wherever it is cheapest.
        """
        counts, value = Counter[str](), 0
        for variant, pieces in taken.items():
            counts[self._items[variant].category] += pieces
            value += self._items[variant].price * pieces
        missing = {
            limit.category: limit.least - counts[limit.category]
            for limit in self._rule.limits
            if limit.least > counts[limit.category]
        }
        room = self._rule.pieces - sum(taken.values())
        if room < sum(missing.values()):
            return None
        box = dict(taken)
        for category, pieces in missing.items():
            value += self._add(box, counts, pieces, category)
        value += self._add(box, counts, self._rule.pieces - sum(box.values()), None)
        full = sum(box.values()) == self._rule.pieces
        held = all(self._is_kept(limit, counts) for limit in self._rule.limits)
        cheap = self._rule.value is None or value <= self._rule.value
        return value if full and held and cheap else None

    def _add(
        self, box: dict[int, int], counts: Counter[str], pieces: int, category: str | None
    ) -> int:
        """Add up to ``pieces`` of the cheapest, of one category or any; return their value."""
        value = 0
        for variant in self._cheapest:
            item = self._items[variant]
            if category is not None and item.category != category:
                continue
            limit = self._limits.get(item.category)
            more = min(pieces, self._caps[variant] - box.get(variant, 0))
            if limit is not None and limit.most is not None:
                more = min(more, limit.most - counts[item.category])
            if more > 0:
                box[variant] = box.get(variant, 0) + more
                counts[item.category] += more
                value += item.price * more
                pieces -= more
        return value

    @staticmethod
    def _is_kept(limit: Limit, counts: Counter[str]) -> bool:
        number = counts[limit.category]
        return limit.least <= number and (limit.most is None or number <= limit.most)
