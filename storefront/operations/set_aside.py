"""The pieces that others chose, take instead or bought beside, for boxes not packed yet.

They are set aside against other choices, never against a lock: boxes that leave earlier are
packed from what is in the house. Source: docs/decisions/0150-choosing-contents.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState, CycleState
from storefront.domain.lifecycle import BILLABLE
from storefront.models import (
    Box,
    BoxAddition,
    BoxAdditionBox,
    BoxChoice,
    BoxChoiceItem,
    BoxCycle,
    BoxItem,
    BoxSkip,
    BoxSwap,
    ProductVariant,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession

_UNDECIDED = (BoxState.PLANNED, BoxState.HELD)
#: Rounds that have not left.
_LIVE = (CycleState.PLANNED, CycleState.OPEN, CycleState.LOCKED)


def set_aside(
    session: AnySession, variants: Iterable[int], subscription_id: int, cycle_id: int
) -> Counter[int]:
    """Return the pieces by variant that others' choices and swaps hold, and what was bought beside.

    Those of ``subscription_id`` for ``cycle_id`` are left out. Nothing is held while a box is
    skipped, its subscription rests or is over, or its cycle is locked without it. Rounds that
    have left are not looked at, so the work does not grow with the years; what is taken instead
    from now on therefore holds pieces for its first box alone.
    """
    wanted = _wanted(_live_cycles(session))
    cycle, subscription = table_of(BoxCycle), table_of(Subscription)
    box, skip = table_of(Box), table_of(BoxSkip)
    of_box = sa.and_(
        box.c.subscription_id == wanted.c.subscription_id,
        box.c.cycle_id == wanted.c.cycle_id,
        box.c.kind == BoxKind.REGULAR,
        box.c.state != BoxState.CANCELED,
    )
    is_coming = sa.and_(
        box.c.id.is_(None),
        cycle.c.state.in_((CycleState.PLANNED, CycleState.OPEN)),
        subscription.c.state.in_(BILLABLE),
    )
    waits = sa.and_(box.c.state.in_(_UNDECIDED), box.c.locked_at.is_(None))
    pieces = wanted.c.quantity * sa.func.coalesce(box.c.quantity, subscription.c.quantity)
    others = sa.or_(wanted.c.subscription_id != subscription_id, wanted.c.cycle_id != cycle_id)
    rows = session.execute(
        sa.select(wanted.c.variant_id, sa.func.sum(pieces).label("pieces"))
        .join(cycle, cycle.c.id == wanted.c.cycle_id)
        .join(subscription, subscription.c.id == wanted.c.subscription_id)
        .outerjoin(box, of_box)
        .where(
            others,
            sa.or_(is_coming, waits),
            ~sa.exists().where(
                skip.c.subscription_id == wanted.c.subscription_id,
                skip.c.cycle_id == wanted.c.cycle_id,
            ),
        )
        .group_by(wanted.c.variant_id)
    )
    asked = set(variants)
    held = Counter({row.variant_id: int(row.pieces) for row in rows if row.variant_id in asked})
    return held + _bought_beside(session, asked, cycle_id)


def _bought_beside(session: AnySession, variants: set[int], cycle_id: int) -> Counter[int]:
    """Return the pieces of add-ons that are bought, or being paid for, and lie in no packed box.

    All of those that were sold because they were there (0208), and what lies in boxes that leave
    no later than the cycle: add-ons of later ones are there when these are packed.
    """
    item, box, cycle = table_of(BoxItem), table_of(Box), table_of(BoxCycle)
    table, part = table_of(BoxAddition), table_of(BoxAdditionBox)
    this = sa.select(cycle.c.ship_from).where(cycle.c.id == cycle_id).scalar_subquery()
    is_soon = sa.and_(cycle.c.id.is_not(None), cycle.c.ship_from <= this, cycle.c.state.in_(_LIVE))
    is_open = sa.and_(box.c.state.in_(_UNDECIDED), box.c.locked_at.is_(None))
    lying = (
        sa.select(item.c.variant_id, item.c.quantity)
        .join(box, box.c.id == item.c.box_id)
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .where(item.c.variant_id.in_(variants), item.c.origin == "addon", is_open, is_soon)
    )
    lies_later = sa.and_(
        table.c.state == "applied", part.c.returned_at.is_(None), is_open, sa.not_(is_soon)
    )
    added = (
        sa.select(table.c.variant_id, table.c.quantity)
        .join(part, part.c.addition_id == table.c.id)
        .join(box, box.c.id == part.c.box_id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(table.c.variant_id.in_(variants), sa.or_(table.c.state == "waiting", lies_later))
    )
    bought = sa.union_all(lying, added).subquery()
    rows = session.execute(
        sa.select(bought.c.variant_id, sa.func.sum(bought.c.quantity).label("pieces")).group_by(
            bought.c.variant_id
        )
    )
    return Counter({row.variant_id: int(row.pieces) for row in rows})


def _wanted(cycles: Sequence[int]) -> sa.Subquery:
    choice, item, swap = table_of(BoxChoice), table_of(BoxChoiceItem), table_of(BoxSwap)
    chosen = (
        sa.select(choice.c.subscription_id, choice.c.cycle_id, item.c.variant_id, item.c.quantity)
        .join(item, item.c.choice_id == choice.c.id)
        .where(choice.c.cycle_id.in_(cycles))
    )
    once = swap.alias()
    # What is said for one box comes before what holds from it on.
    for_it_alone = sa.exists().where(
        once.c.subscription_id == swap.c.subscription_id,
        once.c.variant_id == swap.c.variant_id,
        once.c.from_id == swap.c.from_id,
        ~once.c.is_standing,
    )
    swapped = sa.select(
        swap.c.subscription_id, swap.c.from_id, swap.c.instead_id, swap.c.pieces
    ).where(
        swap.c.from_id.in_(cycles),
        swap.c.instead_id.is_not(None),
        # One that ends later holds for its first box all the same.
        swap.c.until_id.is_distinct_from(swap.c.from_id),
        sa.or_(~swap.c.is_standing, ~for_it_alone),
    )
    return sa.union_all(chosen, swapped).subquery()


def _live_cycles(session: AnySession) -> list[int]:
    """Return the cycles that somebody chose or swapped for and whose boxes have not left."""
    cycle, choice, swap = table_of(BoxCycle), table_of(BoxChoice), table_of(BoxSwap)
    is_asked = sa.or_(
        sa.exists().where(choice.c.cycle_id == cycle.c.id),
        sa.exists().where(swap.c.from_id == cycle.c.id),
    )
    return list(session.scalars(sa.select(cycle.c.id).where(cycle.c.state.in_(_LIVE), is_asked)))


def stock_left(
    session: AnySession,
    variants: Iterable[int],
    *,
    for_update: bool = False,
    lying: Mapping[int, int] = MappingProxyType({}),
) -> dict[int, int | None]:
    """Return the pieces in the house, None for what never runs out.

    ``for_update`` locks the stock rows, so that the last piece is not promised twice. ``lying``:
    pieces that lie in a packed box and count as there.
    """
    variant = table_of(ProductVariant)
    statement = (
        sa.select(variant.c.id, variant.c.on_hand, variant.c.is_counted, variant.c.may_oversell)
        .where(variant.c.id.in_(set(variants)))
        .order_by(variant.c.id)
    )
    if for_update:
        statement = statement.with_for_update()
    return {
        row.id: row.on_hand + lying.get(row.id, 0)
        if row.is_counted and not row.may_oversell
        else None
        for row in session.execute(statement)
    }


def being_added(session: AnySession, variant_ids: Iterable[int]) -> Sequence[AnyRow]:
    """Return the pieces that are being paid for, to be put into paid boxes (0208)."""
    table, part = table_of(BoxAddition), table_of(BoxAdditionBox)
    return session.execute(
        sa.select(table.c.variant_id, sa.func.sum(table.c.quantity).label("pieces"))
        .join(part, part.c.addition_id == table.c.id)
        .where(table.c.variant_id.in_(set(variant_ids)), table.c.state == "waiting")
        .group_by(table.c.variant_id)
    ).all()
