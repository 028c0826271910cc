"""Places of a plan and free stock: count what is taken, and hold boxes for an open order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState, CycleState
from storefront.domain.lifecycle import BILLABLE, ENDED, SubscriptionState
from storefront.domain.packing import RecipeFacts, choose_recipe
from storefront.domain.places import FreeStock, Places, boxes_from
from storefront.models import (
    Box,
    BoxCycle,
    BoxItem,
    Checkout,
    OrderHold,
    Plan,
    PlanPlaces,
    ProductVariant,
    Recipe,
    RecipeItem,
    Subscription,
    WaitingPlace,
)
from storefront.models.base import table_of
from storefront.operations.boxes import slots_of
from storefront.operations.capacity import (
    Joins,
    has_capacity,
    is_being_paid,
    lock_groups,
    most_left,
)
from storefront.operations.capacity import fits as cycles_fit
from storefront.operations.catalogue import raise_version
from storefront.operations.first_recipes import first_recipes
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.order_items import OrderItem
from storefront.operations.recipes import recipes_by_cycle
from storefront.operations.stock import stock_of
from storefront.operations.waiting import kept_for_invited

#: How long an order that went to pay holds its boxes.
HOLD = timedelta(minutes=30)
_UNDECIDED = (BoxState.PLANNED, BoxState.HELD)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A box of an order."""

    plan_id: int
    quantity: int
    options: Mapping[str, Any]
    #: The cycles it goes to, where these make a limited number of boxes.
    joins: Joins | None = None


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
    hold = table_of(OrderHold)
    limits = _limits(session, {one.plan_id for one in wanted}, lock=True)
    groups = lock_groups(session, {one.plan_id for one in wanted if one.joins is not None})
    if not (limits or groups):
        return True
    kept = session.execute(
        sa.select(hold.c.plan_id, sa.func.max(hold.c.until_at).label("until_at"))
        .where(hold.c.checkout_id == checkout_id)
        .group_by(hold.c.plan_id)
    )
    # Longer than half an hour only by ``hold_as_invited``.
    until = {row.plan_id: row.until_at for row in kept}
    # Those of others that are over go too, so that the table stays small.
    stale = sa.or_(hold.c.checkout_id == checkout_id, hold.c.until_at <= moment.now)
    session.execute(sa.delete(hold).where(stale))
    session.execute(
        sa.insert(hold),
        [
            {
                "checkout_id": checkout_id,
                "position": position,
                "plan_id": one.plan_id,
                "quantity": one.quantity,
                "options": dict(one.options),
                "until_at": max(moment.now + HOLD, until.get(one.plan_id, moment.now)),
            }
            for position, one in enumerate(wanted)
        ],
    )
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
    by_stock = {key for key, row in limits.items() if row.sells_by_stock}
    contents = _first_contents(session, by_stock, moment.today)
    needed = {
        variant
        for one in wanted
        if one.plan_id in by_stock
        for variant, _pieces in _of(contents, one.plan_id, one.options)
    }
    stock_of(session, needed)
    stock = free_stock(session, needed, moment, checkout_id)
    return all(one.free >= 0 for one in stock.values() if one.is_limited)


def hold_as_invited(session: AnySession, checkout_id: int, email: str) -> None:
    """Hold the boxes of an order for as long as a place was kept for its e-mail.

    For the order that takes its e-mail off the list: a card that is refused loses no place.
    """
    hold, place = table_of(OrderHold), table_of(WaitingPlace)
    invited = (
        place.c.plan_id == hold.c.plan_id,
        place.c.email == email,
        place.c.until_at > hold.c.until_at,
    )
    until = sa.select(place.c.until_at).where(*invited).scalar_subquery()
    session.execute(
        sa.update(hold)
        .where(hold.c.checkout_id == checkout_id, sa.exists().where(*invited))
        .values(until_at=until)
    )


def drop_holds(session: AnySession, checkout_id: int) -> None:
    """Let go what an order held."""
    hold = table_of(OrderHold)
    session.execute(sa.delete(hold).where(hold.c.checkout_id == checkout_id))


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
    packed = {key: _of(contents, key, {}) for key in by_stock}
    variants = {variant for own in packed.values() for variant, _pieces in own}
    stock = free_stock(session, variants, moment)
    found = {
        key: Places(
            row.places,
            taken[key],
            row.sells_by_stock,
            boxes_from(packed[key], stock) if key in by_stock else None,
        )
        for key, row in limits.items()
    }
    for key, room in rooms.items():
        found[key] = replace(found.get(key, Places(None, taken[key])), by_cycle=room)
    return found


def free_stock(
    session: AnySession,
    variant_ids: Iterable[int],
    moment: Moment,
    checkout_id: int | None = None,
) -> dict[int, FreeStock]:
    """Return where the pieces of the variants stand, as of the next box of every subscriber.

    What is kept for the e-mail of ``checkout_id`` on a waiting list is left out.
    """
    wanted = sorted(set(variant_ids))
    if not wanted:
        return {}
    recipe, item, variant = table_of(Recipe), table_of(RecipeItem), table_of(ProductVariant)
    plans = set(
        session.scalars(
            sa.select(recipe.c.plan_id)
            .join(item, item.c.recipe_id == recipe.c.id)
            .where(item.c.variant_id.in_(wanted))
        )
    )
    contents = _contents(session, plans, moment.today)
    first = contents | first_recipes(session, plans, moment.today)
    sold, running, held = Counter[int](), Counter[int](), Counter[int]()
    for row in _next_boxes(session, plans):
        kind = sold if row.is_paid else running if row.state != "incomplete" else held
        _count(kind, first if row.is_late or kind is held else contents, row)
    for row in _held(session, plans, moment.now):
        _count(held, first, row)
    for plan_id, boxes in kept_for_invited(session, plans, moment.now, checkout_id).items():
        for one, pieces in _of(first, plan_id, {}):
            held[one] += pieces * boxes
    for row in _lying(session, wanted):
        sold[row.variant_id] += int(row.pieces)
    rows = session.execute(sa.select(variant).where(variant.c.id.in_(wanted)))
    return {
        row.id: FreeStock(
            on_hand=row.on_hand + row.committed,
            locked=row.committed,
            sold=sold[row.id],
            running=running[row.id],
            held=held[row.id],
            is_limited=row.is_counted and not row.may_oversell,
        )
        for row in rows
    }


#: Recipes of each plan that its next boxes are packed by.
_Contents = dict[int, Sequence[RecipeFacts]]


def _first_contents(session: AnySession, plan_ids: Iterable[int], today: date) -> _Contents:
    """Return the recipes by which the first box of an order of today is packed."""
    wanted = set(plan_ids)
    return _contents(session, wanted, today) | first_recipes(session, wanted, today)


def _contents(session: AnySession, plan_ids: Iterable[int], today: date) -> _Contents:
    """Return the recipes of the next cycle of each plan that is not locked."""
    plan, cycle = table_of(Plan), table_of(BoxCycle)
    wanted = set(plan_ids)
    if not wanted:
        return {}
    found: dict[int, int] = {}
    for row in session.execute(
        sa.select(plan.c.id, cycle.c.id.label("cycle_id"))
        .join(cycle, cycle.c.group_id == plan.c.cycle_group_id)
        .where(
            plan.c.id.in_(wanted),
            cycle.c.state.in_([CycleState.PLANNED, CycleState.OPEN]),
            cycle.c.lock_on >= today,
            cycle.c.ship_from <= today + timedelta(days=400),
        )
        .order_by(cycle.c.ship_from, cycle.c.id)
    ):
        found.setdefault(row.id, row.cycle_id)
    recipes = recipes_by_cycle(session, wanted, found.values())
    return {key: recipes[cycle_id].get(key, ()) for key, cycle_id in found.items()}


def _of(contents: _Contents, plan_id: int, options: Mapping[str, Any]) -> Sequence[tuple[int, int]]:
    recipe = choose_recipe(contents.get(plan_id, ()), options)
    return recipe.items if recipe is not None else ()


def _count(into: Counter[int], contents: _Contents, row: AnyRow) -> None:
    for variant, pieces in _of(contents, row.plan_id, json.loads(row.options or "{}")):
        into[variant] += pieces * int(row.boxes)


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
    for row in (*rows, *held):
        found[row.plan_id] += int(row.boxes)
    return found + kept_for_invited(session, plan_ids, now, checkout_id)


def _next_boxes(session: AnySession, plan_ids: set[int]) -> Sequence[AnyRow]:
    """Return how many subscribers have a next box, by plan, options and whether it is paid.

    The conditions are those under which ``domain.boxes.project`` shows a box.
    """
    table, box, cycle = table_of(Subscription), table_of(Box), table_of(BoxCycle)
    start = sa.case((table.c.anchor_on > table.c.next_on, table.c.anchor_on), else_=table.c.next_on)
    paid = sa.exists().where(
        box.c.subscription_id == table.c.id,
        box.c.kind == BoxKind.REGULAR,
        box.c.state.in_(_UNDECIDED),
    )
    # It leaves now, with a cycle that is locked already.
    late = paid.where(
        box.c.cycle_id.in_(
            sa.select(cycle.c.id).where(cycle.c.state.not_in([CycleState.PLANNED, CycleState.OPEN]))
        )
    )
    pauses = sa.and_(
        table.c.pauses_on.is_not(None), table.c.pauses_on <= start, table.c.resumes_on.is_(None)
    )
    bills = sa.and_(
        sa.or_(
            table.c.state.in_(BILLABLE),
            sa.and_(table.c.state == SubscriptionState.PAUSED, table.c.pauses_on.is_not(None)),
        ),
        table.c.held_at.is_(None),
        sa.or_(table.c.cancel_on.is_(None), table.c.cancel_on > start),
        sa.or_(table.c.ends_on.is_(None), table.c.ends_on > start),
        sa.or_(table.c.max_boxes.is_(None), table.c.max_boxes > table.c.boxes_billed),
        ~pauses,
    )
    columns = (
        table.c.plan_id,
        table.c.state,
        table.c.quantity,
        sa.cast(table.c.options, sa.Text).label("options"),
        sa.case((paid, 1), else_=0).label("is_paid"),
        sa.case((late, 1), else_=0).label("is_late"),
    )
    each = (
        sa.select(*columns)
        .where(table.c.plan_id.in_(plan_ids), sa.or_(bills, paid, is_being_paid(table)))
        .subquery()
    )
    kinds = (each.c.plan_id, each.c.options, each.c.is_paid, each.c.is_late, each.c.state)
    return session.execute(
        sa.select(*kinds, sa.func.sum(each.c.quantity).label("boxes")).group_by(*kinds)
    ).all()


def _held(session: AnySession, plan_ids: set[int], now: datetime) -> Sequence[AnyRow]:
    hold, checkout = table_of(OrderHold), table_of(Checkout)
    options = sa.cast(hold.c.options, sa.Text).label("options")
    return session.execute(
        sa.select(hold.c.plan_id, options, hold.c.quantity.label("boxes"))
        .join(checkout, checkout.c.id == hold.c.checkout_id)
        .where(hold.c.plan_id.in_(plan_ids), hold.c.until_at > now, checkout.c.state == "open")
    ).all()


def _lying(session: AnySession, variant_ids: Sequence[int]) -> Sequence[AnyRow]:
    """Return the pieces of add-ons and replacements in boxes that are not packed yet."""
    item, box = table_of(BoxItem), table_of(Box)
    return session.execute(
        sa.select(item.c.variant_id, sa.func.sum(item.c.quantity).label("pieces"))
        .join(box, box.c.id == item.c.box_id)
        .where(item.c.variant_id.in_(variant_ids), box.c.state.in_(_UNDECIDED))
        .group_by(item.c.variant_id)
    ).all()
