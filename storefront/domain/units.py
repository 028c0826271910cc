"""How many boxes and pieces the next cycles will need, and what has to be bought for them.

Boxes come from ``domain.boxes.project``, the rule the account shows coming boxes by, so pauses,
skips, ends, prepaid terms and moved boxes count here as they do there. A box that is paid is
certain; one still to be charged is expected with the share of subscribers who stay until then.
New subscribers are not guessed at. Source: docs/decisions/0163-units-forecast.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from storefront.domain.boxes import ProjectedBox, ProjectedKind, Standing, project
from storefront.domain.choices import PoolItem, fill
from storefront.domain.packing import RecipeFacts, choose_recipe
from storefront.domain.recipe_scopes import MOST_NUMBER, BoxFacts

#: Projections kept at a time: subscribers who stand alike are walked once.
_REMEMBERED = 4096
#: Sums of shares are off by less than this.
_TINY = 1e-6
#: Boxes behind the last number that a recipe can name are alike to it.
_FAR = MOST_NUMBER + 1


class BoxKey(NamedTuple):
    """Boxes that are packed alike: of one cycle and plan, with the same of all a recipe asks."""

    cycle: int
    plan: int
    options: tuple[tuple[str, str], ...]
    country: str = ""
    number: int = 0

    @property
    def facts(self) -> BoxFacts:
        """What decides by which recipe they are packed."""
        return BoxFacts(dict(self.options), self.country, self.number)


class SoldAs(NamedTuple):
    """What a box was sold as, where it goes, and which box of its subscription it is.

    Of boxes still to be charged ``number`` is that of the first; 0 where nobody asks for it.
    """

    plan: int
    options: tuple[tuple[str, str], ...]
    quantity: int
    country: str = ""
    number: int = 0

    def in_cycle(self, cycle: int, behind: int = 0) -> BoxKey:
        """Return the key of the box of ``cycle`` that comes so many ``behind`` the first."""
        number = self.number + behind if self.number else 0
        return BoxKey(cycle, self.plan, self.options, self.country, min(number, _FAR))


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A subscription: where it stands, and what its boxes are sold as.

    ``paid`` names that for each box of ``standing.paid``, by its id; ``coming`` holds for the
    boxes still to be charged. ``addons`` are (variant, pieces) that come with each of these,
    ``addons_once`` with the first.
    """

    standing: Standing
    coming: SoldAs
    paid: Mapping[int, SoldAs] = field(default_factory=dict)
    addons: tuple[tuple[int, int], ...] = ()
    addons_once: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Need:
    """An amount in three parts: paid for, still to be charged, and what is left of that part."""

    paid: int = 0
    planned: float = 0
    #: ``planned`` less those who are expected to leave before they are charged.
    staying: float = 0

    @property
    def expected(self) -> float:
        """What is expected to be needed."""
        return self.paid + self.staying

    @property
    def whole(self) -> int:
        """``expected`` in whole pieces, rounded up."""
        return ceil(self.expected - _TINY)

    def add(self, other: Need, times: float = 1) -> None:
        """Count ``other`` in, ``times`` over."""
        self.paid += round(other.paid * times)
        self.planned += other.planned * times
        self.staying += other.staying * times


@dataclass(slots=True)
class Expected:
    """Boxes by key, and the pieces of add-ons by (cycle, variant) in those still to be charged."""

    boxes: dict[BoxKey, Need] = field(default_factory=lambda: defaultdict(Need))
    addons: dict[tuple[int, int], Need] = field(default_factory=lambda: defaultdict(Need))


def expect_boxes(
    subscribers: Iterable[Subscriber],
    cycles: Mapping[int, int],
    today: date,
    leaving: float = 0.0,
    into: Expected | None = None,
) -> Expected:
    """Return the boxes that the ``cycles`` (id to group) will pack, as far as known ``today``.

    ``leaving`` is the share of subscribers who leave on one day, from 0 below 1: a box charged
    n days from now counts (1 - leaving) ** n. ``into`` is added to and returned, so that the
    subscribers can come in slices. Raises ``ValueError`` for another share.
    """
    if not 0 <= leaving < 1:
        raise ValueError(f"no such share of leavers: {leaving}")
    found = into or Expected()
    most = max(Counter(cycles.values()).values(), default=0)
    walked: dict[tuple[Standing, int], list[ProjectedBox]] = {}
    for one in subscribers:
        for box in one.standing.paid:
            if box.cycle is not None and box.cycle.id in cycles:
                sold = one.paid.get(box.id, one.coming)
                found.boxes[sold.in_cycle(box.cycle.id)].paid += sold.quantity
        if one.standing.renews_on is None:
            continue
        alike = _unpaid(one.standing, one.standing.renews_on)
        if len(walked) >= _REMEMBERED:
            walked.clear()
        key = (alike, most)
        if key not in walked:
            walked[key] = project(alike, most, today)
        _add_coming(found, one, walked[key], cycles, today, leaving)
    return found


def _unpaid(standing: Standing, renews_on: date) -> Standing:
    """Return ``standing`` without what tells apart subscribers who will be charged alike."""
    locks = {cycle.id: cycle.lock_on for cycle in standing.cycles}
    taken = set(standing.taken) | {box.cycle.id for box in standing.paid if box.cycle}
    # A period feeds no cycle that was locked before it starts.
    ahead = frozenset(key for key in taken if locks.get(key, date.min) >= renews_on)
    skipped = frozenset(key for key in standing.skipped if locks.get(key, date.min) >= renews_on)
    return replace(standing, paid=(), taken=ahead, skipped=skipped)


def _add_coming(
    found: Expected,
    one: Subscriber,
    boxes: Sequence[ProjectedBox],
    cycles: Mapping[int, int],
    today: date,
    leaving: float,
) -> None:
    once: tuple[tuple[int, int], ...] = one.addons_once
    behind = 0
    for box in boxes:
        if box.kind is not ProjectedKind.PLANNED or box.cycle is None or box.charge_on is None:
            continue
        stays = (1 - leaving) ** max((box.charge_on - today).days, 0)
        if box.cycle.id in cycles:
            need = Need(0, one.coming.quantity, one.coming.quantity * stays)
            found.boxes[one.coming.in_cycle(box.cycle.id, behind)].add(need)
            for variant, pieces in (*one.addons, *once):
                found.addons[box.cycle.id, variant].add(Need(0, pieces, pieces * stays))
        once = ()
        behind += 1


#: Recipes of each plan, by cycle.
Recipes = Mapping[int, Mapping[int, Sequence[RecipeFacts]]]
#: Pieces chosen for paid boxes, by (cycle, plan) and variant.
Chosen = Mapping[tuple[int, int], Mapping[int, int]]


@dataclass(slots=True)
class Pieces:
    """Pieces by (cycle, variant), and the boxes for which no recipe is found, by cycle."""

    needs: dict[tuple[int, int], Need] = field(default_factory=lambda: defaultdict(Need))
    bare: Counter[int] = field(default_factory=Counter)


def pieces_of(
    boxes: Mapping[BoxKey, Need],
    recipes: Recipes,
    chosen: Chosen | None = None,
    items: Mapping[int, PoolItem] | None = None,
) -> Pieces:
    """Return what ``boxes`` hold: the fixed pieces of their recipe, and what its pool gives.

    What was chosen for a paid box counts as it was chosen. The rest is what the default rule puts
    into boxes nobody chose for, with everything there: the list says what to buy for just that.
    ``items`` give category and price of what is in the pools, which the rule's limits ask for.
    """
    found = Pieces()
    left = {key: dict(pieces) for key, pieces in (chosen or {}).items()}
    packed: dict[tuple[int, int], dict[int, RecipeFacts]] = defaultdict(dict)
    needs: dict[tuple[int, int, int], Need] = defaultdict(Need)
    for key in sorted(boxes):
        recipe = choose_recipe(recipes.get(key.cycle, {}).get(key.plan, ()), key.facts)
        # Boxes of one recipe are added up first, so that parts of a piece are rounded once.
        needs[key.cycle, key.plan, recipe.id if recipe else 0].add(boxes[key])
        if recipe is not None:
            packed[key.cycle, key.plan].setdefault(recipe.id, recipe)
    for (cycle, plan, key_of_recipe), need in needs.items():
        recipe = packed[cycle, plan].get(key_of_recipe)
        if recipe is None:
            found.bare[cycle] += need.whole
            continue
        for variant, pieces in recipe.items:
            found.needs[cycle, variant].add(need, pieces)
        if recipe.rule is not None and recipe.pool:
            usual = _usual(recipe, items or {})
            _add_pool(found, cycle, need, usual, left.get((cycle, plan), {}))
    return found


def _usual(recipe: RecipeFacts, items: Mapping[int, PoolItem]) -> list[tuple[int, Fraction]]:
    """Return the pool in its order, and how much of each the default rule puts into a box.

    An even share of each where no box can be filled by the rule.
    """
    rule = recipe.rule
    if rule is None:
        return []
    pool = [
        replace(items.get(variant, PoolItem(variant)), most=most, left=None)
        for variant, most in recipe.pool
    ]
    filled = fill(rule, pool, {}, {})
    if filled is None:
        return [(item.variant, Fraction(rule.pieces, len(pool))) for item in pool]
    return [(item.variant, Fraction(filled.picks.get(item.variant, 0))) for item in pool]


def _add_pool(
    found: Pieces,
    cycle: int,
    need: Need,
    usual: Sequence[tuple[int, Fraction]],
    chosen: dict[int, int],
) -> None:
    pieces = sum(share for _variant, share in usual)
    paid = int(need.paid * pieces)
    for variant, _share in usual:
        taken = min(chosen.get(variant, 0), paid)
        if taken:
            found.needs[cycle, variant].paid += taken
            chosen[variant] -= taken
            paid -= taken
    # Up to here and to there, so that parts of a piece end up in whole ones, none lost.
    given, so_far = 0, Fraction(0)
    for variant, share in usual:
        one, so_far = found.needs[cycle, variant], so_far + share
        until = ceil(paid * so_far / pieces)
        one.paid, given = one.paid + until - given, until
        one.planned += need.planned * float(share)
        one.staying += need.staying * float(share)


@dataclass(frozen=True, slots=True)
class Purchase:
    """What is needed of one variant over the cycles, and what is missing of it.

    ``by`` is the lock of the first cycle that the pieces there do not reach for, None when they
    reach for all.
    """

    needed: int
    to_buy: int
    by: date | None


def purchase_of(on_hand: int, needs: Sequence[tuple[date, Need]]) -> Purchase:
    """Return what to buy when ``on_hand`` pieces are free for ``needs``: (lock day, amount).

    Below zero, ``on_hand`` are pieces that boxes were promised already: they are bought too.

    Rounds up once, over all cycles, so that halves of a piece are not bought twice.

    >>> purchase_of(5, [(date(2027, 3, 15), Need(4)), (date(2027, 4, 15), Need(0, 4, 3.6))])
    Purchase(needed=8, to_buy=3, by=datetime.date(2027, 4, 15))
    """
    total, by = Need(), None
    for lock_on, need in sorted(needs, key=lambda each: each[0]):
        total.add(need)
        if by is None and total.whole > on_hand:
            by = lock_on
    return Purchase(total.whole, max(0, total.whole - on_hand), by)


def leaving_rate(today_active: int, changes: Mapping[date, tuple[int, int]], until: date) -> float:
    """Return the share of subscribers who left per day, over the days of ``changes``.

    ``changes`` gives (came, left) of each day, back from ``until``, whose end has
    ``today_active`` subscribers: leavers over the sum of subscribers of each day. 0 when there
    were none.

    >>> day = date(2027, 3, 2)
    >>> leaving_rate(9, {day: (0, 1), day.replace(day=1): (0, 0)}, day)
    0.05
    """
    active, days, left = today_active, 0, 0
    for day in sorted((day for day in changes if day <= until), reverse=True):
        came, gone = changes[day]
        # Who left on a day was there in the morning of it.
        days += active + gone
        left += gone
        active += gone - came
    return left / days if days and left < days else 0.0
