"""Decide boxes at the lock: freeze address and contents, take the stock, or hold them back.

``boxes_to_decide`` reads and locks up to a slice of boxes, ``decide_boxes`` writes them; both in
one transaction of the caller, so a crash decides a slice as a whole or not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.packing import (
    Problem,
    RecipeFacts,
    StockBook,
    Turn,
    choose_recipe,
    contents_of,
    is_deliverable,
    with_addons,
)
from storefront.domain.shipping import Zone
from storefront.domain.swaps import Packed, with_swaps
from storefront.models import (
    Address,
    Box,
    BoxCycle,
    BoxItem,
    Customer,
    Plan,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.box_addresses import goes_to, own_address
from storefront.operations.box_facts import box_numbers, facts_at_lock
from storefront.operations.box_pieces import lying_before_lock
from storefront.operations.box_states import WaitsFor, hold_boxes, packing_of, update_boxes
from storefront.operations.choices import (
    Pools,
    Replaced,
    is_chosen_for,
    read_pools,
    tell_replaced,
)
from storefront.operations.customs import declared, seller_country_of
from storefront.operations.cutoff_addresses import addresses_since_cutoff
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.moment import Moment
from storefront.operations.packing_words import PackingWords, packing_words, reachable
from storefront.operations.recipes import recipes_of
from storefront.operations.shipping import read_zones
from storefront.operations.shortages import (
    Shortages,
    fresh_plans,
    read_shortages,
    write_shortages,
)
from storefront.operations.stock import Allocation, VariantStock, allocate, stock_of
from storefront.operations.swaps import Wishes, is_swapped_for, wishes_for
from storefront.operations.waiting_boxes import Made, still_made, tell_made, tell_waiting

ADDRESS_PARTS = (
    *("name", "company", "street", "extra", "postcode", "city"),
    *("region", "country", "phone"),
)


@dataclass(slots=True)
class Decided:
    """How many boxes were locked, and how many were held back for which problem."""

    locked: int = 0
    held: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.locked + self.held.total()

    def add(self, other: Decided) -> None:
        """Count ``other`` in."""
        self.locked += other.locked
        self.held.update(other.held)


@dataclass(slots=True)
class _Facts:
    """What deciding a slice needs to know, read with one statement per table."""

    addresses: dict[int, dict[str, Any]]
    #: By subscription whose address was changed after the cut-off: what it had since then.
    since_cutoff: Mapping[int, Sequence[int]]
    recipes: dict[int, list[RecipeFacts]]
    #: By box: which of its subscription it is, where a recipe asks for that.
    numbers: Mapping[int, int]
    stock: dict[int, VariantStock]
    countries: Sequence[str]
    #: Add-ons paid for with a box: (key of the item, pieces) by variant.
    addons: dict[int, dict[int, tuple[int, int]]]
    zones: tuple[Zone, ...]
    words: PackingWords
    pools: Pools
    #: By box: what is taken instead in it.
    wishes: Mapping[int, Wishes]
    #: By box: where pieces come from that no recipe fixes, and what was chosen in vain.
    origins: dict[int, dict[int, str]] = field(default_factory=dict)
    replaced: dict[int, Replaced] = field(default_factory=dict)
    #: Boxes that their pool does not fill; of these, those that hold what was chosen or less.
    unfilled: set[int] = field(default_factory=set)
    as_chosen: set[int] = field(default_factory=set)
    seller_country: str = ""
    shortages: Shortages = field(default_factory=Shortages)


def boxes_to_decide(
    session: AnySession,
    cycle_id: int,
    state: BoxState,
    limit: int,
    *,
    ids: Sequence[int] | None = None,
    turn: Turn = Turn.REST,
    after: int = 0,
) -> list[AnyRow]:
    """Return up to ``limit`` boxes of the cycle in ``state``, first paid first, locked for us.

    Only one worker decides boxes of a cycle at a time, so that who paid first is served first; a
    box that somebody else is changing is passed over. ``ids`` narrows to these boxes, ``turn``
    to some kinds, ``after`` to those behind this box.
    """
    cycle = table_of(BoxCycle)
    # Without keeping new boxes from joining the cycle.
    alone = sa.select(cycle.c.id).where(cycle.c.id == cycle_id).with_for_update(key_share=True)
    session.execute(alone)
    box, subscription = table_of(Box), table_of(Subscription)
    plan, customer = table_of(Plan), table_of(Customer)
    statement = (
        sa.select(
            box.c.id,
            box.c.subscription_id,
            box.c.plan_id,
            box.c.options,
            box.c.quantity,
            box.c.state,
            box.c.kind,
            box.c.period_id,
            box.c.ordinal,
            own_address(box).label("own_address_id"),
            goes_to(box, subscription).label("address_id"),
            subscription.c.held_at,
            subscription.c.customer_id,
            box.c.public_id,
            box.c.invoice_line_id,
            box.c.net_minor,
            box.c.tax_minor,
            box.c.currency,
            plan.c.name.label("plan"),
            customer.c.email,
        )
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .join(plan, plan.c.id == box.c.plan_id)
        # Of a gift that nobody has claimed the carrier writes to the giver, not to who gets it.
        .outerjoin(customer, customer.c.id == reachable(subscription))
        # One that was packed before a dispute held it goes back as it was, and is not decided.
        .where(box.c.cycle_id == cycle_id, box.c.state == state, box.c.locked_at.is_(None))
        .order_by(box.c.id)
        .limit(limit)
        .with_for_update(of=box, skip_locked=True)
    )
    if ids is not None:
        statement = statement.where(box.c.id.in_(ids))
    if turn is not Turn.REST:
        kinds = is_chosen_for(box) if turn is Turn.CHOSEN else ~is_swapped_for(box)
        statement = statement.where(box.c.id > after, kinds)
    return list(session.execute(statement))


def decide_boxes(
    session: AnySession,
    rows: Sequence[AnyRow],
    cycle_id: int,
    countries: Sequence[str],
    moment: Moment,
) -> Decided:
    """Lock the boxes of ``boxes_to_decide``, or hold them back with their problem.

    Contents are the recipe times the box's quantity; the stock of a box is taken whole or not
    at all, unless the rules of what is short say otherwise. What its subscriber does not
    tolerate is never packed by a recipe. A box that was held before is
    decided anew. It goes where it would have gone at the cut-off; a change made after that is
    for the boxes behind it.
    """
    facts = _facts(session, rows, cycle_id, countries, moment)
    book = StockBook(
        {
            one.id: one.on_hand
            for one in facts.stock.values()
            if one.is_counted and not one.may_oversell
        }
    )
    locked: list[tuple[AnyRow, list[tuple[int, int]]]] = []
    held: list[tuple[AnyRow, Problem]] = []
    waits: dict[int, list[WaitsFor]] = {}
    for row in rows:
        fixed, others = _parts(row, facts, book)
        wanted = with_addons(fixed, dict(others))
        problem = _problem(row, facts, wanted)
        if problem is not None:
            held.append((row, problem))
            continue
        packed: list[tuple[int, int]] | None = wanted
        is_barred = facts.shortages.bars(row, fixed)
        if is_barred or not book.take(wanted):
            beside = {key: pieces for key, (_id, pieces) in facts.addons.get(row.id, {}).items()}
            packed = facts.shortages.pack(session, row, fixed, others, book, moment, beside)
        if packed is None:
            held.append((row, _why_held(row, facts, is_barred)))
            waits[row.id] = facts.shortages.waits_for(row, wanted, book, facts.words.names)
        else:
            locked.append((row, packed))
    made = still_made(locked, facts.stock, facts.words.names)
    _write_locked(session, locked, facts, moment, made)
    hold_boxes(session, held, waits)
    tell_waiting(session, held, moment, waits)
    tell_made(session, [row for row, _contents in locked], made, moment)
    told = [facts.replaced[row.id] for row, _contents in locked if row.id in facts.replaced]
    tell_replaced(session, told, moment)
    write_shortages(session, list(facts.shortages.boxes.values()), facts.words.names, moment)
    return Decided(len(locked), Counter(problem for _row, problem in held))


def _facts(
    session: AnySession,
    rows: Sequence[AnyRow],
    cycle_id: int,
    countries: Sequence[str],
    moment: Moment,
) -> _Facts:
    address = table_of(Address)
    subscriptions = {row.subscription_id for row in rows}
    since_cutoff = addresses_since_cutoff(session, cycle_id, subscriptions, moment)
    wanted = {row.address_id for row in rows if row.address_id is not None}
    wanted |= {key for each in since_cutoff.values() for key in each}
    addresses = {
        one.id: {part: getattr(one, part) for part in ADDRESS_PARTS}
        for one in session.execute(sa.select(address).where(address.c.id.in_(wanted)))
    }
    recipes = recipes_of(session, {row.plan_id for row in rows}, cycle_id)
    variants = {
        variant
        for each in recipes.values()
        for one in each
        for variant, _pieces in (*one.items, *one.pool)
    }
    addons = lying_before_lock(session, [row.id for row in rows])
    wishes = wishes_for(session, rows, cycle_id)
    variants |= {instead for each in wishes.values() for instead in each.values()}
    variants |= {variant for own in addons.values() for variant in own}
    shortages = read_shortages(session, variants, subscriptions, cycle_id, fresh_plans(recipes))
    stock = stock_of(session, variants | shortages.substitutes)
    zones = read_zones(session)
    choosing = [one for own in recipes.values() for one in own]
    pools = read_pools(session, choosing, subscriptions, cycle_id)
    numbers = box_numbers(session, [row.id for row in rows], recipes)
    found = (addresses, since_cutoff, recipes, numbers, stock, countries, addons, zones)
    rest = (packing_words(session, [row.id for row in rows], stock), pools, wishes)
    return _Facts(*found, *rest, seller_country=seller_country_of(session), shortages=shortages)


def _ship_to(row: AnyRow, facts: _Facts) -> dict[str, Any] | None:
    """Return the first address since the cut-off that a parcel reaches, else the present one."""
    # One that is sent again goes where its customer is now: what came back came from there.
    is_fixed = row.own_address_id or row.kind is BoxKind.REPLACEMENT
    candidates = () if is_fixed else facts.since_cutoff.get(row.subscription_id, ())
    for key in candidates:
        if is_deliverable(facts.addresses.get(key), facts.countries, facts.zones):
            return facts.addresses[key]
    return facts.addresses.get(row.address_id)


#: (variant, pieces) by the recipe, and what is in the box beside it: add-ons, what was chosen.
_Parts = tuple[list[tuple[int, int]], list[tuple[int, int]]]


def _parts(row: AnyRow, facts: _Facts, book: StockBook) -> _Parts:
    addons = {key: pieces for key, (_id, pieces) in facts.addons.get(row.id, {}).items()}
    if row.kind is BoxKind.REPLACEMENT:
        return [], list(addons.items())
    what = facts_at_lock(row, _ship_to(row, facts), facts.numbers)
    recipe = choose_recipe(facts.recipes.get(row.plan_id, ()), what)
    if recipe is None:
        return [], []
    fixed = contents_of(recipe, row.quantity)
    if recipe.rule is None:
        packed = with_swaps(fixed, addons, facts.wishes.get(row.id, {}), book.left)
        _note_swaps(row, packed, facts)
        facts.pools.note_unheld(row, [*packed.own, *packed.instead], facts.replaced)
        return list(packed.own), with_addons(packed.instead, addons)
    needed = dict(with_addons(fixed, addons))
    left = {key: _fits(book.left(key), needed.get(key, 0), row.quantity) for key, _ in recipe.pool}
    filled = facts.pools.fill(recipe, row.subscription_id, left)
    if filled is None:
        return fixed, _as_chosen(row, facts, recipe, left, addons)
    facts.origins[row.id] = facts.pools.origins(row.subscription_id, filled)
    lost = facts.pools.lost(row.subscription_id, filled.kept)
    if lost:
        facts.replaced[row.id] = Replaced(row.public_id, row.customer_id, lost, tuple(filled.added))
    picks = filled.picks
    pool = [(key, picks[key] * row.quantity) for key, _most in recipe.pool if key in picks]
    return fixed, with_addons(pool, addons)


def _as_chosen(
    row: AnyRow,
    facts: _Facts,
    recipe: RecipeFacts,
    left: Mapping[int, int | None],
    addons: Mapping[int, int],
) -> list[tuple[int, int]]:
    """Return all that was chosen where the pool is too short for it, for the rules of the SKUs.

    Where nothing was chosen, or it is not tolerated any more, the box waits as unfilled.
    """
    asked = facts.pools.asked(recipe, row.subscription_id)
    is_short = any(n > (n if left[key] is None else left[key] or 0) for key, n in asked.items())
    if not is_short or facts.shortages.bars(row, list(asked.items())):
        facts.unfilled.add(row.id)
        return list(addons.items())
    facts.as_chosen.add(row.id)
    facts.origins[row.id] = dict.fromkeys(asked, "choice")
    return with_addons([(key, n * row.quantity) for key, n in asked.items()], addons)


def _note_swaps(row: AnyRow, packed: Packed, facts: _Facts) -> None:
    if packed.made:
        facts.origins[row.id] = packed.origins
    if packed.lost:
        lost, instead = tuple(packed.lost.values()), tuple(packed.lost)
        facts.replaced[row.id] = Replaced(row.public_id, row.customer_id, lost, instead)


def _fits(left: int | None, needed: int, quantity: int) -> int | None:
    """Return how often a piece fits into a box sold ``quantity`` times; None: always."""
    return None if left is None else max(0, left - needed) // quantity


def _why_held(row: AnyRow, facts: _Facts, is_barred: bool) -> Problem:
    if is_barred:
        return Problem.NOT_TOLERATED
    return Problem.SHORT_CHOICE if row.id in facts.as_chosen else Problem.SHORT_STOCK


def _problem(row: AnyRow, facts: _Facts, contents: Sequence[tuple[int, int]]) -> Problem | None:
    if row.held_at is not None:
        return Problem.HELD
    if not is_deliverable(_ship_to(row, facts), facts.countries, facts.zones):
        return Problem.NO_ADDRESS
    if row.id in facts.unfilled:
        return Problem.SHORT_CHOICE
    return None if contents else Problem.NO_RECIPE


def _write_locked(
    session: AnySession,
    locked: Sequence[tuple[AnyRow, list[tuple[int, int]]]],
    facts: _Facts,
    moment: Moment,
    made: Mapping[int, Sequence[Made]],
) -> None:
    if not locked:
        return
    items, allocations = _items(session, locked, facts)
    if items:
        session.execute(sa.insert(table_of(BoxItem)), items)
    allocate(session, allocations, moment.now, "worker")
    rows = [
        {
            "key": row.id,
            "seen": row.state,
            "new_ship_to": _ship_to(row, facts),
            "new_packing": packing_of(row, contents, facts.stock)
            | facts.words.of(row.id, contents)
            | facts.shortages.words(row.id, facts.words.names)
            | ({"made": list(made[row.id])} if row.id in made else {})
            | declared(_ship_to(row, facts), contents, facts.stock, facts.seller_country),
        }
        for row, contents in locked
    ]
    table = table_of(Box)
    update_boxes(
        session,
        {
            "state": BoxState.LOCKED,
            "problem": "",
            "locked_at": moment.now,
            "ship_to": sa.bindparam("new_ship_to", type_=table.c.ship_to.type),
            "packing": sa.bindparam("new_packing", type_=table.c.packing.type),
        },
        rows,
    )


def _items(
    session: AnySession,
    locked: Sequence[tuple[AnyRow, list[tuple[int, int]]]],
    facts: _Facts,
) -> tuple[list[dict[str, Any]], list[Allocation]]:
    """Return the items to insert and all that is taken; an add-on's item is there already."""
    keys = iter(reserve(session, BoxItem, sum(len(contents) for _row, contents in locked)))
    grown: list[tuple[int, int]] = []
    items: list[dict[str, Any]] = []
    allocations: list[Allocation] = []
    for row, contents in locked:
        origins = facts.shortages.origins(row.id) | facts.origins.get(row.id, {})
        for variant, pieces in contents:
            key, lying = facts.addons.get(row.id, {}).get(variant, (0, 0))
            if not lying:
                key = next(keys)
                items.append(
                    {
                        "id": key,
                        "box_id": row.id,
                        "variant_id": variant,
                        "quantity": pieces,
                        "origin": origins.get(variant, "recipe"),
                    }
                )
            elif lying != pieces:
                grown.append((key, pieces))
            if facts.stock[variant].is_counted:
                allocations.append(Allocation(key, variant, pieces))
    gone = [
        key
        for row, contents in locked
        for variant, (key, _pieces) in facts.addons.get(row.id, {}).items()
        if variant not in dict(contents)
    ]
    if gone:
        # An add-on that ran out: it is not in the box.
        session.execute(sa.delete(table_of(BoxItem)).where(table_of(BoxItem).c.id.in_(gone)))
    for key, pieces in grown:
        # The recipe holds the same product: one item of a box for each.
        item = table_of(BoxItem)
        session.execute(sa.update(item).where(item.c.id == key).values(quantity=pieces))
    return items, allocations
