"""Places of a plan and free stock: count what is taken, and hold boxes for an open order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.choices import PoolItem
from storefront.domain.lifecycle import ENDED, SubscriptionState
from storefront.domain.packing import RecipeFacts, choose_recipe
from storefront.domain.places import FreeStock, Places, boxes_from
from storefront.domain.pool_places import pool_boxes_from
from storefront.domain.recipe_scopes import BoxFacts, tells_of
from storefront.models import (
    Checkout,
    OrderHold,
    Plan,
    PlanPlaces,
    Price,
    ProductVariant,
    Recipe,
    RecipeItem,
    ScheduledChange,
    Subscription,
    SwapOffer,
)
from storefront.models.base import table_of
from storefront.operations.box_facts import told_apart
from storefront.operations.boxes import slots_of
from storefront.operations.capacity import fits as cycles_fit
from storefront.operations.capacity import (
    has_capacity,
    is_being_paid,
    lock_groups,
    most_left,
)
from storefront.operations.catalogue import raise_version
from storefront.operations.choices import pool_items
from storefront.operations.coming_addons import addons_to_charge, lying
from storefront.operations.coming_choices import (
    KINDS,
    chosen_boxes,
    chosen_pieces,
    country_of_order,
    held_boxes,
    next_cycles,
    next_rows,
    number_of_order,
    swapped_pieces,
)
from storefront.operations.first_recipes import first_recipes
from storefront.operations.holds import Wanted, hold_boxes
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.order_items import OrderItem
from storefront.operations.recipes import recipes_by_cycle
from storefront.operations.reserving import Demand, fill_pools, pool_of
from storefront.operations.set_aside import being_added
from storefront.operations.stock import stock_of
from storefront.operations.waiting import email_of, in_line, invited_to, kept_for_invited

#: The first box of somebody of whom nothing is known yet.
NEW = BoxFacts({}, "", 1)
_UNDECIDED = (BoxState.PLANNED, BoxState.HELD)
#: Recipes of each plan that its next boxes are packed by.
_Contents = dict[int, Sequence[RecipeFacts]]


def wanted_of(items: Iterable[OrderItem]) -> list[Wanted]:
    """Return what the boxes of an order take."""
    return [Wanted(one.plan.id, one.wish.quantity, one.chosen, one.joins) for one in items]


def take_places(
    session: AnySession, checkout_id: int, wanted: Sequence[Wanted], moment: Moment
) -> bool:
    """Hold the boxes of an order for half an hour; False when one of them is not there.

    What the order held before is replaced. The rows of plans, groups of cycles and stock are
    locked in the order of their keys, the hold is written and then counted, so the last place
    goes to one of any number who ask at once. On False the caller rolls back.
    """
    limits = _limits(session, {one.plan_id for one in wanted}, lock=True)
    groups = lock_groups(session, {one.plan_id for one in wanted if one.joins is not None})
    if not (limits or groups):
        return True
    held = hold_boxes(session, checkout_id, wanted, moment)
    if groups:
        joins = [one.joins for one in wanted if one.joins is not None]
        slots = slots_of(session, groups, moment.today + timedelta(days=1))
        fits, is_last = cycles_fit(session, joins, slots, moment, checkout_id)
        if not fits:
            return False
        if is_last:
            raise_version(session)
    taken = places_taken(session, list(limits), moment.now, checkout_id)
    if any(row.places is not None and taken[key] > row.places for key, row in limits.items()):
        return False
    if any(taken[key] == row.places for key, row in limits.items()):
        # The last place: the page that offers it is made anew.
        raise_version(session)
    if _is_awaited(session, checkout_id, {one.plan_id for one in wanted} - held, moment):
        return False
    by_stock = {key for key, row in limits.items() if row.sells_by_stock}
    return _are_in_stock(session, checkout_id, by_stock, wanted, moment)


def _are_in_stock(
    session: AnySession,
    checkout_id: int,
    by_stock: set[int],
    wanted: Sequence[Wanted],
    moment: Moment,
) -> bool:
    """Return whether what goes into the boxes of an order is there, its stock locked."""
    contents = _first_contents(session, by_stock, moment.today)
    own = Demand()
    tells = told_apart(contents)
    country = country_of_order(session, checkout_id, tells)
    number = number_of_order(session, checkout_id, tells)
    for one in wanted:
        facts = BoxFacts(one.options, country, number)
        own.add(choose_recipe(contents.get(one.plan_id, ()), facts), one.quantity)
    pools = {key for recipe in own.recipes.values() for key, _most in recipe.pool}
    connected = _connected(session, own.pieces.keys() | pools, moment.today)
    stock_of(session, connected.variants)
    return _fits(own, _reserved(session, connected, moment, checkout_id))


def _is_awaited(
    session: AnySession, checkout_id: int, plan_ids: Iterable[int], moment: Moment
) -> bool:
    """Return whether an order, held already, takes what others wait for and was not invited to."""
    line = in_line(session, plan_ids)
    if not line:
        return False
    email = email_of(Checkout, checkout_id)
    uninvited = line.keys() - invited_to(session, line, email, moment.now)
    if not uninvited:
        return False
    left = {key: one.left for key, one in places_of(session, uninvited, moment).items()}
    return any(many is not None and many < line[key] for key, many in left.items())


def _fits(own: Demand, others: _Reserved) -> bool:
    """Return whether what an order needs is there beside what is reserved for everybody else.

    As ``_boxes`` counts for the pages, so that no order is refused which they offer.
    """
    left = {
        key: one.free - own.pieces[key] if one.is_limited else None
        for key, one in others.stock.items()
    }
    fixed = [pieces for key in own.pieces if (pieces := left.get(key)) is not None]
    return min(fixed, default=0) >= 0 and not fill_pools([own], others.items, left)


def places_of(session: AnySession, plan_ids: Iterable[int], moment: Moment) -> dict[int, Places]:
    """Return the limits of those plans that have any; two statements where none has."""
    wanted = set(plan_ids)
    limits = _limits(session, wanted)
    rooms = most_left(session, _groups_of(session, wanted), moment)
    if not (limits or rooms):
        return {}
    taken = places_taken(session, [*limits, *rooms], moment.now)
    by_stock = {key for key, row in limits.items() if row.sells_by_stock}
    contents = _first_contents(session, by_stock, moment.today)
    packed = {key: choose_recipe(contents.get(key, ()), NEW) for key in by_stock}
    variants = {
        key for one in packed.values() if one is not None for key, _n in (*one.items, *one.pool)
    }
    reserved = _reserved(session, _connected(session, variants, moment.today), moment)
    found = {
        key: Places(
            row.places,
            taken[key],
            row.sells_by_stock,
            _boxes(packed[key], reserved) if key in by_stock else None,
        )
        for key, row in limits.items()
    }
    for key, room in rooms.items():
        found[key] = replace(found.get(key, Places(None, taken[key])), by_cycle=room)
    return found


def free_stock(
    session: AnySession, variant_ids: Iterable[int], moment: Moment
) -> dict[int, FreeStock]:
    """Return where the pieces of the variants stand, as of the next box of every subscriber."""
    wanted = set(variant_ids)
    found = _reserved(session, _connected(session, wanted, moment.today), moment)
    return {key: one for key, one in found.stock.items() if key in wanted}


@dataclass(frozen=True, slots=True)
class _Connected:
    """Variants and the plans that may need them, with all that shares a pool with them."""

    variants: frozenset[int]
    plans: frozenset[int]
    contents: _Contents
    first: _Contents

    @property
    def recipes(self) -> list[RecipeFacts]:
        """Every recipe of these plans."""
        return [one for own in (self.contents, self.first) for each in own.values() for one in each]


@dataclass(frozen=True, slots=True)
class _Reserved:
    stock: dict[int, FreeStock]
    #: What of the pools can be chosen.
    items: Mapping[int, PoolItem]


def _connected(session: AnySession, variant_ids: Iterable[int], today: date) -> _Connected:
    variants = frozenset(variant_ids)
    recipe, item, offer = table_of(Recipe), table_of(RecipeItem), table_of(SwapOffer)
    while True:
        using = (
            sa.select(recipe.c.plan_id)
            .join(item, item.c.recipe_id == recipe.c.id)
            .where(item.c.variant_id.in_(variants))
            .union(sa.select(offer.c.plan_id).where(offer.c.variant_id.in_(variants)))
        )
        plans = frozenset(session.scalars(using)) if variants else frozenset()
        contents = _contents(session, plans, today)
        first = contents | first_recipes(session, plans, today)
        found = _Connected(variants, plans, contents, first)
        pools = {key for one in found.recipes for key, _most in one.pool if one.rule is not None}
        if pools <= variants:
            return found
        variants |= pools


def _reserved(
    session: AnySession, found: _Connected, moment: Moment, checkout_id: int | None = None
) -> _Reserved:
    """Return what is reserved; but for what ``checkout_id`` holds, or is kept for its e-mail."""
    if not found.variants:
        return _Reserved({}, {})
    variant, plans = table_of(ProductVariant), set(found.plans)
    sold, running, held = Demand(), Demand(), Demand()
    tells = tells_of(one.option_key for one in found.recipes)
    each = next_rows(plans, tells)

    def of(row: AnyRow) -> tuple[Demand, RecipeFacts | None]:
        kind = sold if row.is_paid else running if row.state != "incomplete" else held
        where = found.first if row.is_late or kind is held else found.contents
        return kind, _recipe(where, row)

    for row in _next_boxes(session, each):
        kind, recipe = of(row)
        kind.add(recipe, int(row.boxes))
    for row in held_boxes(session, plans, moment.now, tells, but=checkout_id):
        held.add(_recipe(found.first, row), int(row.boxes))
    for plan_id, boxes in kept_for_invited(session, plans, moment.now, checkout_id).items():
        held.add(choose_recipe(found.first.get(plan_id, ()), NEW), boxes)
    _add_wishes(session, found, each, of, moment.today)
    _add_beside(session, found.variants, sold, running, held)
    rows = session.execute(sa.select(variant).where(variant.c.id.in_(found.variants))).all()
    demands = (sold, running, held)
    left = {
        row.id: row.on_hand - sum(one.pieces[row.id] for one in demands)
        if row.is_counted and not row.may_oversell
        else None
        for row in rows
    }
    pools = {key for one in demands for own in one.recipes.values() for key, _most in own.pool}
    pools |= {key for one in found.recipes for key, _most in one.pool}
    items = pool_items(session, pools) if pools else {}
    fill_pools(demands, items, left)
    stock = {
        row.id: FreeStock(
            on_hand=row.on_hand + row.committed,
            locked=row.committed,
            sold=sold.pieces[row.id],
            running=running.pieces[row.id],
            held=held.pieces[row.id],
            is_limited=row.is_counted and not row.may_oversell,
        )
        for row in rows
    }
    return _Reserved(stock, items)


def _add_beside(
    session: AnySession, variants: Iterable[int], sold: Demand, running: Demand, held: Demand
) -> None:
    """Add what lies beside the contents of next boxes, or will."""
    for row in lying(session, variants):
        sold.pieces[row.variant_id] += int(row.pieces)
    for row in addons_to_charge(session, variants):
        kind = running if row.state != "incomplete" else held
        kind.pieces[row.variant_id] += int(row.pieces)
    for row in being_added(session, variants):
        held.pieces[row.variant_id] += int(row.pieces)


def _add_wishes(
    session: AnySession,
    found: _Connected,
    each: sa.Subquery,
    of: Callable[[AnyRow], tuple[Demand, RecipeFacts | None]],
    today: date,
) -> None:
    """Add what subscribers chose or swapped for the next cycle of their plan."""
    cycles = next_cycles(session, found.plans, today).values()
    if any(one.rule is not None for one in found.recipes):
        for row in chosen_boxes(session, each, cycles):
            kind, recipe = of(row)
            kind.add_chosen(recipe, int(row.boxes))
        for row in chosen_pieces(session, each, cycles):
            kind, recipe = of(row)
            kind.add_pieces(recipe, row)
    for row in swapped_pieces(session, each, cycles, found.variants):
        of(row)[0].pieces[row.variant_id] += int(row.pieces)


def _first_contents(session: AnySession, plan_ids: Iterable[int], today: date) -> _Contents:
    """Return the recipes by which the first box of an order of today is packed."""
    wanted = set(plan_ids)
    return _contents(session, wanted, today) | first_recipes(session, wanted, today)


def _contents(session: AnySession, plan_ids: Iterable[int], today: date) -> _Contents:
    """Return the recipes of the next cycle of each plan that is not locked."""
    found = next_cycles(session, plan_ids, today)
    recipes = recipes_by_cycle(session, set(found), found.values()) if found else {}
    return {key: recipes[cycle_id].get(key, ()) for key, cycle_id in found.items()}


def _recipe(contents: _Contents, row: AnyRow) -> RecipeFacts | None:
    facts = BoxFacts(json.loads(row.options or "{}"), row.country, row.number)
    return choose_recipe(contents.get(row.plan_id, ()), facts)


def _boxes(recipe: RecipeFacts | None, found: _Reserved) -> int | None:
    """Return how many boxes of the recipe the free stock makes; None: any number."""
    if recipe is None:
        return None
    if recipe.rule is None:
        return boxes_from(recipe.items, found.stock)
    left = {key: one.free if one.is_limited else None for key, one in found.stock.items()}
    return pool_boxes_from(recipe.rule, pool_of(recipe, found.items), recipe.items, left)


def _limits(session: AnySession, plan_ids: set[int], *, lock: bool = False) -> dict[int, AnyRow]:
    table = table_of(PlanPlaces)
    statement = (
        sa.select(table.c.plan_id, table.c.places, table.c.sells_by_stock)
        .where(
            table.c.plan_id.in_(plan_ids),
            sa.or_(table.c.places.is_not(None), table.c.sells_by_stock.is_(True)),
        )
        .order_by(table.c.plan_id)
    )
    rows = session.execute(statement.with_for_update() if lock else statement)
    return {row.plan_id: row for row in rows}


def _groups_of(session: AnySession, plan_ids: set[int]) -> dict[int, int]:
    """Return the group of each of those plans whose cycles make a limited number of boxes."""
    plan = table_of(Plan)
    rows = session.execute(
        sa.select(plan.c.id, plan.c.cycle_group_id).where(
            plan.c.id.in_(plan_ids), plan.c.ships.is_(True), has_capacity(plan.c.cycle_group_id)
        )
    )
    return {row.id: row.cycle_group_id for row in rows}


def places_taken(
    session: AnySession, plan_ids: Sequence[int], now: datetime, checkout_id: int | None = None
) -> Counter[int]:
    """Return the boxes of running subscriptions, orders being paid and open orders, by plan.

    Also those kept for who was invited from a waiting list, but for the e-mail of
    ``checkout_id``.
    """
    table, hold, checkout = table_of(Subscription), table_of(OrderHold), table_of(Checkout)
    found: Counter[int] = Counter()
    runs = table.c.state.not_in([*ENDED, SubscriptionState.INCOMPLETE])
    rows = session.execute(
        sa.select(table.c.plan_id, sa.func.sum(table.c.quantity).label("boxes"))
        .where(table.c.plan_id.in_(plan_ids), sa.or_(runs, is_being_paid(table)))
        .group_by(table.c.plan_id)
    ).all()
    held = session.execute(
        sa.select(hold.c.plan_id, sa.func.sum(hold.c.quantity).label("boxes"))
        .join(checkout, checkout.c.id == hold.c.checkout_id)
        .where(hold.c.plan_id.in_(plan_ids), hold.c.until_at > now, checkout.c.state == "open")
        .group_by(hold.c.plan_id)
    ).all()
    for row in (*rows, *held, *_booked(session, plan_ids)):
        found[row.plan_id] += int(row.boxes)
    return found + kept_for_invited(session, plan_ids, now, checkout_id)


def _booked(session: AnySession, plan_ids: Sequence[int]) -> Sequence[AnyRow]:
    """Return the boxes that changes waiting for their day or their payment add, by plan."""
    table, change, price = table_of(Subscription), table_of(ScheduledChange), table_of(Price)
    then = sa.func.coalesce(change.c.data["quantity"].as_integer(), table.c.quantity)
    more = sa.case(
        (price.c.plan_id != table.c.plan_id, then),
        (then > table.c.quantity, then - table.c.quantity),
        else_=0,
    )
    return session.execute(
        sa.select(price.c.plan_id, sa.func.sum(more).label("boxes"))
        .join(table, table.c.id == change.c.subscription_id)
        .join(price, price.c.id == change.c.price_id)
        .where(
            change.c.state == "waiting",
            price.c.plan_id.in_(plan_ids),
            table.c.state.not_in([*ENDED, SubscriptionState.INCOMPLETE]),
        )
        .group_by(price.c.plan_id)
    ).all()


def _next_boxes(session: AnySession, each: sa.Subquery) -> Sequence[AnyRow]:
    """Return how many subscribers have a next box, by kind of box."""
    kinds = [each.c[name] for name in KINDS]
    return session.execute(
        sa.select(*kinds, sa.func.sum(each.c.quantity).label("boxes")).group_by(*kinds)
    ).all()
