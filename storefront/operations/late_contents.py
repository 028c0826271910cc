"""Other contents for a box behind its cut-off: what is offered, whether it is there, doing it.

Of a packed box what it holds is read from its items, as its recipe may be another one by now;
where the two do not agree any more, nothing is offered for it.
Source: docs/decisions/0193-late-changes-of-contents.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind
from storefront.domain.choices import Fault, FaultKind, faults, fill
from storefront.domain.late_contents import picks_lying, share_of, short_of, swaps_lying
from storefront.domain.packing import RecipeFacts
from storefront.domain.swaps import Round, SwapBar, swap_once, swaps_at
from storefront.models import BoxCycle, BoxShortage
from storefront.models.base import table_of
from storefront.operations.box_facts import facts_of_box
from storefront.operations.choices import write_choice
from storefront.operations.choosing import Offer, OpenBox, offer_for, recipe_for
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.repacking import Lying, lying_in, repack
from storefront.operations.set_aside import set_aside, stock_left
from storefront.operations.stock import stock_of
from storefront.operations.swapping import SwapOffers, swap_offers_for
from storefront.operations.swaps import read_swaps, wishes_of, write_swaps

#: Pieces by variant, or what is taken instead by product of the recipe.
Pairs = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class LateOffer:
    """What may be asked for instead: a choice from the ``pool``, or ``swaps``; one of the two."""

    box: OpenBox
    subscription_id: int
    pool: Offer | None
    swaps: SwapOffers | None
    #: What it holds now: picks of the pool for one box, or its swaps.
    now: Pairs
    #: The items of a packed box by variant, None before its lock.
    lying: Mapping[int, Lying] | None

    def share(self, wanted: Pairs) -> dict[int, int]:
        """Return the pieces of the whole box that ``wanted`` (as ``now``) makes."""
        count = self.box.quantity
        if self.swaps is not None:
            return share_of(_times(self.swaps.recipe.items, count), wanted)
        order = [one.variant for one in self.pool.pool] if self.pool else []
        return {key: wanted[key] * count for key in order if wanted.get(key)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why ``wanted`` cannot be done, if anything: rules it breaks, or pieces that are missing."""

    faults: tuple[Fault, ...] = ()
    #: Products of the recipe for which something is asked that may not come instead.
    not_offered: tuple[int, ...] = ()
    #: Pieces by variant.
    missing: Mapping[int, int] | None = None

    @property
    def is_good(self) -> bool:
        return not (self.faults or self.not_offered or self.missing)

    @property
    def is_short(self) -> bool:
        """Only pieces are missing; with more of them it could be done."""
        lacking = {FaultKind.BARRED, FaultKind.NOT_ENOUGH_LEFT}
        rest = [one for one in self.faults if one.kind not in lacking]
        return not (self.is_good or rest or self.not_offered)


def late_offer(session: AnySession, row: AnyRow) -> LateOffer | None:
    """Return what may be asked for in the box ``row``, None where nothing else can come.

    Not for replacements, for boxes in which something was lacking at the lock, which was settled
    with their subscribers then, and where the recipe leaves nothing to choose.
    """
    if row.kind is not BoxKind.REGULAR or row.cycle_id is None:
        return None
    lying = lying_in(session, row.id) if row.locked_at is not None else None
    if lying is not None and _was_short(session, row.id):
        return None
    cycle = table_of(BoxCycle)
    at = session.execute(sa.select(cycle).where(cycle.c.id == row.cycle_id)).one()
    facts = facts_of_box(session, row.id)
    as_sold = (row.id, row.plan_id, row.options or {}, row.quantity)
    box = OpenBox(at, *as_sold, facts.country, facts.number)
    recipe = recipe_for(session, box)
    if recipe is None:
        return None
    if recipe.rule is None:
        return _of_recipe(session, row.subscription_id, box, recipe, lying)
    return _of_pool(session, row.subscription_id, box, recipe, lying)


def _was_short(session: AnySession, box_id: int) -> bool:
    lacks = table_of(BoxShortage)
    return bool(session.scalar(sa.select(sa.exists().where(lacks.c.box_id == box_id))))


def _of_pool(
    session: AnySession,
    subscription_id: int,
    box: OpenBox,
    recipe: RecipeFacts,
    lying: Mapping[int, Lying] | None,
) -> LateOffer | None:
    assert recipe.rule is not None
    fixed, pool = dict(recipe.items), [key for key, _most in recipe.pool]
    picks: Mapping[int, int] | None = None
    taken: dict[int, int] = {}
    if lying is not None:
        wanted = recipe.rule.pieces
        picks = picks_lying(_pieces(lying), _mixed(lying), fixed, pool, wanted, box.quantity)
        if picks is None:
            return None
        taken = {key: (fixed.get(key, 0) + picks.get(key, 0)) * box.quantity for key in pool}
    offer = offer_for(session, subscription_id, box, lying=taken)
    if offer is None:
        return None
    if picks is None:
        filled = fill(recipe.rule, offer.pool, offer.barred, offer.subscriber.chosen or {})
        if filled is None:
            return None
        picks = filled.picks
    return LateOffer(box, subscription_id, offer, None, picks, lying)


def _of_recipe(
    session: AnySession,
    subscription_id: int,
    box: OpenBox,
    recipe: RecipeFacts,
    lying: Mapping[int, Lying] | None,
) -> LateOffer | None:
    whole = _times(recipe.items, box.quantity)
    taken: dict[int, int] = {}
    if lying is None:
        made = wishes_of(session, {subscription_id: box.plan_id}, box.cycle.id)
        swaps = dict(made.get(subscription_id, {}))
    else:
        said = read_swaps(session, [subscription_id]).get(subscription_id, [])
        wanted = swaps_at(said, Round(box.cycle.ship_from, box.cycle.id))
        found = swaps_lying(_pieces(lying), _mixed(lying), whole, wanted)
        if found is None:
            return None
        swaps, taken = found, share_of(whole, found)
    offers = swap_offers_for(session, subscription_id, box, lying=taken, made=swaps)
    if offers is None or not any(line.alternatives for line in offers.lines):
        return None
    return LateOffer(box, subscription_id, None, offers, swaps, lying)


def _pieces(lying: Mapping[int, Lying]) -> dict[int, int]:
    return {key: one.pieces for key, one in lying.items()}


def _mixed(lying: Mapping[int, Lying]) -> set[int]:
    return {key for key, one in lying.items() if one.origin == "addon"}


def _times(items: Sequence[tuple[int, int]], count: int) -> dict[int, int]:
    return {variant: pieces * count for variant, pieces in items}


def judge(session: AnySession, late: LateOffer, wanted: Pairs) -> Verdict:
    """Return whether the box can hold ``wanted`` (as ``LateOffer.now``) instead.

    What others chose is set aside against a late change as against a choice (0150).
    """
    if late.pool is not None:
        rule = late.pool.recipe.rule
        assert rule is not None
        found = faults(rule, late.pool.pool, late.pool.barred, wanted)
        return Verdict(tuple(one for one in found if not _is_kept(one, late, wanted)))
    strange = _strange(late, wanted)
    if strange:
        return Verdict(not_offered=strange)
    now, then = late.share(late.now), late.share(wanted)
    if late.lying is None:
        # Nothing is taken yet, and what the recipe says itself is the lock's to find.
        now, then = {}, {key: n for key, n in then.items() if key in set(wanted.values())}
    left = stock_left(session, then)
    taken = set_aside(session, then, late.subscription_id, late.box.cycle.id)
    there = {key: None if n is None else n - taken[key] for key, n in left.items()}
    return Verdict(missing=short_of(now, then, there) or None)


def _is_kept(fault: Fault, late: LateOffer, wanted: Pairs) -> bool:
    """Whether the fault is about something that lies in the packed box and only stays there."""
    key = fault.variant
    if late.lying is None or key is None:
        return False
    return 0 < wanted.get(key, 0) <= late.now.get(key, 0)


def _strange(late: LateOffer, wanted: Pairs) -> tuple[int, ...]:
    assert late.swaps is not None
    lines = {line.variant: line for line in late.swaps.lines}
    found = [key for key in wanted if key not in lines]
    for key, line in lines.items():
        instead = wanted.get(key)
        if instead is None or instead == late.now.get(key):
            continue
        able = [one.variant for one in line.alternatives if one.bar is not SwapBar.ALLERGEN]
        if instead not in able:
            found.append(key)
    return tuple(found)


def as_stored(late: LateOffer, wanted: Pairs) -> dict[str, Any]:
    """Return what the wish keeps: what is asked for, what lay there, and what is to."""
    return {
        "picks" if late.pool is not None else "swaps": [[*pair] for pair in wanted.items()],
        "was": [[*pair] for pair in late.share(late.now).items()],
        "then": [[*pair] for pair in late.share(wanted).items()],
    }


def wanted_of(late: LateOffer, stored: Mapping[str, Any]) -> dict[int, int] | None:
    """Return what a wish asks for, None where the recipe works the other way by now."""
    pairs = stored.get("picks" if late.pool is not None else "swaps")
    return None if pairs is None else dict(pairs)


def change_contents(
    session: AnySession, row: AnyRow, stored: Mapping[str, Any], actor: str, moment: Moment
) -> Verdict | None:
    """Let a box hold what the wish asks for, its stock undone and taken anew; None: as it was.

    A box that is not packed yet is chosen for. The caller has locked the subscription and the
    box. None where nothing can be changed in it any more; nothing is written unless the verdict
    is good.
    """
    late = late_offer(session, row)
    wanted = wanted_of(late, stored) if late is not None else None
    if late is None or wanted is None:
        return None
    # All at once and in the order of ids, as a lock does it; then looked at again.
    stock_of(session, {*late.share(late.now), *late.share(wanted), *(late.lying or {})})
    late = late_offer(session, row)
    if late is None:
        return None
    verdict = judge(session, late, wanted)
    if not verdict.is_good:
        return verdict
    if late.lying is not None:
        now, then = late.share(late.now), late.share(wanted)
        repack(session, row, late.lying, now, then, _origins(late, wanted), actor, moment)
    _write_wanted(session, late, wanted, moment)
    return verdict


def _origins(late: LateOffer, wanted: Pairs) -> dict[int, str]:
    if late.swaps is None:
        return dict.fromkeys(wanted, "choice")
    own = {variant for variant, _pieces in late.swaps.recipe.items}
    return {instead: "choice" for instead in wanted.values() if instead not in own}


def _write_wanted(session: AnySession, late: LateOffer, wanted: Pairs, moment: Moment) -> None:
    """Note it as what was chosen for this box, so that page and box say the same."""
    if late.swaps is None:
        order = [one.variant for one in late.pool.pool] if late.pool else []
        picks = {key: wanted[key] for key in order if wanted.get(key)}
        write_choice(session, late.subscription_id, late.box.cycle.id, picks, moment.now)
        return
    said: list[Any] = list(late.swaps.swaps)
    for line in late.swaps.lines:
        after = swap_once(said, late.swaps.at, line.variant, wanted.get(line.variant))
        write_swaps(session, late.subscription_id, said, after, line.pieces, moment.now)
        said = after
