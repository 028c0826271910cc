"""Which box of its subscription a box is, and where it goes: what recipes tell boxes apart by.

Nothing of it is stored: a number follows from the boxes that leave before, so a box that a skip
moves changes places with those it passes.
Source: docs/decisions/0200-recipes-for-some-subscribers.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.packing import RecipeFacts
from storefront.domain.recipe_scopes import BoxFacts, Tells, tells_of
from storefront.models import Address, Box, BoxCycle, Subscription
from storefront.models.base import table_of
from storefront.operations.box_addresses import gift_country, goes_to
from storefront.operations.counting_on import brought
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.skips import MOVABLE, Coming

_UNDECIDED = (BoxState.PLANNED, BoxState.HELD)


def told_apart(recipes: Mapping[Any, Sequence[RecipeFacts]]) -> Tells:
    """Return by what else than answers these recipes tell boxes apart."""
    return tells_of(one.option_key for own in recipes.values() for one in own)


def columns_of(box: sa.Table, subscription: sa.Table, tells: Tells) -> list[sa.Label[Any]]:
    """Return ``country`` and ``number`` of ``box``; what is not told apart costs nothing.

    For a box that has a cycle, in a statement that joins its ``subscription``.
    """
    address = table_of(Address).alias("facts_address")
    country: sa.ColumnElement[Any] = sa.literal("")
    number: sa.ColumnElement[Any] = sa.literal(0)
    if tells.countries:
        found = sa.select(address.c.country).where(address.c.id == goes_to(box, subscription))
        there = found.correlate(box, subscription).scalar_subquery()
        country = sa.func.coalesce(there, gift_country(subscription), "")
    if tells.numbers:
        number = 1 + brought(subscription) + _before(box)
    return [country.label("country"), number.label("number")]


def next_columns(subscription: sa.Table, tells: Tells) -> list[sa.Label[Any]]:
    """Return ``country`` and ``number`` of the next box of each ``subscription`` to be packed."""
    address, box = table_of(Address).alias("facts_address"), table_of(Box).alias("facts_box")
    country: sa.ColumnElement[Any] = sa.literal("")
    number: sa.ColumnElement[Any] = sa.literal(0)
    if tells.countries:
        found = sa.select(address.c.country).where(address.c.id == subscription.c.address_id)
        there = found.correlate(subscription).scalar_subquery()
        country = sa.func.coalesce(there, gift_country(subscription), "")
    if tells.numbers:
        packed = (
            sa.select(sa.func.count())
            .where(
                box.c.subscription_id == subscription.c.id,
                box.c.kind == BoxKind.REGULAR,
                box.c.state.not_in([*_UNDECIDED, BoxState.CANCELED]),
            )
            .correlate(subscription)
            .scalar_subquery()
        )
        number = 1 + brought(subscription) + packed
    return [country.label("country"), number.label("number")]


def _before(box: sa.Table) -> sa.ColumnElement[int]:
    """Return how many regular boxes of the subscription leave before ``box``."""
    other, theirs = table_of(Box).alias("facts_box"), table_of(BoxCycle).alias("facts_theirs")
    mine = table_of(BoxCycle).alias("facts_mine")
    return (
        sa.select(sa.func.count())
        .select_from(other)
        .join(theirs, theirs.c.id == other.c.cycle_id)
        .join(mine, mine.c.id == box.c.cycle_id)
        .where(
            other.c.subscription_id == box.c.subscription_id,
            other.c.kind == BoxKind.REGULAR,
            other.c.state != BoxState.CANCELED,
            sa.or_(
                theirs.c.ship_from < mine.c.ship_from,
                sa.and_(theirs.c.ship_from == mine.c.ship_from, theirs.c.id < mine.c.id),
            ),
        )
        .correlate(box)
        .scalar_subquery()
    )


def box_numbers(
    session: AnySession, box_ids: Sequence[int], recipes: Mapping[Any, Sequence[RecipeFacts]]
) -> dict[int, int]:
    """Return the number of each box, empty where no recipe asks for it; one statement."""
    if not box_ids or not told_apart(recipes).numbers:
        return {}
    box, subscription = table_of(Box), table_of(Subscription)
    _country, number = columns_of(box, subscription, Tells(numbers=True))
    rows = session.execute(
        sa.select(box.c.id, number)
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .where(box.c.id.in_(box_ids))
    )
    return {row.id: row.number for row in rows}


def facts_at_lock(
    row: AnyRow, ship_to: Mapping[str, Any] | None, numbers: Mapping[int, int]
) -> BoxFacts:
    """Return the facts of a box that goes to ``ship_to``; ``numbers`` are its ``box_numbers``."""
    country = str((ship_to or {}).get("country") or "")
    return BoxFacts(row.options or {}, country, numbers.get(row.id, 0))


def facts_of_box(session: AnySession, box_id: int) -> BoxFacts:
    """Return the facts of one box that has a cycle; of a packed one as it was packed."""
    box, subscription = table_of(Box), table_of(Subscription)
    row = session.execute(
        sa.select(
            box.c.options,
            box.c.ship_to,
            box.c.locked_at,
            *columns_of(box, subscription, Tells(countries=True, numbers=True)),
        )
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .where(box.c.id == box_id)
    ).one()
    frozen = row.ship_to if row.locked_at is not None else None
    country = str((frozen or {}).get("country") or "") if frozen else row.country
    return BoxFacts(row.options or {}, country, row.number)


def number_of_coming(coming: Coming, cycle: AnyRow, unpaid_before: int) -> int:
    """Return which box of the subscription the one of ``cycle`` is, paid for or not.

    ``unpaid_before`` of those that are not paid for yet leave before it.
    """
    at = (cycle.ship_from, cycle.id)
    paid = 0
    for box in coming.boxes:
        theirs = coming.cycles.get(box.cycle_id or 0)
        if theirs is not None:
            paid += (theirs.ship_from, theirs.id) < at
        else:
            # Of a plan it was changed from; one that waits for its cycle comes behind.
            paid += box.state not in MOVABLE
    return 1 + int(coming.row.brought) + paid + unpaid_before


def country_of_coming(coming: Coming) -> str:
    """Return where the boxes to come go: the address, or what a gift without one was paid for."""
    return str(coming.row.country or coming.row.gift_country or "")
