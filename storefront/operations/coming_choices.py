"""What subscribers said about their next box: pieces they chose, and what they swapped.

Source: docs/decisions/0199-pools-reserve-stock.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState, CycleState
from storefront.domain.lifecycle import BILLABLE, SubscriptionState
from storefront.domain.recipe_scopes import Tells
from storefront.models import (
    Box,
    BoxChoice,
    BoxChoiceItem,
    BoxCycle,
    BoxSwap,
    Checkout,
    OrderHold,
    Plan,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.box_facts import next_columns
from storefront.operations.capacity import is_being_paid
from storefront.operations.counting_on import of_gift
from storefront.operations.keys import AnyRow, AnySession

_UNDECIDED = (BoxState.PLANNED, BoxState.HELD)
#: Columns by which next boxes are told apart.
KINDS = ("plan_id", "options", "country", "number", "is_paid", "is_late", "state")


def next_cycles(session: AnySession, plan_ids: Iterable[int], today: date) -> dict[int, int]:
    """Return the next cycle of each plan that is not locked."""
    plan, cycle = table_of(Plan), table_of(BoxCycle)
    wanted = set(plan_ids)
    found: dict[int, int] = {}
    if not wanted:
        return found
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
    return found


def next_rows(plan_ids: Iterable[int] | None, tells: Tells) -> sa.Subquery:
    """The subscribers of the plans who have a next box, which one it is, and whether it is paid.

    None: of any plan.
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
        table.c.id,
        table.c.plan_id,
        table.c.state,
        table.c.quantity,
        sa.cast(table.c.options, sa.Text).label("options"),
        *next_columns(table, tells),
        sa.case((paid, 1), else_=0).label("is_paid"),
        sa.case((late, 1), else_=0).label("is_late"),
    )
    found = sa.select(*columns).where(sa.or_(bills, paid, is_being_paid(table)))
    if plan_ids is not None:
        found = found.where(table.c.plan_id.in_(set(plan_ids)))
    return found.subquery()


def chosen_boxes(
    session: AnySession, each: sa.Subquery, cycle_ids: Iterable[int]
) -> Sequence[AnyRow]:
    """Return how many of the next boxes somebody chose for, by kind of box."""
    choice = table_of(BoxChoice)
    kinds = [each.c[name] for name in KINDS]
    return session.execute(
        sa.select(*kinds, sa.func.sum(each.c.quantity).label("boxes"))
        .join(choice, choice.c.subscription_id == each.c.id)
        .where(choice.c.cycle_id.in_(set(cycle_ids)), each.c.is_late == 0)
        .group_by(*kinds)
    ).all()


def chosen_pieces(
    session: AnySession, each: sa.Subquery, cycle_ids: Iterable[int]
) -> Sequence[AnyRow]:
    """Return the pieces that were chosen for the next boxes, by kind of box and variant."""
    choice, item = table_of(BoxChoice), table_of(BoxChoiceItem)
    kinds = [*(each.c[name] for name in KINDS), item.c.variant_id]
    return session.execute(
        sa.select(*kinds, sa.func.sum(item.c.quantity * each.c.quantity).label("pieces"))
        .join(choice, choice.c.subscription_id == each.c.id)
        .join(item, item.c.choice_id == choice.c.id)
        .where(choice.c.cycle_id.in_(set(cycle_ids)), each.c.is_late == 0)
        .group_by(*kinds)
    ).all()


def swapped_pieces(
    session: AnySession, each: sa.Subquery, cycle_ids: Iterable[int], variant_ids: Iterable[int]
) -> Sequence[AnyRow]:
    """Return the pieces of the variants that next boxes take instead of others.

    What the recipe says stays reserved beside it: it comes after all if this runs out.
    """
    swap, at = table_of(BoxSwap), table_of(BoxCycle).alias("at")
    since, until = table_of(BoxCycle).alias("since"), table_of(BoxCycle).alias("until")
    holds = sa.or_(
        sa.and_(sa.not_(swap.c.is_standing), swap.c.from_id == at.c.id),
        sa.and_(
            swap.c.is_standing,
            since.c.ship_from <= at.c.ship_from,
            sa.or_(swap.c.until_id.is_(None), until.c.ship_from > at.c.ship_from),
        ),
    )
    kinds = [*(each.c[name] for name in KINDS), swap.c.instead_id.label("variant_id")]
    return session.execute(
        sa.select(*kinds, sa.func.sum(swap.c.pieces * each.c.quantity).label("pieces"))
        .select_from(swap)
        .join(each, each.c.id == swap.c.subscription_id)
        .join(since, since.c.id == swap.c.from_id)
        .join(at, sa.and_(at.c.group_id == since.c.group_id, at.c.id.in_(set(cycle_ids))))
        .outerjoin(until, until.c.id == swap.c.until_id)
        .where(swap.c.instead_id.in_(set(variant_ids)), each.c.is_late == 0, holds)
        .group_by(*kinds)
    ).all()


def country_of_order(session: AnySession, checkout_id: int, tells: Tells) -> str:
    """Return where the boxes of an order go, empty while nobody knows or no recipe asks."""
    if not tells.countries:
        return ""
    table = table_of(Checkout)
    found = session.scalar(sa.select(table.c.address).where(table.c.id == checkout_id))
    return str((found or {}).get("country") or "")


def number_of_order(session: AnySession, checkout_id: int, tells: Tells) -> int:
    """Return which box the first one of an order is: the first, or the one after a gift."""
    if not tells.numbers:
        return 1
    table = table_of(Checkout)
    found = session.scalar(
        sa.select(1 + of_gift(table.c.id, table)).where(table.c.id == checkout_id)
    )
    return int(found or 1)


def held_boxes(
    session: AnySession,
    plan_ids: Iterable[int],
    now: datetime,
    tells: Tells,
    *,
    but: int | None = None,
) -> Sequence[AnyRow]:
    """Return the boxes of open orders but that one, each the first or the one after a gift."""
    hold, checkout = table_of(OrderHold), table_of(Checkout)
    country: sa.ColumnElement[Any] = sa.literal("")
    if tells.countries:
        country = sa.func.coalesce(checkout.c.address["country"].as_string(), "")
    number: sa.ColumnElement[int] = sa.literal(1)
    if tells.numbers:
        number = 1 + of_gift(hold.c.checkout_id, hold)
    held = [hold.c.plan_id.in_(set(plan_ids)), hold.c.until_at > now, checkout.c.state == "open"]
    if but is not None:
        held.append(hold.c.checkout_id != but)
    return session.execute(
        sa.select(
            hold.c.plan_id,
            sa.cast(hold.c.options, sa.Text).label("options"),
            country.label("country"),
            number.label("number"),
            hold.c.quantity.label("boxes"),
        )
        .join(checkout, checkout.c.id == hold.c.checkout_id)
        .where(*held)
    ).all()
